import MantelCore
import MantelWire

extension Session {
  /// Checks the peer's hello, and queues everything that it shows to be older there than here.
  mutating func receivedHello(_ theirs: Hello) throws(PeerFault) {
    guard case .greeting(let greeting) = state else { throw .broke("a second hello") }
    guard theirs.household == household else {
      throw PeerFault(code: .otherHousehold, message: "member of another household")
    }
    guard theirs.nonce.count == hello.nonce.count, theirs.nonce != hello.nonce else {
      throw .broke("a hello with our own nonce")
    }
    // The key at both ends is ours: either we dialled ourselves, or a copy of this machine is running.
    guard peer != local else {
      throw theirs.instance == hello.instance
        ? PeerFault(code: .duplicate, message: "a connection to oneself")
        : PeerFault(code: .clone, message: "two machines with one key")
    }
    guard theirs.lowestVersion <= theirs.highestVersion else { throw .broke("an empty version range") }
    let version = min(hello.highestVersion, theirs.highestVersion)
    guard version >= max(hello.lowestVersion, theirs.lowestVersion) else {
      throw PeerFault(code: .incompatibleVersion, message: "no protocol version in common")
    }
    var states: [MachineID: MemberState] = [:]
    for member in theirs.members {
      guard states.updateValue(member, forKey: member.machine) == nil else {
        throw .broke("a machine twice in a hello")
      }
    }
    let features = hello.features & theirs.features
    state = .open(
      Opening(version: version, features: features, salt: Self.salt(hello.nonce, theirs.nonce)))
    deliver(.opened(peer: theirs, version: version, features: features))
    if features & Feature.forgetRequests == 0 { news.dropForgetRequests() }
    queueNews(greeting, theirs, states)
  }

  /// Only what is newer: two machines that know the same send nothing but their hellos.
  private mutating func queueNews(
    _ greeting: Greeting, _ theirs: Hello, _ states: [MachineID: MemberState]
  ) {
    if theirs.rosterHash != hello.rosterHash { news.add(roster: greeting.roster) }
    for record in greeting.records where record.record.number > states[record.record.machine]?.record ?? 0 {
      news.offer(record)
    }
    for head in greeting.heads where head.record.order > states[head.record.library]?.head ?? .none {
      news.offer(head)
    }
    for attestation in greeting.attestations
    where attestation.record.number > states[attestation.record.holder]?.attestation ?? 0 {
      news.offer(attestation)
    }
  }

  /// Both nonces, so that neither side alone chose the salt before it spoke: 8-byte hashes need one that nobody could
  /// prepare ids for. A peer that waits for our nonce can only spoil reconciliations with itself.
  private static func salt(_ ours: [UInt8], _ theirs: [UInt8]) -> [UInt8] {
    zip(ours, theirs).map { $0 ^ $1 }
  }
}
