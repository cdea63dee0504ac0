import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Whatever may be asked for is asked for in the end, whatever became of it before.
@Suite struct FetchingTests {
  private let photos = (0..<4).map { content("photo \($0)") }
  private let large = Payload(Array("film".utf8), size: UInt64(Limits.wholeUnitBytes) + 1)

  /// A machine that knows a peer's library with these photos, newest first, and asks for one at a time.
  private func machine(peers: Int = 2, units: Int = 1) throws -> SingleMachine {
    var settings = ReplicationSettings()
    settings.linkUnits = units
    settings.missingPage = 1
    let machine = try SingleMachine(peers: peers, settings: settings)
    try machine.send(.recovered)
    return machine
  }

  private func entries(_ machine: SingleMachine) -> [Entry] {
    photos.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 100 - Int64($0)) }
  }

  private func filmEntry(_ machine: SingleMachine) -> Entry {
    machine.entry("film.mov", large.content, size: large.size, manifest: large.manifestHash)
  }

  private func whole(_ content: ContentID) -> UnitID { UnitID(content: content, part: .whole) }

  /// Brings whatever a link is asked for until nothing is; returns it.
  private func bringAll(_ machine: SingleMachine, _ link: LinkID) throws -> [ContentID] {
    var brought: [ContentID] = []
    while let order = machine.take().orders(link).first, brought.count < 20 {
      brought.append(order.unit.content)
      try machine.send(.unitVerified(link, order.unit))
    }
    return brought
  }

  @Test func whatALinkLeavesBehindIsAskedOfOneWhoseWalkHasPassedIt() throws {
    let machine = try machine()
    let first = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: first)
    #expect(machine.take().orders(first).map(\.unit.content) == [photos[0]])
    let second = try machine.connect(1, has: photos)
    let order = try #require(machine.take().orders(second).first)
    #expect(order.unit.content == photos[1], "the first is on its way from the other")
    try machine.send(.linkClosed(first))
    try machine.send(.unitVerified(second, order.unit))
    #expect(Set(try bringAll(machine, second)) == [photos[0], photos[2], photos[3]])
  }

  @Test(arguments: [LinkOutcome.notHeld, .busy, .failed, .changed, .unsupported])
  func aUnitThatWasRefusedIsAskedForAgain(outcome: LinkOutcome) throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: link)
    let order = try #require(machine.take().orders(link).first)
    try machine.send(.unitEnded(link, order.unit, outcome))
    let others = try bringAll(machine, link)
    #expect(Set(others) == Set(photos.dropFirst()))
    try machine.pass(machine.settings.retry)
    #expect(machine.take().orders(link) == [order])
  }

  /// A peer whose disk is away says so of everything: asking goes on, and at no more than its pace.
  @Test func manyThatAreRefusedAreAskedForAtAPace() throws {
    var settings = ReplicationSettings()
    settings.linkUnits = 8
    let machine = try SingleMachine(peers: 1, settings: settings)
    try machine.send(.recovered)
    let many = (0..<600).map { content("away \($0)") }
    let link = try machine.connect(0, has: many)
    let entries = many.enumerated().map { machine.entry("\($0).jpg", $1, mtime: Int64($0)) }
    try machine.install(0, 1, entries, over: link)
    var asked: [ContentID: Int] = [:]
    let start = machine.now.instant
    while machine.now.instant - start < .seconds(100) {
      let orders = machine.take().orders(link)
      for order in orders {
        asked[order.unit.content, default: 0] += 1
        try machine.send(.unitEnded(link, order.unit, .notHeld))
      }
      guard orders.isEmpty else { continue }
      guard let due = machine.replicator.nextDeadline else { break }
      try machine.pass(max(due - machine.now.instant, .milliseconds(1)), limit: 100)
    }
    #expect(Set(asked.keys) == Set(many))
    let rate = Double(asked.values.reduce(0, +) - many.count) / 100
    #expect(rate <= 1.2 * (.seconds(1) / settings.retryPace), "\(rate) a second")
    #expect(asked.values.allSatisfy { $0 > 1 }, "none is given up")
  }

  /// Whether its peer says so before it refuses, or after that. Fails where the delay is kept (`availabilityChanged`), or made for
  /// nobody (`unitEnded`).
  @Test(arguments: [false, true], [LinkOutcome.notHeld, .failed])
  func whatIsWithdrawnIsNotWaitedForUntilItIsOfferedAgain(isTold: Bool, outcome: LinkOutcome) throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(0, has: [photos[0]])
    try machine.install(0, 1, [entries(machine)[0]], over: link)
    let order = try #require(machine.take().orders(link).first)
    let withdrawal = ReplicationEvent.availabilityChanged(link, added: [], removed: [photos[0]])
    let refusal = ReplicationEvent.unitEnded(link, order.unit, isTold ? outcome : .notHeld)
    let events = isTold ? [withdrawal, refusal] : [refusal, withdrawal]
    for event in events { try machine.send(event) }
    let fetching = try #require(machine.replicator.links[link]?.fetching)
    #expect(fetching.putOff.count == 0 && fetching.putOff.nextDeadline == nil)
    #expect(machine.replicator.transfers.notBefore.nextDeadline == nil)
    try machine.pass(.seconds(3_600))
    #expect(machine.take().orders(link).isEmpty)
    try machine.send(.availabilityChanged(link, added: [photos[0]], removed: []))
    #expect(machine.take().orders(link) == [order])
  }

  @Test func aConnectionThatIsEndingIsNotAskedForMore() throws {
    let machine = try machine()
    let first = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: first)
    let order = try #require(machine.take().orders(first).first)
    let second = try machine.connect(1, has: [photos[0]])
    _ = machine.take()
    try machine.send(.unitEnded(first, order.unit, .cancelled))
    let actions = machine.take()
    #expect(actions.orders(first).isEmpty)
    #expect(actions.orders(second) == [order])
  }

  @Test func wrongBytesAreAskedOfOthersAtOnceAndOfTheirSenderMuchLater() throws {
    let machine = try machine(units: 8)
    let first = try machine.connect(0, has: [photos[0]])
    try machine.install(0, 1, [entries(machine)[0]], over: first)
    let order = try #require(machine.take().orders(first).first)
    try machine.send(.unitCorrupt(first, order.unit))
    #expect(machine.take().orders(first).isEmpty)
    let second = try machine.connect(1, has: [photos[0]])
    #expect(machine.take().orders(second) == [order])
    try machine.send(.linkClosed(second))
    #expect(machine.take().orders(first).isEmpty)
    try machine.pass(machine.settings.distrust)
    #expect(machine.take().orders(first) == [order])
  }

  @Test func whatCameOverAClosedLinkIsNotAwaitedFromAnother() throws {
    let machine = try machine()
    let first = try machine.connect(0, has: [photos[0]])
    try machine.install(0, 1, [entries(machine)[0]], over: first)
    let order = try #require(machine.take().orders(first).first)
    let second = try machine.connect(1, has: [photos[0]])
    try machine.send(.linkClosed(first))
    #expect(machine.take().orders(second) == [order])
    // The disk was still at it.
    let actions = try machine.send(.unitVerified(first, order.unit))
    let cancelled = actions.commands(second).contains {
      if case .cancelFetch([order.unit]) = $0 { true } else { false }
    }
    #expect(cancelled)
    try machine.fileAll()
    #expect(machine.isHeld(photos[0]))
    // It came all the same, just before it heard: these bytes are of no use.
    #expect(try machine.send(.unitVerified(second, order.unit)).discarded == [photos[0]])
  }

  // MARK: Slow peers

  private func cancelled(_ actions: [ReplicationAction], _ link: LinkID) -> [UnitID] {
    actions.commands(link).flatMap { if case .cancelFetch(let units) = $0 { units } else { [UnitID]() } }
  }

  /// Also from a peer that says just enough to stay connected.
  @Test func aLinkWithoutWorkTakesOverWhatAnotherDoesNotBring() throws {
    let machine = try machine(units: 8)
    let slow = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: slow)
    let orders = machine.take().orders(slow)
    #expect(orders.count == photos.count)
    let idle = try machine.connect(1, has: [photos[0], photos[1]])
    try machine.pass(machine.settings.takeOverAfter - .seconds(1))
    #expect(machine.take().orders(idle).isEmpty)
    try machine.pass(machine.settings.takeOverInterval + .seconds(1))
    let actions = machine.take()
    #expect(Set(actions.orders(idle).map(\.unit)) == [whole(photos[0]), whole(photos[1])])
    #expect(Set(cancelled(actions, slow)) == [whole(photos[0]), whole(photos[1])])
    // What the slow one still brings is taken; nobody is asked for it any more.
    try machine.send(.unitEnded(slow, whole(photos[0]), .cancelled))
    let brought = try machine.send(.unitVerified(slow, whole(photos[1])))
    #expect(cancelled(brought, idle) == [whole(photos[1])])
    try machine.send(.unitVerified(idle, whole(photos[0])))
    try machine.fileAll()
    #expect(machine.isHeld(photos[0]) && machine.isHeld(photos[1]))
  }

  @Test func aUnitThatIsSlowEverywhereStaysLongerEachTime() throws {
    let machine = try machine(units: 8)
    let first = try machine.connect(0, has: [photos[0]])
    try machine.install(0, 1, [entries(machine)[0]], over: first)
    let second = try machine.connect(1, has: [photos[0]])
    var moves: [Duration] = []
    let start = machine.now.instant
    _ = machine.take()
    while machine.now.instant - start < .seconds(1_000) {
      try machine.pass(.seconds(10))
      let actions = machine.take()
      if !(actions.orders(first) + actions.orders(second)).isEmpty {
        moves.append(machine.now.instant - start)
      }
    }
    // After 60 s, 120 s more, 240 s more, 480 s more; looks are 10 s apart.
    #expect(moves.count == 4, "\(moves)")
  }

  @Test func aLinkThatIsBusyTakesNothingOver() throws {
    let machine = try machine(units: 1)
    let slow = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: slow)
    let busy = try machine.connect(1, has: photos)
    _ = machine.take()
    try machine.pass(.seconds(300))
    #expect(machine.take().orders(busy).isEmpty)
  }

  /// Heads come every few seconds, and a walk over all that is missing may take one.
  @Test func aSmallHeadDoesNotMakeLinksWalkAnew() throws {
    var settings = ReplicationSettings()
    settings.linkUnits = 1
    settings.missingPage = 2
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    let named = entries(machine)
    try machine.install(0, 1, Array(named.dropLast()), over: link)
    let cursor = machine.replicator.links[link]?.fetching.walk.cursor
    #expect(cursor != nil)
    try machine.install(0, 2, named, added: [named[3]], over: link)
    #expect(machine.replicator.links[link]?.fetching.walk.cursor == cursor)
    #expect(Set(try bringAll(machine, link)) == Set(photos))
  }

  // MARK: Fairness

  /// A camera set to another century, or a member that names millions, must not keep the photos of others away.
  @Test func theLibrariesOfTwoPeersHaveTheirTurns() throws {
    var settings = ReplicationSettings()
    settings.linkUnits = 1
    settings.missingPage = 4
    let machine = try SingleMachine(peers: 2, settings: settings)
    try machine.send(.recovered)
    let many = (0..<40).map { content("new \($0)") }
    let few = (0..<5).map { content("old \($0)") }
    let link = try machine.connect(0, has: many + few)
    try machine.install(
      0, 1, many.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 1_000 + Int64($0)) }, over: link)
    try machine.install(
      1, 1, few.enumerated().map { machine.entry("\($0).jpg", $1, mtime: Int64($0)) }, over: link)
    let brought = try bringAll(machine, link)
    #expect(Set(few).isSubset(of: brought.prefix(13)), "\(brought.count { few.contains($0) }) of them")
    #expect(brought.count { many.contains($0) } >= 10)
  }

  /// Each small head is walked back for: a member that never stops making them gets half of the turns, not all.
  @Test func aLibraryWithNewPhotosAllTheTimeDoesNotStopTheWalk() throws {
    var settings = ReplicationSettings()
    settings.linkUnits = 1
    settings.missingPage = 4
    let machine = try SingleMachine(peers: 2, settings: settings)
    try machine.send(.recovered)
    let many = (0..<40).map { content("new \($0)") }
    let few = (0..<5).map { content("old \($0)") }
    let link = try machine.connect(0, has: many + few)
    try machine.install(
      1, 1, few.enumerated().map { machine.entry("\($0).jpg", $1, mtime: Int64($0)) }, over: link)
    let named = many.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 1_000 + Int64($0)) }
    var brought: [ContentID] = []
    for round in 1...20 {
      let added = Array(named[(2 * round - 2)..<(2 * round)])
      try machine.install(0, UInt64(round), Array(named.prefix(2 * round)), added: added, over: link)
      let order = try #require(machine.take().orders(link).first)
      brought.append(order.unit.content)
      try machine.send(.unitVerified(link, order.unit))
    }
    #expect(Set(few).isSubset(of: brought), "\(brought.count { few.contains($0) }) of them")
  }

  /// Contents that a peer chose so that they come first in the order in which this machine asks.
  @Test func chosenIDsDoNotPassOtherLibraries() throws {
    let machine = try SingleMachine(peers: 2)
    let order = AskingOrder(of: machine.machine)
    let sorted = (0..<8).map { content("any \($0)") }.sorted { order.isBefore($0, $1) }
    func missing(_ content: ContentID, _ peer: Int) -> MissingContent {
      MissingContent(
        content: content, size: 1, manifest: nil, mtime: 1, library: machine.peers[peer].machine)
    }
    let page = sorted.prefix(6).map { missing($0, 0) } + sorted.suffix(2).map { missing($0, 1) }
    let asked = order.inTurns(page).map(\.content)
    #expect(asked == [0, 6, 1, 7, 2, 3, 4, 5].map { sorted[$0] })
  }

  // MARK: Large contents

  @Test func aManifestThatALinkLeavesBehindIsAskedForAgain() throws {
    let machine = try machine(units: 8)
    let first = try machine.connect(0, has: [large.content])
    try machine.install(0, 1, [filmEntry(machine)], over: first)
    let order = try #require(machine.take().orders(first).first)
    #expect(order.unit.part == .manifest)
    try machine.send(.linkClosed(first))
    let second = try machine.connect(1, has: [large.content])
    #expect(machine.take().orders(second) == [order])
  }

  @Test func blocksThatALinkLeavesBehindAreAskedForAgain() throws {
    let machine = try machine(units: 8)
    let first = try machine.connect(0, has: [large.content])
    try machine.install(0, 1, [filmEntry(machine)], over: first)
    _ = machine.take()
    try machine.send(.manifestVerified(first, large.content, try #require(large.manifest)))
    let blocks = machine.take().orders(first)
    #expect(blocks.count == large.layout.blockCount)
    try machine.send(.unitVerified(first, blocks[0].unit))
    try machine.send(.linkClosed(first))
    let second = try machine.connect(1, has: [large.content])
    #expect(machine.take().orders(second) == Array(blocks.dropFirst()))
  }

  @Test func aManifestThatContradictsItsEntryIsNotAskedForAgainAndAgain() throws {
    let machine = try machine(peers: 1, units: 8)
    let link = try machine.connect(0, has: [large.content])
    try machine.install(0, 1, [filmEntry(machine)], over: link)
    _ = machine.take()
    let other = Payload(Array("film".utf8), size: large.size + 1)
    try machine.send(.manifestVerified(link, large.content, try #require(other.manifest)))
    #expect(machine.take().orders(link).isEmpty)
    try machine.pass(machine.settings.contradiction)
    #expect(machine.take().orders(link).map(\.unit.part) == [.manifest])
  }

  @Test func fewLargeContentsAreBegunAtOnceAndSmallOnesPassThem() throws {
    let machine = try machine(peers: 1, units: 100)
    let films = (0..<20).map { Payload(Array("film \($0)".utf8), size: large.size) }
    let link = try machine.connect(0, has: films.map(\.content) + [photos[0]])
    let filmEntries = films.enumerated().map {
      machine.entry("\($0).mov", $1.content, size: $1.size, manifest: $1.manifestHash)
    }
    try machine.install(0, 1, filmEntries + [machine.entry("a.jpg", photos[0], mtime: 1)], over: link)
    var orders = machine.take().orders(link)
    #expect(orders.count { $0.unit.part == .manifest } == machine.settings.largeAtOnce)
    #expect(orders.contains { $0.unit == whole(photos[0]) })
    // Each that is asked for to its end makes room for the next.
    var manifests: Set<ContentID> = []
    while !orders.isEmpty {
      let order = orders.removeFirst()
      if order.unit.part == .manifest {
        manifests.insert(order.unit.content)
        let film = try #require(films.first { $0.content == order.unit.content })
        try machine.send(.manifestVerified(link, film.content, try #require(film.manifest)))
      } else {
        try machine.send(.unitVerified(link, order.unit))
      }
      orders += machine.take().orders(link)
    }
    #expect(manifests.count == films.count)
  }

  /// A video is on its way, and takes a long time: what is new meanwhile does not wait until all of it was asked for.
  @Test func aNewPhotoPassesAVideo() throws {
    let machine = try machine(peers: 1, units: 1_024)
    let film = Payload(Array("long film".utf8), size: 200 << 20)
    let link = try machine.connect(0, has: [film.content])
    let entry = machine.entry("film.mov", film.content, size: film.size, manifest: film.manifestHash)
    try machine.install(0, 1, [entry], over: link)
    try machine.send(.manifestVerified(link, film.content, try #require(film.manifest)))
    let blocks = machine.take().orders(link).filter { $0.unit.part != .manifest }
    #expect(blocks.reduce(0) { $0 + $1.bytes } == machine.settings.linkBlockBytes)
    try machine.send(.availabilityChanged(link, added: [photos[0]], removed: []))
    let photo = machine.entry("a.jpg", photos[0], mtime: 1)
    try machine.install(0, 2, [entry, photo], added: [photo], over: link)
    #expect(machine.take().orders(link).map(\.unit) == [whole(photos[0])])
    // And the video goes on beside it.
    try machine.send(.unitVerified(link, blocks[0].unit))
    #expect(machine.take().orders(link).map(\.unit.content) == [film.content])
  }

  @Test func aLargeContentThatNobodyWantsAnyMoreIsGivenUp() throws {
    let machine = try machine(peers: 1, units: 8)
    let link = try machine.connect(0, has: [large.content])
    try machine.install(0, 1, [filmEntry(machine)], over: link)
    _ = machine.take()
    try machine.send(.manifestVerified(link, large.content, try #require(large.manifest)))
    let blocks = machine.take().orders(link)
    try machine.send(.unitVerified(link, blocks[0].unit))
    _ = machine.take()
    try machine.install(0, 2, [], removed: [filmEntry(machine)], over: link)
    let actions = machine.take()
    #expect(actions.discarded == [large.content])
    let cancelled = actions.commands(link).reduce(0) {
      if case .cancelFetch(let units) = $1 { $0 + units.count } else { $0 }
    }
    #expect(cancelled == blocks.count - 1)
    #expect(try machine.catalog.partial(large.content) == nil)
  }

  /// A whole film that is here but for its last check.
  private func wholeFilm() throws -> (SingleMachine, LinkID, [UnitOrder]) {
    let machine = try machine(peers: 1, units: 8)
    let link = try machine.connect(0, has: [large.content, photos[0]])
    try machine.install(0, 1, [filmEntry(machine)], over: link)
    _ = machine.take()
    try machine.send(.manifestVerified(link, large.content, try #require(large.manifest)))
    return (machine, link, machine.take().orders(link))
  }

  /// Between the last check and the landing a crash would make the bytes unknown, were the manifest forgotten: then a
  /// film would be fetched once more.
  @Test func theManifestOfAFilmIsKeptUntilItIsLanded() throws {
    let (machine, link, blocks) = try wholeFilm()
    for block in blocks { try machine.send(.unitVerified(link, block.unit)) }
    try machine.send(.contentAssembled(large.content, isIntact: true))
    #expect(try machine.catalog.partial(large.content) != nil)
    try machine.fileAll()
    #expect(machine.isHeld(large.content))
    #expect(try machine.catalog.partial(large.content) == nil)
  }

  /// Its user wants no copies, and then wants them after all, while the last check is made: that found nothing, for the bytes were
  /// discarded, which says nothing of whom they came from.
  @Test func aCheckOfWhatWasGivenUpSaysNothing() throws {
    let (machine, link, blocks) = try wholeFilm()
    for block in blocks { try machine.send(.unitVerified(link, block.unit)) }
    #expect(machine.take().assembled == [large.content])
    try machine.become(.source)
    #expect(machine.take().discarded == [large.content])
    try machine.send(.contentAssembled(large.content, isIntact: false))
    try machine.become(.full)
    let orders = machine.take().orders(link)
    #expect(orders.map(\.unit) == [UnitID(content: large.content, part: .manifest)])
  }

  /// A disk that does not answer says nothing of the bytes: they are checked again, and not fetched.
  @Test func aCheckThatCouldNotBeMadeIsMadeAgain() throws {
    let (machine, link, blocks) = try wholeFilm()
    for block in blocks { try machine.send(.unitVerified(link, block.unit)) }
    #expect(machine.take().assembled == [large.content])
    try machine.send(.assemblyFailed(large.content))
    let actions = machine.take()
    #expect(actions.discarded.isEmpty && actions.assembled.isEmpty && actions.orders(link).isEmpty)
    try machine.pass(machine.settings.retry)
    let later = machine.take()
    #expect(later.assembled == [large.content] && later.orders(link).isEmpty)
    try machine.send(.contentAssembled(large.content, isIntact: true))
    try machine.fileAll()
    #expect(machine.isHeld(large.content))
  }

  // MARK: Room

  private func room(for bytes: UInt64) -> DiskRoom {
    let total: UInt64 = 1 << 40
    let reserve = DiskSpace(free: 0, total: total).reserve
    return DiskRoom(
      replica: DiskSpace(free: reserve + bytes, total: total), catalog: DiskSpace(free: total, total: total))
  }

  /// The catalog records what lands: where it has no room, nothing lands.
  @Test func aFullCatalogDiskStopsFetchingToo() throws {
    let machine = try machine(peers: 1, units: 8)
    var full = room(for: 1 << 30)
    full.catalog.free = full.catalog.reserve
    try machine.send(.diskRoom(full))
    let link = try machine.connect(0, has: photos)
    try machine.install(0, 1, entries(machine), over: link)
    #expect(machine.take().orders(link).isEmpty)
    #expect(try machine.report().reasons.contains(.diskSpace))
    try machine.send(.diskRoom(room(for: 1 << 30)))
    #expect(machine.take().orders(link).count == photos.count)
  }

  @Test func aLargeContentThatDoesNotFitWaitsAloneUntilItDoes() throws {
    let machine = try machine(peers: 1, units: 8)
    try machine.send(.diskRoom(room(for: large.size - 1)))
    let link = try machine.connect(0, has: [large.content, photos[0]])
    try machine.install(
      0, 1, [filmEntry(machine), machine.entry("a.jpg", photos[0], mtime: 1)], over: link)
    #expect(machine.take().orders(link).map(\.unit) == [whole(photos[0])])
    #expect(try machine.report().reasons.contains(.diskSpace))
    try machine.send(.diskRoom(room(for: large.size)))
    #expect(machine.take().orders(link).map(\.unit.part) == [.manifest])
  }

  /// What is begun and not on the disk yet will take its room.
  @Test func twoLargeContentsOfWhichOneFitsAreNotBothBegun() throws {
    let machine = try machine(peers: 1, units: 8)
    let other = Payload(Array("other film".utf8), size: large.size)
    try machine.send(.diskRoom(room(for: large.size + 1)))
    let link = try machine.connect(0, has: [large.content, other.content])
    let entry = machine.entry("b.mov", other.content, size: other.size, manifest: other.manifestHash)
    try machine.install(0, 1, [filmEntry(machine), entry], over: link)
    #expect(machine.take().orders(link).map(\.unit.part) == [.manifest])
  }

  /// The room was measured a while ago, or a quota is in the way.
  @Test func aLargeContentThatFindsTheDiskFullHoldsUpNobody() throws {
    let (machine, link, blocks) = try wholeFilm()
    try machine.send(.stagingFailed(blocks[0].unit, .noSpace))
    let cancelled = machine.take().commands(link).reduce(0) {
      if case .cancelFetch(let units) = $1 { $0 + units.count } else { $0 }
    }
    #expect(cancelled == blocks.count - 1)
    let photo = machine.entry("a.jpg", photos[0], mtime: 1)
    try machine.install(0, 2, [filmEntry(machine), photo], added: [photo], over: link)
    #expect(machine.take().orders(link).map(\.unit) == [whole(photos[0])])
    try machine.pass(machine.settings.diskFull)
    #expect(machine.take().orders(link).map(\.unit) == blocks.map(\.unit))
  }
}
