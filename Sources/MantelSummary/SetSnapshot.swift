package import MantelCore

/// One set as it was at some moment; a value that later changes of its index do not touch.
package struct SetSnapshot: Sendable {
  /// May have ids of other sets too.
  let buckets: [[Digest256]]
  let members: MemberSet
  /// The canonical Merkle root.
  package let root: Digest256

  init(buckets: [[Digest256]], members: MemberSet, root: Digest256) {
    self.buckets = buckets
    self.members = members
    self.root = root
  }

  /// A set of its own. Precondition: ascending ids; repetitions are allowed.
  package init(sorted ids: [Digest256], tag: SetTag) {
    var index = SummaryIndex()
    let set = index.addSet(tag)
    index.insert(sorted: ids, into: set)
    self = index.snapshot(of: set)
  }

  package var count: Int { members.count }

  package func contains(_ id: Digest256) -> Bool {
    let bucket = Buckets.index(of: id)
    let (position, isFound) = Buckets.search(buckets[bucket], id)
    return isFound && members.contains(bucket: bucket, position: position)
  }

  /// Calls the body with each id, ascending, from `start` (inclusive), until it returns false.
  package func forEach(from start: Digest256, _ body: (Digest256) -> Bool) {
    let firstBucket = Buckets.index(of: start)
    for bucket in firstBucket..<Buckets.count where members.count(bucket: bucket) > 0 {
      let ids = buckets[bucket]
      let row = members.rows[bucket]
      let first = bucket == firstBucket ? Buckets.search(ids, start).position : 0
      for word in min(first >> 6, row.count)..<row.count {
        var bits = row[word]
        if word == first >> 6 { bits &= .max << UInt64(first & 63) }
        while bits != 0 {
          guard body(ids[word << 6 + bits.trailingZeroBitCount]) else { return }
          bits &= bits - 1
        }
      }
    }
  }

  /// The set with some ids put in and others taken out, in any order; `removed` wins over `added`. Costs what the
  /// touched buckets cost.
  package func applying(added: [Digest256], removed: [Digest256]) -> SetSnapshot {
    var index = SummaryIndex(self)
    let set = index.onlySet
    index.insert(sorted: added.sorted(), into: set)
    index.remove(sorted: removed.sorted(), from: set)
    return index.snapshot(of: set)
  }
}

// MARK: - Nodes of the trie

extension SetSnapshot {
  /// How many ids begin with the prefix.
  func count(of prefix: Prefix) -> Int {
    let bucket = Buckets.index(of: prefix.first)
    if prefix.depth <= Buckets.depth {
      return Int(members.counts[MemberSet.node(depth: prefix.depth, bucket: bucket)])
    }
    return BitRow.count(members.rows[bucket], in: positions(of: prefix, bucket: bucket))
  }

  /// Counts and hashes of the 16 nodes one nibble below the prefix. Precondition: the prefix has fewer than 64 nibbles.
  func children(of prefix: Prefix) -> (counts: [Int], hashes: [Digest256]) {
    let bucket = Buckets.index(of: prefix.first)
    if prefix.depth < Buckets.depth {
      let first = MemberSet.node(depth: prefix.depth + 1, bucket: bucket)
      let range = first..<first + 16
      return (members.counts[range].map(Int.init), Array(members.hashes[range]))
    }
    let ids = members.members(
      buckets[bucket], bucket: bucket, positions: positions(of: prefix, bucket: bucket))
    let parts = NodeHasher.split(ids, ids.indices, depth: prefix.depth)
    var hasher = NodeHasher(tag: members.tag)
    let hashes = parts.map { hasher.node(ids, $0, depth: prefix.depth + 1) }
    return (parts.map(\.count), hashes)
  }

  private func positions(of prefix: Prefix, bucket: Int) -> Range<Int> {
    let ids = buckets[bucket]
    if prefix.depth <= Buckets.depth { return ids.indices }
    let start = Buckets.search(ids, prefix.first).position
    let (last, isFound) = Buckets.search(ids, prefix.last)
    return start..<(isFound ? last + 1 : last)
  }
}
