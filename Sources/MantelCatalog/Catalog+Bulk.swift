internal import GRDB
internal import MantelCore

/// Staging of many entries at once. A row of `entry` is in up to seven indexes, mostly at a random place: each transaction
/// of a large head would write nearly all of their pages again. So the rows wait in `staged_entry`, where they only stand
/// behind each other, and installing moves them; when they are many beside what `entry` holds, without its indexes, which
/// are made again by sorting, in the same transaction. Nobody ever sees `entry` without an index.
///
/// An id may stand there twice, when a peer sends it twice: that shows when all are there, and only one is moved.
///
/// What waits survives a restart, and a fetch that was given up: the next one compares it with its head and takes away what that
/// does not have. It goes with whatever else is staged of the library.
extension Catalog {
  /// One in so many of all installed entries has to be new before rows are staged this way. Those before are staged as
  /// a few are: of a large catalog the indexes are made again for much only.
  private static let bulkShare: UInt64 = 4
  /// One in so many of all installed entries has to be moved before making the indexes again costs less.
  private static let rebuildShare: UInt64 = 16
  private static let placesOfLibrary: Int64 = 1 << 40

  private static func places(_ row: LibraryRow) -> (first: Int64, last: Int64) {
    let first = row.ref * placesOfLibrary
    return (first, first + placesOfLibrary - 1)
  }

  private static func range(_ row: LibraryRow) -> [SQLValue] {
    [.int(places(row).first), .int(places(row).last)]
  }

  private func lastPlace(_ row: LibraryRow, _ db: Database) throws -> Int64? {
    try db.row(
      "SELECT ref FROM staged_entry WHERE ref BETWEEN ? AND ? ORDER BY ref DESC LIMIT 1", Self.range(row)
    )?.integer(0)
  }

  /// Entries of the installed views.
  private func installedEntries(_ db: Database) throws -> UInt64 {
    try db.row("SELECT coalesce(sum(live + retired + unheld + dropped), 0) FROM library")?.bits(0) ?? 0
  }

  /// Whether so many rows are moved without the indexes, which are made again.
  private func rebuildsIndexes(moving rows: UInt64, _ db: Database) throws -> Bool {
    try rows >= installedEntries(db) / Self.rebuildShare
  }

  /// Rows that are written when so many are moved: an index that is made again has those of all libraries.
  func rowsMoved(with waiting: UInt64, _ db: Database) throws -> UInt64 {
    guard waiting > 0, try rebuildsIndexes(moving: waiting, db) else { return waiting }
    return try waiting + installedEntries(db)
  }

  /// Where the next row of a library goes in `staged_entry`; nil when `count` more entries go straight into `entry`. Once
  /// a library has rows there, all that follow go there as well: an id is in one of the tables only.
  func nextBulkPlace(_ row: LibraryRow, adding count: Int, _ db: Database) throws -> Int64? {
    if let last = try lastPlace(row, db) { return last + 1 }
    guard count >= bulk else { return nil }
    let (staged, installed) = (row.stagedCounts.entries, row.counts.entries)
    let new = (staged > installed ? staged - installed : 0) + UInt64(count)
    return try new >= installedEntries(db) / Self.bulkShare ? Self.places(row).first : nil
  }

