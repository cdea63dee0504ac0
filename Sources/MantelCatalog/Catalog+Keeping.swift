internal import GRDB
package import MantelCore

extension ReplicaCoding {
  /// `mark` and `trashed`.
  static func values(of mark: DropMark?) -> [SQLValue] {
    switch mark {
    case nil: [.null, .null]
    case .held: [.int(0), .null]
    case .confirmed: [.int(1), .null]
    case .trashed(let since, let isConfirmed): [.int(isConfirmed ? 3 : 2), .int(since.nanoseconds)]
    }
  }
}

extension ResultRow {
  /// Reads `mark` and `trashed`.
  func dropMark(_ column: Int) throws -> DropMark? {
    guard !isNull(column) else { return nil }
    switch try integer(column) {
    case 0: return .held
    case 1: return .confirmed
    case let code where code == 2 || code == 3:
      return .trashed(since: AgentTime(nanoseconds: try integer(column + 1)), isConfirmed: code == 3)
    default: throw StoreError.damaged("a mark")
    }
  }

  /// Reads entry, forgotten and bytes.
  fileprivate func forgottenEntry() throws -> ForgottenEntry {
    guard let entry = try? Entry(canonicalBytes: try bytes(2)) else {
      throw StoreError.damaged("a forgotten entry")
    }
    return ForgottenEntry(
      id: try id(0), entry: entry, forgotten: AgentTime(nanoseconds: try integer(1)))
  }
}

// MARK: - The own library

extension Catalog {
  package func putForgotten(_ entries: [ForgottenEntry]) throws(StoreError) {
    try write { db in
      for forgotten in entries {
        try db.run(
          """
          INSERT INTO forgotten (entry, content, forgotten, bytes) VALUES (?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET forgotten = excluded.forgotten
          """,
          [
            .id(forgotten.id), .id(forgotten.entry.content), .int(forgotten.forgotten.nanoseconds),
            .bytes(forgotten.entry.canonicalBytes),
          ])
      }
    }
  }

  package func removeForgotten(_ ids: [EntryID]) throws(StoreError) {
    try write { db in
      for id in ids { try db.run("DELETE FROM forgotten WHERE entry = ?", [.id(id)]) }
    }
  }

  package func forgotten(after: EntryID?, limit: Int) throws(StoreError) -> [ForgottenEntry] {
    try read { db in
      try db.all(
        "SELECT entry, forgotten, bytes FROM forgotten WHERE entry > coalesce(?, x'') ORDER BY entry LIMIT ?",
        [.digest(after?.digest), .int(limit)]
      ) { try $0.forgottenEntry() }
    }
  }

  package func forgotten(_ id: EntryID) throws(StoreError) -> ForgottenEntry? {
    try read { db in
      try db.row("SELECT entry, forgotten, bytes FROM forgotten WHERE entry = ?", [.id(id)])?
        .forgottenEntry()
    }
  }

  package func isForgotten(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in try db.exists("SELECT 1 FROM forgotten WHERE content = ? LIMIT 1", [.id(content)]) }
  }

  package func wasLiveBeforeRekey(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in try db.exists("SELECT 1 FROM live_before_rekey WHERE content = ?", [.id(content)]) }
  }

  package func forgotten(of content: ContentID) throws(StoreError) -> [ForgottenEntry] {
    try read { db in
      try db.all(
        "SELECT entry, forgotten, bytes FROM forgotten WHERE content = ? ORDER BY entry", [.id(content)]
      ) { try $0.forgottenEntry() }
    }
  }

  package func forgottenFiles(of content: ContentID) throws(StoreError) -> [LedgerFile] {
    try read { db in
      try db.all(
        """
        SELECT \(LedgerCoding.columns) FROM file WHERE content = ? AND status = \(LedgerCoding.skipped)
        ORDER BY folder, path
        """, [.id(content)]
      ) { try $0.ledgerFile() }
    }.filter { $0.status == .skipped(.forgotten) }
  }

  package func forgottenContents(since: AgentTime?, limit: Int) throws(StoreError) -> [ContentID] {
    try read { db in
      try db.all(
        """
        SELECT content FROM forgotten WHERE forgotten >= ?
        GROUP BY content ORDER BY max(forgotten) DESC, content LIMIT ?
        """, [.int(since?.nanoseconds ?? 0), .int(limit)]
      ) { try $0.id(0) }
    }
  }

  package func droppedEntries(_ library: MachineID, of content: ContentID) throws(StoreError)
    -> [InstalledEntry]
  {
    try read { db in
      try db.all(
        """
        SELECT \(EntryCoding.columns)
        FROM machine m CROSS JOIN library l ON l.machine = m.ref
          CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE m.id = ? AND e.content = ? AND e.state = 3 AND \(EntryCoding.isInstalled)
        ORDER BY e.id
        """, [.id(library), .id(content)]
      ) { row in
        let (id, entry) = try row.entry()
        return InstalledEntry(library: library, id: id, entry: entry)
      }
    }
  }
}

