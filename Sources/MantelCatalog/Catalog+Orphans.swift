internal import GRDB
package import MantelCore

/// What fell out of a library without a word of its owner: see `CatalogSchema.orphans`.
extension Catalog {
  package func orphans() throws(StoreError) -> [MachineID: OrphanedContents] {
    try read { db in
      let counts = try db.all(
        """
        SELECT m.id, count(*), sum(1 - o.is_acknowledged)
        FROM orphan o CROSS JOIN library l ON l.machine = o.library CROSS JOIN machine m ON m.ref = o.library
        WHERE l.is_closed = 0 GROUP BY m.id
        """
      ) { (library: try $0.id(0) as MachineID, count: try Self.orphans(in: $0, at: 1)) }
      return Dictionary(uniqueKeysWithValues: counts.map { ($0.library, $0.count) })
    }
  }

  package func orphans(in library: MachineID) throws(StoreError) -> OrphanedContents {
    try read { db in
      guard let row = try self.library(library, db), !row.isClosed else { return OrphanedContents() }
      return try db.row(
        "SELECT count(*), coalesce(sum(1 - is_acknowledged), 0) FROM orphan WHERE library = ?",
        [.int(row.ref)]
      ).map { try Self.orphans(in: $0, at: 0) } ?? OrphanedContents()
    }
  }

  private static func orphans(in row: ResultRow, at column: Int) throws -> OrphanedContents {
    OrphanedContents(files: Int(try row.integer(column)), open: Int(try row.integer(column + 1)))
  }

  package func acknowledgeOrphans() throws(StoreError) {
    try write { db in try db.run("UPDATE orphan SET is_acknowledged = 1 WHERE is_acknowledged = 0") }
  }

  package func lastHead(orphanedIn library: MachineID) throws(StoreError) -> Signed<Head>? {
    try read { db in
      guard let row = try self.library(library, db) else { return nil }
      let found = try db.row(
        """
        SELECT h.bytes FROM orphan o CROSS JOIN head h ON h.library = o.library AND h.generation = o.generation
        WHERE o.library = ? ORDER BY o.generation DESC LIMIT 1
        """, [.int(row.ref)])
      return try found.map { try Signed<Head>(bytes: try $0.bytes(0)) }
    }
  }

  package func orphanedEntries(_ library: MachineID) throws(StoreError) -> [Entry] {
    try read { db in
      guard let row = try self.library(library, db) else { return [] }
      return try db.all(
        """
        SELECT \(EntryCoding.columns)
        FROM orphan o CROSS JOIN entry e INDEXED BY entry_by_content
          ON e.library = o.library AND e.content = o.content
        WHERE o.library = ? AND e.until = o.generation + 1 AND e.state <= 1 ORDER BY e.id
        """, [.int(row.ref)]
      ) { try $0.entry().entry }
    }
  }

  /// After an install, or a publication: what it names is no orphan (any more), and what it took away without leaving
  /// anything that names the content is one.
  func noteOrphans(_ row: LibraryRow, _ db: Database) throws {
    try db.run(
      """
      DELETE FROM orphan WHERE library = ?1 AND EXISTS (
        SELECT 1 FROM entry e INDEXED BY entry_by_content
        WHERE e.library = ?1 AND e.content = orphan.content AND e.until = 0)
      """, [.int(row.ref)])
    try db.run(
      """
      INSERT INTO orphan (library, content, generation)
      SELECT DISTINCT g.library, g.content, ?2 - 1 FROM entry g INDEXED BY entry_by_until
      WHERE g.library = ?1 AND g.until = ?2 AND g.until <> 0 AND g.state <= 1 AND NOT EXISTS (
        SELECT 1 FROM entry e INDEXED BY entry_by_content
        WHERE e.library = ?1 AND e.content = g.content AND e.until = 0)
      """, [.int(row.ref), .int(row.installed)])
  }
}
