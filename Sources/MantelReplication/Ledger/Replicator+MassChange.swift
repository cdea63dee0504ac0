import MantelCore

/// Mass changes: too much of a folder would be deleted or replaced within a day.
///
/// A batch that would pass the limit is held whole, together with all that a folder loses from then on: no part of
/// `rm -rf` gets out first. Held changes are rows of the ledger, `pending(.massChange)`, found again by each scan, and
/// nothing of them is in memory. What they would retire stays live in the library; it is not held here, for the bytes
/// are gone. A held deletion has no content in its row; a held replacement has the new bytes' content and stamp.
extension Replicator {
  /// Takes out of what is to be published whatever a mass change holds; returns whether there was any.
  mutating func holdMassChanges(_ lost: [OwnUpdate.Leaving]) throws(StoreError) -> Bool {
    var hasHeld = false
    for (folder, lost) in unaccepted(lost) {
      var losses = ledger.losses[folder] ?? FolderLosses()
      losses.forget(before: agentTime, settings.massChange)
      if losses.massChange == nil {
        let (published, pending) = try store.fileCounts(folder)
        losses.massChange = losses.massChange(
          adding: Self.contents(lost), files: published + pending, settings.massChange)
        guard let massChange = losses.massChange else { continue }
        actions.append(.warn(.massChange(folder, massChange)))
      }
      try hold(lost, of: folder, losses)
      hasHeld = true
    }
    return hasHeld
  }

  /// Deletions that are ripe, but for those of a folder that is just being emptied: they wait for the rest of it, to be
  /// judged with it.
  func gathered(
    _ ripe: [FileKey: OwnDeletion], now: Now
  ) throws(StoreError) -> [FileKey: OwnDeletion] {
    var gathering: Set<FolderID> = []
    for (folder, ripe) in Dictionary(grouping: ripe, by: \.key.folder) {
      let losses = ledger.losses[folder] ?? FolderLosses()
      let all = publication.deletions.count { $0.key.folder == folder }
      let oldest = ripe.map(\.value.seen).min() ?? now.instant
      guard all > ripe.count, losses.massChange == nil, now.instant - oldest < settings.deletionPatience
      else { continue }
      let (published, pending) = try store.fileCounts(folder)
      if losses.massChange(adding: all, files: published + pending, settings.massChange) != nil {
        gathering.insert(folder)
      }
    }
    return gathering.isEmpty ? ripe : ripe.filter { !gathering.contains($0.key.folder) }
  }

  /// Before the head: a crash in between counts twice, never too little.
  mutating func countLosses(_ lost: [OwnUpdate.Leaving]) throws(StoreError) {
    for (folder, lost) in unaccepted(lost) {
      var losses = ledger.losses[folder] ?? FolderLosses()
      losses.forget(before: agentTime, settings.massChange)
      losses.add(
        contents: Self.contents(lost), deletions: lost.count { $0.reason != .replaced }, at: agentTime)
      try store.setLosses(losses, of: folder, held: [])
      ledger.losses[folder] = losses
    }
  }

  /// The user has seen what is held. What changed once more since then is accepted too: it loses the same.
  mutating func acceptHeldChanges(of folder: FolderID) throws(StoreError) {
    guard ledger.folders[folder] != nil else { return }
    for key in publication.ledgerRows.keys where key.folder == folder {
      if try isHeldInCatalog(key) { publication.ledgerRows[key]?.isAccepted = true }
    }
    for key in publication.deletions.keys where key.folder == folder {
      if try isHeldInCatalog(key) { publication.deletions[key]?.isAccepted = true }
    }
    _ = try store.acceptHeldFiles(folder)
    ledger.losses[folder] = nil
  }

  /// A mass change is over without a decision when the files are back, or elsewhere, and nothing waits any more that may be of it.
  mutating func endMassChange(of folder: FolderID) throws(StoreError) {
    guard ledger.losses[folder]?.massChange != nil,
      try !store.awaitsChanges(folder),
      !publication.ledgerRows.keys.contains(where: { $0.folder == folder }),
      !publication.deletions.keys.contains(where: { $0.folder == folder })
    else { return }
    try untrip(folder)
  }

