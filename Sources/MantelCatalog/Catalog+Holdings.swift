internal import GRDB
package import MantelCore

extension Catalog {
  /// Whether a file `f` of folder `d` counts as held: published, on a local filesystem, its folder not removed.
  static let isHeldFile = "f.status = 1 AND d.is_local = 1 AND d.is_removed = 0"

  /// Ascending, without repeats.
  package func forEachHeld(_ body: (ContentID) -> Void) throws(StoreError) {
    var after: Digest256?
    while true {
      let page = try read { db in
        try db.all(
          """
          SELECT content FROM replica_file WHERE content > coalesce(?1, x'')
          UNION
          SELECT f.content FROM file f CROSS JOIN folder d ON d.id = f.folder
          WHERE f.content > coalesce(?1, x'') AND \(Self.isHeldFile)
          ORDER BY 1 LIMIT ?2
          """, [.digest(after), .int(Self.scanPage)]
        ) { try $0.digest(0) }
      }
      for content in page { body(ContentID(content)) }
      guard page.count == Self.scanPage else { return }
      after = page.last
    }
  }

  package func missing(after: MissingPosition?, limit: Int) throws(StoreError) -> (
    contents: [MissingContent], next: MissingPosition?
  ) {
    try read { db in
      let start = after ?? MissingPosition()
      var position = start
      var page: [MissingContent] = []
      var seen: Set<ContentID> = []
      // What a library does not fill of its part is for the others.
      var unread = try self.othersLibraries(db).filter { !start.ended.contains($0.machine) }
      while !unread.isEmpty, page.isEmpty || limit - page.count >= unread.count {
        let part = max(1, (limit - page.count) / unread.count)
        var more: [(ref: Int64, machine: MachineID)] = []
        for library in unread {
          let rows = try Self.missing(of: library.ref, after: position.last[library.machine], part, db)
          if let last = rows.last { position.pass(last) }
          if rows.count == part { more.append(library) } else { position.end(library.machine) }
          for row in rows where seen.insert(row.content).inserted {
            if try !Self.hasPassed(row, start, db) { page.append(row) }
          }
        }
        unread = more
      }
      return (page, page.isEmpty ? nil : position)
    }
  }

  /// The open ones, those that were known first before the others.
  private func othersLibraries(_ db: Database) throws -> [(ref: Int64, machine: MachineID)] {
    try db.all(
      """
      SELECT l.machine, m.id FROM library l CROSS JOIN machine m ON m.ref = l.machine
      WHERE l.is_closed = 0 AND l.machine <> ? ORDER BY l.machine
      """, [.int(ownRef)]
    ) { (ref: try $0.integer(0), machine: try $0.id(1)) }
  }

  /// Whether an earlier page has had the content, from another library.
  private static func hasPassed(
    _ missing: MissingContent, _ position: MissingPosition, _ db: Database
  ) throws -> Bool {
    guard position.last.keys.contains(where: { $0 != missing.library }) else { return false }
    let newest = try db.rows(
      """
      SELECT m.id, n.mtime
      FROM library l CROSS JOIN machine m ON m.ref = l.machine
        CROSS JOIN entry n ON n.ref = (
          SELECT e.ref FROM entry e INDEXED BY entry_lacking_content
          WHERE e.library = l.machine AND e.content = ? AND e.lacking = 1 AND \(EntryCoding.isInstalled)
          ORDER BY e.mtime DESC LIMIT 1)
      """, [.id(missing.content)])
    while let row = try newest.next() {
      if position.hasPassed(missing.content, try row.integer(1), in: try row.id(0)) { return true }
    }
    return false
  }

  package func missingContent(_ content: ContentID) throws(StoreError) -> MissingContent? {
    try read { db in
      try db.row(
        """
        SELECT \(Self.missingColumns)
        FROM library l CROSS JOIN entry e INDEXED BY entry_lacking_content ON e.library = l.machine
          CROSS JOIN machine m ON m.ref = l.machine
        WHERE e.content = ? AND e.lacking = 1 AND \(EntryCoding.isInstalled)
        ORDER BY e.mtime DESC, e.ref LIMIT 1
        """, [.id(content)]
      )?.missingContent()
    }
  }

  package func claims(of content: ContentID) throws(StoreError) -> [MissingContent] {
    // One row of each library: it may name a content a million times.
    try read { db in
      try db.all(
        """
        SELECT \(Self.missingColumns)
        FROM library l CROSS JOIN entry e ON e.ref = (
            SELECT c.ref FROM entry c INDEXED BY entry_by_content
            WHERE c.library = l.machine AND c.content = ?1 AND c.state <= 2
              AND c.since <= l.installed AND (c.until = 0 OR c.until > l.installed)
            LIMIT 1)
          CROSS JOIN machine m ON m.ref = l.machine
        ORDER BY l.machine <> ?2, l.machine
        """, [.id(content), .int(ownRef)]
      ) { try $0.missingContent() }
    }
  }

