import MantelCore

/// Files that change often, and until when their next change waits. A file stays in it after its wait is over, until the
/// change is hashed: it waits once.
typealias ChangeDelays = Delays<FileKey>

extension ChangeDelays {
  mutating func forget(folder: FolderID) { forget { $0.folder == folder } }
}

extension ReplicationSettings {
  /// How long the next change of a path waits that has changed so often in its agent day; nil when it does not. Once the day
  /// is over, counting starts anew: nothing waits longer.
  func delay(afterChanges changes: Int, dayLeft: Duration) -> Duration? {
    guard changes >= promptChanges, dayLeft > .zero else { return nil }
    // 2^20 minutes are two years.
    let exponent = min(changes - promptChanges + 1, 20)
    return min(changeDelay * (1 << exponent), dayLeft)
  }
}

extension Replicator {
  /// Whether a change just seen has to wait, because the path changes often. The file is looked at when the wait is over.
  mutating func postpones(
    _ key: FileKey, _ known: LedgerFile?, now: Now
  ) throws(StoreError) -> Bool {
    guard var file = known, file.status != .pending(.massChange) else { return false }
    if let until = ledger.delays.until[key] { return until > now.instant }
    let dayLeft = .agentDay - (agentTime - file.changesSince)
    guard let delay = settings.delay(afterChanges: file.changes, dayLeft: dayLeft) else { return false }
    // It waits for its user already, however often it changes: as one that changes often it would be held no more.
    if try isOfMassChange(file) { return false }
    ledger.delays.wait(key, until: now.instant + delay)
    ledger.forget(key)
    if file.status == .published { try unhold(file) }
    file.status = .pending(.changesOften)
    publication.ledgerRows[key] = nil
    try store.putFiles([file])
    return true
  }

  /// Counts a change of bytes, in the day that began with the first; a file's first bytes are none.
  func counted(_ content: ContentID, known: LedgerFile?) -> (changes: Int, since: AgentTime) {
    guard let known, let former = known.content else { return (0, agentTime) }
    guard former != content else { return (known.changes, known.changesSince) }
    guard known.changes > 0, agentTime - known.changesSince < .agentDay else { return (1, agentTime) }
    return (known.changes + 1, known.changesSince)
  }
}
