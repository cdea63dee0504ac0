import MantelCore
import MantelSummary

/// Entries of a head that is being fetched, on their way into the staging.
///
/// Their ids and contents are spread evenly over the catalog's indexes, so that a transaction writes nearly a page for each:
/// the more of them share one, the fewer pages are written again and again.
struct ArrivedEntries: Sendable {
  private(set) var entries: [Entry] = []
  /// Of their paths, which are all that may be long.
  private var pathBytes = 0

  mutating func add(_ more: [Entry]) {
    entries += more
    pathBytes += more.reduce(0) { $0 + $1.path.count }
  }

  func isMany(_ settings: ReplicationSettings) -> Bool {
    entries.count >= settings.stagedAtOnce || pathBytes >= settings.stagedPathBytes
  }
}

extension Replicator {
  mutating func stageArrived(_ owner: MachineID) throws(StoreError) {
    guard let fetch = libraries[owner]?.fetch, !fetch.arrived.entries.isEmpty else { return }
    // By id, which is the order of their rows.
    let rows = fetch.arrived.entries.map { (id: EntryID(of: $0), entry: $0) }.sorted { $0.id < $1.id }
    try store.stage(owner, fetch.target.record.order, rows)
    libraries[owner]?.fetch?.arrived = ArrivedEntries()
  }
}
