import MantelCore
import Testing

@testable import MantelReplication

/// What a machine's death would cost: the less its word proves, the more of it.
@Suite struct AtRiskTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine that has nothing of its first peer's photos, and links to both peers.
  private func household() throws -> (SingleMachine, [LinkID]) {
    let machine = try SingleMachine(peers: 2)
    return (machine, try (0..<2).map { try machine.connect($0) })
  }

  /// What a peer says of the first one's library at a head.
  private func attest(
    _ machine: SingleMachine, _ peer: Int, number: UInt64, _ sequence: UInt64, held: [ContentID],
    missing: [ContentID] = [], over links: [LinkID]
  ) throws {
    let statement = machine.statement(
      machine.peers[0].machine, HeadOrder(epoch: 1, sequence: sequence), held: held, missing: missing)
    try machine.send(
      .attestationReceived(links[peer], try machine.attestation(peer, number: number, [statement])))
  }

  /// Those of both contents, as one library names them, that are at risk with a machine.
  private func atRisk(
    _ machine: SingleMachine, of library: MachineID, with candidate: MachineID
  ) throws -> Set<ContentID> {
    var found: Set<ContentID> = []
    for content in [a, b] {
      for entry in try machine.catalog.entries(library, of: content)
      where try machine.replicator.isAtRisk(entry, with: candidate) {
        found.insert(content)
      }
    }
    return found
  }

  /// It imports, and attests once a minute at most. Fails where the candidate has to be among the proven holders (`isAtRisk`).
  @Test func anOwnersPhotosAreAtRiskAlsoBeforeItAttestsThem() throws {
    let (machine, links) = try household()
    let (owner, other) = (machine.peers[0].machine, machine.peers[1].machine)
    let entries = [machine.entry("a.jpg", a), machine.entry("b.jpg", b)]
    try machine.install(0, 1, [entries[0]], over: links[0])
    #expect(try atRisk(machine, of: owner, with: owner) == [a], "it has said nothing yet")
    try attest(machine, 0, number: 1, 1, held: [a], over: links)
    #expect(try atRisk(machine, of: owner, with: owner) == [a])

    try machine.install(0, 2, entries, added: [entries[1]], over: links[0])
    #expect(machine.replicator.installedHead(of: owner)?.order.sequence == 2)
    #expect(try atRisk(machine, of: owner, with: owner) == [a, b])
    // Who claims nothing loses nothing.
    for claimless in [other, machine.machine] {
      #expect(try atRisk(machine, of: owner, with: claimless).isEmpty)
    }

    try attest(machine, 1, number: 1, 2, held: [b], missing: [a], over: links)
    #expect(try atRisk(machine, of: owner, with: owner) == [a])
    try attest(machine, 1, number: 2, 2, held: [a, b], over: links)
    #expect(try atRisk(machine, of: owner, with: owner).isEmpty)
  }

  /// Why a keeper's word proves nothing.
  enum Doubt: CaseIterable {
    case wrongRoot, age
  }

  /// It may be the only one that has them all the same. Fails where the candidate has to be among the proven holders (`isAtRisk`).
  @Test(arguments: Doubt.allCases) func whatOnlyAnUnprovenWordClaimsIsAtRiskWithIt(why: Doubt) throws {
    let (machine, links) = try household()
    let (owner, other) = (machine.peers[0].machine, machine.peers[1].machine)
    let deleted = machine.entry("a.jpg", a, state: .retired(.missing, at: machine.now.wall))
    try machine.install(0, 1, [deleted], over: links[0])
    #expect(try atRisk(machine, of: owner, with: other).isEmpty)
    try attest(machine, 1, number: 1, 1, held: why == .wrongRoot ? [b] : [a], over: links)
    if why == .age {
      for link in links { try machine.send(.linkClosed(link)) }
      try machine.pass(.agentDay * 15, limit: 100_000)
    }
    let holders = try machine.replicator.holders(of: a)
    #expect(holders.isEmpty)
    #expect(try atRisk(machine, of: owner, with: other) == [a])
    // What was deleted the owner does not claim.
    #expect(try atRisk(machine, of: owner, with: owner).isEmpty)
  }

  /// Fails where this machine has to hold it (`isAtRisk`).
  @Test func anOwnPhotoThatNobodyElseHoldsIsAtRiskAlsoInDoubt() throws {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", a, machine.stamp(10))
    #expect(try atRisk(machine, of: machine.machine, with: machine.machine) == [a])
    let file = try #require(try machine.catalog.file(SingleMachine.folderID, bytes("a.jpg")))
    try machine.replicator.suspect(file, now: machine.now)
    #expect(!machine.isHeld(a))
    #expect(try atRisk(machine, of: machine.machine, with: machine.machine) == [a])

    let link = try machine.connect()
    let order = try #require(machine.head?.order)
    let statement = machine.statement(machine.machine, order, held: [a])
    try machine.send(.attestationReceived(link, try machine.attestation(0, [statement])))
    #expect(try atRisk(machine, of: machine.machine, with: machine.machine).isEmpty)
    #expect(try atRisk(machine, of: machine.machine, with: machine.peers[0].machine) == [a])
  }
}
