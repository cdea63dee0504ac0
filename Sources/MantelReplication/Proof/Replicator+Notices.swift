import MantelCore
import MantelHousehold

/// What `status` says of other machines that behave as no sound one does, and of what they ask of this one.
extension Replicator {
  var growthReasons: [StatusReason] {
    heldGrowth().sorted { $0.key < $1.key }.map { .heldGrowth($0.key, entries: Int(clamping: $0.value)) }
  }

  /// Who was removed is dealt with.
  var forkReasons: [StatusReason] {
    forked.filter(roster.isMember).sorted().map { .forked($0) }
  }

  /// `large`: libraries of which more is missing than a third of the free space.
  mutating func missingHere(
    now: Now
  ) throws(StoreError) -> (files: Int, bytes: UInt64, large: [StatusReason]) {
    var files = 0
    var bytes: UInt64 = 0
    var byLibrary: [MachineID: UInt64] = [:]
    for (owner, sets) in contents.byLibrary where owner != machine && role == .full {
      let count =
        contents.index.count(of: sets.wanted) - contents.index.count(of: sets.heldWanted)
      guard count > 0 else { continue }
      files += count
      if count > settings.sizeSample,
        let estimate = sizes.missingBytes(of: owner, files: count, now: now.instant)
      {
        bytes += estimate
        byLibrary[owner] = estimate
        continue
      }
      let sum = try store.missing(in: owner, limit: 0).bytes
      sizes.summed(sum, of: owner, files: count, now: now.instant)
      bytes += sum
      byLibrary[owner] = sum
    }
    // Held by an own file alone: the copy is owed all the same.
    var sampled: UInt64 = 0
    let uncopied =
      role == .source
      ? [] : filing.uncopied.filter { contents.isHeld($0) && contents.isWantedByOther(than: machine, $0) }
    for content in uncopied.prefix(settings.exactSizes) {
      sampled += try store.missingContent(content)?.size ?? 0
    }
    let counted = UInt64(min(uncopied.count, settings.exactSizes))
    files += uncopied.count
    if counted > 0 { bytes += sampled / counted * UInt64(uncopied.count) }
    let large = byLibrary.sorted { $0.key < $1.key }.filter { isLargeShare($0.value) }
    return (files, bytes, large.map { .largeShare($0.key, bytes: $0.value) })
  }

  /// False while nothing is known of the disk.
  private func isLargeShare(_ bytes: UInt64) -> Bool {
    room.map { bytes > $0.replica.free / settings.spaceShare } ?? false
  }
}
