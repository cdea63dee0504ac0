import MantelCore

extension Replicator {
  /// A file's bytes were read, and its disk does not promise to keep them: it is not published, and what was published
  /// of the path before stays. Nothing better can be done than to try again: Linux reports a lost write to one fsync,
  /// and a later one may succeed.
  mutating func waitForDurability(_ key: FileKey, _ known: LedgerFile?, now: Now) {
    let stamp = known?.stamp ?? .unknown
    var file =
      known
      ?? LedgerFile(
        folder: key.folder, path: key.path, stamp: stamp, status: .pending(.notDurable), content: nil,
        manifest: nil, changes: 0)
    file.status = .pending(.notDurable)
    publication.ledgerRows.put(file, at: key, isNew: known == nil)
    ledger.settle(key, stamp, due: now.instant + settings.syncRetry)
  }
}
