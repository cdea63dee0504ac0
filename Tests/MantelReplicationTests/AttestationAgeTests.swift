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

  private func announced(_ actions: [ReplicationAction], over link: LinkID) -> [Signed<Attestation>] {
    actions.commands(link).compactMap { if case .announceAttestation(let word) = $0 { word } else { nil } }
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

  /// It may have lost its catalog, and with it the number that its next one has to pass.
  @Test func itsHolderIsToldWhatItSaidLast() throws {
    let (machine, attestation) = try aged()
    _ = machine.take()
    let link = try machine.connect(0)
    #expect(announced(machine.take(), over: link) == [attestation])
    let other = try machine.connect(1)
    #expect(announced(machine.take(), over: other).isEmpty)
  }

  /// The others would take it for new, for as long as the disk lies in a drawer.
  @Test func whatCannotBeSeenIsNotSaidAgain() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(10))
    try machine.pass(.seconds(60))
    func saysItself() -> Bool {
      machine.replicator.allAttestations.contains { $0.record.holder == machine.machine }
    }
    #expect(saysItself())
    try machine.send(.replicaAway)
    #expect(!saysItself())
  }
}
