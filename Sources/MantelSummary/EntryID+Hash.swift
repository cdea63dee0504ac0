import Crypto
package import MantelCore

extension EntryID {
  private static let purpose = Array("mantel/entry/1".utf8) + [0]

  /// SHA-256 of "mantel/entry/1", a zero byte and the entry's canonical bytes.
  package init(of entry: Entry) {
    self.init(canonicalBytes: entry.canonicalBytes)
  }

  /// The same, of bytes that were checked to be an entry's.
  package init(canonicalBytes: [UInt8]) {
    var hash = SHA256()
    hash.update(data: Self.purpose)
    hash.update(data: canonicalBytes)
    guard let digest = Digest256(hash.finalize()) else {
      preconditionFailure("SHA-256 has 32 bytes")
    }
    self.init(digest)
  }
}
