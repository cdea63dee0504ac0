internal import GRDB
internal import GRDBSQLite
internal import MantelCore

/// Runs statements. GRDB prepares and keeps them, once per connection; values go to SQLite and come back without a
/// detour over its types, which costs more than SQLite needs for a row.
///
/// A statement must not be run again inside a loop over its own rows, and no index or table may come or go inside a loop over
/// any: GRDB lets go of all prepared statements then.
extension Database {
  func run(_ sql: String, _ values: [SQLValue] = []) throws {
    let rows = try rows(sql, values)
    while try rows.next() != nil {}
  }

  func rows(_ sql: String, _ values: [SQLValue] = []) throws -> ResultRows {
    let statement = try cachedStatement(sql: sql).sqliteStatement
    // Whoever ran it last and has not let go of its rows.
    sqlite3_reset(statement)
    precondition(
      Int(sqlite3_bind_parameter_count(statement)) == values.count, "a value for each of a statement's places"
    )
    for (index, value) in values.enumerated() {
      let code = Self.bind(value, to: statement, Int32(index + 1))
      guard code == SQLITE_OK else { throw error(code) }
    }
    return ResultRows(statement) { [unowned self] in error($0) }
  }

  /// The first row.
  func row(_ sql: String, _ values: [SQLValue] = []) throws -> ResultRow? {
    try rows(sql, values).next()?.kept
  }

  func exists(_ sql: String, _ values: [SQLValue] = []) throws -> Bool {
    try rows(sql, values).next() != nil
  }

  func all<Value>(
    _ sql: String, _ values: [SQLValue] = [], _ decode: (ResultRow) throws -> Value
  ) throws -> [Value] {
    var result: [Value] = []
    let rows = try rows(sql, values)
    while let row = try rows.next() { result.append(try decode(row)) }
    return result
  }

  private static func bind(_ value: SQLValue, to statement: OpaquePointer, _ place: Int32) -> Int32 {
    // SQLITE_TRANSIENT: SQLite makes a copy.
    let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    switch value {
    case .null: return sqlite3_bind_null(statement, place)
    case .integer(let number): return sqlite3_bind_int64(statement, place, number)
    case .string(var text):
      return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) {
          sqlite3_bind_text(statement, place, $0.baseAddress, Int32($0.count), copied)
        }
      }
    case .blob(let bytes):
      return bytes.withUnsafeBytes {
        sqlite3_bind_blob(statement, place, $0.baseAddress, Int32($0.count), copied)
      }
    case .id256(let digest):
      return digest.withStoredBytes {
        sqlite3_bind_blob(statement, place, $0.baseAddress, Int32($0.count), copied)
      }
    }
  }

  private func error(_ code: Int32) -> DatabaseError {
    DatabaseError(
      resultCode: ResultCode(rawValue: code),
      message: sqliteConnection.map { String(cString: sqlite3_errmsg($0)) })
  }
}
