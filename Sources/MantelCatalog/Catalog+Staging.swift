internal import GRDB
package import MantelCore

extension Catalog {
  /// An id whose staged removal is there is known: staging it takes the removal back. Throws `constraint` for an order
  /// that is not above the installed head's.
  package func stage(
    _ library: MachineID, _ order: HeadOrder, _ entries: [(id: EntryID, entry: Entry)]
  ) throws(StoreError) {
    try write { db in
      var row = try beginStaging(library, order, db)
      var place = try nextBulkPlace(row, adding: entries.count, db)
      if place == nil, entries.count >= Self.bulk { try Self.setCache(Self.bulkCacheKilobytes, db) }
      // Most of a first head comes while nothing of its library is there that could be known.
      let isFirst =
        try place != nil && !db.exists("SELECT 1 FROM entry WHERE library = ? LIMIT 1", [.int(row.ref)])
      for (id, entry) in entries {
        if !isFirst, try isKnown(id, &row, db) { continue }
        if let next = place {
          try insertInBulk(id, entry, at: next, db)
          place = next + 1
        } else {
          try insert(id, entry, in: row, db)
        }
        row.stagedCounts.count(entry, by: 1)
      }
      try save(row, db)
    }
  }

  package func stageRemoval(_ library: MachineID, _ order: HeadOrder, _ ids: [EntryID])
    throws(StoreError)
  {
    try write { db in
      var row = try beginStaging(library, order, db)
      for id in ids {
        guard let found = try current(id, row, db), found.since <= row.installed else { continue }
        try remove(found, in: row, db)
        try row.stagedCounts.countOut(found.entry)
      }
      try save(row, db)
    }
  }

  package func unstage(_ library: MachineID, added: [EntryID], removed: [EntryID])
    throws(StoreError)
  {
    try write { db in
      guard var row = try self.library(library, db) else { return }
      for id in added {
        guard let found = try current(id, row, db), found.since == row.next else { continue }
        try db.run("DELETE FROM entry WHERE ref = ?", [.int(found.ref)])
        try row.stagedCounts.countOut(found.entry)
      }
      try unstageInBulk(added, &row, db)
      for id in removed { try takeRemovalBack(id, &row, db) }
      try save(row, db)
    }
  }

  package func staged(_ library: MachineID) throws(StoreError) -> StagedView {
    try read { db in
      guard let row = try self.library(library, db) else { return StagedView() }
      let key: [SQLValue] = [.int(row.ref), .int(row.next)]
      var added = try bulkIDs(row, db)
      let rows = try rowsMoved(with: UInt64(added.count), db)
      let inEntry: [EntryID] = try db.all(
        "SELECT id FROM entry INDEXED BY entry_by_since WHERE library = ? AND since = ?", key
      ) { try $0.id(0) }
      var removed: [EntryID] = try db.all(
        "SELECT id FROM entry INDEXED BY entry_by_until WHERE library = ? AND until = ? AND until <> 0", key
      ) { try $0.id(0) }
      // Here, not by SQLite, which sorts much in a file.
      added += inEntry
      added.sort()
      removed.sort()
      let repeats = Self.dropRepeats(&added)
      let counts = try repeats > 0 ? countsWithoutRepeats(row, db) : row.stagedCounts
      return StagedView(
        added: added, removed: removed, counts: counts, bulkRows: rows, repeats: repeats)
    }
  }

  /// Of ascending ids; returns how many there were.
  private static func dropRepeats(_ ids: inout [EntryID]) -> Int {
    guard zip(ids, ids.dropFirst()).contains(where: { $0 == $1 }) else { return 0 }
    let count = ids.count
    var kept: [EntryID] = []
    for id in ids where id != kept.last { kept.append(id) }
    ids = kept
    return count - kept.count
  }

  package func discardStaged(_ library: MachineID) throws(StoreError) {
    try write { db in
      guard var row = try self.library(library, db) else { return }
      try discardStaged(&row, db)
      try save(row, db)
    }
  }

