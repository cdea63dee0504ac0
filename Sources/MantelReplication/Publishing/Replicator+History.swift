import MantelCore

/// Superseded rows of the libraries are forgotten daily, a slice an event: without that a catalog grows with each head.
extension Replicator {
  mutating func purgeHistoryIfDue(now: Now) throws(StoreError) {
    guard historyDue <= now.instant else { return }
    let isLeft = try store.purgeSuperseded(
      keeping: settings.historyKept, since: attestedOrders, limit: settings.historyLimit)
    historyDue = now.instant + (isLeft ? .seconds(1) : settings.historyInterval)
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
