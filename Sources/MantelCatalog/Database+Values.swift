// GRDB speaks Foundation's Data for blobs; nothing else of Foundation is used in this module.
internal import struct Foundation.Data
internal import GRDB
internal import MantelCore

/// Values to bind. SQLite's integers are signed: unsigned 64-bit values are kept by their bit pattern, so they are
/// compared for equality in SQL and for order in Swift.
extension DatabaseValue {
  static func int(_ value: Int64) -> DatabaseValue { value.databaseValue }
  static func int(_ value: Int) -> DatabaseValue { Int64(value).databaseValue }
  static func bits(_ value: UInt64) -> DatabaseValue {
    Int64(bitPattern: value).databaseValue
  }
  static func flag(_ value: Bool) -> DatabaseValue { Int64(value ? 1 : 0).databaseValue }
  static func text(_ value: String) -> DatabaseValue { value.databaseValue }

  /// NULL for an empty array: whether SQLite gets an empty blob or NULL otherwise hangs on whether Foundation gives an
  /// empty buffer an address. Statements that allow empty blobs say `coalesce(?, x'')`.
  static func bytes(_ value: [UInt8]) -> DatabaseValue {
    value.isEmpty ? .null : Data(value).databaseValue
  }

  static func digest(_ value: Digest256) -> DatabaseValue {
    let words = (
      value.word0.bigEndian, value.word1.bigEndian, value.word2.bigEndian, value.word3.bigEndian
    )
    return withUnsafeBytes(of: words) { Data($0) }.databaseValue
  }

  static func digest(_ value: Digest256?) -> DatabaseValue {
    if let value { .digest(value) } else { .null }
  }

  static func id<Named>(_ value: Identifier<Named>) -> DatabaseValue { .digest(value.digest) }
  static func folder(_ value: FolderID) -> DatabaseValue { .bytes(value.bytes) }
}

/// Columns by position. A value of another kind than the schema asks for means a damaged file, not a bug here:
/// it is thrown, never trapped on.
extension Row {
  func integer(_ column: Int) throws -> Int64 {
    guard let value = self[column] as Int64? else { throw StoreError.damaged("an integer") }
    return value
  }

  func bits(_ column: Int) throws -> UInt64 { UInt64(bitPattern: try integer(column)) }
  func flag(_ column: Int) throws -> Bool { try integer(column) != 0 }

  func text(_ column: Int) throws -> String {
    guard let value = self[column] as String? else { throw StoreError.damaged("a text") }
    return value
  }

  func bytes(_ column: Int) throws -> [UInt8] {
    try withUnsafeData(atIndex: column) { data in
      guard let data else { throw StoreError.damaged("a blob") }
      return Array(data)
    }
  }

  func optionalDigest(_ column: Int) throws -> Digest256? {
    try withUnsafeData(atIndex: column) { data in
      guard let data else { return nil }
      guard data.count == Digest256.byteCount else { throw StoreError.damaged("an id") }
      return data.withUnsafeBytes { raw in
        func word(_ index: Int) -> UInt64 {
          UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        return Digest256(word(0), word(1), word(2), word(3))
      }
    }
  }

  func digest(_ column: Int) throws -> Digest256 {
    guard let value = try optionalDigest(column) else { throw StoreError.damaged("an id") }
    return value
  }

  func id<Named>(_ column: Int, _ type: Identifier<Named>.Type = Identifier<Named>.self) throws
    -> Identifier<Named>
  {
    Identifier(try digest(column))
  }

  func folder(_ column: Int) throws -> FolderID {
    guard let folder = FolderID(try bytes(column)) else { throw StoreError.damaged("a folder id") }
    return folder
  }
}

/// Statements are prepared once per connection and kept. A statement must not be run again inside a loop over its
/// own rows.
extension Database {
  func run(_ sql: String, _ values: [DatabaseValue] = []) throws {
    try cachedStatement(sql: sql).execute(arguments: StatementArguments(values))
  }

  func rows(_ sql: String, _ values: [DatabaseValue] = []) throws -> RowCursor {
    try Row.fetchCursor(cachedStatement(sql: sql), arguments: StatementArguments(values))
  }

  func row(_ sql: String, _ values: [DatabaseValue] = []) throws -> Row? {
    try Row.fetchOne(cachedStatement(sql: sql), arguments: StatementArguments(values))
  }

  func exists(_ sql: String, _ values: [DatabaseValue] = []) throws -> Bool {
    try row(sql, values) != nil
  }

  func all<Value>(
    _ sql: String, _ values: [DatabaseValue] = [], _ decode: (Row) throws -> Value
  ) throws -> [Value] {
    var result: [Value] = []
    let cursor = try rows(sql, values)
    while let row = try cursor.next() { result.append(try decode(row)) }
    return result
  }
}
