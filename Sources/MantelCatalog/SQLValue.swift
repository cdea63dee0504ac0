internal import MantelCore

/// A value to bind, or one that a row keeps.
///
/// SQLite's integers are signed: unsigned 64-bit values are kept by their bit pattern, so they are compared for equality
/// in SQL and for order in Swift.
enum SQLValue: Equatable {
  case null
  case integer(Int64)
  case string(String)
  case blob([UInt8])
  /// A blob of 32 bytes; half of all values are one, and this way they need no memory of their own.
  case id256(Digest256)

  static func int(_ value: Int64) -> SQLValue { .integer(value) }
  static func int(_ value: Int) -> SQLValue { .integer(Int64(value)) }
  static func bits(_ value: UInt64) -> SQLValue { .integer(Int64(bitPattern: value)) }
  static func flag(_ value: Bool) -> SQLValue { .integer(value ? 1 : 0) }
  static func text(_ value: String) -> SQLValue { .string(value) }

  /// NULL for an empty array, which has no address that would tell an empty blob from NULL. Statements that allow empty
  /// blobs say `coalesce(?, x'')`.
  static func bytes(_ value: [UInt8]) -> SQLValue { value.isEmpty ? .null : .blob(value) }

  static func digest(_ value: Digest256) -> SQLValue { .id256(value) }
  static func digest(_ value: Digest256?) -> SQLValue { value.map { .id256($0) } ?? .null }
  static func id<Named>(_ value: Identifier<Named>) -> SQLValue { .id256(value.digest) }
  static func folder(_ value: FolderID) -> SQLValue { .bytes(value.bytes) }
}

extension Digest256 {
  /// Its 32 bytes, as they stand in the catalog.
  func withStoredBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeBytes(of: (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian), body)
  }

  /// Nil unless they are 32 bytes.
  init?(stored bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Digest256.byteCount else { return nil }
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }
    self.init(word(0), word(1), word(2), word(3))
  }
}
