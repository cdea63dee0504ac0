internal import GRDB
package import MantelCore

extension Catalog {
  /// Ids or contents read between two calls of a callback.
  static let scanPage = 4_096

  package func forEachEntryID(_ library: MachineID, _ body: (EntryID) -> Void) throws(StoreError) {
    try scan(library) { row, after, db in
      try db.all(
        """
        SELECT id FROM entry
        WHERE library = ?1 AND id > coalesce(?3, x'') AND since <= ?2 AND (until = 0 OR until > ?2)
        ORDER BY id LIMIT ?4
        """, [.int(row.ref), .int(row.installed), .digest(after), .int(Self.scanPage)]
      ) { try $0.digest(0) }
    } next: {
      $0
    } body: {
      body(EntryID($0))
    }
  }

  package func forEachWanted(
    _ library: MachineID, _ body: (_ content: ContentID, _ isLive: Bool) -> Void
  ) throws(StoreError) {
    var last: Digest256?
    try scan(library) { row, after, db in
      // Rows of one content stand together in the index, the live ones first. SQLite would take twice the time to group them.
      try db.all(
        """
        SELECT content, state FROM entry INDEXED BY entry_by_content
        WHERE library = ?1 AND content > coalesce(?3, x'') AND state <= 1
          AND since <= ?2 AND (until = 0 OR until > ?2)
        ORDER BY content, state LIMIT ?4
        """, [.int(row.ref), .int(row.installed), .digest(after), .int(Self.scanPage)]
      ) { (content: try $0.digest(0), isLive: try $0.integer(1) == 0) }
    } next: {
      $0.content
    } body: { item in
      guard item.content != last else { return }
      last = item.content
      body(ContentID(item.content), item.isLive)
    }
  }

  /// Calls `body` with every item of a library, page by page, each page a read of its own.
  private func scan<Item>(
    _ library: MachineID, page: (LibraryRow, Digest256?, Database) throws -> [Item],
    next: (Item) -> Digest256, body: (Item) -> Void
  ) throws(StoreError) {
    var after: Digest256?
    while true {
      let items = try read { db in
        guard let row = try self.library(library, db) else { return [Item]() }
        return try page(row, after, db)
      }
      items.forEach(body)
      guard items.count == Self.scanPage, let last = items.last else { return }
      after = next(last)
    }
  }

  package func liveEntry(_ library: MachineID, _ folder: FolderID, _ path: [UInt8])
    throws(StoreError) -> InstalledEntry?
  {
    try read { db in
      let found = try db.row(
        """
        SELECT \(EntryCoding.columns)
        FROM machine m CROSS JOIN library l ON l.machine = m.ref
          CROSS JOIN entry e INDEXED BY entry_by_path ON e.library = l.machine
        WHERE m.id = ? AND e.folder = ? AND e.path = ? AND e.state = 0 AND \(EntryCoding.isInstalled)
        LIMIT 1
        """, [.id(library), .folder(folder), .bytes(path)])
      guard let (id, entry) = try found?.entry() else { return nil }
      return InstalledEntry(library: library, id: id, entry: entry)
    }
  }

  package func entries(_ library: MachineID, of content: ContentID) throws(StoreError)
    -> [InstalledEntry]
  {
    try read { db in
      try Self.wantedEntries(of: content, "m.id = ?2", [.id(library)], db)
    }
  }

  package func entries(_ library: MachineID, at key: EntryKey) throws(StoreError) -> [InstalledEntry] {
    try read { db in
      try db.all(
        """
        SELECT \(EntryCoding.columns)
        FROM machine m CROSS JOIN library l ON l.machine = m.ref
          -- A path has few versions; a content may have ten thousands of paths.
          CROSS JOIN entry e INDEXED BY entry_by_path ON e.library = l.machine
        WHERE m.id = ?1 AND e.content = ?2 AND e.state <= 2 AND e.folder = ?3 AND e.path = ?4
          AND \(EntryCoding.isInstalled)
        ORDER BY e.id
        """, [.id(library), .id(key.content), .folder(key.folder), .bytes(key.path)]
      ) { row in
        let (id, entry) = try row.entry()
        return InstalledEntry(library: library, id: id, entry: entry)
      }
    }
  }

  package func formerEntries(_ library: MachineID, of content: ContentID) throws(StoreError)
    -> [InstalledEntry]
  {
    try read { db in
      try db.all(
        """
        SELECT \(EntryCoding.columns)
        FROM machine m CROSS JOIN library l ON l.machine = m.ref
          CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE m.id = ? AND e.content = ? AND e.state IN (1, 2) AND \(EntryCoding.isInstalled)
        ORDER BY e.id
        """, [.id(library), .id(content)]
      ) { row in
        let (id, entry) = try row.entry()
        return InstalledEntry(library: library, id: id, entry: entry)
      }
    }
  }

  /// Retired ones of the own library too: an entry of the own library is wanted here only while it is live, which is
  /// the caller's to tell.
  package func entries(of content: ContentID) throws(StoreError) -> [InstalledEntry] {
    try read { db in
      try Self.wantedEntries(of: content, "l.is_closed = 0", [], db)
    }
  }

  package func isWanted(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in
      try db.exists(
        """
        SELECT 1 FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE l.is_closed = 0 AND e.content = ?1 AND e.state <= (l.machine <> ?2) AND \(EntryCoding.isInstalled)
        LIMIT 1
        """, [.id(content), .int(ownRef)])
    }
  }

  /// By library and id.
  private static func wantedEntries(
    of content: ContentID, _ libraries: String, _ values: [SQLValue], _ db: Database
  ) throws -> [InstalledEntry] {
    let entries = try db.all(
      """
      SELECT m.id, \(EntryCoding.columns)
      FROM library l CROSS JOIN machine m ON m.ref = l.machine
        CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
      WHERE \(libraries) AND e.content = ?1 AND e.state <= 1 AND \(EntryCoding.isInstalled)
      """, [.id(content)] + values
    ) { row in
      let (id, entry) = try row.entry(1)
      return InstalledEntry(library: try row.id(0), id: id, entry: entry)
    }
    // Mostly there is one, for which SQLite would set up its sorting all the same.
    guard entries.count > 1 else { return entries }
    return entries.sorted { ($0.library, $0.id) < ($1.library, $1.id) }
  }
}