// MARK: - Kept libraries

extension Catalog {
  package func putForgotten(_ entries: [ForgottenEntry], in library: MachineID) throws(StoreError) {
    try write { db in
      let row = try ensureLibrary(library, db)
      for forgotten in entries {
        try db.run(
          """
          INSERT INTO kept_forgotten (library, entry, forgotten, bytes) VALUES (?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET forgotten = excluded.forgotten
          """,
          [
            .int(row.ref), .id(forgotten.id), .int(forgotten.forgotten.nanoseconds),
            .bytes(forgotten.entry.canonicalBytes),
          ])
      }
    }
  }

  package func removeForgotten(_ ids: [EntryID], in library: MachineID) throws(StoreError) {
    try write { db in
      guard let row = try self.library(library, db) else { return }
      for id in ids {
        try db.run("DELETE FROM kept_forgotten WHERE library = ? AND entry = ?", [.int(row.ref), .id(id)])
      }
    }
  }

  package func forgotten(
    in library: MachineID, after: EntryID?, limit: Int
  ) throws(StoreError) -> [ForgottenEntry] {
    try read { db in
      guard let row = try self.library(library, db) else { return [] }
      return try db.all(
        """
        SELECT entry, forgotten, bytes FROM kept_forgotten
        WHERE library = ? AND entry > coalesce(?, x'') ORDER BY entry LIMIT ?
        """, [.int(row.ref), .digest(after?.digest), .int(limit)]
      ) { try $0.forgottenEntry() }
    }
  }

  package func forgotten(_ id: EntryID, in library: MachineID) throws(StoreError) -> ForgottenEntry? {
    try read { db in
      guard let row = try self.library(library, db) else { return nil }
      return try db.row(
        "SELECT entry, forgotten, bytes FROM kept_forgotten WHERE library = ? AND entry = ?",
        [.int(row.ref), .id(id)])?.forgottenEntry()
    }
  }

  package func forgottenContents(
    in library: MachineID, since: AgentTime?, limit: Int
  ) throws(StoreError) -> [ContentID] {
    try read { db in
      guard let row = try self.library(library, db) else { return [] }
      let rows = try db.rows(
        """
        SELECT entry, forgotten, bytes FROM kept_forgotten INDEXED BY kept_forgotten_by_time
        WHERE library = ? AND forgotten >= ? ORDER BY forgotten DESC
        """, [.int(row.ref), .int(since?.nanoseconds ?? 0)])
      var (found, known): ([ContentID], Set<ContentID>) = ([], [])
      while found.count < limit, let row = try rows.next() {
        let content = try row.forgottenEntry().entry.content
        if known.insert(content).inserted { found.append(content) }
      }
      return found
    }
  }
}

// MARK: - Roles and releases

extension Catalog {
  package func markUnfiled() throws(StoreError) {
    try write { db in
      let others = try db.all(
        "SELECT machine FROM library WHERE machine <> ? AND is_closed = 0", [.int(ownRef)]
      ) {
        try $0.integer(0)
      }
      for library in others { try Self.setMarks(library: library, db) }
    }
  }

  package func markUnfiled(_ contents: [ContentID]) throws(StoreError) {
    guard !contents.isEmpty else { return }
    try write { db in
      for content in contents {
        // One row says it for all, of which there may be ten thousand.
        try db.run(
          """
          UPDATE entry SET came = 1 WHERE came = 0 AND ref = (
            SELECT e.ref FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
            WHERE l.machine <> ?2 AND l.is_closed = 0 AND e.content = ?1 AND \(EntryCoding.isInstalled)
              AND EXISTS (SELECT 1 FROM replica_file r WHERE r.content = ?1)
            LIMIT 1)
          """, [.id(content), .int(ownRef)])
      }
    }
  }