  /// Nor where all that it held was decided in a time that the catalog has forgotten: what else waits is judged by itself.
  mutating func endDecidedMassChange(of folder: FolderID) throws(StoreError) {
    guard ledger.losses[folder]?.massChange != nil, try store.heldFiles(folder) == 0 else { return }
    try untrip(folder)
  }

  private mutating func untrip(_ folder: FolderID) throws(StoreError) {
    guard var losses = ledger.losses[folder] else { return }
    losses.massChange = nil
    try store.setLosses(losses, of: folder, held: [])
    ledger.losses[folder] = losses
  }

  /// Whether a change found again by a scan is held still: its content has not turned up anywhere else.
  func staysHeld(_ file: LedgerFile) throws(StoreError) -> Bool {
    guard file.status == .pending(.massChange), ledger.folders[file.folder] != nil,
      let live = try store.liveEntry(machine, file.folder, file.path)
    else { return false }
    return try !store.entries(machine, of: live.entry.content).contains {
      $0.entry.state.isLive && $0.id != live.id
    }
  }

  /// Whether a file is a part of a mass change, also while its latest bytes are looked at: the catalog holds it still, or it has
  /// other bytes than the library's, which are held when they were read.
  func isOfMassChange(_ file: LedgerFile) throws(StoreError) -> Bool {
    guard ledger.losses[file.folder]?.massChange != nil else { return false }
    if try isHeldInCatalog(FileKey(folder: file.folder, path: file.path)) { return true }
    guard let live = try store.liveEntry(machine, file.folder, file.path) else { return false }
    return live.entry.content != file.content
  }

  /// Folders with changes that wait for the user, how many, and why.
  func heldChanges() throws(StoreError) -> [(folder: FolderID, why: FolderLosses.MassChange, files: Int)] {
    var held: [(folder: FolderID, why: FolderLosses.MassChange, files: Int)] = []
    for folder in ledger.folders.keys.sorted() {
      guard let massChange = ledger.losses[folder]?.massChange else { continue }
      let files = try store.heldFiles(folder)
      if files > 0 { held.append((folder, massChange, files)) }
    }
    return held
  }

  // MARK: Parts

  /// By folder. Removing a folder is a decision already, and so is an accepted change.
  private func unaccepted(
    _ lost: [OwnUpdate.Leaving]
  ) -> [(folder: FolderID, lost: [OwnUpdate.Leaving])] {
    let open = lost.filter { ledger.folders[$0.key.folder] != nil && !isAccepted($0.key) }
    return Dictionary(grouping: open, by: \.key.folder).sorted { $0.key < $1.key }
      .map { (folder: $0.key, lost: $0.value) }
  }

  private static func contents(_ lost: [OwnUpdate.Leaving]) -> Int { Set(lost.map(\.entry.content)).count }

  private func isAccepted(_ key: FileKey) -> Bool {
    publication.deletions[key]?.isAccepted ?? publication.ledgerRows[key]?.isAccepted ?? false
  }

  private func isHeldInCatalog(_ key: FileKey) throws(StoreError) -> Bool {
    try store.file(key.folder, key.path)?.status == .pending(.massChange)
  }

  private mutating func hold(
    _ lost: [OwnUpdate.Leaving], of folder: FolderID, _ losses: FolderLosses
  ) throws(StoreError) {
    var rows: [LedgerFile] = []
    for key in lost.map(\.key) {
      var row =
        try ledgerFile(key)
        ?? LedgerFile(
          folder: key.folder, path: key.path, stamp: .unknown, status: .pending(.massChange),
          content: nil, manifest: nil, changes: 0)
      row.status = .pending(.massChange)
      if publication.changes[key] == nil {
        // Whatever comes back to this path is looked at anew; the stamp tells whether somebody wrote to it meanwhile.
        row.content = nil
        row.manifest = nil
      }
      rows.append(row)
      dropChange(key)
      publication.deletions[key] = nil
      publication.ledgerRows[key] = nil
    }
    try store.setLosses(losses, of: folder, held: rows)
    ledger.losses[folder] = losses
    for content in Set(lost.map(\.entry.content)).sorted() { try releaseIfGone(content) }
    attesting.isChanged = true
  }
}
