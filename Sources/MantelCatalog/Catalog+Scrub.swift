internal import GRDB
package import MantelCore

// MARK: - What was read when

extension Catalog {
  package func replicaFiles(
    of library: MachineID?, verifiedBefore time: WallTime, after: RereadPosition?, limit: Int
  ) throws(StoreError) -> (files: [ReplicaFile], last: RereadPosition?) {
    try read { db in
      let position = after ?? RereadPosition(verified: .min, size: .min, ref: .min)
      var last: RereadPosition?
      let files = try db.all(
        """
        SELECT \(ReplicaCoding.columns), r.ref
        FROM replica_file r INDEXED BY replica_file_by_verified CROSS JOIN machine m ON m.ref = r.library
        WHERE r.verified < ?1 AND (r.verified, r.size, r.ref) > (?2, ?3, ?4) AND (?5 IS NULL OR m.id = ?5)
        ORDER BY r.verified, r.size, r.ref LIMIT ?6
        """,
        [
          .int(time.nanoseconds), .int(position.verified), .int(position.size), .int(position.ref),
          .digest(library?.digest), .int(limit),
        ]
      ) { row in
        let file = try row.replicaFile()
        last = RereadPosition(
          verified: file.verified.nanoseconds, size: Int64(bitPattern: file.stamp.size),
          ref: try row.integer(ReplicaCoding.columnCount))
        return file
      }
      return (files, last)
    }
  }

  package func replicaBacklog(of library: MachineID?, before time: WallTime) throws(StoreError)
    -> RereadBacklog
  {
    try read { db in
      try db.row(
        library == nil
          ? """
          SELECT count(*), coalesce(sum(size), 0), min(verified)
          FROM replica_file INDEXED BY replica_file_by_verified WHERE verified < ?1 AND ?2 IS NULL
          """
          : """
          SELECT count(*), coalesce(sum(r.size), 0), min(r.verified)
          FROM machine m CROSS JOIN replica_file r ON r.library = m.ref WHERE r.verified < ?1 AND m.id = ?2
          """, [.int(time.nanoseconds), .digest(library?.digest)]
      )?.backlog() ?? RereadBacklog()
    }
  }

  package func ownFiles(
    verifiedBefore time: WallTime, after: RereadPosition?, limit: Int
  ) throws(StoreError) -> (files: [LedgerFile], last: RereadPosition?) {
    try read { db in
      let position = after ?? RereadPosition(verified: .min, size: .min)
      var last: RereadPosition?
      let files = try db.all(
        """
        SELECT \(LedgerCoding.columns), verified FROM file INDEXED BY file_by_verified
        WHERE status = 1 AND verified < ?
          AND (verified, size, folder, path) > (?, ?, coalesce(?, x''), coalesce(?, x''))
          AND folder IN (SELECT id FROM folder WHERE is_removed = 0)
        ORDER BY verified, size, folder, path LIMIT ?
        """,
        [
          .int(time.nanoseconds), .int(position.verified), .int(position.size), .bytes(position.folder),
          .bytes(position.path), .int(limit),
        ]
      ) { row in
        let file = try row.ledgerFile()
        last = RereadPosition(
          verified: try row.integer(16), size: Int64(bitPattern: file.stamp.size),
          folder: file.folder.bytes, path: file.path)
        return file
      }
      return (files, last)
    }
  }

  package func ownBacklog(before time: WallTime) throws(StoreError) -> RereadBacklog {
    try read { db in
      try db.row(
        """
        SELECT count(*), coalesce(sum(size), 0), min(verified) FROM file INDEXED BY file_by_verified
        WHERE status = 1 AND verified < ? AND folder IN (SELECT id FROM folder WHERE is_removed = 0)
        """, [.int(time.nanoseconds)]
      )?.backlog() ?? RereadBacklog()
    }
  }

