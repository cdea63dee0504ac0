/// A range of a content that a machine is asked to prove it has: it answers with SHA-256(nonce | bytes of the range).
package struct Challenge: Hashable, Sendable {
  package var content: ContentID
  /// Within the content, and so is its end.
  package var offset: UInt64
  /// Bytes; 1 to `rangeBytes`.
  package var count: UInt32
  /// Random, so that no answer can be kept in place of the bytes.
  package var nonce: [UInt8]

  package static let rangeBytes: UInt32 = 1 << 20
  package static let nonceBytes = 16

  package init(content: ContentID, offset: UInt64, count: UInt32, nonce: [UInt8]) {
    precondition(nonce.count == Self.nonceBytes, "a nonce is 16 bytes")
    precondition(count > 0 && count <= Self.rangeBytes, "a challenge of too few or too many bytes")
    self.content = content
    self.offset = offset
    self.count = count
    self.nonce = nonce
  }
}
