import MantelCore
import Testing

@testable import MantelReplication

/// Batches that were cut off: whatever they did is found out before the catalog's word is taken for it.
@Suite struct FilingJournalTests {
  private let a = content("a")
  private let b = content("b")

  @Test func everyStepIsReadAsItWasWritten() throws {
    let place = FilingPlan.Place(
      library: MachineID(Digest256(1, 2, 3, 4)), entry: EntryID(Digest256(5, 6, 7, 8)), path: bytes("x/y"),
      mtime: -1)
    let operations: [FilingOperation] = [
      .land(a, path: bytes("x/y"), mtime: -1),
      .move(from: bytes("o"), path: bytes("x"), content: a, mtime: 2),
      .link(from: bytes("o"), path: bytes("x"), content: a, mtime: 3),
      .copy(from: bytes("o"), path: bytes("x"), content: a, mtime: 4),
      .copyOwn(root: bytes("/r"), source: bytes("s"), path: bytes("x"), content: b, mtime: 5),
    ]
    var steps = operations.map { FilingPlan.Step(operation: $0, place: place, former: nil) }
    steps.append(
      FilingPlan.Step(operation: operations[1], place: place, former: bytes("o"), isSecondCopy: true))
    let path = [UInt8](repeating: 0xFF, count: 70_000)
    steps.append(FilingPlan.Step(operation: .remove(path: path, content: b), place: nil, former: path))
    let journal = FilingJournal.bytes(of: steps)
    #expect(try FilingJournal.steps(from: journal) == steps)
    for length in [0, 4, 5, 9, 100, journal.count - 1] {
      #expect(throws: RecordError.self) { try FilingJournal.steps(from: Array(journal.prefix(length))) }
    }
  }