  package func setVerified(
    _ files: [VerifiedFile], own: [(folder: FolderID, path: [UInt8], content: ContentID)], at time: WallTime
  ) throws(StoreError) {
    try write { db in
      for file in files {
        try db.run(
          """
          UPDATE replica_file SET verified = max(verified, ?1) WHERE content = ?2 AND (path = ?3 OR inode = ?4)
          """, [.int(time.nanoseconds), .id(file.content), .bytes(file.path), .bits(file.inode)])
      }
      for file in own {
        try db.run(
          "UPDATE file SET verified = ? WHERE folder = ? AND path = ? AND content = ? AND status = 1",
          [.int(time.nanoseconds), .folder(file.folder), .bytes(file.path), .id(file.content)])
      }
    }
  }

  package func forgetVerifications(after time: WallTime) throws(StoreError) {
    let isNeeded = try read { db in
      try db.exists(
        """
        SELECT 1 FROM replica_file WHERE verified > ?1
        UNION ALL SELECT 1 FROM file INDEXED BY file_by_verified WHERE status = 1 AND verified > ?1 LIMIT 1
        """, [.int(time.nanoseconds)])
    }
    guard isNeeded else { return }
    try write { db in
      try db.run("UPDATE replica_file SET verified = 0 WHERE verified > ?", [.int(time.nanoseconds)])
      try db.run("UPDATE file SET verified = 0 WHERE status = 1 AND verified > ?", [.int(time.nanoseconds)])
    }
  }
}

extension ResultRow {
  fileprivate func backlog() throws -> RereadBacklog {
    let files = Int(try integer(0))
    return RereadBacklog(
      files: files, bytes: try bits(1),
      oldest: files == 0 ? nil : WallTime(nanoseconds: try integer(2)))
  }
}

// MARK: - What was wrong

extension Catalog {
  package func condemn(_ files: [BadFile]) throws(StoreError) {
    try write { db in
      for file in files {
        let (fault, errno) = Self.code(file.fault)
        try db.run("DELETE FROM replica_file WHERE path = ?", [.bytes(file.path)])
        try db.run(
          """
          INSERT INTO bad_file
            (path, library, entry, content, size, inode, fault, errno, found, aside, is_settled, healed)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          """,
          [
            .bytes(file.path), .int(try Self.ensureRef(of: file.library, db)), .id(file.entry),
            .id(file.content), .bits(file.size), .bits(file.inode), .int(fault), .int(errno),
            .int(file.found.nanoseconds), .bytes(file.aside ?? []), .flag(file.isSettled),
            file.healed.map { .int($0.nanoseconds) } ?? .null,
          ])
      }
      for content in Set(files.map(\.content)) { try updateLacking(content, db) }
    }
  }

  package func settleBadFile(at path: [UInt8], aside: [UInt8]?) throws(StoreError) {
    try write { db in
      try db.run(
        "UPDATE bad_file SET is_settled = 1, aside = ? WHERE path = ? AND is_settled = 0",
        [.bytes(aside ?? []), .bytes(path)])
    }
  }

  package func markHealed(_ contents: [ContentID], at time: WallTime) throws(StoreError) {
    try write { db in
      for content in contents {
        try db.run(
          "UPDATE bad_file SET healed = ? WHERE content = ? AND healed IS NULL",
          [.int(time.nanoseconds), .id(content)])
      }
    }
  }

  package func endReports(of contents: [ContentID], at time: WallTime) throws(StoreError) {
    guard !contents.isEmpty else { return }
    try write { db in
      for content in contents {
        try db.run(
          "UPDATE bad_file SET healed = ?, is_acknowledged = 1 WHERE content = ? AND healed IS NULL",
          [.int(time.nanoseconds), .id(content)])
      }
    }
  }

  package func badFiles(after: Int64?, limit: Int) throws(StoreError) -> [(number: Int64, file: BadFile)] {
    try badFiles(where: "TRUE", after, limit)
  }

  package func openBadFiles(after: Int64?, limit: Int) throws(StoreError)
    -> [(number: Int64, file: BadFile)]
  {
    try badFiles(where: "(b.healed IS NULL OR b.is_settled = 0)", after, limit)
  }

