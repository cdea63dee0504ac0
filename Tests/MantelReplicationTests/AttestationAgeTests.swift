import MantelCore
import Testing

@testable import MantelReplication

/// A word counts for fourteen days, and is as good as new when its holder says it again.
@Suite struct AttestationAgeTests {
  private let a = content("a")

  /// A machine whose photo a peer attested fifteen agent days ago; with the attestation.
  private func aged() throws -> (SingleMachine, Signed<Attestation>) {
    let machine = try SingleMachine(peers: 2)
    try machine.publish("a.jpg", a, machine.stamp(10))
    let link = try machine.connect(has: [a])
    let order = try #require(machine.head?.order)
    let attestation = try machine.attestation(
      0, number: 1, [machine.statement(machine.machine, order, held: [a])])
    try machine.send(.attestationReceived(link, attestation))
    #expect(machine.isSafe(a))
    try machine.send(.linkClosed(link))
    try machine.pass(.seconds(15 * 86_400), limit: 100_000)
    #expect(!machine.isSafe(a), "it is too old")
    return (machine, attestation)
  }

  @Test func itsHolderMaySayItAgain() throws {
    let (machine, attestation) = try aged()
    #expect(!machine.replicator.allAttestations.contains(attestation), "so it is told again")
    let link = try machine.connect(0)
    try machine.send(.attestationReceived(link, attestation))
    #expect(machine.isSafe(a))
    try machine.restart()
    #expect(machine.isSafe(a))
  }

  @Test func nobodyElseMay() throws {
    let (machine, attestation) = try aged()
    let link = try machine.connect(1)
    try machine.send(.attestationReceived(link, attestation))
    #expect(!machine.isSafe(a))
  }
}
