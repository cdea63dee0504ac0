import MantelCore
import Testing

@testable import MantelHousehold

@Suite struct RosterStatementTests {
  private static let key = DeviceKey()
  private static func id(_ number: UInt64) -> StatementID { StatementID(Digest256(0, 0, 0, number)) }
  private static let longName = String(repeating: "n", count: Limits.nameBytes)

  static let bodies: [RosterStatement.Body] = [
    .add(publicKey: key.publicKey, name: "attic", replaces: nil),
    .add(publicKey: key.publicKey, name: longName, replaces: MachineID(Digest256(9, 9, 9, 9))),
    .accept(id(7)), .countersign(id(8)),
    .remove(key.machine, head: HeadOrder(epoch: 3, sequence: 1 << 40), root: Digest256(1, 2, 3, 4)),
    .rename(.household, "Größe"), .rename(.signer, "x"),
  ]

  static let statements =
    [
      RosterStatement(
        by: key.machine, lamport: 0, date: WallTime(nanoseconds: -5), parents: [],
        body: .genesis(
          random: Array(0..<32), name: longName, machineName: longName, publicKey: key.publicKey))
    ]
    + bodies.map { body in
      RosterStatement(
        by: key.machine, lamport: 6, date: WallTime(nanoseconds: 1),
        parents: (1...UInt64(RosterStatement.maximumParents)).map(id), body: body)
    }

  @Test(arguments: statements)
  func comesBackAndNoPrefixDoes(_ statement: RosterStatement) throws {
    let signed = SignedStatement(
      statement: statement, signature: try Self.key.signature(over: statement.canonicalBytes))
    #expect(signed.bytes.count <= Limits.statementBytes)
    #expect(try SignedStatement(bytes: signed.bytes) == signed)
    #expect(try SignedStatement(bytes: signed.bytes).id == statement.id)
    for count in 0..<signed.bytes.count {
      #expect(throws: RecordError.self) { try SignedStatement(bytes: Array(signed.bytes.prefix(count))) }
    }
    #expect(throws: RecordError.self) { try SignedStatement(bytes: signed.bytes + [0]) }
  }

  @Test func layoutIsThatOfTheProtocol() {
    let bytes = Self.statements[3].canonicalBytes
    #expect(bytes.prefix(2) == [1, 2])
    #expect(bytes.count == 2 + 32 + 8 + 8 + 1 + 16 * 32 + 32)
    #expect(Array(bytes.dropFirst(2).prefix(32)) == Self.key.machine.bytes)
    #expect(bytes[50] == 16)
  }

  @Test func whatIsNotCanonicalIsRefused() throws {
    func decode(_ change: (inout [UInt8]) -> Void, of index: Int = 3) throws -> RosterStatement {
      var bytes = Self.statements[index].canonicalBytes
      change(&bytes)
      return try RosterStatement(canonicalBytes: bytes)
    }
    #expect(throws: RecordError.unsupportedVersion(2)) { try decode { $0[0] = 2 } }
    #expect(throws: RecordError.invalid(field: "kind")) { try decode { $0[1] = 6 } }
    #expect(throws: RecordError.overLimit(field: "parents")) { try decode { $0[50] = 17 } }
    // Equal parents; a lamport of 0 with parents; a genesis with a lamport.
    #expect(throws: RecordError.invalid(field: "parents")) { try decode { $0[82 + 32] = 1 } }
    #expect(throws: RecordError.invalid(field: "lamport")) { try decode { $0[41] = 0 } }
    #expect(throws: RecordError.invalid(field: "lamport")) { try decode({ $0[41] = 1 }, of: 0) }
    #expect(throws: RecordError.overLimit(field: "lamport")) { try decode { $0[34] = 0xff } }
    #expect(throws: RecordError.invalid(field: "target")) {
      try decode({ $0[$0.count - 4] = 2 }, of: 7)
    }
  }
}