  /// Of the own library the live contents without a held file. A content of another library that only an own folder has
  /// is held, though `missing(after:limit:)` lists it until the replica has it too.
  package func missing(in library: MachineID, limit: Int) throws(StoreError) -> (
    count: Int, bytes: UInt64, contents: [ContentID]
  ) {
    try read { db in
      guard let row = try self.library(library, db) else { return (0, 0, []) }
      let cursor = try db.rows(
        """
        SELECT e.content, max(e.size)
        FROM entry e INDEXED BY \(row.isOwn ? "entry_by_content" : "entry_lacking_content")
        WHERE e.library = ?1 AND \(row.isOwn ? "e.state = 0" : "e.lacking = 1")
          AND e.since <= ?2 AND (e.until = 0 OR e.until > ?2)
          AND NOT EXISTS (
            SELECT 1 FROM file f CROSS JOIN folder d ON d.id = f.folder
            WHERE f.content = e.content AND \(Self.isHeldFile))
          \(row.isOwn ? "AND NOT EXISTS (SELECT 1 FROM replica_file r WHERE r.content = e.content)" : "")
        GROUP BY e.content ORDER BY e.content
        """, [.int(row.ref), .int(row.installed)])
      var (count, bytes, contents) = (0, UInt64(0), [ContentID]())
      while let row = try cursor.next() {
        count += 1
        bytes += try row.bits(1)
        if contents.count < limit { contents.append(try row.id(0)) }
      }
      return (count, bytes, contents)
    }
  }

  /// Without repeats; those of a library's older heads first.
  package func unfiled(limit: Int) throws(StoreError) -> [ContentID] {
    try read { db in
      var contents: [ContentID] = []
      var seen: Set<ContentID> = []
      for (index, mark, generation) in [
        ("entry_came", "came", "since"), ("entry_went", "went", "until"),
      ] {
        let cursor = try db.rows(
          """
          SELECT e.content FROM library l CROSS JOIN entry e INDEXED BY \(index) ON e.library = l.machine
          WHERE e.\(mark) = 1 AND e.\(generation) <= l.installed
          ORDER BY l.machine, e.\(generation)
          """)
        while contents.count < limit, let row = try cursor.next() {
          let content: ContentID = try row.id(0)
          if seen.insert(content).inserted { contents.append(content) }
        }
      }
      return contents
    }
  }

  package func commitFiling(put: [ReplicaFile], removed: [[UInt8]], filed: [ContentID])
    throws(StoreError)
  {
    try write { db in try self.commitFiling(put: put, removed: removed, filed: filed, db) }
  }

  package func commitFiling(
    put: [ReplicaFile], removed: [[UInt8]], filed: [ContentID], journal: [UInt8]?
  ) throws(StoreError) {
    try write { db in
      try self.commitFiling(put: put, removed: removed, filed: filed, db)
      try Self.set(.filingJournal, journal, db)
    }
  }

  private func commitFiling(
    put: [ReplicaFile], removed: [[UInt8]], filed: [ContentID], _ db: Database
  ) throws {
    var touched: Set<ContentID> = []
    for path in removed {
      guard let content = try Self.content(at: path, db) else { continue }
      try db.run("DELETE FROM replica_file WHERE path = ?", [.bytes(path)])
      touched.insert(content)
    }
    // Their files were put just now, and not replaced since: that needs no look.
    var came: Set<ContentID> = []
    var libraries: [MachineID: Int64] = [:]
    for file in put {
      let library = try libraries[file.library] ?? Self.ensureRef(of: file.library, db)
      libraries[file.library] = library
      if let before = try Self.put(file, of: library, db) {
        touched.insert(before)
        came.remove(before)
      }
      touched.insert(file.content)
      came.insert(file.content)
    }
    for content in filed {
      var isThere = came.contains(content)
      if !isThere, touched.contains(content) { isThere = try Self.hasReplicaFile(content, db) }
      if isThere {
        touched.remove(content)
        try Self.markFiledAndThere(content, db)
      } else {
        try Self.markFiled(content, db)
      }
    }
    for content in touched { try updateLacking(content, db) }
  }

  package func fileAbsent(limit: Int) throws(StoreError) -> Int {
    try write { db in
      var found = 0
      for (mark, generation) in [("came", "since"), ("went", "until")] where found < limit {
        // In one statement, which takes half the time. OR FAIL: what it has done is not taken back alone, so that SQLite keeps
        // no page of before; an error fails the transaction all the same.
        try db.run(
          """
          UPDATE OR FAIL entry SET \(mark) = 0 WHERE ref IN (
            SELECT e.ref
            FROM library l CROSS JOIN entry e INDEXED BY entry_\(mark) ON e.library = l.machine
            WHERE e.\(mark) = 1 AND e.\(generation) > 0 AND e.\(generation) <= l.installed
              AND NOT EXISTS (SELECT 1 FROM replica_file r WHERE r.content = e.content)
              AND NOT EXISTS (SELECT 1 FROM file f WHERE f.content = e.content AND f.status = 1)
            LIMIT ?)
          """, [.int(limit - found)])
        found += db.changesCount
      }
      return found
    }
  }

  private static let missingColumns = "e.content, e.size, e.manifest, e.mtime, m.id"

