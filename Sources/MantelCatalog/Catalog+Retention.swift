internal import GRDB
package import MantelCore

// What the own library keeps of replaced files, and what nobody has of it.
extension Catalog {
  package func replacedEntries(
    kinds: Set<EntryKind>, after: EntryKey?, limit: Int
  ) throws(StoreError) -> [RetiredEntry] {
    try read { db in
      let codes = kinds.map { "\($0.rawValue)" }.sorted().joined(separator: ",")
      let start: [SQLValue] =
        after.map { [.folder($0.folder), .bytes($0.path)] } ?? [.null, .null]
      return try db.all(
        """
        SELECT \(EntryCoding.columns), t.noted, e.since, f.content IS e.content
        FROM library l CROSS JOIN entry e INDEXED BY entry_by_path ON e.library = l.machine
          LEFT JOIN retirement t ON t.entry = e.id
          LEFT JOIN first_version f ON f.folder = e.folder AND f.path = e.path
        WHERE l.machine = ?1 AND (e.folder, e.path) > (coalesce(?2, x''), coalesce(?3, x''))
          AND e.state = 1 AND e.reason = \(EntryState.RetireReason.replaced.rawValue)
          AND e.kind IN (\(codes)) AND \(EntryCoding.isInstalled)
        ORDER BY e.folder, e.path, e.since, e.state_time LIMIT ?4
        """, [.int(ownRef)] + start + [.int(limit)]
      ) { row in
        let (id, entry) = try row.entry()
        let noted = EntryCoding.columnCount
        return RetiredEntry(
          id: id, entry: entry,
          noted: row.isNull(noted) ? nil : AgentTime(nanoseconds: try row.integer(noted)),
          since: try row.integer(noted + 1), isFirst: try row.flag(noted + 2))
      }
    }
  }

  package func noteRetired(_ ids: [EntryID], at time: AgentTime) throws(StoreError) {
    try write { db in
      for id in ids {
        try db.run(
          "INSERT INTO retirement (entry, noted) VALUES (?, ?) ON CONFLICT DO NOTHING",
          [.id(id), .int(time.nanoseconds)])
      }
    }
  }

  package func purgeRetirements(after: EntryID?, limit: Int) throws(StoreError) -> EntryID? {
    try write { db in
      let ids = try db.all(
        "SELECT entry FROM retirement WHERE entry > coalesce(?, x'') ORDER BY entry LIMIT ?",
        [.digest(after?.digest), .int(limit)]
      ) { try $0.id(0) as EntryID }
      for id in ids {
        let isNamed = try db.exists(
          """
          SELECT 1 FROM library l CROSS JOIN entry e ON e.library = l.machine
          WHERE l.machine = ? AND e.id = ? AND \(EntryCoding.isInstalled)
          """, [.int(ownRef), .id(id)])
        if !isNamed { try db.run("DELETE FROM retirement WHERE entry = ?", [.id(id)]) }
      }
      return ids.count == limit ? ids.last : nil
    }
  }

  package func noteFirstVersions(ofPathsOf ids: [EntryID]) throws(StoreError) {
    try write { db in
      for id in ids {
        try db.run(
          """
          INSERT INTO first_version (folder, path, content)
          SELECT e.folder, e.path, e.content
          FROM (SELECT folder, path FROM entry WHERE library = ?1 AND id = ?2 LIMIT 1) p
            CROSS JOIN entry e INDEXED BY entry_by_path
            ON e.library = ?1 AND e.folder = p.folder AND e.path = p.path
          WHERE e.state <= 1 ORDER BY e.since, e.state DESC, e.state_time LIMIT 1
          ON CONFLICT DO NOTHING
          """, [.int(ownRef), .id(id)])
      }
    }
  }

  package func expired(since day: Int64) throws(StoreError) -> Int {
    try read { db in
      try db.row("SELECT coalesce(sum(entries), 0) FROM expiry WHERE day >= ?", [.int(day)]).map {
        Int(try $0.integer(0))
      } ?? 0
    }
  }

  package func addExpired(_ contents: [ContentID], day: Int64) throws(StoreError) {
    guard !contents.isEmpty else { return }
    try write { db in
      for content in contents {
        try db.run("INSERT INTO expired_content (content) VALUES (?) ON CONFLICT DO NOTHING", [.id(content)])
      }
      try db.run(
        "INSERT INTO expiry (day, entries) VALUES (?, ?) ON CONFLICT DO UPDATE SET entries = entries + excluded.entries",
        [.int(day), .int(contents.count)])
    }
  }

  package func hasExpired(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in try db.exists("SELECT 1 FROM expired_content WHERE content = ?", [.id(content)]) }
  }

  // MARK: What nobody has

  package func absences() throws(StoreError) -> [ContentID: AgentTime] {
    try read { db in
      var absences: [ContentID: AgentTime] = [:]
      let rows = try db.rows("SELECT content, since FROM absence")
      while let row = try rows.next() {
        absences[try row.id(0)] = AgentTime(nanoseconds: try row.integer(1))
      }
      return absences
    }
  }

  package func setAbsences(_ since: [ContentID: AgentTime], ended: [ContentID]) throws(StoreError) {
    try write { db in
      for content in ended { try db.run("DELETE FROM absence WHERE content = ?", [.id(content)]) }
      for (content, time) in since {
        try db.run(
          "INSERT INTO absence (content, since) VALUES (?, ?) ON CONFLICT DO NOTHING",
          [.id(content), .int(time.nanoseconds)])
      }
    }
  }

  package func isLost(_ content: ContentID) throws(StoreError) -> Bool {
    try read { db in try db.exists("SELECT 1 FROM lost_content WHERE content = ?", [.id(content)]) }
  }

  package func lostContents(limit: Int) throws(StoreError) -> [ContentID] {
    try read { db in
      try db.all("SELECT content FROM lost_content ORDER BY content LIMIT ?", [.int(limit)]) { try $0.id(0) }
    }
  }

  package func unheldContents(_ library: MachineID, limit: Int) throws(StoreError) -> [ContentID] {
    try read { db in
      try db.all(
        """
        SELECT DISTINCT e.content
        FROM machine m CROSS JOIN library l ON l.machine = m.ref
          CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE m.id = ? AND e.state = 2 AND \(EntryCoding.isInstalled) ORDER BY e.content LIMIT ?
        """, [.id(library), .int(limit)]
      ) { try $0.id(0) }
    }
  }

  package func lostCounts() throws(StoreError) -> LostContents {
    try read { db in
      try db.row("SELECT count(*), coalesce(sum(1 - is_acknowledged), 0) FROM lost_content").map {
        LostContents(all: Int(try $0.integer(0)), open: Int(try $0.integer(1)))
      } ?? LostContents()
    }
  }

  package func putLost(_ contents: [ContentID]) throws(StoreError) {
    try write { db in
      for content in contents {
        try db.run("INSERT INTO lost_content (content) VALUES (?) ON CONFLICT DO NOTHING", [.id(content)])
      }
    }
  }

  package func removeLost(_ contents: [ContentID]) throws(StoreError) {
    try write { db in
      for content in contents {
        try db.run("DELETE FROM lost_content WHERE content = ?", [.id(content)])
      }
    }
  }

  package func acknowledgeLost() throws(StoreError) {
    try write { db in try db.run("UPDATE lost_content SET is_acknowledged = 1 WHERE is_acknowledged = 0") }
  }
}
