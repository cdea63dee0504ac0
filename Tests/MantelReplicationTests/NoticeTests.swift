import MantelCore
import Testing

@testable import MantelReplication

/// What status says of what others' libraries ask of this machine's disk.
@Suite struct NoticeTests {
  private func shares(_ machine: SingleMachine) throws -> [StatusReason] {
    try machine.report().reasons.filter { if case .largeShare = $0 { true } else { false } }
  }

  private func measure(_ machine: SingleMachine, free: UInt64) throws {
    let space = DiskSpace(free: free, total: 1_000_000)
    try machine.send(.diskRoom(DiskRoom(replica: space, catalog: DiskSpace(free: 1 << 40, total: 1 << 40))))
  }

  @Test func aLibraryThatTakesAThirdOfTheFreeSpaceIsTold() throws {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let (small, large) = (try machine.connect(0), try machine.connect(1))
    try machine.install(0, 1, [machine.entry("s.jpg", content("s"), size: 100_000)], over: small)
    try machine.install(1, 1, [machine.entry("l.jpg", content("l"), size: 300_001)], over: large)
    #expect(try shares(machine).isEmpty, "nothing is known of the disk")
    try measure(machine, free: 900_000)
    #expect(try shares(machine) == [.largeShare(machine.peers[1].machine, bytes: 300_001)])
    #expect(try machine.report().state != .attention)
    try measure(machine, free: 950_000)
    #expect(try shares(machine).isEmpty)
  }
}