  package func replicaContents(after: ContentID?, limit: Int) throws(StoreError) -> [ReplicaContent] {
    try read { db in
      try db.all(
        """
        SELECT content, count(*), max(size) FROM replica_file INDEXED BY replica_file_by_content
        WHERE content > coalesce(?, x'') AND mark IS NULL GROUP BY content ORDER BY content LIMIT ?
        """, [.digest(after?.digest), .int(limit)]
      ) { ReplicaContent(content: try $0.id(0), files: Int(try $0.integer(1)), bytes: try $0.bits(2)) }
    }
  }
}

// MARK: - The replica

extension Catalog {
  package func droppers(of content: ContentID) throws(StoreError) -> [MachineID] {
    try read { db in
      let found = try db.all(
        """
        SELECT m.id, min(e.state)
        FROM library l CROSS JOIN machine m ON m.ref = l.machine
          CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE (l.machine <> ? OR e.state = 1) AND e.content = ? AND \(EntryCoding.isInstalled)
        GROUP BY m.id ORDER BY m.id
        """, [.int(ownRef), .id(content)]
      ) { (library: try $0.id(0) as MachineID, state: try $0.integer(1)) }
      guard try !db.exists("SELECT 1 FROM kept_drop WHERE content = ?", [.id(content)]) else { return [] }
      return found.contains { $0.state <= 2 } ? [] : found.map(\.library)
    }
  }

  package func takenOverContents() throws(StoreError) -> [ContentID] {
    try read { db in
      try db.all("SELECT DISTINCT content FROM replica_file WHERE library = ?", [.int(ownRef)]) {
        try $0.id(0)
      }
    }
  }

  package func trash() throws(StoreError) -> [MachineID: DroppedFiles] {
    try dropped("r.mark >= 2")
  }

  package func heldDrops() throws(StoreError) -> [MachineID: DroppedFiles] {
    try dropped("r.mark = 0")
  }

  package func unconfirmedTrash() throws(StoreError) -> [MachineID: DroppedFiles] {
    try dropped("r.mark = 2")
  }

  package func confirmedTrash() throws(StoreError) -> [MachineID: DroppedFiles] {
    try dropped("r.mark = 3")
  }

  private func dropped(_ condition: String) throws(StoreError) -> [MachineID: DroppedFiles] {
    try read { db in
      var dropped: [MachineID: DroppedFiles] = [:]
      let rows = try db.rows(
        """
        SELECT m.id, count(*), sum(r.size), min(r.trashed)
        FROM replica_file r INDEXED BY replica_file_marked CROSS JOIN machine m ON m.ref = r.library
        WHERE r.mark IS NOT NULL AND \(condition) GROUP BY m.id
        """)
      while let row = try rows.next() {
        dropped[try row.id(0)] = DroppedFiles(
          files: Int(try row.integer(1)), bytes: try row.bits(2),
          oldest: row.isNull(3) ? nil : AgentTime(nanoseconds: try row.integer(3)))
      }
      return dropped
    }
  }

  package func undecidedContents(of library: MachineID, withTrash: Bool) throws(StoreError) -> [ContentID] {
    try read { db in
      try db.all(
        """
        SELECT DISTINCT content FROM replica_file INDEXED BY replica_file_marked
        WHERE (mark = 0 OR mark = 2 AND ?) AND mark IS NOT NULL
          AND library = (SELECT ref FROM machine WHERE id = ?)
        ORDER BY content
        """, [.int(withTrash ? 1 : 0), .id(library)]
      ) { try $0.id(0) }
    }
  }

  package func countedDrops(
    of library: MachineID, since: AgentTime, withConfirmed: Bool
  ) throws(StoreError) -> Int {
    try read { db in
      try db.row(
        """
        SELECT count(DISTINCT r.content) FROM replica_file r INDEXED BY replica_file_marked
        WHERE r.mark IS NOT NULL AND (r.mark = 2 OR r.mark = 3 AND ?)
          AND r.library = (SELECT ref FROM machine WHERE id = ?) AND r.trashed > ?
        """, [.int(withConfirmed ? 1 : 0), .id(library), .int(since.nanoseconds)]
      ).map { Int(try $0.integer(0)) } ?? 0
    }
  }

