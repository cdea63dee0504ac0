import MantelCore
import Testing

@testable import MantelReplication

/// Copies that are there, and not where the catalog says.
@Suite struct StrayTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine with one copy, which vanished; and the file that it was.
  private func bereft() throws -> (SingleMachine, ReplicaFile) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    try machine.install(0, 1, [machine.entry("1.jpg", a)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    let landed = try #require(try machine.catalog.replicaFiles(of: a).first)
    try machine.send(.linkClosed(link))
    try machine.send(.replicaCompared)
    try machine.pass(.seconds(60))
    #expect(machine.isHeld(a))
    _ = machine.take()
    try machine.send(.replicaFileDoubted(landed.path))
    try machine.send(.reread(.replica(landed.path), .gone))
    #expect(!machine.isHeld(a))
    return (machine, landed)
  }

  private func isSought(_ actions: [ReplicationAction]) -> Bool {
    actions.contains { if case .findStrays = $0 { true } else { false } }
  }

  @Test func whatVanishedIsLookedForAndBroughtBack() throws {
    let (machine, file) = try bereft()
    #expect(!isSought(machine.take()), "others may vanish with it")
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: file.stamp)
    try machine.send(.strayFound(stray))
    try machine.send(.straysSought)
    #expect(machine.isHeld(a))
    let batch = try #require(machine.take().batches.first)
    #expect(
      batch.operations.contains {
        if case .move(stray.path, file.path, a, _) = $0 { true } else { false }
      }, "\(batch)")
  }

  /// Somebody's own file that nothing is missing of, and a file that the catalog knows, stay what they are.
  @Test func onlyWhatIsMissingIsTaken() throws {
    let (machine, file) = try bereft()
    try machine.pass(.seconds(2))
    _ = machine.take()
    try machine.send(.strayFound(StrayFile(path: bytes("own.jpg"), content: b, stamp: file.stamp)))
    #expect(!machine.isHeld(b))
    #expect(try machine.catalog.replicaFile(at: bytes("own.jpg")) == nil)
    #expect(machine.take().batches.isEmpty)
  }

  @Test func withNothingMissingNobodyLooks() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.send(.replicaCompared)
    try machine.pass(.seconds(3_600))
    #expect(!isSought(machine.take()))
  }
}
