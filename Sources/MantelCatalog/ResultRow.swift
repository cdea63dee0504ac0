internal import GRDBSQLite
internal import MantelCore

/// A row of a result: the one that a statement stands on, or one that was kept.
///
/// Columns by position. A value of another kind than the schema asks for means a damaged file, not a bug here: it is
/// thrown, never trapped on.
enum ResultRow {
  case current(ResultRows)
  case kept([SQLValue])

  /// A copy that outlives its statement.
  var kept: ResultRow {
    guard case .current(let rows) = self else { return self }
    return .kept((0..<sqlite3_column_count(rows.statement)).map { Self.value(rows.statement, $0) })
  }

  func isNull(_ column: Int) -> Bool {
    switch self {
    case .current(let rows): sqlite3_column_type(rows.statement, Int32(column)) == SQLITE_NULL
    case .kept(let values): values[column] == .null
    }
  }

  func integer(_ column: Int) throws -> Int64 {
    switch self {
    case .current(let rows):
      if sqlite3_column_type(rows.statement, Int32(column)) == SQLITE_INTEGER {
        return sqlite3_column_int64(rows.statement, Int32(column))
      }
    case .kept(let values):
      if case .integer(let value) = values[column] { return value }
    }
    throw StoreError.damaged("an integer")
  }

  func bits(_ column: Int) throws -> UInt64 { UInt64(bitPattern: try integer(column)) }
  func flag(_ column: Int) throws -> Bool { try integer(column) != 0 }

  func text(_ column: Int) throws -> String {
    guard case .string(let text) = value(column) else { throw StoreError.damaged("a text") }
    return text
  }

  func bytes(_ column: Int) throws -> [UInt8] {
    switch self {
    case .current(let rows):
      if let blob = Self.blob(rows.statement, Int32(column)) { return Array(blob) }
    case .kept(let values):
      switch values[column] {
      case .blob(let bytes): return bytes
      case .id256(let digest): return digest.withStoredBytes { Array($0) }
      default: break
      }
    }
    throw StoreError.damaged("a blob")
  }

  func optionalDigest(_ column: Int) throws -> Digest256? {
    switch value(column) {
    case .null: return nil
    case .id256(let digest): return digest
    default: throw StoreError.damaged("an id")
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
    // Out of SQLite's own bytes: walks over all own files read one a row.
    if case .current(let rows) = self, let blob = Self.blob(rows.statement, Int32(column)) {
      return try Self.folder(blob)
    }
    return try bytes(column).withUnsafeBytes { try Self.folder($0) }
  }

  private static func folder(_ bytes: UnsafeRawBufferPointer) throws -> FolderID {
    guard bytes.count == FolderID.byteCount else { throw StoreError.damaged("a folder id") }
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }
    return FolderID(high: word(0), low: word(1))
  }

  /// A blob where it lies, good until the statement goes on; nil for a value of another kind.
  private static func blob(_ statement: OpaquePointer, _ column: Int32) -> UnsafeRawBufferPointer? {
    guard sqlite3_column_type(statement, column) == SQLITE_BLOB else { return nil }
    // An empty one has no address.
    let start = sqlite3_column_blob(statement, column)
    return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
  }

  private func value(_ column: Int) -> SQLValue {
    switch self {
    case .current(let rows): Self.value(rows.statement, Int32(column))
    case .kept(let values): values[column]
    }
  }

  /// A real number, which no table has, is taken for NULL: that fails wherever a value is asked for.
  private static func value(_ statement: OpaquePointer, _ column: Int32) -> SQLValue {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
    case SQLITE_TEXT:
      let start = sqlite3_column_text(statement, column)
      let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
      return .string(String(decoding: bytes, as: UTF8.self))
    default:
      guard let bytes = blob(statement, column) else { return .null }
      return Digest256(stored: bytes).map { .id256($0) } ?? .blob(Array(bytes))
    }
  }
}

/// The rows of a statement that runs, one after the other. The statement is free again when this goes, or at the end.
final class ResultRows {
  let statement: OpaquePointer
  private let failure: (Int32) -> any Error
  private var isDone = false

  init(_ statement: OpaquePointer, failure: @escaping (Int32) -> any Error) {
    self.statement = statement
    self.failure = failure
  }

  deinit { sqlite3_reset(statement) }

  /// The next row, good until the next call; nil at the end.
  func next() throws -> ResultRow? {
    // Stepping on would begin anew.
    guard !isDone else { return nil }
    let code = sqlite3_step(statement)
    if code == SQLITE_ROW { return .current(self) }
    isDone = true
    // The message is there until the reset.
    let error = code == SQLITE_DONE ? nil : failure(code)
    sqlite3_reset(statement)
    if let error { throw error }
    return nil
  }
}
