package import MantelCore

/// A counted list of signed statements, as records that carry a whole roster have it: each u16 + bytes. The count before it
/// has the width that its record gives it.
extension CanonicalReader {
  /// Throws `overLimit` before anything is read of a list that is longer than a roster may be.
  package mutating func readStatements(_ count: Int) throws(RecordError) -> [SignedStatement] {
    guard count <= Limits.statements else { throw .overLimit(field: "statements") }
    var statements: [SignedStatement] = []
    for _ in 0..<count {
      statements.append(
        try SignedStatement(bytes: try readLengthPrefixed(limit: Limits.statementBytes, field: "statement")))
    }
    return statements
  }
}

extension CanonicalWriter {
  package mutating func write(_ statements: [SignedStatement]) {
    for statement in statements { write(lengthPrefixed: statement.bytes) }
  }
}
