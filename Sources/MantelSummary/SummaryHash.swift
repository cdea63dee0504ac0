import Crypto
package import MantelCore

/// SHA-256 as the words of a digest.
package enum SummaryHash {
  package static func sha256(_ bytes: [UInt8]) -> Digest256 {
    bytes.withUnsafeBytes { sha256($0) }
  }

  static func sha256(_ bytes: UnsafeRawBufferPointer) -> Digest256 {
    var function = SHA256()
    function.update(bufferPointer: bytes)
    return function.finalize().withUnsafeBytes { raw in
      Digest256(
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
        UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Stores an integer big-endian.
  func store(_ value: UInt64, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
  }

  /// Stores the 32 bytes of a digest.
  func store(_ digest: Digest256, at offset: Int) {
    store(digest.word0, at: offset)
    store(digest.word1, at: offset + 8)
    store(digest.word2, at: offset + 16)
    store(digest.word3, at: offset + 24)
  }
}

/// The hash of an id or node as it goes over the wire: 8 bytes, salted for the connection.
///
/// The salt, which both sides choose together, keeps anybody from grinding two ids or nodes of equal short hash; an
/// accidental equality (2^-64 a comparison) ends with the connection.
struct ShortHash: Sendable {
  private let salt: (UInt64, UInt64)

  /// Precondition: 16 bytes.
  init(salt: [UInt8]) {
    precondition(salt.count == 16, "a salt has 16 bytes")
    let high = salt[..<8].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    let low = salt[8...].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    self.salt = (high, low)
  }

  /// SHA-256(salt | 0x00 | node hash), first 8 bytes.
  func node(_ hash: Digest256) -> UInt64 { shorten(0, hash) }

  /// SHA-256(salt | 0x01 | id), first 8 bytes.
  func id(_ id: Digest256) -> UInt64 { shorten(1, id) }

  private func shorten(_ domain: UInt8, _ digest: Digest256) -> UInt64 {
    withUnsafeTemporaryAllocation(byteCount: 49, alignment: 8) { raw in
      raw.store(salt.0, at: 0)
      raw.store(salt.1, at: 8)
      raw[16] = domain
      raw.store(digest, at: 17)
      return SummaryHash.sha256(UnsafeRawBufferPointer(raw)).word0
    }
  }
}