  func insertInBulk(_ id: EntryID, _ entry: Entry, at place: Int64, _ db: Database) throws {
    try db.run(
      """
      INSERT INTO staged_entry (ref, id, folder, path, content, size, mtime, kind, state, reason, state_time, manifest)
      VALUES (?, ?, ?, coalesce(?, x''), ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [
        .int(place), .id(id), .folder(entry.folder), .bytes(entry.path), .id(entry.content),
        .bits(entry.size),
        .int(entry.mtime), .int(Int(entry.kind.rawValue)),
      ] + EntryCoding.values(of: entry.state) + [.digest(entry.manifest)])
  }

  /// In the order in which they came, some maybe more than once.
  func bulkIDs(_ row: LibraryRow, _ db: Database) throws -> [EntryID] {
    try db.all("SELECT id FROM staged_entry WHERE ref BETWEEN ? AND ?", Self.range(row)) { try $0.id(0) }
  }

  /// The counts of the staged view when something stands there twice, which the row's own count twice.
  func countsWithoutRepeats(_ row: LibraryRow, _ db: Database) throws -> LibraryCounts {
    var counts = row.stagedCounts
    let repeats = try db.rows(
      """
      SELECT \(EntryCoding.columns) FROM staged_entry e
      WHERE e.ref BETWEEN ?1 AND ?2 AND e.ref NOT IN (
        SELECT min(o.ref) FROM staged_entry o WHERE o.ref BETWEEN ?1 AND ?2 GROUP BY o.id)
      """, Self.range(row))
    while let found = try repeats.next() { try counts.countOut(try found.entry().entry) }
    return counts
  }

  /// What a newer head does not have comes in many pieces of a comparison: the first of them makes an index, which stays for as
  /// long as the rows do.
  func unstageInBulk(_ ids: [EntryID], _ row: inout LibraryRow, _ db: Database) throws {
    guard !ids.isEmpty, try lastPlace(row, db) != nil else { return }
    try db.execute(sql: "CREATE INDEX IF NOT EXISTS staged_entry_by_id ON staged_entry (id)")
    for id in ids {
      let found = try db.all(
        """
        SELECT e.ref, \(EntryCoding.columns) FROM staged_entry e INDEXED BY staged_entry_by_id
        WHERE e.id = ? AND e.ref BETWEEN ? AND ?
        """, [.id(id)] + Self.range(row)
      ) { (place: try $0.integer(0), entry: try $0.entry(1).entry) }
      for (place, entry) in found {
        try db.run("DELETE FROM staged_entry WHERE ref = ?", [.int(place)])
        try row.stagedCounts.countOut(entry)
      }
    }
  }

  func discardBulk(_ row: LibraryRow, _ db: Database) throws {
    guard try lastPlace(row, db) != nil else { return }
    try db.execute(sql: "DROP INDEX IF EXISTS staged_entry_by_id")
    let places = Self.places(row)
    let hasOthers =
      try db.exists("SELECT 1 FROM staged_entry WHERE ref < ? LIMIT 1", [.int(places.first)])
      || db.exists("SELECT 1 FROM staged_entry WHERE ref > ? LIMIT 1", [.int(places.last)])
    if hasOthers {
      try db.run("DELETE FROM staged_entry WHERE ref BETWEEN ? AND ?", Self.range(row))
    } else {
      // Without a condition SQLite frees the pages as they are. Else it changes each, and keeps what was there before.
      try db.run("DELETE FROM staged_entry")
    }
  }

  /// Makes rows of `entry` of what waits in `staged_entry`, with their marks, as staging them one by one would have.
  func moveBulk(_ row: inout LibraryRow, _ db: Database) throws {
    let waiting =
      try db.row("SELECT count(*) FROM staged_entry WHERE ref BETWEEN ? AND ?", Self.range(row))?.bits(0) ?? 0
    guard waiting > 0 else { return }
    let indexes = try rebuildsIndexes(moving: waiting, db) ? Self.entryIndexes(db) : []
    for index in indexes { try db.execute(sql: "DROP INDEX \(index.name)") }
    // Sorting takes as much memory again as the cache has. Only rows that go into all indexes need more of it.
    try Self.setCache(indexes.isEmpty ? Self.bulkCacheKilobytes : Self.writerCacheKilobytes, db)
    let isFollowed = !row.isOwn && !row.isClosed
    // In the order of the one index that cannot be dropped: at its end a row costs less than at a random place, by more than
    // what the sorting takes.
    try db.run(
      """
      INSERT INTO entry (library, id, since, folder, path, content, size, mtime, kind, state, reason, state_time,
        manifest, came, lacking)
      SELECT ?3, s.id, ?4, s.folder, s.path, s.content, s.size, s.mtime, s.kind, s.state, s.reason, s.state_time,
        s.manifest, ?5, ?5 AND s.state <= 1 AND NOT EXISTS (SELECT 1 FROM replica_file r WHERE r.content = s.content)
      FROM staged_entry s WHERE s.ref BETWEEN ?1 AND ?2 ORDER BY s.id
      ON CONFLICT (library, id, since, until) DO NOTHING
      """, Self.range(row) + [.int(row.ref), .int(row.next), .flag(isFollowed)])
    if UInt64(db.changesCount) < waiting { row.stagedCounts = try countsWithoutRepeats(row, db) }
    // They are made by sorting: a second thread writes one run while the next is gathered.
    try db.execute(sql: "PRAGMA threads = 1")
    for index in indexes { try db.execute(sql: index.sql) }
    try db.execute(sql: "PRAGMA threads = 0")
    // Last: of pages that were freed within a savepoint, and are used again, SQLite keeps a copy in a temporary file.
    try discardBulk(row, db)
  }

  /// The indexes of `entry` that can be dropped, as the migrations made them, in their order.
  private static func entryIndexes(_ db: Database) throws -> [(name: String, sql: String)] {
    try db.all(
      """
      SELECT name, sql FROM sqlite_schema
      WHERE type = 'index' AND tbl_name = 'entry' AND sql IS NOT NULL ORDER BY rowid
      """
    ) { (name: try $0.text(0), sql: try $0.text(1)) }
  }
}
