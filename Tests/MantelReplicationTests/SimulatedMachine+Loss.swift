import MantelCatalog
import MantelCore

@testable import MantelReplication

/// Catalogs that go back in time, or are lost.
extension SimulatedMachine {
  /// Whether all that was ever published is known to the guard file: a catalog is not lost within the same millisecond.
  var isGuarded: Bool { replicator.installedHead(of: machine) == replica.guarded?.record }

  func keepBackup() throws { backup = try catalog.copied() }

  /// The agent is not running; returns whether there was a backup.
  func restoreBackup() throws -> Bool {
    guard let copy = try backup?.copied() else { return false }
    catalog = copy
    return true
  }

  /// What `replica adopt` makes of a lost catalog: the household and the folders from the copy in the replica, and a row for
  /// each file there, by what it is now.
  func loseCatalog(now: Now) throws {
    let fresh = try Catalog(inMemory: machine)
    try fresh.addStatements(replicator.roster.statements.map { ($0.id, $0.bytes) })
    try fresh.putFolder(folder)
    for record in replicator.records.values { try fresh.putRecord(record) }
    replica.forgetWhatRotted()
    let rows = replica.files.map { path, file in
      ReplicaFile(
        library: machine, entry: EntryID(.zero), content: file.content, path: path, stamp: file.stamp,
        verified: now.wall)
    }
    try fresh.commitFiling(put: rows, removed: [], filed: [])
    catalog = fresh
  }
}
