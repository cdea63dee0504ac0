import MantelCore

/// How ids are dealt out: by their first three nibbles, so that a bucket is a node of the trie.
enum Buckets {
  static let count = 4_096
  /// Nibbles that the ids of a bucket share.
  static let depth = 3

  static func index(of id: Digest256) -> Int { Int(id.word0 >> 52) }

  /// Position of the id in an ascending bucket, or where it would stand.
  static func search(_ ids: [Digest256], _ id: Digest256) -> (position: Int, isFound: Bool) {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) >> 1
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return (low, low < ids.count && ids[low] == id)
  }
}

/// Which ids of shared buckets belong to one set, and the trie nodes over them down to bucket level.
///
/// Counts are always right; hashes are right once `refresh` ran, which rehashes only what changed since.
struct MemberSet: Sendable {
  /// Nodes of depth 0, 1, 2 and 3 stand one after the other in `counts` and `hashes`.
  static let levelStart = [0, 1, 17, 273]
  static let nodeCount = 273 + Buckets.count

  let tag: SetTag
  private(set) var rows: [[UInt64]]
  private(set) var counts: [UInt32]
  private(set) var hashes: [Digest256]
  private var dirty: [UInt64]
  private var isDirty = false

  init(tag: SetTag) {
    self.tag = tag
    rows = Array(repeating: [], count: Buckets.count)
    counts = Array(repeating: 0, count: Self.nodeCount)
    hashes = Array(repeating: .zero, count: Self.nodeCount)
    dirty = Array(repeating: 0, count: (Self.nodeCount + 63) >> 6)
  }

  var count: Int { Int(counts[0]) }

  /// Node number of the node of `depth` 0...3 that a bucket lies below.
  static func node(depth: Int, bucket: Int) -> Int {
    levelStart[depth] + bucket >> (4 * (Buckets.depth - depth))
  }

  func count(bucket: Int) -> Int { Int(counts[Self.levelStart[Buckets.depth] + bucket]) }

  func contains(bucket: Int, position: Int) -> Bool { BitRow.contains(rows[bucket], position) }

  // MARK: Changes

  /// False if it was in.
  mutating func insert(bucket: Int, position: Int) -> Bool {
    guard !BitRow.contains(rows[bucket], position) else { return false }
    BitRow.set(&rows[bucket], position)
    changed(bucket: bucket, by: 1)
    return true
  }

  /// False if it was not in.
  mutating func remove(bucket: Int, position: Int) -> Bool {
    guard BitRow.contains(rows[bucket], position) else { return false }
    BitRow.clear(&rows[bucket], position)
    changed(bucket: bucket, by: -1)
    return true
  }

  mutating func insert(bucket: Int, positions: [Int]) {
    var added = 0
    for position in positions where !BitRow.contains(rows[bucket], position) {
      BitRow.set(&rows[bucket], position)
      added += 1
    }
    if added > 0 { changed(bucket: bucket, by: added) }
  }

  /// Takes the first `count` positions of a bucket that had none.
  mutating func fill(bucket: Int, count: Int) {
    rows[bucket] = BitRow.full(count)
    changed(bucket: bucket, by: count)
  }

  mutating func removeAll() { self = MemberSet(tag: tag) }

  private mutating func changed(bucket: Int, by difference: Int) {
    for depth in 0...Buckets.depth {
      let node = Self.node(depth: depth, bucket: bucket)
      counts[node] = UInt32(Int(counts[node]) + difference)
      dirty[node >> 6] |= 1 << UInt64(node & 63)
    }
    isDirty = true
  }

  // MARK: The bucket moved below it

  mutating func openGap(bucket: Int, at position: Int) {
    if !rows[bucket].isEmpty { BitRow.openGap(&rows[bucket], at: position) }
  }

  /// Precondition: the set does not have the id that left.
  mutating func closeGap(bucket: Int, at position: Int) {
    if !rows[bucket].isEmpty { BitRow.closeGap(&rows[bucket], at: position) }
  }

  /// Position i of the bucket became `moved[i]`. Precondition: every member has a new position.
  mutating func remap(bucket: Int, _ moved: [Int], count: Int) {
    guard self.count(bucket: bucket) > 0 else {
      rows[bucket] = []
      return
    }
    var row = [UInt64](repeating: 0, count: (count + 63) >> 6)
    BitRow.forEach(rows[bucket]) { position in BitRow.set(&row, moved[position]) }
    rows[bucket] = row
  }

  // MARK: Members and hashes

  /// Members among `positions` of a bucket, ascending.
  func members(_ ids: [Digest256], bucket: Int, positions: Range<Int>) -> [Digest256] {
    let all = count(bucket: bucket)
    if all == ids.count && positions == ids.indices { return ids }
    if all == 0 { return [] }
    var members: [Digest256] = []
    members.reserveCapacity(min(all, positions.count))
    let row = rows[bucket]
    for position in positions where BitRow.contains(row, position) { members.append(ids[position]) }
    return members
  }

  /// The canonical root; hashes must be fresh.
  var root: Digest256 {
    var hasher = NodeHasher(tag: tag)
    return hasher.root(count: count, top: hashes[0])
  }

  /// Rehashes the nodes over what changed.
  mutating func refresh(_ buckets: [[Digest256]]) {
    guard isDirty else { return }
    var hasher = NodeHasher(tag: tag)
    // From the highest node number down: children before their parents.
    for word in dirty.indices.reversed() {
      while dirty[word] != 0 {
        let bit = 63 - dirty[word].leadingZeroBitCount
        dirty[word] &= ~(1 << UInt64(bit))
        let node = word << 6 + bit
        hashes[node] = hash(of: node, buckets, &hasher)
      }
    }
    isDirty = false
  }

  private func hash(of node: Int, _ buckets: [[Digest256]], _ hasher: inout NodeHasher) -> Digest256 {
    let total = Int(counts[node])
    if total == 0 { return .zero }
    if node >= Self.levelStart[Buckets.depth] {
      let bucket = node - Self.levelStart[Buckets.depth]
      let ids = members(buckets[bucket], bucket: bucket, positions: buckets[bucket].indices)
      return hasher.node(ids, ids.indices, depth: Buckets.depth)
    }
    let depth = node == 0 ? 0 : node < 17 ? 1 : 2
    let value = node - Self.levelStart[depth]
    if total > NodeHasher.leafCapacity {
      let first = Self.levelStart[depth + 1] + value << 4
      return hasher.inner(depth: depth, count: total, children: hashes[first..<first + 16])
    }
    let shift = 4 * (Buckets.depth - depth)
    var ids: [Digest256] = []
    for bucket in (value << shift)..<((value + 1) << shift) where count(bucket: bucket) > 0 {
      ids += members(buckets[bucket], bucket: bucket, positions: buckets[bucket].indices)
    }
    return hasher.leaf(ids, ids.indices)
  }
}