  func discardStaged(_ row: inout LibraryRow, _ db: Database) throws {
    let key: [SQLValue] = [.int(row.ref), .int(row.next)]
    try db.run("DELETE FROM entry WHERE library = ? AND since = ?", key)
    try discardBulk(row, db)
    try db.run(
      "UPDATE entry SET until = 0, went = 0 WHERE library = ? AND until = ? AND until <> 0", key)
    row.staging = nil
    row.stagedCounts = row.counts
  }

  private func beginStaging(_ library: MachineID, _ order: HeadOrder, _ db: Database) throws
    -> LibraryRow
  {
    var row = try ensureLibrary(library, db)
    guard order > row.installedOrder ?? .none else {
      throw StoreError.refused("staging a head that is not newer than the installed one")
    }
    row.staging = max(order, row.staging ?? order)
    return row
  }

  /// Whether `entry` has an id in the staged view; takes its staged removal back.
  private func isKnown(_ id: EntryID, _ row: inout LibraryRow, _ db: Database) throws -> Bool {
    let known = try db.row(
      "SELECT until FROM entry WHERE library = ? AND id = ? AND until IN (0, ?)",
      [.int(row.ref), .id(id), .int(row.next)])
    guard let known else { return false }
    if try known.integer(0) != 0 { try takeRemovalBack(id, &row, db) }
    return true
  }

  @discardableResult
  private func takeRemovalBack(_ id: EntryID, _ row: inout LibraryRow, _ db: Database) throws
    -> Bool
  {
    guard let found = try version(id, until: row.next, row, db) else { return false }
    try db.run("UPDATE entry SET until = 0, went = 0 WHERE ref = ?", [.int(found.ref)])
    row.stagedCounts.count(found.entry, by: 1)
    return true
  }
}

// MARK: - Rows of one library

/// One row of `entry`.
struct EntryVersion {
  var ref: Int64
  var since: Int64
  var entry: Entry
}

extension Catalog {
  /// The row of an id in the view that follows the staged or published changes so far.
  func current(_ id: EntryID, _ row: LibraryRow, _ db: Database) throws -> EntryVersion? {
    try version(id, until: 0, row, db)
  }

  func version(_ id: EntryID, until: Int64, _ row: LibraryRow, _ db: Database) throws
    -> EntryVersion?
  {
    let found = try db.row(
      """
      SELECT e.ref, e.since, \(EntryCoding.columns) FROM entry e
      WHERE e.library = ? AND e.id = ? AND e.until = ?
      """, [.int(row.ref), .id(id), .int(until)])
    guard let found else { return nil }
    return EntryVersion(
      ref: try found.integer(0), since: try found.integer(1), entry: try found.entry(2).entry)
  }

  /// Writes an entry into the next generation, with its marks.
  func insert(_ id: EntryID, _ entry: Entry, in row: LibraryRow, _ db: Database) throws {
    let isFollowed = !row.isOwn && !row.isClosed
    try db.run(
      """
      INSERT INTO entry (library, id, since, folder, path, content, size, mtime, kind, state, reason, state_time,
        manifest, came, lacking)
      VALUES (?1, ?2, ?3, ?4, coalesce(?5, x''), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
        ?15 AND NOT EXISTS (SELECT 1 FROM replica_file WHERE content = ?6))
      """,
      [
        .int(row.ref), .id(id), .int(row.next), .folder(entry.folder), .bytes(entry.path),
        .id(entry.content), .bits(entry.size), .int(entry.mtime), .int(Int(entry.kind.rawValue)),
      ] + EntryCoding.values(of: entry.state) + [
        .digest(entry.manifest), .flag(isFollowed), .flag(isFollowed && entry.state.isWanted),
      ])
  }

  /// Ends a row with the next generation.
  func remove(_ found: EntryVersion, in row: LibraryRow, _ db: Database) throws {
    try db.run(
      "UPDATE entry SET until = ?, went = ? WHERE ref = ?",
      [.int(row.next), .flag(!row.isOwn && !row.isClosed), .int(found.ref)])
  }
}
