import MantelCore

/// What of itself a catalog forgets, one after the other.
enum HistoryPart: Sendable {
  case superseded
  /// After the report that was looked at last.
  case reports(after: Int64?)
  /// After the entry that was looked at last.
  case retirements(after: EntryID?)
}

/// Superseded rows of the libraries are forgotten daily, a slice an event: without that a catalog grows with each head. So are
/// reports of bad files that are over, and since when entries are replaced that the library does not name any more.
extension Replicator {
  mutating func purgeHistoryIfDue(now: Now) throws(StoreError) {
    guard historyDue <= now.instant else { return }
    let isLeft = try purgeHistory()
    historyDue = now.instant + (isLeft ? .seconds(1) : settings.historyInterval)
  }

  /// To the end of the next slice; returns whether more are left.
  private mutating func purgeHistory() throws(StoreError) -> Bool {
    while true {
      switch historyPart {
      case .superseded:
        let isLeft = try store.purgeSuperseded(
          keeping: settings.historyKept, since: attestedOrders, limit: settings.historyLimit)
        if isLeft { return true }
        historyPart = .reports(after: nil)
      case .reports(let after):
        let last = try store.purgeBadFiles(
          seenHealedBefore: agentTime + (.zero - settings.reportsKept), now: agentTime, after: after,
          limit: settings.historyPage)
        historyPart = last == nil ? .retirements(after: nil) : .reports(after: last)
        if last != nil { return true }
      case .retirements(let after):
        let last = try store.purgeRetirements(after: after, limit: settings.historyPage)
        historyPart = last == nil ? .superseded : .retirements(after: last)
        return last != nil
      }
    }
  }

  /// The oldest head of each library that any attestation speaks of: it proves what that machine has of it.
  private var attestedOrders: [MachineID: HeadOrder] {
    var oldest: [MachineID: HeadOrder] = [:]
    for attestation in attesting.newest.values {
      for statement in attestation.record.libraries {
        oldest[statement.library] = min(oldest[statement.library] ?? statement.order, statement.order)
      }
    }
    return oldest
  }
}
