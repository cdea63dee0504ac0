import MantelCore
import NIOCore

extension Frame {
  /// Statements are opaque here: the household's code reads them.
  static func decodeRoster(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let count = try reader.count(limit: Limits.statements, itemBytes: 2 + 1, "statements")
    guard count > 0 else { throw .malformed(reader.type, field: "statements") }
    var statements: [[UInt8]] = []
    statements.reserveCapacity(count)
    for _ in 0..<count {
      let statement = try reader.lengthPrefixed(limit: Limits.statementBytes, "statements")
      guard !statement.isEmpty else { throw .malformed(reader.type, field: "statements") }
      statements.append(statement)
    }
    return .roster(statements)
  }

  static func encodeRoster(_ statements: [[UInt8]], into buffer: inout ByteBuffer) {
    precondition(!statements.isEmpty, "a roster frame without statements")
    buffer.writeCount(statements.count, limit: Limits.statements)
    for statement in statements {
      precondition(!statement.isEmpty, "an empty roster statement")
      buffer.write(lengthPrefixed: statement, limit: Limits.statementBytes)
    }
  }

  static func decodeAttestation(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let part = try reader.integer("part", as: UInt8.self)
    let isLast = try reader.flag("last")
    let bytes = reader.restBytes()
    guard !bytes.isEmpty else { throw .truncated(reader.type, field: "piece") }
    return .attestation(part: part, isLast: isLast, bytes)
  }

  static func encodeAttestation(
    part: UInt8, isLast: Bool, _ bytes: [UInt8], into buffer: inout ByteBuffer
  ) {
    precondition(!bytes.isEmpty, "an empty piece of an attestation")
    buffer.writeMultipleIntegers(part, UInt8(isLast ? 1 : 0))
    buffer.writeBytes(bytes)
  }
}
