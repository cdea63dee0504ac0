import MantelCatalog
import MantelCore

@testable import MantelReplication

/// The whole home as it was once, somewhere else: state directory and replica, with the guard file in it.
struct HomeImage {
  let catalog: Catalog
  let replica: SimulatedReplica
}

/// Catalogs and whole homes that go back in time, or are lost.
extension SimulatedMachine {
  /// Whether all that was ever published is known to the guard file: a catalog is not lost within the same millisecond.
  var isGuarded: Bool { replicator.installedHead(of: machine) == replica.guarded?.record }

  /// Whether it has signed something in this very microsecond. In the world none starts again in the same one with another catalog,
  /// and what it signs is numbered by them.
  func hasJustSigned(_ now: Now) -> Bool {
    let times = [
      replicator.attesting.newest[machine]?.record.time, replicator.installedHead(of: machine)?.time,
    ]
    return times.contains { $0.map { $0.nanoseconds / 1_000 } == now.wall.nanoseconds / 1_000 }
  }

  func keepBackup() throws { backup = try catalog.copied() }

  /// The agent is not running; returns whether there was a backup.
  func restoreBackup() throws -> Bool {
    guard let copy = try backup?.copied() else { return false }
    catalog = copy
    replica.loseQuarantine()
    noticed.removeAll()
    try noteStale()
    hasCompared = false
    return true
  }

  /// A catalog of before names files that have left the trash since, or were released. That what went might go was judged
  /// when it went.
  private func noteStale() throws {
    let there = Set(replica.files.values.map { $0.sound?.content ?? $0.content })
    stale = try catalog.replicaFiles(of: nil, after: nil, limit: 100_000).filter {
      !there.contains($0.content)
    }
  }

  /// When the replica was compared, and nothing is in doubt any more, the agent knows.
  func noteHandled(_ event: ReplicationEvent) {
    guard !stale.isEmpty else { return }
    if case .replicaCompared(_, isComplete: true) = event { hasCompared = true }
    if hasCompared, !replicator.scrub.hasDoubts { stale.removeAll() }
  }

  /// Whether the agent cannot know yet that a content went in a time that its catalog has forgotten: it still has the row of
  /// then, for a comparison and a read have to take it out.
  func isStale(_ content: ContentID) -> Bool {
    stale.contains { row in
      guard row.content == content, let now = try? catalog.replicaFile(at: row.path) else { return false }
      return now.content == content && now.stamp.inode == row.stamp.inode
    }
  }

  func keepImage() throws { image = HomeImage(catalog: try catalog.copied(), replica: replica) }

  /// The agent is not running; the user's folder stays as it is. Returns whether there was an image.
  func restoreImage() throws -> Bool {
    guard let image else { return false }
    catalog = try image.catalog.copied()
    replica.goBack(to: image.replica)
    noticed.removeAll()
    return true
  }

  /// What `replica adopt` makes of a lost catalog: the household and the folders from the copy in the replica, and a row for
  /// each file there, by what it is now.
  func loseCatalog(now: Now) throws {
    let fresh = try Catalog(inMemory: machine, bulk: catalog.bulk)
    try fresh.addStatements(replicator.roster.statements.map { ($0.id, $0.bytes) })
    try fresh.putFolder(folder)
    for (_, record) in replicator.records.sorted(by: { $0.key < $1.key }) { try fresh.putRecord(record) }
    if let role = try catalog.value(.role) { try fresh.setValue(.role, role) }
    replica.forgetWhatRotted()
    // In the order in which a walk finds them: the rows' numbers decide which of equals is read first.
    let files = replica.files.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    let rows = files.map { path, file in
      ReplicaFile(
        library: machine, entry: EntryID(.zero), content: file.content, path: path, stamp: file.stamp,
        verified: now.wall,
        mark: FilingPlan.isDiscarded(path) ? .trashed(since: .zero, isConfirmed: false) : nil)
    }
    try fresh.commitFiling(put: rows, removed: [], filed: [])
    catalog = fresh
  }
}
