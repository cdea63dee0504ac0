import MantelCore
import Testing

@testable import MantelReplication

/// What lies in the trash because a peer dropped it, and is the own library's too.
@Suite struct OwnTrashTests {
  private let a = content("a")
  private let b = content("b")

  private let month: Duration = .agentDay * 30

  /// Why nobody knows of a good file in the folder.
  enum Absence: CaseIterable {
    case rot, offline, unscanned, walked, missed, massChange, notLocal
  }

  /// A machine with an own file of what its peer has dropped, whose copy lies in the trash.
  private func machineWithTrash(others: Int = 0) throws -> SingleMachine {
    let (machine, link) = try SingleMachine.holding([a, b])
    for number in 0..<others {
      try machine.write(
        "\(number).jpg", content("other \(number)"), machine.stamp(10, inode: UInt64(number) + 100))
    }
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.drop([a], of: [a, b], 2, over: link)
    #expect(try machine.isInTrash(a))
    return machine
  }

  /// Others may have let go of their copies, for this machine shows the bytes. Fails where `mayGo` is true whatever the ledger says
  /// (`droppingPlans`).
  @Test(arguments: Absence.allCases) func theLastCopyOfAnOwnPhotoStaysInTheTrash(why: Absence) throws {
    let machine = try machineWithTrash(others: why == .massChange ? 60 : 0)
    try machine.pass(month - .seconds(600))
    try lose(machine, why)
    try machine.pass(.seconds(1_200))
    #expect(try machine.fileAll().isEmpty)
    #expect(try machine.isInTrash(a) && machine.isHeld(a))
    #expect(try machine.ownEntries(of: a).map(\.state.isLive) == [true])

    // Its file is there again, and known to be.
    try giveBack(machine, why)
    #expect(try machine.status("mine.jpg") == .published)
    try machine.pass(.agentDay * 2)
    #expect(try machine.fileAll().map(\.content) == [a])
    #expect(machine.isHeld(a))
  }

  /// The own file on a network filesystem can be served, and is no copy. Fails where any published file keeps a content held
  /// (`unhold`).
  @Test func whatOnlyANetworkFolderHasIsNotHeldAnyMore() throws {
    let machine = try machineWithTrash()
    try setLocal(machine, false)
    let copy = try #require(try machine.file(of: a))
    try machine.lose(copy.path)
    #expect(!machine.isHeld(a) && machine.isAvailable(a))
  }

  /// Fails where any published file keeps a content held while its copy may just have been deleted (`unhold`).
  @Test func whatABatchMayHaveDeletedIsNotHeldForANetworkFoldersSake() throws {
    let machine = try machineWithTrash()
    try machine.pass(month + .agentDay)
    let batch = try #require(machine.take().batches.first)
    #expect(batch.operations.map(\.content) == [a])
    #expect(machine.isHeld(a), "by the file in the folder")
    try setLocal(machine, false)
    try machine.restart()
    #expect(!machine.isHeld(a))
  }

  /// It stays for the deleted photo alone, until its user forgets that too. Fails where the time counts since the peer's drop
  /// (`judgeForgotten`).
  @Test(arguments: [true, false]) func whatIsForgottenHereHasItsMonthWhoeverDroppedItFirst(isUndone: Bool)
    throws
  {
    let machine = try machineWithTrash()
    try machine.pass(.agentDay * 10)
    try machine.delete("mine.jpg")
    #expect(try machine.ownEntries(of: a).map(\.state.isRetired) == [true])
    try machine.pass(month * 2)
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))

    let ids = try machine.catalog.entries(machine.machine, of: a).map(\.id)
    try machine.send(.forget(ids))
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try machine.report().trash.map(\.left) == [month])
    try machine.pass(month - .seconds(3_600))
    #expect(try machine.fileAll().isEmpty && machine.isInTrash(a))
    if isUndone {
      try machine.send(.unforget(ids))
      #expect(try machine.ownEntries(of: a).map(\.state.isRetired) == [true])
    }
    try machine.pass(.agentDay * 2)
    #expect(try machine.fileAll().map(\.content) == (isUndone ? [] : [a]))
    #expect(machine.isHeld(a) == isUndone)
  }

  private func lose(_ machine: SingleMachine, _ why: Absence) throws {
    switch why {
    case .rot:
      let file = try #require(try machine.catalog.file(SingleMachine.folderID, bytes("mine.jpg")))
      try machine.replicator.suspect(file, now: machine.now)
      #expect(try machine.status("mine.jpg") == .pending(.suspectedRot))
    case .offline:
      machine.places[[]] = .some(nil)
      try machine.send(.folderOffline(SingleMachine.folderID))
    case .walked:
      try lose(machine, .offline)
      try machine.send(.scanBegan(SingleMachine.folderID))
    case .unscanned:
      try machine.restart()
      try machine.send(.recovered)
    case .missed:
      // Nobody looks at the folder, which the deletion waits for.
      machine.looksAtPlaces = false
      try machine.sight("mine.jpg", .gone)
    case .massChange:
      for number in 0..<60 { try machine.sight("\(number).jpg", .gone) }
      try machine.delete("mine.jpg")
      #expect(try machine.status("mine.jpg") == .pending(.massChange))
    case .notLocal: try setLocal(machine, false)
    }
  }

  private func giveBack(_ machine: SingleMachine, _ why: Absence) throws {
    switch why {
    case .rot, .massChange: try machine.publish("mine.jpg", a, machine.stamp(10, ctime: 5, inode: 8))
    case .offline, .unscanned, .walked:
      machine.places[[]] = []
      try machine.scan(["mine.jpg": machine.stamp(10)])
    case .missed: try machine.sight("mine.jpg", .file(machine.stamp(10), isClosed: false))
    case .notLocal: try setLocal(machine, true)
    }
  }

  private func setLocal(_ machine: SingleMachine, _ isLocal: Bool) throws {
    try machine.catalog.setFolder(SingleMachine.folderID, isLocal: isLocal)
  }
}
