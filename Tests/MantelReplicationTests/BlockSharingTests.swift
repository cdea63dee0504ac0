import MantelCore
import Testing

@testable import MantelReplication

/// Large contents that several machines lack: each gives the blocks that it has while it still gets the others.
@Suite struct BlockSharingTests {
  private let film = Payload(Array("film".utf8), size: 12 << 20)

  private func block(_ index: UInt32) -> UnitID { UnitID(content: film.content, part: .block(index)) }

  /// A machine that lacks a peer's film, as another peer does, and has its manifest.
  private func swarm() throws -> (machine: SingleMachine, source: LinkID, other: LinkID) {
    let machine = try SingleMachine(peers: 3)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: [film.content], takesPulls: true)
    let other = try machine.connect(1, takesPulls: true)
    let entry = machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)
    try machine.install(0, 1, [entry], over: source)
    try machine.send(.manifestVerified(source, film.content, try #require(film.manifest)))
    return (machine, source, other)
  }

  private func told(_ actions: [ReplicationAction], _ link: LinkID) -> [BlockRange] {
    actions.commands(link).flatMap { command -> [BlockRange] in
      if case .availableBlocks(film.content, let ranges) = command { ranges } else { [] }
    }
  }

  @Test func blocksThatOthersLackTooAreLeftToTheChoiceOfWhoHasThemAll() throws {
    let (machine, source, other) = try swarm()
    let actions = machine.take()
    #expect(actions.pulls(source).last.map { Set($0.units) } == Set((0..<12).map(block)))
    #expect(actions.pulls(other).isEmpty && actions.orders(source).map(\.unit.part) == [.manifest])
  }

  @Test func blocksThatNobodyElseLacksAreAskedForByName() throws {
    let machine = try SingleMachine(peers: 1)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: [film.content], takesPulls: true)
    let entry = machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)
    try machine.install(0, 1, [entry], over: source)
    _ = machine.take()
    try machine.send(.manifestVerified(source, film.content, try #require(film.manifest)))
    #expect(machine.take().orders(source).map(\.unit) == (0..<12).map(block))
  }

  @Test func onAFailingDiskAFilmThatWasBegunIsLeftAlone() throws {
    let film = Payload(Array("long film".utf8), size: 24 << 20)
    let machine = try SingleMachine(peers: 1)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: [film.content])
    let entry = machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)
    try machine.install(0, 1, [entry], over: source)
    _ = machine.take()
    try machine.send(.manifestVerified(source, film.content, try #require(film.manifest)))
    let asked = machine.take().orders(source).map(\.unit)
    #expect(asked.count < 24)
    machine.failReplicaDisk()
    try machine.send(.unitsVerified(source, asked))
    #expect(machine.take().orders(source).isEmpty)
    // An outage of the catalog loads all anew, and the disk is the same.
    let former = machine.replicator
    try machine.restart()
    machine.replicator.keepSyncFaults(of: former)
    #expect(try machine.report().reasons.contains(.failingDisk))
    // Somebody waits for it.
    try machine.send(.recovered)
    let again = try machine.connect(0, has: [film.content])
    #expect(machine.take().orders(again).isEmpty)
    let missing = MissingContent(
      content: film.content, size: film.size, manifest: film.manifestHash, mtime: 1,
      library: machine.peers[0].machine)
    try machine.send(.recall(RecallID(1), RecallOrder(missing)))
    #expect(!machine.take().orders(again).isEmpty)
  }

  @Test func aBlockThatCameIsToldToThoseThatLackTheContent() throws {
    let (machine, source, other) = try swarm()
    _ = machine.take()
    let actions = try machine.send(.unitsVerified(source, [block(7), block(3), block(4)]))
    #expect(told(actions, other) == [BlockRange(first: 3, count: 2), BlockRange(first: 7, count: 1)])
    #expect(told(actions, source).isEmpty, "it has all of it")
    // Whoever comes later hears of all.
    let late = try machine.connect(2, takesPulls: true)
    #expect(told(machine.take(), late) == [BlockRange(first: 3, count: 2), BlockRange(first: 7, count: 1)])
  }

  @Test func blocksThatWereFoundAgainAfterARestartAreTold() throws {
    let (machine, source, _) = try swarm()
    try machine.send(.unitsVerified(source, [block(0), block(1)]))
    try machine.restart()
    let link = try machine.connect(1, takesPulls: true)
    _ = machine.take()
    let actions = try machine.send(.stagedFound(film.content, blocks: [0, 1]))
    #expect(told(actions, link) == [BlockRange(first: 0, count: 2)])
  }

  @Test func aBlockThatAnotherGetterHasIsAskedOfItByName() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).last)
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 5, count: 2)]))
    #expect(Set(machine.take().orders(other).map(\.unit)) == [block(5), block(6)])
    // The source chose one of them before it heard of that.
    let chosen = try machine.send(.unitChosen(source, pull.job, block(5)))
    #expect(!chosen.contains { if case .expect = $0 { true } else { false } })
    // What it does not have after all is got of the source.
    try machine.send(.unitEnded(other, block(6), .notHeld))
    try machine.send(.jobEnded(source, pull.job, .cancelled))
    #expect(machine.take().pulls(source).last?.units.contains(block(6)) == true)
  }

  @Test func blocksOfAPeerThatIsGoneAreGotOfTheSource() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).last)
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 0, count: 12)]))
    let asked = machine.take().orders(other).map(\.unit)
    #expect(!asked.isEmpty)
    try machine.send(.unitChosen(source, pull.job, block(11)))
    try machine.send(.linkClosed(other))
    try machine.send(.jobEnded(source, pull.job, .complete))
    let offered = try #require(machine.take().pulls(source).last?.units)
    #expect(Set(offered).isSuperset(of: asked))
  }

  /// The source is away: two that got a part each help one another.
  @Test func peersWithPartsGoOnWithoutTheSource() throws {
    let (machine, source, other) = try swarm()
    try machine.send(.linkClosed(source))
    _ = machine.take()
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 2, count: 1)]))
    let pull = try #require(machine.take().pulls(other).last)
    #expect(pull.units == [block(2)])
    try machine.send(.unitChosen(other, pull.job, block(2)))
    try machine.send(.unitsVerified(other, [block(2)]))
    try machine.send(.jobEnded(other, pull.job, .complete))
    // It had to let go of what it had, and has begun anew.
    try machine.send(.availabilityChanged(other, added: [], removed: [film.content]))
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 9, count: 1)]))
    #expect(machine.take().pulls(other).last?.units == [block(9)])
  }

  @Test func aPartIsServedAndNotSentToWhoHasIt() throws {
    let (machine, source, other) = try swarm()
    try machine.send(.unitsVerified(source, [block(1), block(2)]))
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 2, count: 1)]))
    #expect(machine.replicator.choose([block(0), block(1), block(2)], count: 3, for: other) == [block(1)])
  }

  @Test func contentsOfWhichAPeerNamesBlocksAreBounded() throws {
    let (machine, _, other) = try swarm()
    for number in 0..<(machine.settings.partialContents + 9) {
      try machine.send(.blocksAvailable(other, content("\(number)"), [BlockRange(first: 0, count: 262_144)]))
    }
    #expect(machine.replicator.links[other]?.blocks.count == machine.settings.partialContents)
  }

  @Test func aPhotoPassesTheBlocksThatWait() throws {
    let (machine, source, _) = try swarm()
    let pull = try #require(machine.take().pulls(source).last)
    let film = machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)
    try machine.send(.availabilityChanged(source, added: [content("photo")], removed: []))
    let photo = machine.entry("1.jpg", content("photo"))
    try machine.install(0, 2, [film, photo], added: [photo], over: source)
    try machine.send(.unitChosen(source, pull.job, block(0)))
    try machine.send(.jobEnded(source, pull.job, .complete))
    let units = try #require(machine.take().pulls(source).last?.units)
    #expect(units.first?.content == content("photo") && units.count == 12, "and the blocks go on")
  }

  /// It restores a video that one machine has and another is getting: no block waits to be shared by one that shares nothing.
  @Test func aSourceThatRecallsAVideoGetsAllBlocks() throws {
    let machine = try SingleMachine(peers: 2, role: .source)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: [film.content], takesPulls: true)
    let other = try machine.connect(1, takesPulls: true)
    let missing = MissingContent(
      content: film.content, size: film.size, manifest: film.manifestHash, mtime: 1,
      library: machine.peers[0].machine)
    try machine.send(.recall(RecallID(1), RecallOrder(missing)))
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 0, count: 12)]))
    try machine.send(.manifestVerified(source, film.content, try #require(film.manifest)))
    let actions = machine.take()
    let asked = (actions.orders(source) + actions.orders(other)).map(\.unit).filter { $0.part != .manifest }
    #expect(Set(asked) == Set((0..<12).map(block)) && machine.replicator.shared.isEmpty)
  }

  @Test func whatIsSharedIsAskedForAgainAfterAChangeOfRole() throws {
    let (machine, source, _) = try swarm()
    let missing = MissingContent(
      content: film.content, size: film.size, manifest: film.manifestHash, mtime: 1,
      library: machine.peers[0].machine)
    _ = machine.take()
    try machine.send(.recall(RecallID(1), RecallOrder(missing)))
    try machine.send(.roleChanged(.source))
    #expect(Set(machine.take().orders(source).map(\.unit)).isSuperset(of: (0..<12).map(block)))
  }

  /// Its disk may hang; the others are not to blame.
  @Test func aGetterThatIsBusyPutsOffNobodyElse() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).last)
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 0, count: 2)]))
    #expect(!machine.take().orders(other).isEmpty)
    for index in 0..<2 as Range<UInt32> { try machine.send(.unitEnded(other, block(index), .busy)) }
    let chosen = try machine.send(.unitChosen(source, pull.job, block(0)))
    #expect(chosen.contains { if case .expect(source, _) = $0 { true } else { false } })
    // It is asked again later.
    try machine.pass(machine.settings.retry)
    #expect(machine.take().orders(other).map(\.unit) == [block(1)])
  }

  @Test func blocksThatAreDroppedAreTakenBack() throws {
    let (machine, source, other) = try swarm()
    try machine.send(.unitsVerified(source, [block(3)]))
    _ = machine.take()
    try machine.install(
      0, 2, [],
      removed: [machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)],
      over: source)
    let removed = machine.take().commands(other).flatMap { command -> [ContentID] in
      if case .available(_, let removed) = command { removed } else { [] }
    }
    #expect(removed == [film.content])
  }

  @Test func whoLosesTheWholeIsToldWhichBlocksAreHere() throws {
    let (machine, source, _) = try swarm()
    try machine.send(.unitsVerified(source, [block(3)]))
    _ = machine.take()
    let actions = try machine.send(.availabilityChanged(source, added: [], removed: [film.content]))
    #expect(told(actions, source) == [BlockRange(first: 3, count: 1)])
  }

  @Test func anIdleGetterTakesOverWhatASlowOneOwes() throws {
    let (machine, source, other) = try swarm()
    let third = try machine.connect(2, takesPulls: true)
    try machine.send(.linkClosed(source))
    _ = machine.take()
    try machine.send(.blocksAvailable(other, film.content, [BlockRange(first: 5, count: 1)]))
    var actions = machine.take()
    if let pull = actions.pulls(other).last { try machine.send(.unitChosen(other, pull.job, block(5))) }
    try machine.send(.blocksAvailable(third, film.content, [BlockRange(first: 5, count: 1)]))
    try machine.pass(machine.settings.takeOverAfter * 2)
    actions = machine.take()
    #expect(actions.orders(third).map(\.unit) == [block(5)])
  }
}