  /// Of one library, newest first, after one of them.
  private static func missing(
    of library: Int64, after: MissingContent?, _ limit: Int, _ db: Database
  ) throws -> [MissingContent] {
    guard let after else { return try missing(of: library, "TRUE", [], limit, db) }
    // Contents of the same time first, then the older ones: one condition for both would walk over all of the same
    // time again and again.
    var page = try missing(
      of: library, "e.mtime = ? AND e.content > ?", [.int(after.mtime), .id(after.content)], limit, db)
    if page.count < limit {
      page += try missing(of: library, "e.mtime < ?", [.int(after.mtime)], limit - page.count, db)
    }
    return page
  }

  /// Each content once, at the library's newest entry of it (of equal ones the row that came first).
  private static func missing(
    of library: Int64, _ condition: String, _ values: [SQLValue], _ limit: Int, _ db: Database
  ) throws -> [MissingContent] {
    func hasNewer(_ comparison: String) -> String {
      """
      EXISTS (
        SELECT 1 FROM entry n INDEXED BY entry_lacking_content
        WHERE n.library = e.library AND n.content = e.content AND n.lacking = 1 AND \(comparison)
          AND n.since <= l.installed AND (n.until = 0 OR n.until > l.installed))
      """
    }
    // CASE keeps SQLite from looking for newer entries before it knows that the row is installed at all.
    return try db.all(
      """
      SELECT \(missingColumns)
      FROM entry e INDEXED BY entry_lacking_newest CROSS JOIN library l ON l.machine = e.library
        CROSS JOIN machine m ON m.ref = l.machine
      WHERE e.library = ? AND e.lacking = 1 AND \(condition) AND CASE WHEN \(EntryCoding.isInstalled)
        THEN NOT \(hasNewer("n.mtime > e.mtime")) AND NOT \(hasNewer("n.mtime = e.mtime AND n.ref < e.ref")) END
      ORDER BY e.mtime DESC, e.content LIMIT ?
      """, [.int(library)] + values + [.int(limit)]
    ) { try $0.missingContent() }
  }

  /// Lets the marks of the rows that want a content follow whether the replica has it.
  func updateLacking(_ content: ContentID, _ db: Database) throws {
    if try Self.hasReplicaFile(content, db) {
      try Self.setEntries(
        "lacking = 0",
        where: """
          SELECT e.ref FROM library l CROSS JOIN entry e INDEXED BY entry_lacking_content ON e.library = l.machine
          WHERE e.content = ? AND e.lacking = 1
          """, [.id(content)], db)
    } else {
      try Self.setEntries(
        "lacking = 1",
        where: """
          SELECT e.ref FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
          WHERE l.is_closed = 0 AND l.machine <> ?2 AND e.content = ?1 AND e.state <= 1
            AND (e.until = 0 OR e.until > l.installed) AND e.lacking = 0
          """, [.id(content), .int(ownRef)], db)
    }
  }

  /// Changes the rows of `entry` that a query names, one by one: a statement for several of them would keep what its pages had
  /// before in a temporary file, in case it has to take half of its work back. Mostly it is one row.
  private static func setEntries(
    _ assignments: String, where query: String, _ values: [SQLValue], _ db: Database
  ) throws {
    for row in try db.all(query, values, { try $0.integer(0) }) {
      try db.run("UPDATE entry SET \(assignments) WHERE ref = ?", [.int(row)])
    }
  }

  private static func hasReplicaFile(_ content: ContentID, _ db: Database) throws -> Bool {
    try db.exists("SELECT 1 FROM replica_file WHERE content = ? LIMIT 1", [.id(content)])
  }

  /// What `updateLacking` and `markFiled` do for a content with a replica file, in one pass over its rows: that is what
  /// becomes of most contents.
  private static func markFiledAndThere(_ content: ContentID, _ db: Database) throws {
    // The query has the library's row at hand: an update that looked for it would do so for each mark.
    let rows = try db.all(
      """
      SELECT e.ref, e.came AND e.since > l.installed, e.went AND e.until > l.installed
      FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
      WHERE e.content = ? AND (e.lacking = 1 OR e.came = 1 OR e.went = 1)
      """, [.id(content)]
    ) { (ref: try $0.integer(0), came: try $0.integer(1), went: try $0.integer(2)) }
    for row in rows {
      try db.run(
        "UPDATE entry SET lacking = 0, came = ?, went = ? WHERE ref = ?",
        [.int(row.came), .int(row.went), .int(row.ref)])
    }
  }

  /// Rows that are only staged keep their marks: they are filed after they were installed.
  private static func markFiled(_ content: ContentID, _ db: Database) throws {
    for (mark, generation) in [("came", "since"), ("went", "until")] {
      try setEntries(
        "\(mark) = 0",
        where: """
          SELECT e.ref FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
          WHERE e.content = ? AND e.\(mark) = 1 AND e.\(generation) <= l.installed
          """, [.id(content)], db)
    }
  }
}

extension ResultRow {
  /// Reads content, size, manifest, mtime and the library's machine.
  fileprivate func missingContent() throws -> MissingContent {
    MissingContent(
      content: try id(0), size: try bits(1), manifest: try optionalDigest(2),
      mtime: try integer(3), library: try id(4))
  }
}
