import Foundation
import MantelCore
import Testing

@testable import MantelHousehold

/// The vectors of protocol.md that take keys and hashes to check: ids, signatures, roster, joining, discovery.
@Suite struct ProtocolVectorTests {
  private let text: String
  private let vectors: [String: [UInt8]]
  private let founding: [SignedStatement]

  init() throws {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    text = try String(contentsOf: root.appendingPathComponent("protocol.md"), encoding: .utf8)
    var vectors: [String: [UInt8]] = [:]
    for block in text.components(separatedBy: "```vector\n").dropFirst() {
      let lines = block.components(separatedBy: "\n")
      let digits = lines.dropFirst().prefix { $0 != "```" }
        .map { String($0.prefix { $0 != "#" }.filter { !$0.isWhitespace }) }.joined()
      vectors[lines[0]] = stride(from: 0, to: digits.count, by: 2).compactMap { place in
        UInt8(digits.dropFirst(place).prefix(2), radix: 16)
      }
    }
    self.vectors = vectors
    founding = try ["genesis", "add", "accept"].map { name in
      try SignedStatement(bytes: try #require(vectors["statement \(name)"]))
    }
  }

  private func vector(_ name: String) throws -> [UInt8] { try #require(vectors[name], "\(name)") }

  /// What stands behind `name` in the table of ids.
  private func id(_ name: String) throws -> String {
    let line = try #require(text.components(separatedBy: "\n").first { $0.hasPrefix("| \(name) | `") })
    return try #require(line.components(separatedBy: "`").dropFirst().first)
  }

  private func statement(_ name: String) throws -> SignedStatement {
    try SignedStatement(bytes: try vector("statement \(name)"))
  }

  @Test func statementsHaveTheirIds() throws {
    for name in ["genesis", "add", "accept", "rename", "remove", "countersign"] {
      let signed = try statement(name)
      #expect(signed.bytes == (try vector("statement \(name)")))
      let listed = name == "genesis" ? "household (the genesis)" : name
      if name != "countersign" { #expect(signed.id.hex == (try id(listed))) }
    }
    #expect(founding[0].statement.subject?.hex == (try id("anna")))
    #expect(founding[1].statement.subject?.hex == (try id("ben")))
  }

  @Test func rosterIsWhatTheTextSays() throws {
    var roster = Roster(founding)
    #expect(roster.statements.count == 3)
    #expect(roster.household.hex == (try id("household (the genesis)")))
    #expect(roster.hash.hex == (try id("roster hash of genesis, add, accept")))
    #expect(roster.members.map(\.name) == ["anna", "ben"])
    #expect(Digest256(roster.discoveryKey)?.hex == (try id("discovery key, nobody removed")))
    let tag = DiscoveryTag.tag(key: roster.discoveryKey, instanceName: "k5wq2m7tz3ab")
    #expect(text.contains("is `\(tag)`"))

    let rest = try ["rename", "remove", "countersign"].map(statement)
    #expect(roster.merge(rest).count == 3)
    #expect(roster.members.map(\.name) == ["anna"])
    #expect(roster.removed.map(\.name) == ["attic"])
    #expect(roster.removed.first?.lastHead == HeadOrder(epoch: 1, sequence: 7))
    #expect(Digest256(roster.discoveryKey)?.hex == (try id("discovery key, *ben* removed")))
  }

  @Test func recordsAreSigned() throws {
    let roster = Roster(founding)
    #expect(roster.verify(try Signed<MachineRecord>(bytes: try vector("signed machine"))))
    #expect(roster.verify(try Signed<Head>(bytes: try vector("signed head"))))
    #expect(roster.verify(try Signed<Attestation>(bytes: try vector("signed attestation"))))
    #expect(roster.verify(try Signed<ForgetRequest>(bytes: try vector("signed forget"))))
    var head = try Signed<Head>(bytes: try vector("signed head"))
    head.record.counts.live += 1
    #expect(!roster.verify(head))
  }

  @Test func idsOfEntriesAndManifest() throws {
    for name in ["live photo", "retired video", "dropped"] {
      let bytes = try vector("entry \(name)")
      #expect(Digest256(hashing: Array("mantel/entry/1\0".utf8) + bytes).hex == (try id("entry: \(name)")))
    }
    let manifest = try Manifest(bytes: try vector("manifest 4 MiB + 1 zero bytes"))
    #expect(Digest256(hashing: manifest.hashedBytes).hex == (try id("manifest")))
    #expect(manifest.blocks.first == Digest256(hashing: [UInt8](repeating: 0, count: Limits.blockBytes)))
    #expect(manifest.blocks.last == Digest256(hashing: [0]))
  }

  /// Both sides, given the nonces and keys of the vectors, say the messages of the vectors.
  @Test func joiningSaysTheseBytes() throws {
    let (anna, ben) = try (publicKey(of: "genesis"), publicKey(of: "add"))
    let shown = try #require(text.firstMatch(of: /with the code `([-0-9A-Z]+)`/)?.1)
    let code = try InviteCode(parsing: String(shown))
    let start = Instant(nanoseconds: 0)
    let invite = Invite(id: [UInt8](repeating: 0xb0, count: 16), code: code, opened: start)
    let household = HouseholdID(founding[0].id.digest)
    var inviter = JoinInviter(
      invite: invite, household: household, publicKey: anna, peerPublicKey: ben,
      nonce: [UInt8](repeating: 0xb1, count: 32))
    var newcomer = JoinNewcomer(
      code: code, publicKey: ben, inviterPublicKey: anna, name: "ben",
      nonce: [UInt8](repeating: 0xb2, count: 32))

    let offer = try inviter.start(now: start)
    #expect(offer == (try vector("join OFFER")))
    guard case .send(let proof) = newcomer.receive(offer) else {
      Issue.record("no PROOF")
      return
    }
    #expect(proof == (try vector("join PROOF")))
    guard case .admit(let application) = inviter.receive(proof, now: start) else {
      Issue.record("the PROOF was refused")
      return
    }
    #expect(application.machine.hex == (try id("ben")))
    let accept = try inviter.accept(
      statements: Array(founding.prefix(2)),
      record: try Signed<MachineRecord>(bytes: try vector("signed machine")))
    #expect(accept == (try vector("join ACCEPT")))
    guard case .joined(let joined) = newcomer.receive(accept) else {
      Issue.record("the ACCEPT was refused")
      return
    }
    #expect(joined.inviter.hex == (try id("anna")))
    guard case .finished(let signed) = inviter.receive(try vector("join FINISH"), now: start) else {
      Issue.record("the FINISH was refused")
      return
    }
    #expect(signed == founding[2])
    #expect(JoinMessage.refusal(.wrongCode) == (try vector("join REFUSE")))
  }

  private func publicKey(of name: String) throws -> [UInt8] {
    switch try statement(name).statement.body {
    case .genesis(_, _, _, let key), .add(let key, _, _): key
    default: []
    }
  }
}
