import MantelCore

/// The canonical hashes of the adaptive 16-way trie over a set; they depend on the set and its tag alone.
///
/// For the ids of a set S that begin with a prefix p of k nibbles:
/// - none: 32 zero bytes;
/// - 1 to 32 ids, a leaf: SHA-256(0x00 | tag 8 | count u32 | ids ascending, 32 each);
/// - more, an inner node: SHA-256(0x01 | tag 8 | k u8 | count u64 | hashes of the 16 children, 32 each);
/// - the root of the set: SHA-256(0x02 | tag 8 | count u64 | hash of the empty prefix).
struct NodeHasher {
  /// Ids of the largest leaf: one more splits it.
  static let leafCapacity = 32
  private static let scratchBytes = 13 + leafCapacity * Digest256.byteCount

  private let tag: SetTag
  /// Reused for the bytes of one node after the other.
  private var scratch: [UInt8]

  init(tag: SetTag) {
    self.tag = tag
    scratch = [UInt8](repeating: 0, count: Self.scratchBytes)
  }

  /// Hash of the node over `ids[range]`: ascending ids without repetition that share their first `depth` nibbles.
  mutating func node(_ ids: [Digest256], _ range: Range<Int>, depth: Int) -> Digest256 {
    if range.isEmpty { return .zero }
    if range.count <= Self.leafCapacity { return leaf(ids, range) }
    var children: [Digest256] = []
    children.reserveCapacity(16)
    for part in Self.split(ids, range, depth: depth) {
      children.append(node(ids, part, depth: depth + 1))
    }
    return inner(depth: depth, count: range.count, children: children)
  }

  /// Precondition: 1 to 32 ids.
  mutating func leaf(_ ids: [Digest256], _ range: Range<Int>) -> Digest256 {
    precondition(!range.isEmpty && range.count <= Self.leafCapacity, "a leaf has 1 to 32 ids")
    let tag = tag
    return scratch.withUnsafeMutableBytes { raw in
      raw[0] = 0
      raw.store(tag.value, at: 1)
      raw.storeBytes(of: UInt32(range.count).bigEndian, toByteOffset: 9, as: UInt32.self)
      var offset = 13
      for position in range {
        raw.store(ids[position], at: offset)
        offset += Digest256.byteCount
      }
      return SummaryHash.sha256(UnsafeRawBufferPointer(rebasing: raw[..<offset]))
    }
  }

  /// Precondition: 16 children.
  mutating func inner(
    depth: Int, count: Int, children: some Collection<Digest256>
  ) -> Digest256 {
    precondition(children.count == 16, "an inner node has 16 children")
    let tag = tag
    return scratch.withUnsafeMutableBytes { raw in
      raw[0] = 1
      raw.store(tag.value, at: 1)
      raw[9] = UInt8(depth)
      raw.store(UInt64(count), at: 10)
      var offset = 18
      for child in children {
        raw.store(child, at: offset)
        offset += Digest256.byteCount
      }
      return SummaryHash.sha256(UnsafeRawBufferPointer(rebasing: raw[..<offset]))
    }
  }

  mutating func root(count: Int, top: Digest256) -> Digest256 {
    let tag = tag
    return scratch.withUnsafeMutableBytes { raw in
      raw[0] = 2
      raw.store(tag.value, at: 1)
      raw.store(UInt64(count), at: 9)
      raw.store(top, at: 17)
      return SummaryHash.sha256(UnsafeRawBufferPointer(rebasing: raw[..<49]))
    }
  }

  /// Cuts ascending ids that share `depth` nibbles into 16 runs by their next one.
  static func split(_ ids: [Digest256], _ range: Range<Int>, depth: Int) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    parts.reserveCapacity(16)
    var start = range.lowerBound
    for digit in 0..<16 {
      var end = range.upperBound
      var low = start
      while low < end {
        let middle = (low + end) >> 1
        if ids[middle].nibble(at: depth) <= digit { low = middle + 1 } else { end = middle }
      }
      parts.append(start..<low)
      start = low
    }
    return parts
  }
}