  /// A machine that holds a content of its peer at old.jpg, and has been asked to move it to new.jpg.
  private func moving() throws -> (SingleMachine, (id: BatchID, operations: [FilingOperation])) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let old = machine.entry("old.jpg", a)
    try machine.install(0, 1, [old], over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    let new = machine.entry("new.jpg", a)
    try machine.install(0, 2, [new], removed: [old], added: [new], over: link)
    return (machine, try #require(machine.take().batches.first))
  }

  private func isRepeat(_ actions: [ReplicationAction]) -> Bool {
    actions.contains { if case .fileAgain = $0 { true } else { false } }
  }

  /// The move was done, the process died, and the entry has a third name by now: the file is where nobody looks for it.
  @Test func aMoveThatWasCutOffIsFoundWhereverItGot() throws {
    let (machine, batch) = try moving()
    try machine.restart()
    let link = try machine.connect()
    let new = machine.entry("new.jpg", a)
    let newest = machine.entry("newest.jpg", a)
    try machine.install(0, 3, [newest], removed: [new], added: [newest], over: link)
    let actions = machine.take()
    #expect(isRepeat(actions))
    let again = try #require(actions.batches.first)
    #expect(again.operations == batch.operations, "before anything else is planned")
    let reached = batch.operations[0].path
    try machine.send(.filed(again.id, [.adopted(path: reached, machine.stamp(10))]))
    #expect(machine.isHeld(a))
    let next = machine.take()
    #expect(!isRepeat(next))
    #expect(
      next.batches.flatMap(\.operations) == [
        .move(
          from: reached, path: bytes("peer0/folder/newest.jpg"), content: a, mtime: SingleMachine.oldTime)
      ])
    try machine.send(.filed(try #require(next.batches.first).id, [failure(.noSpace)]))
    #expect(try machine.catalog.value(.filingJournal) == nil, "nothing was done")
  }

  private func failure(_ code: FilingFailure.Code) -> FilingResult {
    .failed(FilingFailure(code: code, errno: 5, message: "a test"))
  }

  /// The name changed and its directory could not be synced: the next plan may not go by the old name.
  @Test(arguments: [FilingFailure.Code.sync, .io]) func aMoveThatFailedInTheMiddleIsDoneAgain(
    code: FilingFailure.Code
  ) throws {
    let (machine, batch) = try moving()
    try machine.send(.filed(batch.id, [failure(code)]))
    #expect(machine.isHeld(a))
    let link = try machine.connect()
    let newest = machine.entry("newest.jpg", a)
    try machine.install(0, 3, [newest], removed: [machine.entry("new.jpg", a)], added: [newest], over: link)
    #expect(machine.take().batches.isEmpty)
    try machine.pass(machine.settings.retry)
    let actions = machine.take()
    #expect(isRepeat(actions) && actions.batches.first?.operations == batch.operations)
    let isIdle = machine.replicator.isFilingIdle
    #expect(!isIdle)
  }

  /// Its name may have changed before the filesystem became read-only.
  @Test func aMoveInAReplicaThatBecameReadOnlyIsDoneAgainWhenItCanBeWritten() throws {
    let (machine, batch) = try moving()
    try machine.send(.filed(batch.id, [failure(.readOnly)]))
    #expect(try machine.catalog.value(.filingJournal) != nil)
    try machine.pass(.seconds(3_600))
    #expect(machine.take().batches.isEmpty)
    try machine.send(.replicaWritable)
    let actions = machine.take()
    #expect(isRepeat(actions) && actions.batches.first?.operations == batch.operations)
  }

  /// What may have been done the first time is not undone by a repeat that did nothing.
  @Test(arguments: [FilingFailure.Code.noSpace, .io]) func aRepeatThatFailsIsRepeated(
    code: FilingFailure.Code
  ) throws {
    let (machine, batch) = try moving()
    try machine.send(.filed(batch.id, [failure(.sync)]))
    for _ in 1...2 {
      try machine.pass(.seconds(60))
      let actions = machine.take()
      #expect(isRepeat(actions) && actions.batches.first?.operations == batch.operations)
      let again = try #require(actions.batches.first)
      try machine.send(.filed(again.id, [failure(code)]))
    }
    #expect(try machine.catalog.value(.filingJournal) != nil)
  }

  /// One file that cannot be moved holds up nobody else, and is asked for less and less often.
  @Test func aStepThatCannotBeRepeatedHoldsUpNobodyElse() throws {
    let (machine, batch) = try moving()
    try machine.send(.filed(batch.id, [failure(.io)]))
    try machine.pass(machine.settings.retry)
    let again = try #require(machine.take().batches.first)
    let link = try machine.connect(has: [b])
    try machine.install(
      0, 3, [machine.entry("new.jpg", a), machine.entry("b.jpg", b)], added: [machine.entry("b.jpg", b)],
      over: link)
    try machine.send(.filed(again.id, [failure(.io)]))
    _ = machine.take()
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    let actions = machine.take()
    #expect(!isRepeat(actions))
    #expect(actions.batches.first?.operations.map(\.content) == [b])
    try machine.send(
      .filed(
        try #require(actions.batches.first).id, [.done(path: bytes("peer0/folder/b.jpg"), machine.stamp(10))])
    )
    #expect(machine.isHeld(b) && machine.isHeld(a))
    var repeats = 0
    for _ in 1...360 {
      try machine.pass(.seconds(10))
      let actions = machine.take()
      guard let id = actions.batches.first?.id else { continue }
      #expect(isRepeat(actions))
      repeats += 1
      try machine.send(.filed(id, [failure(.io)]))
    }
    #expect((8...20).contains(repeats), "\(repeats) in an hour")
    // In the end the disk can, and all is as it should be.
    try machine.pass(machine.settings.longestRetry)
    let last = try #require(machine.take().batches.first)
    try machine.send(.filed(last.id, [.done(path: batch.operations[0].path, machine.stamp(10))]))
    try machine.fileAll()
    let isIdle = machine.replicator.isFilingIdle
    #expect(isIdle)
  }

  /// Thousands of files that cannot be moved: nothing is planned that may add to them, and what comes is landed.
  @Test func whatIsUnknownIsBounded() throws {
    var settings = ReplicationSettings()
    settings.unresolvedSteps = 4
    let all = SingleMachine.photos(12)
    let (machine, link) = try SingleMachine.holding(all, settings: settings)
    func moved(_ photos: ArraySlice<ContentID>) -> [Entry] {
      photos.map { machine.entry("moved-\($0.hex.prefix(8)).jpg", $0) }
    }
    try machine.install(
      0, 2, moved(all.prefix(6)) + machine.entries(Array(all.dropFirst(6))),
      removed: machine.entries(Array(all.prefix(6))), added: moved(all.prefix(6)), over: link)
    let first = try #require(machine.take().batches.first)
    try machine.send(.filed(first.id, first.operations.map { _ in failure(.io) }))
    let again = machine.entry("b.jpg", b)
    try machine.install(
      0, 3, moved(all[...]) + [again], removed: machine.entries(Array(all.dropFirst(6))),
      added: moved(all.dropFirst(6)) + [again], over: link)
    try machine.send(.availabilityChanged(link, added: [b], removed: []))
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    var moves: Set<ContentID> = []
    var ticks = 0
    for _ in 1...60 {
      ticks += try machine.pass(.seconds(10))
      for (id, operations) in machine.take().batches {
        try machine.send(
          .filed(
            id,
            operations.map { operation in
              if case .land(_, let path, _) = operation { return .done(path: path, machine.stamp(10)) }
              moves.insert(operation.content)
              return failure(.io)
            }))
      }
    }
    #expect(machine.isHeld(b))
    #expect(moves == Set(all.prefix(6)))
    #expect(ticks < 600)
    for _ in 1...60 {
      try machine.pass(.seconds(30))
      try machine.fileAll()
    }
    let isIdle = machine.replicator.isFilingIdle
    #expect(isIdle)
    #expect(
      try all.allSatisfy { try machine.file(of: $0)?.path.starts(with: bytes("peer0/folder/moved")) == true })
  }

  /// Where the file is neither here nor there it is gone, and is fetched again.
  @Test func aMoveThatWasCutOffAndIsNowhereIsALoss() throws {
    let (machine, _) = try moving()
    try machine.restart()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let again = try #require(machine.take().batches.first)
    try machine.send(.filed(again.id, [.sourceChanged]))
    let target = try #require(machine.take().rereads.first)
    try machine.send(.reread(target, .gone))
    #expect(!machine.isHeld(a))
    #expect(machine.take().orders(link).map(\.unit.content) == [a])
  }

  /// A machine that is told to let two files swap their names, by way of a parked one.
  private func swapping(besides third: Entry? = nil) throws -> (
    SingleMachine, (id: BatchID, operations: [FilingOperation])
  ) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a, b])
    let before = [machine.entry("1.jpg", a), machine.entry("2.jpg", b)]
    let staying = third.map { [$0] } ?? []
    try machine.install(0, 1, before + staying, over: link)
    for content in [a, b] { try machine.send(.unitVerified(link, UnitID(content: content, part: .whole))) }
    try machine.fileAll()
    _ = machine.take()
    let after = [machine.entry("1.jpg", b), machine.entry("2.jpg", a)]
    try machine.install(0, 2, after + staying, removed: before, added: after, over: link)
    let batch = try #require(machine.take().batches.first)
    return (machine, batch)
  }

  /// Two files have swapped their names, and the sync of the directories failed: the step that parked one of them finds it nowhere
  /// when it is repeated, for a later one has moved it on. Its old name has a copy of a third file by now, which is not made
  /// again. No copy is bad for that.
  @Test func aParkedFileThatWasMovedOnIsNotLookedForAtItsOldName() throws {
    let third = try SingleMachine().entry("3.jpg", b, mtime: 3)
    let (machine, batch) = try swapping(besides: third)
    try machine.send(.filed(batch.id, batch.operations.map { _ in failure(.sync) }))
    try machine.pass(.seconds(60))
    let again = try #require(machine.take().batches.first)
    let parking = again.operations.map { FilingPlan.isParked($0.path) }
    #expect(parking.contains(true) && parking.contains(false))
    let results = zip(again.operations, parking).map { operation, isParking -> FilingResult in
      isParking ? .sourceChanged : .adopted(path: operation.path, machine.stamp(10))
    }
    try machine.send(.filed(again.id, results))
    #expect(machine.isHeld(a) && machine.isHeld(b))
    let actions = machine.take()
    #expect(actions.rereads.isEmpty)
    // Then the copy at the old name is made again.
    let copying = try #require(actions.batches.first)
    let copied = copying.operations.map { FilingResult.adopted(path: $0.path, machine.stamp(10)) }
    try machine.send(.filed(copying.id, copied))
    #expect(try machine.catalog.replicaFiles(of: a).map(\.path) == [bytes("peer0/folder/2.jpg")])
    let copies = try machine.catalog.replicaFiles(of: b).map(\.path).filter { !FilingPlan.isInTrash($0) }
    #expect(Set(copies) == [bytes("peer0/folder/1.jpg"), bytes("peer0/folder/3.jpg")])
  }

  /// Two files swap their names, and the second half fails: the parked one is known where it is.
  @Test func aParkedFileHasARowUntilItHasItsName() throws {
    let (machine, batch) = try swapping()
    let results = batch.operations.map { operation -> FilingResult in
      guard FilingPlan.isParked(operation.path) else { return failure(.noSpace) }
      return .done(path: operation.path, machine.stamp(10))
    }
    #expect(results.contains { if case .done = $0 { true } else { false } })
    try machine.send(.filed(batch.id, results))
    #expect(machine.isHeld(a) && machine.isHeld(b))
    let parked = [a, b].filter { content in
      batch.operations.contains { $0.path == FilingPlan.parking(content) }
    }
    for content in parked {
      #expect(try machine.catalog.replicaFiles(of: content).map(\.path) == [FilingPlan.parking(content)])
    }
    try machine.restart()
    #expect(machine.isHeld(a) && machine.isHeld(b))
    try machine.send(.tick)
    try machine.fileAll()
    let names = try [a, b].map { try machine.catalog.replicaFiles(of: $0).map(\.path) }
    #expect(names == [[bytes("peer0/folder/2.jpg")], [bytes("peer0/folder/1.jpg")]])
    #expect(try machine.catalog.value(.filingJournal) == nil)
  }
}
