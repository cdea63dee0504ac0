package import MantelCore

/// Sets of ids over one sorted array: an id that many sets have is stored once.
///
/// The array is cut into 4,096 buckets by the first three nibbles; a set is a row of bits per bucket plus the trie hashes
/// down to bucket level, rehashed lazily. A single change costs O(bucket), a bulk change O(buckets touched). All of it
/// is copy on write, so a snapshot is cheap and stays as it was. An id that no set has any more leaves the array.
package struct SummaryIndex: Sendable {
  /// Ascending ids without repetition; each is in at least one set.
  var buckets: [[Digest256]]
  private var slots: [Slot] = []

  private struct Slot: Sendable {
    var generation: Int
    /// Nil while the slot is free.
    var members: MemberSet?
  }

  package init() {
    buckets = Array(repeating: [], count: Buckets.count)
  }

  /// An index with the one set that a snapshot shows, and a handle to it.
  init(_ snapshot: SetSnapshot) {
    buckets = snapshot.buckets
    slots = [Slot(generation: 0, members: snapshot.members)]
  }

  // MARK: Sets

  package mutating func addSet(_ tag: SetTag) -> SetHandle {
    let members = MemberSet(tag: tag)
    if let free = slots.firstIndex(where: { $0.members == nil }) {
      slots[free].generation += 1
      slots[free].members = members
      return SetHandle(slot: free, generation: slots[free].generation)
    }
    slots.append(Slot(generation: 0, members: members))
    return SetHandle(slot: slots.count - 1, generation: 0)
  }

  /// The handle is worthless afterwards.
  package mutating func removeSet(_ set: SetHandle) {
    check(set)
    slots[set.slot].members = nil
    for bucket in buckets.indices { dropOrphans(bucket) }
  }

  package mutating func removeAll(from set: SetHandle) {
    check(set)
    slots[set.slot].members?.removeAll()
    for bucket in buckets.indices { dropOrphans(bucket) }
  }

  // MARK: Single ids

  /// True if it was not in.
  @discardableResult package mutating func insert(_ id: Digest256, into set: SetHandle) -> Bool {
    check(set)
    let bucket = Buckets.index(of: id)
    let (position, isFound) = Buckets.search(buckets[bucket], id)
    if !isFound {
      // Growing by an eighth instead of doubling: most buckets grow by a few ids over their life.
      if buckets[bucket].count == buckets[bucket].capacity {
        buckets[bucket].reserveCapacity(buckets[bucket].count + max(4, buckets[bucket].count / 8))
      }
      buckets[bucket].insert(id, at: position)
      for slot in slots.indices { slots[slot].members?.openGap(bucket: bucket, at: position) }
    }
    return slots[set.slot].members?.insert(bucket: bucket, position: position) ?? false
  }

  /// True if it was in.
  @discardableResult package mutating func remove(_ id: Digest256, from set: SetHandle) -> Bool {
    check(set)
    let bucket = Buckets.index(of: id)
    let (position, isFound) = Buckets.search(buckets[bucket], id)
    guard isFound, slots[set.slot].members?.remove(bucket: bucket, position: position) == true else {
      return false
    }
    let isWanted = slots.contains { $0.members?.contains(bucket: bucket, position: position) == true }
    if !isWanted {
      buckets[bucket].remove(at: position)
      for slot in slots.indices { slots[slot].members?.closeGap(bucket: bucket, at: position) }
    }
    return true
  }

  package func contains(_ id: Digest256, in set: SetHandle) -> Bool {
    let bucket = Buckets.index(of: id)
    let (position, isFound) = Buckets.search(buckets[bucket], id)
    return isFound && members(of: set).contains(bucket: bucket, position: position)
  }

  package func count(of set: SetHandle) -> Int { members(of: set).count }

  // MARK: Summaries

  /// The Merkle root; rehashes what changed since the last one.
  package mutating func root(of set: SetHandle) -> Digest256 {
    check(set)
    slots[set.slot].members?.refresh(buckets)
    return members(of: set).root
  }

  /// The set as it is now, for as long as the value lives.
  package mutating func snapshot(of set: SetHandle) -> SetSnapshot {
    let root = root(of: set)
    return SetSnapshot(buckets: buckets, members: members(of: set), root: root)
  }

  /// Calls the body with each id that is in all of `included` and in none of `excluded`, ascending, from `start`
  /// (inclusive), until it returns false. Without an included set: with each id of the index.
  package func forEach(
    in included: [SetHandle], notIn excluded: [SetHandle], from start: Digest256,
    _ body: (Digest256) -> Bool
  ) {
    let included = included.map { members(of: $0) }
    let excluded = excluded.map { members(of: $0) }
    let firstBucket = Buckets.index(of: start)
    for bucket in firstBucket..<Buckets.count where !buckets[bucket].isEmpty {
      let ids = buckets[bucket]
      let first = bucket == firstBucket ? Buckets.search(ids, start).position : 0
      var word = first >> 6
      while word << 6 < ids.count {
        let left = ids.count - word << 6
        var bits: UInt64 = left >= 64 ? .max : (1 << UInt64(left)) - 1
        if word == first >> 6 { bits &= .max << UInt64(first & 63) }
        for set in included { bits &= word < set.rows[bucket].count ? set.rows[bucket][word] : 0 }
        for set in excluded where word < set.rows[bucket].count { bits &= ~set.rows[bucket][word] }
        while bits != 0 {
          guard body(ids[word << 6 + bits.trailingZeroBitCount]) else { return }
          bits &= bits - 1
        }
        word += 1
      }
    }
  }

  // MARK: Slots

  /// The handle of the only set of an index that was made from a snapshot.
  var onlySet: SetHandle { SetHandle(slot: 0, generation: slots[0].generation) }

  private func check(_ set: SetHandle) {
    precondition(
      set.slot < slots.count && slots[set.slot].generation == set.generation
        && slots[set.slot].members != nil, "a set was used after it was removed")
  }

  private func members(of set: SetHandle) -> MemberSet {
    guard set.slot < slots.count, slots[set.slot].generation == set.generation,
      let members = slots[set.slot].members
    else { preconditionFailure("a set was used after it was removed") }
    return members
  }
}

