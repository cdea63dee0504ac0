import MantelCore
import Testing

@testable import MantelReplication

/// Moves into the trash and out of the replica that fail, or are cut off.
@Suite struct DeletionTests {
  private let a = content("a")
  private let b = content("b")
  private let month: Duration = .agentDay * 30

  @Test func aMoveToTheTrashThatWasCutOffIsDoneAgainAndMarked() throws {
    for isDone in [false, true] {
      let (machine, link) = try SingleMachine.holding([a, b])
      let place = try #require(try machine.file(of: a)?.path)
      try machine.install(
        0, 2, machine.entries([b]) + [machine.dropped(a)], removed: machine.entries([a]),
        added: [machine.dropped(a)], over: link)
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
      #expect(try machine.isInTrash(a))
      #expect(try machine.catalog.replicaFile(at: place) == nil)
    }
  }

  @Test func nothingIsHeldThatIsBeingDeleted() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    // Wanted again, a moment too late: it is missing, and fetched.
    try machine.install(
      0, 3, machine.entries([a, b]), removed: [machine.dropped(a)],
      added: machine.entries([a]), over: link)
    #expect(!machine.isHeld(a))
    _ = machine.take()
    try machine.send(.filed(batch.id, [.done(path: batch.operations[0].path, nil)]))
    #expect(machine.take().orders(link).map(\.unit.content) == [a])
  }

  @Test func whatCouldNotBeDeletedIsThereAsBefore() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    try machine.send(
      .filed(batch.id, [.failed(FilingFailure(code: .noSpace, errno: 28, message: "full"))]))
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    try machine.pass(.seconds(120))
    #expect(machine.take().batches.first?.operations == batch.operations)
  }

  /// A machine that has been asked to delete a photo, and failed or died.
  private func deleting(isCutOff: Bool) throws -> (SingleMachine, path: [UInt8]) {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.drop([a], of: [a, b], 2, over: link)
    try machine.pass(month + .seconds(10))
    let batch = try #require(machine.take().batches.first)
    guard case .remove(let path, a) = batch.operations.first else { throw SimulationError.broken("\(batch)") }
    if isCutOff {
      try machine.restart()
      #expect(!machine.isHeld(a))
    } else {
      try machine.send(.filed(batch.id, [.failed(FilingFailure(code: .io, errno: 5, message: "a test"))]))
    }
    return (machine, path)
  }

  /// The batch that finds out what became of the deletion.
  private func findingOut(_ machine: SingleMachine) throws -> BatchID {
    try machine.pass(.seconds(10))
    try machine.send(.recovered)
    return try #require(
      machine.take().compactMap { if case .fileAgain(let id, _) = $0 { id } else { nil } }.first)
  }

  @Test func aDeletionThatWasDoneAndNotRecordedIsFoundOut() throws {
    let (machine, path) = try deleting(isCutOff: true)
    try machine.send(.filed(try findingOut(machine), [.done(path: path, nil)]))
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isHeld(a))
  }

  @Test(arguments: [true, false]) func whatIsWantedSinceADeletionFailedIsNotDeleted(isCutOff: Bool) throws {
    let (machine, path) = try deleting(isCutOff: isCutOff)
    let link = try machine.connect()
    try machine.install(
      0, 3, machine.entries([a, b]), removed: [machine.dropped(a)], added: machine.entries([a]), over: link)
    let repeated = try findingOut(machine)
    try machine.send(.filed(repeated, [.adopted(path: path, machine.stamp(10))]))
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    #expect(try machine.fileAll().map(\.path) == [bytes("peer0/folder/\(a.hex.prefix(8)).jpg")])
    #expect(try machine.file(of: a)?.mark == nil && machine.isHeld(a))
  }

  @Test(arguments: [true, false]) func whatIsRefusedSinceADeletionFailedIsNotDeleted(isCutOff: Bool) throws {
    let (machine, path) = try deleting(isCutOff: isCutOff)
    try machine.send(.dropsRefused(machine.peers[0].machine))
    let repeated = try findingOut(machine)
    try machine.send(.filed(repeated, [.adopted(path: path, machine.stamp(10))]))
    for _ in 1...2 {
      try machine.pass(month)
      #expect(try machine.fileAll().isEmpty)
    }
    #expect(try machine.file(of: a)?.path == path && machine.isHeld(a))
  }

  /// After a crash too it is first heard who wants the bytes; and a disk that does not delete is not hammered.
  @Test(arguments: [true, false]) func aDeletionThatWasNotDoneIsPlannedAnew(isCutOff: Bool) throws {
    let (machine, path) = try deleting(isCutOff: isCutOff)
    let grace = machine.now.instant + machine.settings.deletionGrace
    try machine.send(.filed(try findingOut(machine), [.adopted(path: path, machine.stamp(10))]))
    #expect(machine.isHeld(a))
    #expect(machine.take().batches.isEmpty)
    if isCutOff {
      try machine.pass(.nanoseconds(grace.nanoseconds - machine.now.instant.nanoseconds - 1))
      #expect(machine.take().batches.isEmpty)
      try machine.pass(.seconds(5))
    } else {
      try machine.pass(.agentDay - .seconds(60))
      #expect(machine.take().batches.isEmpty)
      try machine.pass(.seconds(120))
    }
    #expect(try machine.fileAll() == [.remove(path: path, content: a)])
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
  }

  /// Its bytes are judged like those of any other file, by whoever reads them again.
  @Test func whatCannotBeReadAfterADeletionFailedIsReadAgain() throws {
    let (machine, path) = try deleting(isCutOff: false)
    try machine.send(.filed(try findingOut(machine), [.sourceChanged]))
    // The slow walk may be reading another file.
    try machine.send(.reread(.replica(bytes("peer0/folder/\(b.hex.prefix(8)).jpg")), .unsettled))
    #expect(machine.take().rereads.contains(.replica(path)))
    try machine.send(.reread(.replica(path), .unreadable(errno: 5)))
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isHeld(a))
  }
}
