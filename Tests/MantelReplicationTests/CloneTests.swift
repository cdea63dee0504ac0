import MantelCore
import Testing

@testable import MantelReplication

@Suite struct CloneTests {
  private func published(_ actions: [ReplicationAction]) -> Bool {
    actions.contains { if case .published = $0 { true } else { false } }
  }

  private func write(_ machine: SingleMachine, _ path: String) throws -> Bool {
    _ = machine.take()
    try machine.write(path, content(path), machine.stamp(10))
    try machine.pass(.seconds(10))
    return published(machine.take())
  }

  /// By a peer that met both, or by meeting the other copy itself.
  @Test(arguments: [false, true]) func aMachineWithALivingCopyPublishesNothing(isTold: Bool) throws {
    let machine = try SingleMachine()
    #expect(try write(machine, "a.jpg"))
    let witness = isTold ? machine.peers[0].machine : machine.machine
    try machine.send(.cloneMet(peer: witness, isTold: isTold))
    #expect(try !write(machine, "b.jpg"))
    let report = try machine.report()
    #expect(report.state == .attention && !report.isComplete)
    #expect(report.reasons.contains(.clone(toldBy: witness)))
    // Started again without the other: it goes on.
    try machine.restart()
    try machine.scan(["a.jpg": machine.stamp(10), "b.jpg": machine.stamp(10)])
    #expect(try !machine.report().reasons.contains(.clone(toldBy: witness)))
  }

  @Test func copiesOfAPeerAreItsTrouble() throws {
    let machine = try SingleMachine()
    // Each of the two connections says so, and the next two, and so on: it is logged once.
    let actions = try (0..<4).flatMap { _ in
      try machine.send(.cloneMet(peer: machine.peers[0].machine, isTold: false))
    }
    let warnings = actions.count {
      if case .warn(.clone(of: machine.peers[0].machine, toldBy: nil)) = $0 { true } else { false }
    }
    #expect(warnings == 1)
    #expect(try write(machine, "a.jpg"))
    #expect(try machine.report().state != .attention)
  }
}