  package func trashed(
    until: AgentTime, after: (since: AgentTime, content: ContentID)?, limit: Int
  ) throws(StoreError) -> [(since: AgentTime, content: ContentID)] {
    try read { db in
      try db.all(
        """
        SELECT trashed, content FROM replica_file INDEXED BY replica_file_trashed
        WHERE trashed IS NOT NULL AND trashed <= ?1 AND (trashed, content) > (?2, coalesce(?3, x''))
        ORDER BY trashed, content LIMIT ?4
        """,
        [
          .int(until.nanoseconds), .int(after?.since.nanoseconds ?? -1), .bytes(after?.content.bytes ?? []),
          .int(limit),
        ]
      ) { (AgentTime(nanoseconds: try $0.integer(0)), try $0.id(1)) }
    }
  }

  package func oldestTrashed(after: AgentTime?) throws(StoreError) -> AgentTime? {
    try read { db in
      try db.row(
        """
        SELECT trashed FROM replica_file INDEXED BY replica_file_trashed
        WHERE trashed IS NOT NULL AND trashed > ? ORDER BY trashed LIMIT 1
        """, [.int(after?.nanoseconds ?? -1)]
      ).map { AgentTime(nanoseconds: try $0.integer(0)) }
    }
  }

  package func confirmDrops(of library: MachineID) throws(StoreError) -> Int {
    try write { db in
      guard let ref = try Self.ref(of: library, db) else { return 0 }
      // The queue of what is to be filed survives a crash.
      try db.run(
        """
        UPDATE entry SET came = 1 WHERE ref IN (
          SELECT e.ref FROM replica_file r INDEXED BY replica_file_marked
            CROSS JOIN library l ON l.machine = r.library
            CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = r.library AND e.content = r.content
          WHERE r.mark = 0 AND r.library = ? AND e.state = 3 AND \(EntryCoding.isInstalled))
        """, [.int(ref)])
      try db.run("UPDATE replica_file SET mark = 3 WHERE mark = 2 AND library = ?", [.int(ref)])
      try db.run("UPDATE replica_file SET mark = 1 WHERE mark = 0 AND library = ?", [.int(ref)])
      return db.changesCount
    }
  }

  package func refuseDrops(of library: MachineID) throws(StoreError) -> Int {
    try write { db in
      guard let ref = try Self.ref(of: library, db) else { return 0 }
      try db.run(
        """
        INSERT INTO kept_drop (content)
        SELECT DISTINCT content FROM replica_file INDEXED BY replica_file_marked
        WHERE mark IN (0, 2) AND library = ? ON CONFLICT DO NOTHING
        """, [.int(ref)])
      try db.run(
        "UPDATE replica_file SET mark = NULL, trashed = NULL WHERE mark IN (0, 2) AND library = ?",
        [.int(ref)])
      return db.changesCount
    }
  }

  /// How many contents the user of this machine keeps although their library dropped them.
  package func refusedDropCount() throws(StoreError) -> Int {
    try read { db in Int(try db.row("SELECT count(*) FROM kept_drop")?.integer(0) ?? 0) }
  }

  /// The same contents, ascending.
  package func refusedDrops() throws(StoreError) -> [ContentID] {
    try read { db in try db.all("SELECT content FROM kept_drop ORDER BY content") { try $0.id(0) } }
  }

  package func isRefusedDrop(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in try db.exists("SELECT 1 FROM kept_drop WHERE content = ?", [.id(content)]) }
  }

  package func addRefusedDrops(_ contents: [ContentID]) throws(StoreError) {
    try write { db in
      for content in contents {
        try db.run("INSERT INTO kept_drop (content) VALUES (?) ON CONFLICT DO NOTHING", [.id(content)])
        try db.run(
          "UPDATE replica_file SET mark = NULL, trashed = NULL WHERE content = ? AND mark IN (0, 2)",
          [.id(content)])
      }
    }
  }
}
