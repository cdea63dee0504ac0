import MantelCore

/// A peer's mistake in a reconciliation; the reconciliation is over.
package enum ReconcileError: Error, Equatable, Sendable {
  /// The bytes do not follow the format, or contradict what the peer said before.
  case malformed(StaticString)
  /// A named limit was passed.
  case overLimit(StaticString)

  package static func == (left: Self, right: Self) -> Bool { "\(left)" == "\(right)" }
}

/// Bounds of a reconciliation beside those of `Limits`; protocol.md lists them.
package enum ReconcileLimits {
  /// Ids of one set: what all libraries of the largest household can name.
  package static let ids = Limits.machines * Limits.entriesPerLibrary
  /// Bytes of all turns of both sides: so many for each id of either set, and `slackBytes`.
  package static let bytesPerID = 64
  package static let slackBytes = 1 << 20
  /// Bytes of the largest piece of a turn.
  package static let pieceBytes = Limits.dataBytes
  /// The least that a caller may ask a piece to be held to: the largest field fits.
  package static let smallestPieceBytes = 256
  /// A side with at most this many ids below a prefix lists them.
  static let listedIDs = NodeHasher.leafCapacity
}

/// What the body of a differing node is; the values are the tags on the wire.
enum BodyKind: UInt8 {
  /// Counts and short hashes of the sender's 16 children; to be answered.
  case vector = 0
  /// Short ids of all of the sender's; to be answered.
  case list = 1
  /// All of the sender's ids, because the receiver has none; final.
  case all = 2
  /// The sender has more: the receiver is to list.
  case ask = 3
  /// The sender has none: the receiver is to send all.
  case none = 4
}

/// Appends fields to one piece of a turn.
struct TurnWriter {
  private(set) var bytes: [UInt8] = []
  let limit: Int

  init(limit: Int) { self.limit = limit }

  func hasRoom(_ count: Int) -> Bool { limit - bytes.count >= count }

  mutating func write(_ value: UInt8) { bytes.append(value) }

  mutating func write(_ value: UInt16) {
    bytes.append(UInt8(value >> 8))
    bytes.append(UInt8(value & 0xff))
  }

  mutating func write(_ value: UInt64) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func write(_ digest: Digest256) {
    write(digest.word0)
    write(digest.word1)
    write(digest.word2)
    write(digest.word3)
  }

  /// Seven bits a byte, low ones first, the high bit set on all but the last byte.
  mutating func write(count: Int) {
    var rest = count
    while rest >= 128 {
      bytes.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Reads fields from one piece of a turn. A field never straddles pieces, so a field cut short is malformed.
struct TurnReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func readByte() throws(ReconcileError) -> UInt8 {
    guard position < bytes.count else { throw .malformed("a field is cut short") }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func readUInt16() throws(ReconcileError) -> UInt16 {
    UInt16(try readByte()) << 8 | UInt16(try readByte())
  }

  mutating func readUInt64() throws(ReconcileError) -> UInt64 {
    guard bytes.count - position >= 8 else { throw .malformed("a field is cut short") }
    defer { position += 8 }
    return bytes.withUnsafeBytes { raw in
      UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: position, as: UInt64.self))
    }
  }

  mutating func readDigest() throws(ReconcileError) -> Digest256 {
    Digest256(try readUInt64(), try readUInt64(), try readUInt64(), try readUInt64())
  }

  /// At most `ReconcileLimits.ids`, in its shortest form.
  mutating func readCount() throws(ReconcileError) -> Int {
    var value = 0
    var shift = 0
    while true {
      let byte = try readByte()
      value |= Int(byte & 127) << shift
      if byte & 128 == 0 {
        guard byte != 0 || shift == 0 else { throw .malformed("a count is not in its shortest form") }
        guard value <= ReconcileLimits.ids else { throw .overLimit("ids of a set") }
        return value
      }
      shift += 7
      guard shift <= 28 else { throw .overLimit("ids of a set") }
    }
  }
}