// MARK: - Bulk changes

extension SummaryIndex {
  /// Inserts many ids at once, in time linear in them and the buckets that they touch.
  /// Precondition: ascending; repetitions are allowed.
  package mutating func insert(sorted ids: [Digest256], into set: SetHandle) {
    check(set)
    Self.forEachBucket(ids) { bucket, range in
      if buckets[bucket].isEmpty {
        var unique: [Digest256] = []
        unique.reserveCapacity(range.count)
        for position in range where unique.last != ids[position] { unique.append(ids[position]) }
        slots[set.slot].members?.fill(bucket: bucket, count: unique.count)
        buckets[bucket] = unique
      } else {
        let positions = merge(ids[range], bucket: bucket)
        slots[set.slot].members?.insert(bucket: bucket, positions: positions)
      }
    }
  }

  /// Removes many ids at once; those that are not in are ignored. Precondition: ascending.
  package mutating func remove(sorted ids: [Digest256], from set: SetHandle) {
    check(set)
    Self.forEachBucket(ids) { bucket, range in
      var isChanged = false
      for index in range {
        let (position, isFound) = Buckets.search(buckets[bucket], ids[index])
        if isFound, slots[set.slot].members?.remove(bucket: bucket, position: position) == true {
          isChanged = true
        }
      }
      if isChanged { dropOrphans(bucket) }
    }
  }

  private static func forEachBucket(_ ids: [Digest256], _ body: (Int, Range<Int>) -> Void) {
    var start = 0
    while start < ids.count {
      let bucket = Buckets.index(of: ids[start])
      var end = start + 1
      while end < ids.count, Buckets.index(of: ids[end]) == bucket {
        precondition(ids[end - 1] <= ids[end], "bulk changes take ascending ids")
        end += 1
      }
      precondition(
        end == ids.count || Buckets.index(of: ids[end]) > bucket, "bulk changes take ascending ids")
      body(bucket, start..<end)
      start = end
    }
  }

  /// Makes room for ascending ids in a bucket; returns where they stand.
  private mutating func merge(_ added: ArraySlice<Digest256>, bucket: Int) -> [Int] {
    let old = buckets[bucket]
    var merged: [Digest256] = []
    merged.reserveCapacity(old.count + added.count)
    var moved: [Int] = []
    moved.reserveCapacity(old.count)
    var positions: [Int] = []
    positions.reserveCapacity(added.count)
    var next = 0
    for id in added {
      while next < old.count, old[next] <= id {
        moved.append(merged.count)
        merged.append(old[next])
        next += 1
      }
      if merged.last != id { merged.append(id) }
      positions.append(merged.count - 1)
    }
    while next < old.count {
      moved.append(merged.count)
      merged.append(old[next])
      next += 1
    }
    guard merged.count > old.count else { return positions }
    buckets[bucket] = merged
    for slot in slots.indices {
      slots[slot].members?.remap(bucket: bucket, moved, count: merged.count)
    }
    return positions
  }

  /// Takes out of a bucket what no set has.
  private mutating func dropOrphans(_ bucket: Int) {
    let ids = buckets[bucket]
    guard !ids.isEmpty else { return }
    var used: [UInt64] = []
    for slot in slots {
      guard let row = slot.members?.rows[bucket] else { continue }
      while used.count < row.count { used.append(0) }
      for word in row.indices { used[word] |= row[word] }
    }
    guard BitRow.count(used) < ids.count else { return }
    var kept: [Digest256] = []
    // What an orphan maps to is never looked up: no set has it.
    var moved = [Int](repeating: 0, count: ids.count)
    BitRow.forEach(used) { position in
      moved[position] = kept.count
      kept.append(ids[position])
    }
    buckets[bucket] = kept
    for slot in slots.indices {
      slots[slot].members?.remap(bucket: bucket, moved, count: kept.count)
    }
  }
}
