import MantelCore
import Testing

@testable import MantelReplication

/// What becomes of a replica's files when their library drops them.
@Suite struct TrashTests {
  private let a = content("a")
  private let b = content("b")

  private let month: Duration = .agentDay * 30

  @Test func droppedBytesLieInTheTrashForThirtyAgentDays() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    let file = try #require(try machine.file(of: a))
    #expect(file.path == bytes(".mantel/trash/\(a.hex).jpg"))
    #expect(file.mark == .trashed(since: machine.replicator.agentTime, isConfirmed: false))
    #expect(!machine.replicator.contents.isWanted(a, in: machine.peers[0].machine))
    #expect(machine.isAvailable(a))
    let report = try machine.report().trash
    #expect(report.map(\.files) == [1] && report.map(\.bytes) == [10] && report.map(\.left) == [month])

    try machine.pass(month - .seconds(3_600))
    #expect(try machine.fileAll().isEmpty)
    try machine.send(.tick)
    // Time in which no agent runs does not count.
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(.seconds(3_000))
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))
    try machine.pass(.seconds(700))
    #expect(try machine.fileAll() == [.remove(path: file.path, content: a)])
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isAvailable(a) && !machine.isHeld(a) && machine.isHeld(b))
    #expect(try machine.report().trash.isEmpty)
  }

  /// A laptop that sleeps for a month has not run for a day.
  @Test func sleepDeletesNothing() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    machine.sleep(month + .agentDay)
    try machine.send(.tick)
    try machine.pass(.agentDay)
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))
    // The time is over just after it wakes: first it hears the others.
    try machine.pass(month - .agentDay - .seconds(30))
    machine.sleep(.agentDay)
    try machine.send(.tick)
    try machine.pass(.seconds(58))
    #expect(try machine.fileAll().isEmpty)
    try machine.pass(.seconds(5))
    #expect(try machine.fileAll().map(\.content) == [a])
  }

  @Test func whatIsWantedAgainIsTakenFromTheTrashAndNeverFetched() throws {
    let (machine, link) = try SingleMachine.holding([a, b], peers: 2)
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.install(
      0, 3, machine.entries([a, b]), removed: [machine.dropped(a)],
      added: machine.entries([a]), over: link)
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty)
    #expect(
      actions.batches.flatMap(\.operations) == [
        .move(
          from: bytes(".mantel/trash/\(a.hex).jpg"), path: bytes("peer0/folder/\(a.hex.prefix(8)).jpg"),
          content: a, mtime: SingleMachine.oldTime)
      ])
  }

  @Test func anotherLibraryFindsItThereToo() throws {
    let (machine, link) = try SingleMachine.holding([a, b], peers: 2)
    try machine.drop([a], of: [a, b], 2, over: link)
    let other = try machine.connect(1, has: [a])
    try machine.install(1, 1, [machine.entry("theirs.jpg", a, mtime: 77)], over: other)
    #expect(try machine.catalog.missingContent(a) == nil)
    #expect(try machine.fileAll().map(\.path) == [bytes("peer1/folder/theirs.jpg")])
    #expect(try machine.file(of: a)?.mark == nil)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty && machine.isHeld(a))
  }

  @Test func whatAnotherLibraryNamesStays() throws {
    let (machine, link) = try SingleMachine.holding([a, b], peers: 2)
    let other = try machine.connect(1, has: [a])
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: other)
    try machine.fileAll()
    try machine.drop([a], of: [a, b], 2, over: link)
    let files = try machine.catalog.replicaFiles(of: a)
    #expect(files.filter { $0.mark == nil }.map(\.path) == [bytes("peer1/folder/theirs.jpg")])
    #expect(files.count == 2 && files.allSatisfy { $0.mark?.isCountedDrop != true } && machine.isHeld(a))
  }

  /// A machine that holds two files of one content of its first peer.
  private func machineWithTwoFiles() throws -> (SingleMachine, LinkID, [Entry]) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let both = [machine.entry("1.jpg", a), machine.entry("2.jpg", a, mtime: 7)]
    try machine.install(0, 1, both, over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).count == 2)
    return (machine, link, both)
  }

  /// Nobody has looked whether one of them is a copy of the other still.
  @Test func allFilesOfDroppedBytesGoToTheTrash() throws {
    let (machine, link, both) = try machineWithTwoFiles()
    try machine.install(
      0, 2, [machine.dropped(a)], removed: both, added: [machine.dropped(a)], over: link)
    let batch = try #require(machine.take().batches.first)
    #expect(batch.operations.allSatisfy { if case .move = $0 { true } else { false } })
    // The first one was taken away by hand: the other is all that there is.
    let second = batch.operations[1]
    try machine.send(
      .filed(
        batch.id,
        [.sourceChanged, .done(path: second.path, machine.stamp(10, mtime: second.mtime, inode: 99))])
    )
    try machine.send(.reread(.replica(bytes("peer0/folder/1.jpg")), .gone))
    try machine.pass(month - .seconds(3_600))
    let done = try machine.fileAll()
    #expect(!done.contains { if case .remove = $0 { true } else { false } })
    #expect(try machine.isInTrash(a))
    try machine.pass(.seconds(3_700))
    #expect(try machine.fileAll().count == 1)
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
  }

  @Test func aSecondCopyIsNoDropAndDoesNotHideOne() throws {
    let (machine, link, both) = try machineWithTwoFiles()
    try machine.pass(.agentDay)
    // The second name goes: its library has the bytes under the first.
    try machine.install(0, 2, [both[0]], removed: [both[1]], added: [], over: link)
    try machine.fileAll()
    let marks = try machine.catalog.replicaFiles(of: a).map(\.mark)
    #expect(marks.count == 2 && marks.contains(nil))
    #expect(
      try machine.catalog.countedDrops(
        of: machine.peers[0].machine, since: .zero, withConfirmed: false) == 0)
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    // Its time is over, and nobody has read the first one since.
    try machine.pass(month)
    #expect(try machine.fileAll().isEmpty)
    let first = try #require(try machine.catalog.replicaFiles(of: a).first { $0.mark == nil })
    try machine.catalog.setVerified([VerifiedFile(first)], own: [], at: machine.now.wall)
    try machine.pass(.agentDay * 2)
    #expect(try machine.fileAll().map(\.content) == [a])
    #expect(try machine.catalog.replicaFiles(of: a).map(\.mark) == [nil] && machine.isHeld(a))
  }

  /// A second copy is one where its library has the bytes under another name, or has let them go. Of what was lost without
  /// a word nobody has said so, wherever the photo is moved that another library names.
  @Test(arguments: [true, false]) func whatOneLibraryLostIsNotDeletedByTheDropOfAnother(isMoved: Bool) throws
  {
    let (machine, link) = try SingleMachine.holding([a, b], peers: 2)
    let other = try machine.connect(1, has: [a])
    let theirs = machine.entry("theirs.jpg", a)
    try machine.install(1, 1, [theirs], over: other)
    try machine.fileAll()
    try machine.install(1, 2, [], removed: [theirs], added: [], over: other)
    try machine.fileAll()
    var ours = machine.entries([a])
    if isMoved {
      let moved = [machine.entry("zzz.jpg", a)]
      try machine.install(0, 2, moved + machine.entries([b]), removed: ours, added: moved, over: link)
      try machine.fileAll()
      ours = moved
    }
    try machine.pass(month)
    try machine.fileAll()
    let files = try machine.catalog.replicaFiles(of: a)
    #expect(files.count == 2 && files.allSatisfy { $0.mark == nil })
    try machine.catalog.setVerified(files.map { VerifiedFile($0) }, own: [], at: machine.now.wall)
    try machine.pass(.agentDay * 2)
    try machine.fileAll()
    try machine.install(
      0, 3, machine.entries([b]) + [machine.dropped(a)], removed: ours, added: [machine.dropped(a)],
      over: link)
    try machine.fileAll()
    for _ in 1...3 {
      try machine.pass(month)
      try machine.fileAll()
    }
    #expect(try machine.catalog.replicaFiles(of: a).map(\.path) == [bytes("peer1/folder/theirs.jpg")])
  }

  /// A clock that starts in the past takes no read of long ago for a new one.
  @Test func aSecondCopyStaysWhileTheClockIsBehind() throws {
    let (machine, link, both) = try machineWithTwoFiles()
    try machine.pass(.agentDay)
    try machine.install(0, 2, [both[0]], removed: [both[1]], added: [], over: link)
    try machine.fileAll()
    try machine.pass(month)
    #expect(try machine.fileAll().isEmpty)
    machine.now.wall.nanoseconds -= 2 * 365 * 86_400 * 1_000_000_000
    try machine.pass(.agentDay * 3)
    #expect(try machine.fileAll().isEmpty)
    #expect(try machine.catalog.replicaFiles(of: a).count == 2)
  }

  @Test func onlyADropLetsBytesGo() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    let places = try [a, b].map { try machine.file(of: $0)?.path }
    // One entry is not there any more, the other is of bytes that nobody has.
    let unheld = machine.entry("\(b.hex.prefix(8)).jpg", b, state: .unheld(at: WallTime(nanoseconds: 3)))
    try machine.install(
      0, 2, [unheld], removed: machine.entries([a, b]), added: [unheld], over: link)
    try machine.fileAll()
    try machine.pass(month + .agentDay)
    try machine.fileAll()
    #expect(try [a, b].map { try machine.file(of: $0)?.path } == places)
  }

  /// An entry that says nothing of its bytes is no drop; and one file that stays holds up no other.
  @Test func whatMayNotBeDeletedIsLookedAtOnceADay() throws {
    var settings = ReplicationSettings()
    settings.batchFiles = 1
    let (machine, link) = try SingleMachine.holding([a, b], settings: settings)
    try machine.drop([a], of: [a, b], 2, over: link)
    let unheld = machine.entry("x.jpg", a, state: .unheld(at: WallTime(nanoseconds: 3)))
    try machine.install(
      0, 3, machine.entries([b]) + [machine.dropped(a), unheld], added: [unheld], over: link)
    try machine.pass(.agentDay)
    try machine.install(
      0, 4, [machine.dropped(a), unheld, machine.dropped(b)], removed: machine.entries([b]),
      added: [machine.dropped(b)], over: link)
    try machine.fileAll()
    try machine.pass(month - .seconds(60))
    #expect(try machine.fileAll().isEmpty)
    let ticks = try machine.pass(.seconds(50))
    #expect(ticks < 20)
    try machine.pass(.seconds(120))
    #expect(try machine.fileAll().map(\.content) == [b])
    #expect(try machine.isInTrash(a))
  }

  @Test func aConfirmationWhileABatchRunsIsNotLost() throws {
    let all = SingleMachine.photos(12)
    let (machine, link) = try SingleMachine.holding(all)
    let gone = Array(all.prefix(11))
    try machine.drop(gone, of: all, 2, over: link)
    // A batch with two of them is under way: one is wanted again, of the other another entry says the same.
    let moved = machine.entry("elsewhere.jpg", gone[0])
    var again = machine.dropped(gone[1])
    again.state = .dropped(at: WallTime(nanoseconds: 6))
    try machine.install(
      0, 3,
      machine.entries([all[11]]) + gone.dropFirst(2).map { machine.dropped($0) } + [moved, again],
      removed: gone.prefix(2).map { machine.dropped($0) }, added: [moved, again], over: link)
    let batch = try #require(machine.take().batches.first)
    try machine.send(.dropsConfirmed(machine.peers[0].machine))
    try machine.send(
      .filed(
        batch.id,
        batch.operations.map { .done(path: $0.path, machine.stamp(10, mtime: $0.mtime, inode: 70)) }))
    try machine.fileAll()
    #expect(try gone.dropFirst().allSatisfy { try machine.isInTrash($0) })
  }

  // MARK: Keeping all the same

  /// A machine in the wrong hands dropped photos, and was removed for it.
  @Test func whatARemovedMachineDroppedWaitsForADecision() throws {
    let (machine, link) = try SingleMachine.holding([a, b], peers: 2)
    let library = machine.peers[0].machine
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.send(.linkClosed(link))
    try machine.remove(0)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))
    #expect(try machine.report().reasons.contains(.heldDrops(library, files: 1, bytes: 10)))
    #expect(try machine.report().trash.isEmpty)
    try machine.send(.dropsConfirmed(library))
    #expect(try machine.report().trash.map(\.left) == [.zero])
    try machine.pass(.agentDay)
    #expect(try machine.fileAll().map(\.content) == [a])
    #expect(try machine.replicator.undecidedDrops().isEmpty)
  }

  @Test func whatIsRefusedStaysForGood() throws {
    let all = SingleMachine.photos(12)
    let (machine, link) = try SingleMachine.holding(all)
    let library = machine.peers[0].machine
    try machine.drop(Array(all.prefix(1)), of: all, 2, over: link)
    let rest = Array(all.dropFirst())
    try machine.install(
      0, 3, all.map { machine.dropped($0) }, removed: machine.entries(rest),
      added: rest.map { machine.dropped($0) }, over: link)
    try machine.fileAll()
    #expect(try machine.replicator.undecidedDrops()[library]?.files == 11)
    try machine.send(.dropsRefused(library))
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty)
    #expect(try all.allSatisfy { try machine.file(of: $0).map { $0.mark == nil } == true })
    #expect(try machine.report().state != .attention && machine.replicator.undecidedDrops().isEmpty)
  }

  /// The catalog is from before the refusal. Fails where nothing is made of what is found (`takeTransfer`).
  @Test func whatIsFoundToBeRefusedStaysForGood() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.pass(.agentDay)
    try machine.send(.refusalsFound([a]))
    #expect(try machine.report().trash.isEmpty)
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty && machine.file(of: a)?.mark == nil && machine.isHeld(a))
  }

  /// The time is over before the list of what was refused can be read (the disk was away, or the list is damaged). Fails where the
  /// trash does not wait for it (`collectTrash`), or ticks meanwhile (`trashDeadline`).
  @Test(arguments: [false, true]) func nothingGoesBeforeItIsKnownWhatWasRefused(isRefused: Bool) throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.restart(knowsRefusals: false)
    try machine.send(.recovered)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))
    #expect(try machine.pass(.seconds(10)) < 1_000)
    try machine.send(.refusalsFound(isRefused ? [a] : []))
    #expect(try machine.fileAll().map(\.content) == (isRefused ? [] : [a]))
    #expect(machine.isHeld(a) == isRefused)
  }

  /// After the loss of a catalog: a library that was not heard yet may name what another one dropped.
  @Test(arguments: [true, false]) func whatWasTakenOverIsJudgedWhenAllLibrariesAreKnown(isNamed: Bool) throws
  {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let path = bytes("somewhere/a.jpg")
    try machine.catalog.commitFiling(
      put: [
        ReplicaFile(
          library: machine.machine, entry: EntryID(.zero), content: a, path: path,
          stamp: machine.stamp(10), verified: machine.now.wall)
      ], removed: [], filed: [])
    try machine.restart()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    try machine.install(0, 1, [machine.dropped(a)], over: link)
    try machine.fileAll()
    #expect(try machine.file(of: a)?.path == path)
    try machine.install(1, 1, isNamed ? [machine.entry("theirs.jpg", a)] : [], over: link)
    try machine.fileAll()
    #expect(try machine.isInTrash(a) == !isNamed)
    #expect(try !isNamed || machine.file(of: a)?.path == bytes("peer1/folder/theirs.jpg"))
  }

  /// The own library keeps what its user deleted, and only the replica has it. `isCutOff`: when it is forgotten too, the
  /// process dies while another batch is under way.
  @Test(arguments: [false, true]) func whatTheOwnLibraryKeepsOfADeletedPhotoStays(isCutOff: Bool) throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.delete("mine.jpg")
    #expect(try machine.ownEntries(of: a).map(\.state.isRetired) == [true])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty && !machine.isInTrash(a))
    if isCutOff {
      let c = content("c")
      try machine.install(
        0, 3, machine.entries([b, c]) + [machine.dropped(a)], added: machine.entries([c]), over: link)
      try machine.send(.availabilityChanged(link, added: [c], removed: []))
      try machine.send(.unitVerified(link, UnitID(content: c, part: .whole)))
      #expect(machine.take().batches.count == 1)
    }
    // Until it is forgotten here too.
    try machine.send(.forget(try machine.catalog.entries(machine.machine, of: a).map(\.id)))
    #expect(try machine.ownEntries(of: a).isEmpty)
    if isCutOff {
      try machine.restart()
      try machine.send(.recovered)
    }
    try machine.fileAll()
    #expect(try machine.isInTrash(a))
  }

  @Test func aLostFileOfTheTrashIsNoHealing() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    let path = try #require(try machine.file(of: a)?.path)
    try machine.lose(path)
    try machine.fileAll()
    try machine.pass(.seconds(60))
    let counts = try machine.catalog.badFileCounts(healedSince: WallTime(nanoseconds: 0))
    #expect(counts.healed == 0 && counts.unhealed == 0)
  }
}
