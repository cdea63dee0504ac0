import MantelCore
import Testing

@testable import MantelReplication

/// What is safe is told by the few, and by all only where there are many of both.
@Suite struct OwnSafetyTests {
  private let photos = (0..<6).map { content("photo \($0)") }

  /// A machine with six photos, of which a peer attests so many; lists have at most two contents.
  private func machine(safe: Int) throws -> SingleMachine {
    var settings = ReplicationSettings()
    settings.safetyList = 2
    let machine = try SingleMachine(settings: settings)
    for (index, photo) in photos.enumerated() {
      try machine.publish("\(index).jpg", photo, machine.stamp(UInt64(10 + index)))
    }
    let link = try machine.connect(has: [])
    let order = try #require(machine.head?.order)
    let statement = machine.statement(
      machine.machine, order, held: Array(photos.prefix(safe)), missing: Array(photos.dropFirst(safe)))
    try machine.send(.attestationReceived(link, try machine.attestation(0, number: 1, [statement])))
    return machine
  }

  @Test(arguments: [0, 1, 2, 3, 4, 5, 6]) func itIsToldByTheFew(safe: Int) throws {
    let machine = try machine(safe: safe)
    let (held, others) = (Set(photos.prefix(safe)), Set(photos.dropFirst(safe)))
    switch machine.replicator.ownSafety() {
    case .allBut(let contents):
      #expect(Set(contents) == others)
      #expect(safe >= 4)
    case .only(let contents):
      #expect(Set(contents) == held)
      #expect(safe <= 2)
    case .mixed(let set):
      #expect(Set(photos.filter { set.contains($0.digest) }) == held)
      #expect(safe == 3)
    }
  }
}
