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
  /// Something vanished, or a comparison has ended: what is missing may lie elsewhere.
  mutating func expectStrays(now: Now) {
    guard !scrub.isSeekingStrays else { return }
    scrub.straysDue = now.instant + settings.strayDelay
  }

  /// Nil while the files are not judged yet that are in doubt, or while files are on their way: the catalog names places
  /// that are just being left. An event ends each of these.
  var straysDeadline: Instant? {
    let isQuiet = filing.isIdle && scrub.doubted.isEmpty && scrub.running?.isDoubted != true
    return isQuiet && !scrub.isAway && !scrub.isComparing && !scrub.isSeekingStrays ? scrub.straysDue : nil
  }

  mutating func seekStraysIfDue(now: Now) throws(StoreError) {
    guard let due = straysDeadline, due <= now.instant else { return }
    scrub.straysDue = nil
    // What is not owed here is not missing.
    guard role == .full, try !store.missing(after: nil, limit: 1).isEmpty else { return }
    scrub.isSeekingStrays = true
    actions.append(.findStrays)
  }

  /// A stray that has the bytes of something missing is its copy from now on, and is brought to its place as any other file.
  mutating func found(stray: StrayFile, now: Now) throws(StoreError) {
    guard filing.isIdle, !scrub.isAway, !contents.isHeld(stray.content),
      try store.replicaFile(at: stray.path) == nil,
      try missing(stray.content) != nil
    else { return }
    let row = ReplicaFile(
      library: machine, entry: EntryID(.zero), content: stray.content, path: stray.path, stamp: stray.stamp,
      verified: now.wall, mark: nil)
    try store.commitFiling(put: [row], removed: [], filed: [])
    contents.setHeld(stray.content, true)
    makeAvailable(stray.content)
    filing.ready.insert(stray.content)
    attesting.isChanged = true
    transfers.isWorthLooking = true
    // What has come of it meanwhile is not needed.
    try dropIfUnwanted(stray.content)
  }
}
