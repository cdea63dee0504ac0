/// The smallest thing that is asked for and verified by itself: a whole small content, one block of a large one,
/// or a large one's manifest.
package struct UnitID: Hashable, Comparable, Sendable {
  package enum Part: Hashable, Comparable, Sendable {
    /// All bytes of a content of at most `Limits.wholeUnitBytes`.
    case whole
    /// Block `index` of a larger content.
    case block(UInt32)
    /// The manifest of a larger content.
    case manifest
  }

  package var content: ContentID
  package var part: Part

  package init(content: ContentID, part: Part) {
    self.content = content
    self.part = part
  }

  package static func < (left: Self, right: Self) -> Bool {
    left.content != right.content ? left.content < right.content : left.part < right.part
  }
}

/// How a content is cut, by its size alone.
package struct UnitLayout: Hashable, Sendable {
  package var size: UInt64

  package init(size: UInt64) { self.size = size }

  package var isWhole: Bool { size <= UInt64(Limits.wholeUnitBytes) }

  /// Blocks of a large content; 0 for one that is a single unit.
  package var blockCount: Int {
    isWhole ? 0 : Int((size + UInt64(Limits.blockBytes) - 1) / UInt64(Limits.blockBytes))
  }

  package var manifestBytes: Int { isWhole ? 0 : 8 + 32 * blockCount }

  /// Byte range of a part within the content (for a manifest: within the manifest); nil if there is no such part.
  package func range(of part: UnitID.Part) -> Range<UInt64>? {
    switch part {
    case .whole: return isWhole ? 0..<size : nil
    case .block(let index):
      guard Int(index) < blockCount else { return nil }
      let start = UInt64(index) * UInt64(Limits.blockBytes)
      return start..<min(size, start + UInt64(Limits.blockBytes))
    case .manifest: return isWhole ? nil : 0..<UInt64(manifestBytes)
    }
  }
}

/// Consecutive blocks of one large content.
package struct BlockRange: Hashable, Sendable {
  package var first: UInt32
  package var count: UInt32

  package init(first: UInt32, count: UInt32) {
    self.first = first
    self.count = count
  }
}

/// The block hashes of a large content.
///
/// Bytes: size u64 | SHA-256 of each block, 32 each. Its hash (in the owner's signed entry) is
/// SHA-256("mantel/blocks/1", zero byte, bytes).
package struct Manifest: Hashable, Sendable {
  package static let purpose = "mantel/blocks/1"
  package var size: UInt64
  package var blocks: [Digest256]

  /// Precondition: as many blocks as the size has.
  package init(size: UInt64, blocks: [Digest256]) {
    precondition(UnitLayout(size: size).blockCount == blocks.count)
    self.size = size
    self.blocks = blocks
  }

  package var bytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.write(size)
    for block in blocks { writer.write(block) }
    return writer.bytes
  }

  /// The bytes that the manifest hash is taken over.
  package var hashedBytes: [UInt8] { Array(Self.purpose.utf8) + [0] + bytes }

  package init(bytes: [UInt8]) throws(RecordError) {
    guard bytes.count <= Limits.manifestBytes else { throw .overLimit(field: "manifest") }
    var reader = CanonicalReader(bytes)
    let size = try reader.readInteger(UInt64.self)
    guard size > UInt64(Limits.wholeUnitBytes), size <= Limits.contentBytes else {
      throw .invalid(field: "size")
    }
    let count = UnitLayout(size: size).blockCount
    guard reader.remaining == count * Digest256.byteCount else { throw .truncated }
    var blocks: [Digest256] = []
    blocks.reserveCapacity(count)
    for _ in 0..<count { blocks.append(try reader.readDigest()) }
    self.init(size: size, blocks: blocks)
  }
}
