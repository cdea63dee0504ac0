import MantelCore
import MantelHousehold
import MantelReplication
import MantelSession
import MantelWire

/// What every hello of this run of the agent says.
struct Greeting: Sendable {
  let machine: MachineID
  /// 16 random bytes of this run: two live ones of one machine tell a clone.
  let instance: [UInt8]
  var listeningPort: UInt16

  init(machine: MachineID, listeningPort: UInt16) {
    self.machine = machine
    self.instance = Self.random()
    self.listeningPort = listeningPort
  }

  static func random() -> [UInt8] {
    var source = SystemRandomNumberGenerator()
    return (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &source) }
  }

  func configuration(
    peer: MachineID, isDialer: Bool, roster: Roster, saying words: LinkGreeting
  ) -> SessionConfiguration {
    var states: [MachineID: MemberState] = [:]
    func update(_ machine: MachineID, _ change: (inout MemberState) -> Void) {
      var state =
        states[machine] ?? MemberState(machine: machine, head: .none, record: 0, attestation: 0)
      change(&state)
      states[machine] = state
    }
    for head in words.heads { update(head.record.library) { $0.head = head.record.order } }
    for record in words.records { update(record.record.machine) { $0.record = record.record.number } }
    for attestation in words.attestations {
      update(attestation.record.holder) { $0.attestation = attestation.record.number }
    }
    let hello = Hello(
      lowestVersion: 1, highestVersion: 1,
      features: Feature.lateBinding | Feature.challenges | Feature.forgetRequests,
      household: roster.household,
      nonce: Self.random(), instance: instance, time: AgentClock.wall,
      listeningPort: listeningPort, rosterHash: roster.hash,
      holdingsCount: UInt64(words.holdings.count), holdingsRoot: words.holdings.root,
      members: states.keys.sorted().compactMap { states[$0] })
    return SessionConfiguration(
      household: roster.household, local: machine, peer: peer, isDialer: isDialer, hello: hello,
      records: words.records, heads: words.heads, attestations: words.attestations,
      roster: roster.statements.map(\.bytes))
  }
}
