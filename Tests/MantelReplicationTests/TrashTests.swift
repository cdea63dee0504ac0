import MantelCore
import Testing

@testable import MantelReplication

/// What becomes of a replica's files when their library drops them.
@Suite struct TrashTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine that holds these photos of its first peer, in its order 1.
  private func machine(
    _ photos: [ContentID], peers: Int = 1, settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(peers: peers, settings: settings)
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    try machine.install(0, 1, entries(photos, on: machine), over: link)
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    _ = machine.take()
    return (machine, link)
  }

  private func entries(_ photos: [ContentID], on machine: SingleMachine) -> [Entry] {
    photos.map { machine.entry("\($0.hex.prefix(8)).jpg", $0) }
  }

  private func dropped(_ photo: ContentID, on machine: SingleMachine) -> Entry {
    var entry = machine.entry("-", photo, state: .dropped(at: WallTime(nanoseconds: 5)))
    entry.path = []
    return entry
  }

  /// The first peer drops some of its photos and keeps the others, and what follows is filed.
  private func drop(
    _ photos: [ContentID], of all: [ContentID], _ sequence: UInt64, on machine: SingleMachine, _ link: LinkID
  ) throws {
    let kept = all.filter { !photos.contains($0) }
    try machine.install(
      0, sequence, entries(kept, on: machine) + photos.map { dropped($0, on: machine) },
      removed: entries(photos, on: machine), added: photos.map { dropped($0, on: machine) }, over: link)
    try machine.fileAll()
    _ = machine.take()
  }

  private func file(of content: ContentID, on machine: SingleMachine) throws -> ReplicaFile? {
    let files = try machine.catalog.replicaFiles(of: content)
    #expect(files.count <= 1)
    return files.first
  }

  private func isInTrash(_ content: ContentID, on machine: SingleMachine) throws -> Bool {
    guard let file = try file(of: content, on: machine) else { return false }
    return FilingPlan.isDiscarded(file.path) && file.mark?.isInTrash == true
  }

  private let month: Duration = .agentDay * 30

  @Test func droppedBytesLieInTheTrashForThirtyAgentDays() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    let file = try #require(try file(of: a, on: machine))
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
    #expect(try machine.fileAll().isEmpty && isInTrash(a, on: machine))
    try machine.pass(.seconds(700))
    #expect(try machine.fileAll() == [.remove(path: file.path, content: a)])
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isAvailable(a) && !machine.isHeld(a) && machine.isHeld(b))
    #expect(try machine.report().trash.isEmpty)
  }

  /// A laptop that sleeps for a month has not run for a day.
  @Test func sleepDeletesNothing() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    machine.sleep(month + .agentDay)
    try machine.send(.tick)
    try machine.pass(.agentDay)
    #expect(try machine.fileAll().isEmpty && isInTrash(a, on: machine))
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
    let (machine, link) = try machine([a, b], peers: 2)
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.install(
      0, 3, entries([a, b], on: machine), removed: [dropped(a, on: machine)],
      added: entries([a], on: machine), over: link)
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
    let (machine, link) = try machine([a, b], peers: 2)
    try drop([a], of: [a, b], 2, on: machine, link)
    let other = try machine.connect(1, has: [a])
    try machine.install(1, 1, [machine.entry("theirs.jpg", a, mtime: 77)], over: other)
    #expect(try machine.catalog.missingContent(a) == nil)
    #expect(try machine.fileAll().map(\.path) == [bytes("peer1/folder/theirs.jpg")])
    #expect(try file(of: a, on: machine)?.mark == nil)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty && machine.isHeld(a))
  }

  @Test func whatAnotherLibraryNamesStays() throws {
    let (machine, link) = try machine([a, b], peers: 2)
    let other = try machine.connect(1, has: [a])
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: other)
    try machine.fileAll()
    try drop([a], of: [a, b], 2, on: machine, link)
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
      0, 2, [dropped(a, on: machine)], removed: both, added: [dropped(a, on: machine)], over: link)
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
    #expect(try isInTrash(a, on: machine))
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
    #expect(try machine.catalog.unconfirmedDrops(of: machine.peers[0].machine, since: .zero) == 0)
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

  @Test func onlyADropLetsBytesGo() throws {
    let (machine, link) = try machine([a, b])
    let places = try [a, b].map { try file(of: $0, on: machine)?.path }
    // One entry is not there any more, the other is of bytes that nobody has.
    let unheld = machine.entry("\(b.hex.prefix(8)).jpg", b, state: .unheld(at: WallTime(nanoseconds: 3)))
    try machine.install(
      0, 2, [unheld], removed: entries([a, b], on: machine), added: [unheld], over: link)
    try machine.fileAll()
    try machine.pass(month + .agentDay)
    try machine.fileAll()
    #expect(try [a, b].map { try file(of: $0, on: machine)?.path } == places)
  }

  /// An entry that says nothing of its bytes is no drop; and one file that stays holds up no other.
  @Test func whatMayNotBeDeletedIsLookedAtOnceADay() throws {
    var settings = ReplicationSettings()
    settings.batchFiles = 1
    let (machine, link) = try machine([a, b], settings: settings)
    try drop([a], of: [a, b], 2, on: machine, link)
    let unheld = machine.entry("x.jpg", a, state: .unheld(at: WallTime(nanoseconds: 3)))
    try machine.install(
      0, 3, entries([b], on: machine) + [dropped(a, on: machine), unheld], added: [unheld], over: link)
    try machine.pass(.agentDay)
    try machine.install(
      0, 4, [dropped(a, on: machine), unheld, dropped(b, on: machine)], removed: entries([b], on: machine),
      added: [dropped(b, on: machine)], over: link)
    try machine.fileAll()
    try machine.pass(month - .seconds(60))
    #expect(try machine.fileAll().isEmpty)
    let ticks = try machine.pass(.seconds(50))
    #expect(ticks < 20)
    try machine.pass(.seconds(120))
    #expect(try machine.fileAll().map(\.content) == [b])
    #expect(try isInTrash(a, on: machine))
  }

  @Test func aConfirmationWhileABatchRunsIsNotLost() throws {
    let all = photos(12)
    let (machine, link) = try machine(all)
    let gone = Array(all.prefix(11))
    try drop(gone, of: all, 2, on: machine, link)
    // A batch with two of them is under way: one is wanted again, of the other another entry says the same.
    let moved = machine.entry("elsewhere.jpg", gone[0])
    var again = dropped(gone[1], on: machine)
    again.state = .dropped(at: WallTime(nanoseconds: 6))
    try machine.install(
      0, 3,
      entries([all[11]], on: machine) + gone.dropFirst(2).map { dropped($0, on: machine) } + [moved, again],
      removed: gone.prefix(2).map { dropped($0, on: machine) }, added: [moved, again], over: link)
    let batch = try #require(machine.take().batches.first)
    try machine.send(.dropsConfirmed(machine.peers[0].machine))
    try machine.send(
      .filed(
        batch.id,
        batch.operations.map { .done(path: $0.path, machine.stamp(10, mtime: $0.mtime, inode: 70)) }))
    try machine.fileAll()
    #expect(try gone.dropFirst().allSatisfy { try isInTrash($0, on: machine) })
  }

  // MARK: Too much at once

  private func photos(_ count: Int) -> [ContentID] { (0..<count).map { content("photo \($0)") } }

  @Test func whatPassesTheLimitStaysUntilSomebodyConfirms() throws {
    let all = photos(12)
    let (machine, link) = try machine(all)
    let head = machine.replicator.installedHead(of: machine.peers[0].machine)?.order
    let gone = Array(all.prefix(11))
    try drop(gone, of: all, 2, on: machine, link)
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine)?.order != head)
    #expect(try gone.allSatisfy { try file(of: $0, on: machine)?.mark == .held })
    #expect(try gone.allSatisfy { try !isInTrash($0, on: machine) })
    let report = try machine.report()
    #expect(report.state == .attention)
    #expect(report.reasons.contains(.heldDrops(machine.peers[0].machine, files: 11, bytes: 110)))
    // Nothing else waits: the machine holds all that is wanted of it.
    let roots = machine.replicator.roots(of: machine.peers[0].machine)
    #expect(roots.wanted == roots.held)
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty)

    try machine.send(.dropsConfirmed(machine.peers[0].machine))
    try machine.fileAll()
    #expect(try gone.allSatisfy { try isInTrash($0, on: machine) })
    #expect(
      try machine.report().reasons.contains { if case .heldDrops = $0 { true } else { false } } == false)
    // What was confirmed does not count against what comes.
    let again = try machine.connect(has: all)
    try machine.install(
      0, 3, all.map { dropped($0, on: machine) }, removed: entries([all[11]], on: machine),
      added: [dropped(all[11], on: machine)], over: again)
    try machine.fileAll()
    #expect(try isInTrash(all[11], on: machine))
  }

  @Test func dropsOfAMonthAreCountedTogether() throws {
    let all = photos(13)
    let (machine, link) = try machine(all)
    try drop(Array(all.prefix(10)), of: all, 2, on: machine, link)
    #expect(try all.prefix(10).allSatisfy { try isInTrash($0, on: machine) })
    // One more than a month may have, and all that come after it.
    let rest = Array(all.dropFirst(10))
    let forgotten = all.prefix(10).map { dropped($0, on: machine) }
    for (index, photo) in rest.prefix(2).enumerated() {
      let kept = Array(rest.dropFirst(index + 1))
      try machine.install(
        0, UInt64(3 + index),
        forgotten + entries(kept, on: machine) + rest.prefix(index + 1).map { dropped($0, on: machine) },
        removed: entries([photo], on: machine), added: [dropped(photo, on: machine)], over: link)
      try machine.fileAll()
    }
    #expect(try rest.prefix(2).allSatisfy { try file(of: $0, on: machine)?.mark == .held })
  }

  @Test func whatIsTakenBackIsHeldNoMore() throws {
    let all = photos(11)
    let (machine, link) = try machine(all)
    try drop(all, of: all, 2, on: machine, link)
    #expect(try all.allSatisfy { try file(of: $0, on: machine)?.mark == .held })
    try machine.install(
      0, 3, entries(all, on: machine), removed: all.map { dropped($0, on: machine) },
      added: entries(all, on: machine), over: link)
    #expect(try machine.fileAll().isEmpty)
    #expect(try all.allSatisfy { try file(of: $0, on: machine)?.mark == nil })
    #expect(try machine.report().state != .attention)
  }

  @Test func theLimitGrowsWithTheLibrary() {
    let limit = DropLimit(least: 10, most: 100, share: 100)
    #expect(limit.contents(entries: 0) == 10)
    #expect(limit.contents(entries: 5_000) == 50)
    #expect(limit.contents(entries: 4_000_000) == 100)
  }

  // MARK: Keeping all the same

  /// A machine in the wrong hands dropped photos, and was removed for it.
  @Test func whatARemovedMachineDroppedWaitsForADecision() throws {
    let (machine, link) = try machine([a, b], peers: 2)
    let library = machine.peers[0].machine
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.send(.linkClosed(link))
    try machine.remove(0)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty && isInTrash(a, on: machine))
    #expect(try machine.report().reasons.contains(.heldDrops(library, files: 1, bytes: 10)))
    #expect(try machine.report().trash.isEmpty)
    try machine.send(.dropsConfirmed(library))
    try machine.pass(.agentDay)
    #expect(try machine.fileAll().map(\.content) == [a])
    #expect(try machine.replicator.undecidedDrops().isEmpty)
  }

  @Test func whatIsRefusedStaysForGood() throws {
    let all = photos(12)
    let (machine, link) = try machine(all)
    let library = machine.peers[0].machine
    try drop(Array(all.prefix(1)), of: all, 2, on: machine, link)
    let rest = Array(all.dropFirst())
    try machine.install(
      0, 3, all.map { dropped($0, on: machine) }, removed: entries(rest, on: machine),
      added: rest.map { dropped($0, on: machine) }, over: link)
    try machine.fileAll()
    #expect(try machine.replicator.undecidedDrops()[library]?.files == 11)
    try machine.send(.dropsRefused(library))
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty)
    #expect(try all.allSatisfy { try file(of: $0, on: machine).map { $0.mark == nil } == true })
    #expect(try machine.report().state != .attention && machine.replicator.undecidedDrops().isEmpty)
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
    try machine.install(0, 1, [dropped(a, on: machine)], over: link)
    try machine.fileAll()
    #expect(try file(of: a, on: machine)?.path == path)
    try machine.install(1, 1, isNamed ? [machine.entry("theirs.jpg", a)] : [], over: link)
    try machine.fileAll()
    #expect(try isInTrash(a, on: machine) == !isNamed)
    #expect(try !isNamed || file(of: a, on: machine)?.path == bytes("peer1/folder/theirs.jpg"))
  }

  /// The own library keeps what its user deleted, and only the replica has it.
  @Test func whatTheOwnLibraryKeepsOfADeletedPhotoStays() throws {
    let (machine, link) = try machine([a, b])
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.delete("mine.jpg")
    #expect(try machine.ownEntries(of: a).map(\.state.isRetired) == [true])
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty && !isInTrash(a, on: machine))
    // Until it is forgotten here too.
    try machine.send(.forget(try machine.catalog.entries(machine.machine, of: a).map(\.id)))
    try machine.fileAll()
    #expect(try isInTrash(a, on: machine))
  }

  @Test func aLostFileOfTheTrashIsNoHealing() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    let path = try #require(try file(of: a, on: machine)?.path)
    try machine.lose(path)
    try machine.fileAll()
    try machine.pass(.seconds(60))
    let counts = try machine.catalog.badFileCounts(healedSince: WallTime(nanoseconds: 0))
    #expect(counts.healed == 0 && counts.unhealed == 0)
  }

  // MARK: Crashes

  @Test func aMoveToTheTrashThatWasCutOffIsDoneAgainAndMarked() throws {
    for isDone in [false, true] {
      let (machine, link) = try machine([a, b])
      let place = try #require(try file(of: a, on: machine)?.path)
      try machine.install(
        0, 2, entries([b], on: machine) + [dropped(a, on: machine)], removed: entries([a], on: machine),
        added: [dropped(a, on: machine)], over: link)
      let batch = try #require(machine.take().batches.first)
      #expect(batch.operations.map(\.path) == [bytes(".mantel/trash/\(a.hex).jpg")])
      // The process dies before or after the move, and before it is recorded.
      try machine.restart()
      let again = try #require(try machine.send(.recovered).batches.first)
      #expect(again.operations == batch.operations)
      let path = batch.operations[0].path
      let stamp = machine.stamp(10, mtime: SingleMachine.oldTime)
      let results: [FilingResult] = isDone ? [.adopted(path: path, stamp)] : [.done(path: path, stamp)]
      try machine.send(.filed(again.id, results))
      try machine.fileAll()
      #expect(try isInTrash(a, on: machine))
      #expect(try machine.catalog.replicaFile(at: place) == nil)
    }
  }

  @Test func nothingIsHeldThatIsBeingDeleted() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    // Wanted again, a moment too late: it is missing, and fetched.
    try machine.install(
      0, 3, entries([a, b], on: machine), removed: [dropped(a, on: machine)],
      added: entries([a], on: machine), over: link)
    #expect(!machine.isHeld(a))
    _ = machine.take()
    try machine.send(.filed(batch.id, [.done(path: batch.operations[0].path, nil)]))
    #expect(machine.take().orders(link).map(\.unit.content) == [a])
  }

  @Test func whatCouldNotBeDeletedIsThereAsBefore() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    try machine.send(
      .filed(batch.id, [.failed(FilingFailure(code: .noSpace, errno: 28, message: "full"))]))
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    try machine.pass(.seconds(120))
    #expect(machine.take().batches.first?.operations == batch.operations)
  }

  @Test func aDeletionThatWasCutOffIsDoneAgain() throws {
    let (machine, link) = try machine([a, b])
    try drop([a], of: [a, b], 2, on: machine, link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    try machine.restart()
    #expect(!machine.isHeld(a))
    let again = try #require(try machine.send(.recovered).batches.first)
    #expect(again.operations == batch.operations)
    try machine.send(.filed(again.id, [.done(path: batch.operations[0].path, nil)]))
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isHeld(a))
  }
}
