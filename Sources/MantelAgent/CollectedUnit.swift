import NIOCore

/// The bytes of a unit that have come so far, in one piece of memory of the unit's size.
///
/// Copied, not kept as they came: a piece is a slice of a whole read of the connection, and a peer that sends a byte at a
/// time would keep 32 KiB alive with each. What was asked for bounds the size; memory that no byte has come for is
/// reserved, and not used.
struct CollectedUnit: Sendable {
  private(set) var bytes: ByteBuffer

  init(bytes count: UInt64) {
    bytes = ByteBufferAllocator().buffer(capacity: Int(clamping: count))
  }

  mutating func append(_ piece: ByteBuffer) {
    bytes.writeImmutableBuffer(piece)
  }
}
