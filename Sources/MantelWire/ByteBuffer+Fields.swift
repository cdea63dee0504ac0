import MantelCore
import NIOCore

extension ByteBuffer {
  mutating func write(_ digest: Digest256) {
    writeMultipleIntegers(digest.word0, digest.word1, digest.word2, digest.word3)
  }

  mutating func write<Named>(_ identifier: Identifier<Named>) { write(identifier.digest) }

  mutating func write(_ request: RequestID) { writeInteger(request.number) }

  mutating func write(_ order: HeadOrder) { writeMultipleIntegers(order.epoch, order.sequence) }

  /// Exactly `count` bytes, without a length.
  mutating func write(fixed bytes: [UInt8], count: Int) {
    precondition(bytes.count == count, "a field of fixed length has another length")
    writeBytes(bytes)
  }

  /// A u16 count, then the ids. Precondition: at most `limit`.
  mutating func write<Named>(_ identifiers: [Identifier<Named>], limit: Int) {
    writeCount(identifiers.count, limit: limit)
    for identifier in identifiers { write(identifier) }
  }

  /// A u16 count. Precondition: at most `limit`.
  mutating func writeCount(_ count: Int, limit: Int) {
    precondition(count <= limit, "a list is longer than its limit")
    writeInteger(UInt16(count))
  }

  /// A u16 length, then the bytes. Precondition: at most `limit`.
  mutating func write(lengthPrefixed bytes: some Collection<UInt8>, limit: Int) {
    writeCount(bytes.count, limit: limit)
    writeBytes(bytes)
  }
}
