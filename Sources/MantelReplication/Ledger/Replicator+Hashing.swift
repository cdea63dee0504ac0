import MantelCore

/// Files on their way from the ledger through the hashing pool into what will be published.
extension Replicator {
  mutating func advanceLedger(now: Now) throws(StoreError) {
    if ledger.isIdle { ledger.linkedLooks.removeAll() }
    while let key = ledger.nextLook(now: now.instant) {
      actions.append(.look(key.folder, key.path))
    }
    while let key = ledger.delays.nextOver(now: now.instant) {
      actions.append(.look(key.folder, key.path))
    }
    if !ledger.gone.isEmpty {
      try store.removeFiles(ledger.gone.map { ($0.folder, $0.path) })
      ledger.gone.removeAll()
    }
    try flushPendingRows()
    while !isHeadBlocked, let job = ledger.nextHashJob(settings) {
      actions.append(.hash(job.folder, job.paths))
    }
  }

  /// While nothing may be published, hashes wait in memory: only so many.
  private var isHeadBlocked: Bool {
    publication.isStopped && publication.changes.count >= settings.pendingRows
  }

  /// Pending rows are kept for `status` and for a restart; they may wait, but not pile up.
  private mutating func flushPendingRows() throws(StoreError) {
    guard publication.ledgerRows.count - publication.changes.count >= settings.pendingRows else {
      return
    }
    let rows = publication.ledgerRows.all.filter { publication.changes[$0.key] == nil }
    try store.putFiles(Array(rows.values))
    for key in rows.keys { publication.ledgerRows[key] = nil }
  }

  mutating func hashed(_ id: FolderID, _ files: [FileHash], now: Now) throws(StoreError) {
    for file in files { try hashed(FileKey(folder: id, path: file.path), file.outcome, now: now) }
    guard !publication.changes.isEmpty else { return }
    publication.noteChanges(isMoreComing: ledger.unhashed >= settings.manyHashes, now: now, settings)
  }

  private mutating func hashed(_ key: FileKey, _ outcome: HashOutcome, now: Now) throws(StoreError) {
    let id = key.folder
    guard ledger.endHashing(key) else { return }
    ledger.listings.note(key)
    let isDirty = ledger.changedWhileHashing.remove(key) != nil
    guard ledger.folders[id] != nil else { return }
    let known = try ledgerFile(key)
    if isDirty {
      // Whatever the hash says, something happened since: another look tells what.
      ledger.settle(key, known?.stamp ?? .unknown, due: now.instant + settings.settle)
      return
    }
    switch outcome {
    case .gone:
      if let known { try vanished(known, reason: .deleted, now: now) }
    case .unreadable(let errno):
      try skip(key, .unreadable(errno: errno), known?.stamp, known: known, now: now)
    case .notDurable: waitForDurability(key, known, now: now)
    case .hashed(let content, let manifest, let before, let after, let isHeld):
      guard before == after else {
        ledger.settle(key, after, due: now.instant + settings.settle)
        return
      }
      try accept(
        key, content, manifest, after, isHeld: isHeld, known: known, now: now)
    }
  }

  /// Other bytes under the stamp that was hashed before. Whoever has just written, where clocks tick coarsely, leaves that
  /// too; a stamp that is old by now was not made by a write.
  private func mayBeRot(
    _ known: LedgerFile, _ key: FileKey, _ content: ContentID, _ stamp: FileStamp, now: Now
  ) -> Bool {
    guard let former = known.content, former != content, known.stamp.mayBe(stamp),
      known.status != .pending(.massChange), !ledger.unproven.contains(key)
    else { return false }
    // Its ctime is of today, because the file was restored; its time of modification is its owner's.
    if known.stamp.isOfEntry { return true }
    return now.wall.nanoseconds - max(stamp.mtime, stamp.ctime) > settings.rewriteDoubt.inNanoseconds
  }

  private mutating func accept(
    _ key: FileKey, _ content: ContentID, _ manifest: Digest256?, _ stamp: FileStamp,
    isHeld: Bool, known: LedgerFile?, now: Now
  ) throws(StoreError) {
    if var known, mayBeRot(known, key, content, stamp, now: now) {
      known.stamp = stamp
      return try suspect(known, now: now)
    }
    let (changes, since) = counted(content, known: known)
    ledger.delays.forget(key)
    let file = LedgerFile(
      folder: key.folder, path: key.path, stamp: stamp, status: .published, content: content,
      manifest: manifest, changes: changes, changesSince: since, isAccepted: known?.isAccepted ?? false)
    if try isForgotten(content) { return try keepForgotten(file, known: known, now: now) }
    publication.ledgerRows.put(file, at: key, isNew: known == nil)
    publication.changes[key] = OwnChange(
      content: content, size: stamp.size, mtime: stamp.mtime, manifest: manifest, isHeld: isHeld)
    publication.deletions[key] = nil
    makeAvailable(content)
    try lookAtOtherNames(of: file)
    if stamp.mayHideChange(at: now.wall) {
      ledger.unproven.insert(key)
      ledger.settle(key, stamp, due: now.instant + settings.settle)
    } else {
      ledger.unproven.remove(key)
    }
  }
}
