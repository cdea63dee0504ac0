import MantelCore
import NIOCore

/// Reads the fields of one payload, naming the field that is wrong. No count is trusted before it was compared with
/// its limit and with the bytes that are there.
struct PayloadReader {
  let type: FrameType
  private var bytes: ByteBuffer

  init(_ payload: ByteBuffer, type: FrameType) {
    self.type = type
    self.bytes = payload
  }

  var remaining: Int { bytes.readableBytes }

  mutating func integer<Integer: FixedWidthInteger>(
    _ field: StaticString, as type: Integer.Type = Integer.self
  ) throws(WireError) -> Integer {
    guard let value = bytes.readInteger(as: type) else { throw .truncated(self.type, field: field) }
    return value
  }

  mutating func digest(_ field: StaticString) throws(WireError) -> Digest256 {
    guard let words = bytes.readMultipleIntegers(as: (UInt64, UInt64, UInt64, UInt64).self) else {
      throw .truncated(type, field: field)
    }
    return Digest256(words.0, words.1, words.2, words.3)
  }

  mutating func identifier<Named>(
    _ field: StaticString, as named: Identifier<Named>.Type = Identifier<Named>.self
  ) throws(WireError) -> Identifier<Named> {
    Identifier(try digest(field))
  }

  mutating func request() throws(WireError) -> RequestID {
    RequestID(try integer("request"))
  }

  mutating func outcome() throws(WireError) -> Outcome {
    guard let outcome = Outcome(rawValue: try integer("outcome")) else {
      throw .malformed(type, field: "outcome")
    }
    return outcome
  }

  mutating func order(_ field: StaticString) throws(WireError) -> HeadOrder {
    HeadOrder(epoch: try integer(field), sequence: try integer(field))
  }

  /// Exactly 0 or 1.
  mutating func flag(_ field: StaticString) throws(WireError) -> Bool {
    switch try integer(field, as: UInt8.self) {
    case 0: return false
    case 1: return true
    default: throw .malformed(type, field: field)
    }
  }

  mutating func raw(_ count: Int, _ field: StaticString) throws(WireError) -> [UInt8] {
    guard let value = bytes.readBytes(length: count) else { throw .truncated(type, field: field) }
    return value
  }

  /// All bytes that are left, as a slice of what was received.
  mutating func rest() -> ByteBuffer {
    let rest = bytes
    bytes.moveReaderIndex(forwardBy: bytes.readableBytes)
    return rest
  }

  /// All bytes that are left, copied.
  mutating func restBytes() -> [UInt8] { Array(rest().readableBytesView) }

  /// A u16 count of at most `limit` items, each of which takes at least `itemBytes` more bytes of the payload.
  mutating func count(
    limit: Int, itemBytes: Int, _ field: StaticString
  ) throws(WireError) -> Int {
    let count = Int(try integer(field, as: UInt16.self))
    guard count <= limit else { throw .overLimit(type, field: field) }
    guard count * itemBytes <= remaining else { throw .truncated(type, field: field) }
    return count
  }

  /// A u16 count of at most `limit`, then that many ids.
  mutating func identifiers<Named>(
    limit: Int, _ field: StaticString, as named: Identifier<Named>.Type = Identifier<Named>.self
  ) throws(WireError) -> [Identifier<Named>] {
    let count = try count(limit: limit, itemBytes: FrameLimits.idBytes, field)
    var ids: [Identifier<Named>] = []
    ids.reserveCapacity(count)
    for _ in 0..<count { ids.append(try identifier(field)) }
    return ids
  }

  /// A u16 length of at most `limit`, then that many bytes.
  mutating func lengthPrefixed(limit: Int, _ field: StaticString) throws(WireError) -> [UInt8] {
    let length = Int(try integer(field, as: UInt16.self))
    guard length <= limit else { throw .overLimit(type, field: field) }
    return try raw(length, field)
  }

  /// A signed record that fills the rest of the payload.
  mutating func signed<Record: SignableRecord>() throws(WireError) -> Signed<Record> {
    let raw = restBytes()
    do {
      return try Signed<Record>(bytes: raw)
    } catch {
      throw .record(type, error)
    }
  }

  func finish() throws(WireError) {
    guard remaining == 0 else { throw .trailingBytes(type) }
  }
}