  private func badFiles(where condition: String, _ after: Int64?, _ limit: Int) throws(StoreError)
    -> [(number: Int64, file: BadFile)]
  {
    try read { db in
      try db.all(
        """
        SELECT b.number, b.path, m.id, b.entry, b.content, b.size, b.inode, b.fault, b.errno, b.found,
          coalesce(b.aside, x''), b.is_settled, b.healed
        FROM bad_file b CROSS JOIN machine m ON m.ref = b.library
        WHERE b.number > ? AND \(condition) ORDER BY b.number LIMIT ?
        """, [.int(after ?? 0), .int(limit)]
      ) { row in
        let aside = try row.bytes(10)
        let file = BadFile(
          path: try row.bytes(1), library: try row.id(2), entry: try row.id(3), content: try row.id(4),
          size: try row.bits(5), inode: try row.bits(6),
          fault: try Self.fault(try row.integer(7), errno: try row.integer(8)),
          found: WallTime(nanoseconds: try row.integer(9)), aside: aside.isEmpty ? nil : aside,
          isSettled: try row.flag(11),
          healed: row.isNull(12) ? nil : WallTime(nanoseconds: try row.integer(12)))
        return (try row.integer(0), file)
      }
    }
  }

  package func badFileCounts(healedSince: WallTime) throws(StoreError) -> BadFileCounts {
    try read { db in
      let row = try db.row(
        """
        SELECT (SELECT count(*) FROM bad_file INDEXED BY bad_file_open WHERE healed IS NULL),
          (SELECT count(*) FROM bad_file INDEXED BY bad_file_healed
            WHERE is_acknowledged = 0 AND healed IS NOT NULL AND healed >= ?)
        """, [.int(healedSince.nanoseconds)])
      guard let row else { return BadFileCounts() }
      return BadFileCounts(unhealed: Int(try row.integer(0)), healed: Int(try row.integer(1)))
    }
  }

  package func acknowledgeBadFiles() throws(StoreError) {
    try write { db in
      try db.run("UPDATE bad_file SET is_acknowledged = 1 WHERE healed IS NOT NULL AND is_acknowledged = 0")
    }
  }

  package func purgeBadFiles(
    seenHealedBefore moment: AgentTime, now: AgentTime, after: Int64?, limit: Int
  ) throws(StoreError) -> Int64? {
    try write { db in
      let numbers = try db.all(
        "SELECT number FROM bad_file WHERE number > ? ORDER BY number LIMIT ?",
        [.int(after ?? 0), .int(limit)]
      ) { try $0.integer(0) }
      guard let first = numbers.first, let last = numbers.last else { return nil }
      try db.run(
        """
        DELETE FROM bad_file
        WHERE number >= ? AND number <= ? AND healed IS NOT NULL AND seen_healed < ? AND is_acknowledged = 1
          AND is_settled = 1 AND length(coalesce(aside, x'')) = 0
        """, [.int(first), .int(last), .int(moment.nanoseconds)])
      try db.run(
        """
        UPDATE bad_file SET seen_healed = ?
        WHERE number >= ? AND number <= ? AND healed IS NOT NULL AND seen_healed IS NULL
        """, [.int(now.nanoseconds), .int(first), .int(last)])
      return numbers.count == limit ? last : nil
    }
  }

  package func suspectedFiles(limit: Int) throws(StoreError) -> [LedgerFile] {
    try read { db in
      try db.all(
        """
        SELECT \(LedgerCoding.columns) FROM file INDEXED BY file_suspected
        WHERE status = 0 AND reason = 7 ORDER BY folder, path LIMIT ?
        """, [.int(limit)]
      ) { try $0.ledgerFile() }
    }
  }

  package func suspectedCount() throws(StoreError) -> Int {
    try read { db in
      let row = try db.row(
        "SELECT count(*) FROM file INDEXED BY file_suspected WHERE status = 0 AND reason = 7")
      return Int(try row?.integer(0) ?? 0)
    }
  }

  private static func code(_ fault: FileFault) -> (code: Int, errno: Int64) {
    switch fault {
    case .rotten: (0, 0)
    case .unreadable(let errno): (1, Int64(errno))
    case .changed: (2, 0)
    case .vanished: (3, 0)
    }
  }

  private static func fault(_ code: Int64, errno: Int64) throws -> FileFault {
    switch code {
    case 0: return .rotten
    case 1: return .unreadable(errno: Int32(truncatingIfNeeded: errno))
    case 2: return .changed
    case 3: return .vanished
    default: throw StoreError.damaged("a fault")
    }
  }
}
