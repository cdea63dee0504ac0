internal import GRDB
internal import MantelCore

/// Staging of many entries at once. A row of `entry` is in up to seven indexes, mostly at a random place: each transaction
/// of a large head would write nearly all of their pages again. So the rows wait in `staged_entry`, where they only stand
/// behind each other, and installing moves them; when they are many beside what `entry` holds, without its indexes, which
/// are made again by sorting, in the same transaction. Nobody ever sees `entry` without an index.
///
/// An id may stand there twice, when a peer sends it twice: that shows when all are there, and only one is moved.
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

  /// Ascending, each once, and whether any stands there more than once.
  func bulkIDs(_ row: LibraryRow, _ db: Database) throws -> (ids: [EntryID], hasRepeats: Bool) {
    var ids: [EntryID] = try db.all(
      "SELECT id FROM staged_entry WHERE ref BETWEEN ? AND ?", Self.range(row)
    ) { try $0.id(0) }
    ids.sort()
    guard !zip(ids, ids.dropFirst()).allSatisfy({ $0 < $1 }) else { return (ids, false) }
    return (Set(ids).sorted(), true)
  }

  /// The counts of the staged view. The row's own count what stands there twice twice.
  func stagedCounts(_ row: LibraryRow, _ db: Database) throws -> LibraryCounts {
    guard try lastPlace(row, db) != nil, try bulkIDs(row, db).hasRepeats else { return row.stagedCounts }
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

  /// One walk over the library's rows, however many ids there are.
  func unstageInBulk(_ ids: [EntryID], _ row: inout LibraryRow, _ db: Database) throws {
    guard !ids.isEmpty, try lastPlace(row, db) != nil else { return }
    let gone = Set(ids)
    var found: [(place: Int64, entry: Entry)] = []
    let rows = try db.rows(
      "SELECT e.ref, \(EntryCoding.columns) FROM staged_entry e WHERE e.ref BETWEEN ? AND ?", Self.range(row))
    while let staged = try rows.next() {
      guard gone.contains(try staged.id(1)) else { continue }
      found.append((try staged.integer(0), try staged.entry(1).entry))
    }
    for (place, entry) in found {
      try db.run("DELETE FROM staged_entry WHERE ref = ?", [.int(place)])
      try row.stagedCounts.countOut(entry)
    }
  }

  func discardBulk(_ row: LibraryRow, _ db: Database) throws {
    try db.run("DELETE FROM staged_entry WHERE ref BETWEEN ? AND ?", Self.range(row))
  }

  /// Makes rows of `entry` of what waits in `staged_entry`, with their marks, as staging them one by one would have.
  func moveBulk(_ row: LibraryRow, _ db: Database) throws {
    guard let last = try lastPlace(row, db) else { return }
    let count = UInt64(last - Self.places(row).first + 1)
    let indexes = try count >= installedEntries(db) / Self.rebuildShare ? Self.entryIndexes(db) : []
    for index in indexes { try db.execute(sql: "DROP INDEX \(index.name)") }
    try Self.setCache(Self.bulkCacheKilobytes, db)
    let isFollowed = !row.isOwn && !row.isClosed
    try db.run(
      """
      INSERT INTO entry (library, id, since, folder, path, content, size, mtime, kind, state, reason, state_time,
        manifest, came, lacking)
      SELECT ?3, s.id, ?4, s.folder, s.path, s.content, s.size, s.mtime, s.kind, s.state, s.reason, s.state_time,
        s.manifest, ?5, ?5 AND s.state <= 1 AND NOT EXISTS (SELECT 1 FROM replica_file r WHERE r.content = s.content)
      FROM staged_entry s WHERE s.ref BETWEEN ?1 AND ?2
      ON CONFLICT (library, id, since, until) DO NOTHING
      """, Self.range(row) + [.int(row.ref), .int(row.next), .flag(isFollowed)])
    try discardBulk(row, db)
    // Sorting takes as much memory again as the cache has.
    try Self.setCache(Self.writerCacheKilobytes, db)
    for index in indexes { try db.execute(sql: index.sql) }
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
