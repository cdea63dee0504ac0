/// Why the canonical bytes of a record were refused.
package enum RecordError: Error, Equatable, Sendable {
  /// The bytes end before the record does.
  case truncated
  /// Bytes are left over after the record.
  case trailingBytes
  /// A version this build does not know.
  case unsupportedVersion(UInt8)
  /// A field holds a value outside its range; the name is the field's.
  case invalid(field: StaticString)
  /// A length is above its named limit; the name is the field's.
  case overLimit(field: StaticString)

  package static func == (left: Self, right: Self) -> Bool {
    "\(left)" == "\(right)"
  }
}

/// A value with exactly one encoding, so that signatures and ids over it mean the value.
package protocol CanonicalRecord: Sendable, Equatable {
  /// The greatest number of bytes an encoding may have; checked before decoding.
  static var maximumBytes: Int { get }
  func encode(to writer: inout CanonicalWriter)
  init(from reader: inout CanonicalReader) throws(RecordError)
}

extension CanonicalRecord {
  /// The one encoding of this value.
  package var canonicalBytes: [UInt8] {
    var writer = CanonicalWriter()
    encode(to: &writer)
    return writer.bytes
  }

  /// Decodes a whole record; refuses leftovers and anything over `maximumBytes`.
  package init(canonicalBytes bytes: [UInt8]) throws(RecordError) {
    guard bytes.count <= Self.maximumBytes else { throw .overLimit(field: "record") }
    var reader = CanonicalReader(bytes)
    try self.init(from: &reader)
    try reader.finish()
  }
}

/// Appends big-endian fields to canonical bytes.
package struct CanonicalWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func write(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func write(_ digest: Digest256) { digest.append(to: &bytes) }

  package mutating func write<Named>(_ identifier: Identifier<Named>) {
    identifier.digest.append(to: &bytes)
  }

  package mutating func write(_ folder: FolderID) { bytes.append(contentsOf: folder.bytes) }

  /// Raw bytes without a length: for fields whose length is fixed.
  package mutating func write(fixed value: [UInt8]) { bytes.append(contentsOf: value) }

  /// A u16 length, then the bytes. Precondition: at most 65,535 bytes.
  package mutating func write(lengthPrefixed value: some Collection<UInt8>) {
    precondition(value.count <= Int(UInt16.max), "a canonical field is longer than its length prefix can say")
    write(UInt16(value.count))
    bytes.append(contentsOf: value)
  }

  /// A u16 length, then the text's UTF-8.
  package mutating func write(text: String) { write(lengthPrefixed: Array(text.utf8)) }
}

/// Reads big-endian fields from canonical bytes, refusing instead of trapping.
package struct CanonicalReader: Sendable {
  private let bytes: [UInt8]
  private var position = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var remaining: Int { bytes.count - position }

  package mutating func readInteger<Integer: FixedWidthInteger>(
    _ type: Integer.Type = Integer.self
  ) throws(RecordError) -> Integer {
    let width = Integer.bitWidth / 8
    guard remaining >= width else { throw .truncated }
    var value: Integer = 0
    for offset in 0..<width {
      value =
        width == 1
        ? Integer(truncatingIfNeeded: bytes[position]) : value << 8 | Integer(bytes[position + offset])
    }
    position += width
    return value
  }

  package mutating func readFixed(_ count: Int) throws(RecordError) -> [UInt8] {
    guard count >= 0, remaining >= count else { throw .truncated }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  package mutating func readDigest() throws(RecordError) -> Digest256 {
    let raw = try readFixed(Digest256.byteCount)
    guard let digest = Digest256(raw) else { throw .truncated }
    return digest
  }

  package mutating func readIdentifier<Named>(
    _ type: Identifier<Named>.Type = Identifier<Named>.self
  ) throws(RecordError) -> Identifier<Named> {
    Identifier(try readDigest())
  }

  package mutating func readFolderID() throws(RecordError) -> FolderID {
    guard let folder = FolderID(try readFixed(FolderID.byteCount)) else { throw .truncated }
    return folder
  }

  /// A u16 length of at most `limit`, then that many bytes; `field` names it in the error.
  package mutating func readLengthPrefixed(
    limit: Int, field: StaticString
  ) throws(RecordError) -> [UInt8] {
    let count = Int(try readInteger(UInt16.self))
    guard count <= limit else { throw .overLimit(field: field) }
    return try readFixed(count)
  }

  /// A u16 length of at most `limit`, then valid UTF-8.
  package mutating func readText(limit: Int, field: StaticString) throws(RecordError) -> String {
    let raw = try readLengthPrefixed(limit: limit, field: field)
    guard let text = String(validating: raw, as: UTF8.self) else { throw .invalid(field: field) }
    return text
  }

  package func finish() throws(RecordError) {
    guard remaining == 0 else { throw .trailingBytes }
  }
}
