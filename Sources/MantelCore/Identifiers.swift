/// A 32-byte id whose type says what it names, so that a content id cannot be passed for a machine id.
package struct Identifier<Named>: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var digest: Digest256

  package init(_ digest: Digest256) { self.digest = digest }

  /// Takes exactly 32 bytes; nil for any other count.
  package init?(_ bytes: some Sequence<UInt8>) {
    guard let digest = Digest256(bytes) else { return nil }
    self.digest = digest
  }

  /// Takes 64 hexadecimal digits; nil for anything else.
  package init?(hex: String) {
    guard let digest = Digest256(hex: hex) else { return nil }
    self.digest = digest
  }

  package static func < (left: Self, right: Self) -> Bool { left.digest < right.digest }

  package var bytes: [UInt8] { digest.bytes }
  package var hex: String { digest.hex }
  package var hexDigits: [UInt8] { digest.hexDigits }
  /// The first 8 hexadecimal digits: for people, never for decisions.
  package var short: String { String(digest.hex.prefix(8)) }
  package var description: String { digest.hex }
}

package enum ContentName {}
package enum EntryName {}
package enum MachineName {}
package enum HouseholdName {}
package enum StatementName {}

/// SHA-256 of a file's bytes; `sha256sum` agrees.
package typealias ContentID = Identifier<ContentName>
/// SHA-256 of "mantel/entry/1", a zero byte and the entry's canonical bytes.
package typealias EntryID = Identifier<EntryName>
/// SHA-256 of a machine's P-256 public key (SubjectPublicKeyInfo, DER).
package typealias MachineID = Identifier<MachineName>
/// Id of a household: the id of its founding statement.
package typealias HouseholdID = Identifier<HouseholdName>
/// SHA-256 of a roster statement's canonical bytes.
package typealias StatementID = Identifier<StatementName>

/// 16 random bytes that name a folder for its whole life, whatever it is called.
package struct FolderID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var high: UInt64
  package var low: UInt64

  package static let byteCount = 16

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Takes exactly 16 bytes; nil for any other count.
  package init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    self.low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  package static func < (left: Self, right: Self) -> Bool {
    left.high != right.high ? left.high < right.high : left.low < right.low
  }

  package var bytes: [UInt8] {
    var result: [UInt8] = []
    withUnsafeBytes(of: high.bigEndian) { result.append(contentsOf: $0) }
    withUnsafeBytes(of: low.bigEndian) { result.append(contentsOf: $0) }
    return result
  }

  package var description: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
