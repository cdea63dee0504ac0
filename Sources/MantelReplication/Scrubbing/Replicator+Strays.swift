package import MantelCore

/// A file in the replica that the catalog does not know, read through.
package struct StrayFile: Hashable, Sendable {
  package var path: [UInt8]
  package var content: ContentID
  package var stamp: FileStamp

  package init(path: [UInt8], content: ContentID, stamp: FileStamp) {
    self.path = path
    self.content = content
    self.stamp = stamp
  }
}

/// Copies that are there, and not where the catalog says: somebody moved them, or put an older image of the disk in the
/// place of this one. While something is missing they are looked for; they may be the only ones.
extension Replicator {
  /// Something vanished, or a comparison has ended: what is missing may lie elsewhere. What vanishes during a look is looked
  /// for when that has ended: it may have passed the file already.
  mutating func expectStrays(now: Now) { scrub.straysDue = now.instant + settings.strayDelay }

  /// Nil while the files are not judged yet that are in doubt, or while files are on their way: the catalog names places
  /// that are just being left. An event ends each of these.
  var straysDeadline: Instant? {
    let isQuiet = filing.isIdle && scrub.doubted.isEmpty && scrub.running?.isDoubted != true
    return isQuiet && !scrub.sight.isAway && scrub.sight.comparing == nil && !scrub.isSeekingStrays
      ? scrub.straysDue : nil
  }

  mutating func seekStraysIfDue(now: Now) throws(StoreError) {
    guard let due = straysDeadline, due <= now.instant else { return }
    scrub.straysDue = nil
    // What is not owed here is not missing; but a source's copies may be the only ones.
    let mayLack =
      role == .full
      ? try !store.missing(after: nil, limit: 1).contents.isEmpty : !scrub.vanished.isEmpty
    guard mayLack else { return }
    scrub.isSeekingStrays = true
    actions.append(.findStrays)
  }

  /// Whether bytes that were found somewhere are a copy again.
  private func isLost(_ content: ContentID) throws(StoreError) -> Bool {
    if try missing(content) != nil { return true }
    return role == .source && scrub.vanished.contains(content)
      && contents.isWantedByOther(than: machine, content)
  }

  /// Strays that have the bytes of something missing are its copies from now on, and are brought to their places as any other
  /// files. Whatever could not be judged now is looked for again.
  mutating func sought(_ found: [StrayFile], isComplete: Bool, now: Now) throws(StoreError) {
    scrub.isSeekingStrays = false
    var rows: [ReplicaFile] = []
    var taken: Set<ContentID> = []
    var isLeft = false
    for stray in found where !taken.contains(stray.content) && !contents.isHeld(stray.content) {
      guard try store.replicaFile(at: stray.path) == nil, try isLost(stray.content) else { continue }
      // A batch may just have moved it there, or be about to bring another copy.
      guard !scrub.sight.isAway, !filing.isUnderWay(stray.content) else {
        isLeft = true
        continue
      }
      taken.insert(stray.content)
      rows.append(
        ReplicaFile(
          library: machine, entry: EntryID(.zero), content: stray.content, path: stray.path,
          stamp: stray.stamp, verified: now.wall, mark: nil))
    }
    if isLeft || !isComplete && !rows.isEmpty { expectStrays(now: now) }
    // What vanished during the look is looked for by the next one.
    if !isLeft, isComplete, scrub.straysDue == nil { scrub.vanished.removeAll() }
    guard !rows.isEmpty else { return }
    try store.commitFiling(put: rows, removed: [], filed: [])
    try store.markUnfiled(rows.map(\.content))
    for content in rows.map(\.content) {
      makeAvailable(content)
      contents.setHeld(content, true)
      filing.ready.insert(content)
      // What has come of it meanwhile is not needed.
      try dropIfUnwanted(content)
    }
    attesting.isChanged = true
    transfers.isWorthLooking = true
  }
}
