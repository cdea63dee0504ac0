/// 32 bytes as four big-endian words: the value of a SHA-256, or any 32-byte id.
///
/// Order is the order of the bytes, so sorting digests, walking a trie by nibbles and `ORDER BY` over a
/// SQLite blob agree.
package struct Digest256: Hashable, Comparable, Sendable {
  package var word0: UInt64
  package var word1: UInt64
  package var word2: UInt64
  package var word3: UInt64

  /// Bytes of a digest.
  package static let byteCount = 32
  /// Nibbles (4-bit digits) of a digest: the greatest depth of a 16-way trie over digests.
  package static let nibbleCount = 64
  /// All bits zero; stands for "none" where a record has a fixed place for a digest.
  package static let zero = Digest256(0, 0, 0, 0)

  package init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
    self.word0 = word0
    self.word1 = word1
    self.word2 = word2
    self.word3 = word3
  }

  /// Takes exactly 32 bytes; nil for any other count.
  package init?(_ bytes: some Sequence<UInt8>) {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var count = 0
    for byte in bytes {
      let value = UInt64(byte)
      switch count >> 3 {
      case 0: words.0 = words.0 << 8 | value
      case 1: words.1 = words.1 << 8 | value
      case 2: words.2 = words.2 << 8 | value
      case 3: words.3 = words.3 << 8 | value
      default: return nil
      }
      count += 1
    }
    guard count == Self.byteCount else { return nil }
    self.init(words.0, words.1, words.2, words.3)
  }

  /// Takes 64 hexadecimal digits in either case; nil for anything else.
  package init?(hex: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    var high: UInt8?
    for character in hex.utf8 {
      guard let digit = Self.hexValue(character) else { return nil }
      if let pending = high {
        bytes.append(pending << 4 | digit)
        high = nil
      } else {
        high = digit
      }
      guard bytes.count <= Self.byteCount else { return nil }
    }
    guard high == nil else { return nil }
    self.init(bytes)
  }

  package static func < (left: Self, right: Self) -> Bool {
    if left.word0 != right.word0 { return left.word0 < right.word0 }
    if left.word1 != right.word1 { return left.word1 < right.word1 }
    if left.word2 != right.word2 { return left.word2 < right.word2 }
    return left.word3 < right.word3
  }

  /// The 32 bytes, most significant first.
  package var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(Self.byteCount)
    append(to: &result)
    return result
  }

  /// Appends the 32 bytes, most significant first.
  package func append(to bytes: inout [UInt8]) {
    for word in [word0, word1, word2, word3] {
      withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
    }
  }

  /// The digit at `depth` (0 is the most significant), 0...15.
  package func nibble(at depth: Int) -> Int {
    precondition(depth >= 0 && depth < Self.nibbleCount)
    let word =
      switch depth >> 4 {
      case 0: word0
      case 1: word1
      case 2: word2
      default: word3
      }
    return Int(truncatingIfNeeded: word >> UInt64((15 - depth & 15) * 4)) & 15
  }

  /// 64 lower-case hexadecimal digits, as `sha256sum` prints them.
  package var hex: String { String(decoding: hexDigits, as: UTF8.self) }

  /// The same as ASCII, for names of files.
  package var hexDigits: [UInt8] {
    var digits: [UInt8] = []
    digits.reserveCapacity(Self.nibbleCount)
    for depth in 0..<Self.nibbleCount {
      let digit = UInt8(nibble(at: depth))
      digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
    return digits
  }

  private static func hexValue(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension Digest256: CustomStringConvertible {
  package var description: String { hex }
}
