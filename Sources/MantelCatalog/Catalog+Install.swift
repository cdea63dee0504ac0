internal import GRDB
package import MantelCore

extension Catalog {
  /// Throws `constraint` when the order is not above the installed one or two live entries share a path; all stays
  /// staged then.
  package func install(_ library: MachineID, head: Signed<Head>) throws(StoreError) {
    try writeOrRefuse { db in
      var row = try ensureLibrary(library, db)
      try moveBulk(&row, db)
      try refuseDoublePaths(row, db)
      row.counts = row.stagedCounts
      try advance(&row, to: head, db)
      if row.isOwn { try recordPublished(head.record, row, db) }
      try Self.setCache(Self.writerCacheKilobytes, db)
    }
  }

  /// Also takes the library of a removed machine that this one keeps. What was staged of the library is forgotten:
  /// the head that this machine signs outranks it. Throws `constraint` for an order that is not above the installed
  /// one, an id that is already there or is not there to be removed, and two live entries of one path.
  package func publish(_ change: LibraryChange, head: Signed<Head>, files: [LedgerFile])
    throws(StoreError)
  {
    try write { db in
      if change.added.count >= Self.bulk { try Self.setCache(Self.bulkCacheKilobytes, db) }
      var row = try ensureLibrary(head.record.library, db)
      try discardStaged(&row, db)
      for id in change.removed {
        guard let found = try current(id, row, db) else {
          throw StoreError.refused("publishing the removal of an entry that is not there")
        }
        try remove(found, in: row, db)
        try row.counts.countOut(found.entry)
      }
      for (id, entry) in change.added {
        guard try current(id, row, db) == nil else {
          throw StoreError.refused("publishing an entry that is already there")
        }
        try insert(id, entry, in: row, db)
        row.counts.count(entry, by: 1)
      }
      try refuseDoublePaths(row, db)
      try advance(&row, to: head, db)
      try recordPublished(head.record, row, db)
      // Their bytes were hashed for this very head.
      try put(files, verified: head.record.time, db)
      if change.added.count < Self.bulk { try Self.setCache(Self.writerCacheKilobytes, db) }
    }
  }

  package func changedContents(_ library: MachineID) throws(StoreError) -> [ContentID] {
    try read { db in
      guard let row = try self.library(library, db), row.installed > 0 else { return [] }
      let key: [SQLValue] = [.int(row.ref), .int(row.installed)]
      let changed = try db.row(
        """
        SELECT (SELECT count(*) FROM entry INDEXED BY entry_by_since WHERE library = ?1 AND since = ?2)
          + (SELECT count(*) FROM entry INDEXED BY entry_by_until WHERE library = ?1 AND until = ?2 AND until <> 0)
        """, key)
      if Self.isMuch(try changed?.bits(0) ?? 0, of: row) {
        // One walk in the order of an index: nothing to sort, and nothing to look up.
        return try db.all(
          """
          SELECT DISTINCT content FROM entry INDEXED BY entry_by_content
          WHERE library = ?1 AND (since = ?2 OR until = ?2)
          """, key
        ) { try $0.id(0) }
      }
      return try db.all(
        """
        SELECT content FROM entry INDEXED BY entry_by_since WHERE library = ?1 AND since = ?2
        UNION
        SELECT content FROM entry INDEXED BY entry_by_until WHERE library = ?1 AND until = ?2 AND until <> 0
        """, key
      ) { try $0.id(0) }
    }
  }

  /// Makes the next generation the installed one; `row.counts` are its counts already.
  private func advance(_ row: inout LibraryRow, to head: Signed<Head>, _ db: Database) throws {
    let order = head.record.order
    guard order > row.installedOrder ?? .none else {
      throw StoreError.refused("a head that is not newer than the installed one")
    }
    row.installed = row.next
    row.installedOrder = order
    row.staging = nil
    row.stagedCounts = row.counts
    try save(row, db)
    try db.run(
      "INSERT INTO head (library, generation, epoch, sequence, bytes) VALUES (?, ?, ?, ?, ?)",
      [
        .int(row.ref), .int(row.installed), .bits(order.epoch), .bits(order.sequence),
        .bytes(head.bytes),
      ])
    // A row that went is wanted no more; leaving its mark would only make the queue's readers step over it.
    try db.run(
      "UPDATE entry SET lacking = 0 WHERE library = ? AND until = ? AND until <> 0 AND lacking = 1",
      [.int(row.ref), .int(row.installed)])
    try noteOrphans(row, db)
  }

  private func recordPublished(_ head: Head, _ row: LibraryRow, _ db: Database) throws {
    try db.run(
      "INSERT INTO published (library, epoch, sequence, root) VALUES (?, ?, ?, ?)",
      [
        .int(row.ref), .bits(head.order.epoch), .bits(head.order.sequence), .digest(head.root),
      ])
  }

  /// A few rows are looked up one by one, also in a library that has nothing but a long history; where much changes, one walk over
  /// all of an index costs less.
  private static func isMuch(_ changed: UInt64, of row: LibraryRow) -> Bool {
    changed > max(4, row.counts.entries / 4)
  }

  private func refuseDoublePaths(_ row: LibraryRow, _ db: Database) throws {
    let key: [SQLValue] = [.int(row.ref), .int(row.next)]
    let added = try db.row("SELECT count(*) FROM entry WHERE library = ? AND since = ?", key)
    let isDouble =
      if Self.isMuch(try added?.bits(0) ?? 0, of: row) {
        try db.exists(
          """
          SELECT 1 FROM entry INDEXED BY entry_by_path
          WHERE library = ?1 AND state = 0 AND since <= ?2 AND (until = 0 OR until > ?2)
          GROUP BY folder, path HAVING count(*) > 1 LIMIT 1
          """, key)
      } else {
        try db.exists(
          """
          SELECT 1 FROM entry e INDEXED BY entry_by_since
          WHERE e.library = ?1 AND e.since = ?2 AND e.state = 0 AND EXISTS (
            SELECT 1 FROM entry o INDEXED BY entry_by_path
            WHERE o.library = ?1 AND o.folder = e.folder AND o.path = e.path AND o.state = 0 AND o.ref <> e.ref
              AND o.since <= ?2 AND (o.until = 0 OR o.until > ?2))
          LIMIT 1
          """, key)
      }
    if isDouble { throw StoreError.refused("two live entries of one path") }
  }
}

// MARK: - Closing and purging

extension Catalog {
  /// Closes a library of another household that this machine left, or opens it again. A closed one is kept, but its
  /// contents are neither missing nor unfiled, and it is not served.
  package func setClosed(_ library: MachineID, _ isClosed: Bool) throws(StoreError) {
    try write { db in
      guard var row = try self.library(library, db), row.isClosed != isClosed else { return }
      try discardStaged(&row, db)
      row.isClosed = isClosed
      try save(row, db)
      if isClosed {
        try Self.clearMarks(library: row.ref, db)
      } else if !row.isOwn {
        try Self.setMarks(library: row.ref, db)
      }
    }
  }

  /// Rows that one call of `purgeSuperseded` takes away, so that each is a short transaction.
  package static let purgedRows = 10_000

  package func purgeSuperseded(
    keeping generations: Int, since needed: [MachineID: HeadOrder], limit: Int
  ) throws(StoreError) -> Bool {
    try write { db in
      let libraries = try db.all(
        """
        SELECT l.machine, l.installed, m.id, (SELECT min(generation) FROM orphan o WHERE o.library = l.machine)
        FROM library l JOIN machine m ON m.ref = l.machine
        """
      ) {
        (
          ref: try $0.integer(0), installed: try $0.integer(1), machine: try $0.id(2) as MachineID,
          orphan: $0.isNull(3) ? nil : try $0.integer(3)
        )
      }
      var budget = Self.purgedRows
      for library in libraries {
        var floor = library.installed - Int64(max(1, generations))
        if let order = needed[library.machine], let first = try generation(since: order, library.ref, db) {
          floor = min(floor, max(first, library.installed - Int64(limit)))
        }
        // The owner of an orphan may never come back for it: its copies stay, the way to check its history does not.
        if let orphan = library.orphan { floor = min(floor, max(orphan, library.installed - Int64(limit))) }
        guard floor > 0 else { continue }
        let ref = library.ref
        // The heads first: a delta from a head whose rows are half gone must not be answered.
        try db.run(
          "DELETE FROM head WHERE library = ? AND generation < ?", [.int(ref), .int(floor)])
        try db.run(
          """
          DELETE FROM entry WHERE ref IN (
            SELECT ref FROM entry INDEXED BY entry_by_until
            WHERE library = ? AND until <> 0 AND until <= ? AND went = 0 AND came = 0 LIMIT ?)
          """, [.int(ref), .int(floor), .int(budget)])
        budget -= db.changesCount
        if budget <= 0 { return true }
      }
      return false
    }
  }

  /// The first head that is not older than an order.
  private func generation(since order: HeadOrder, _ library: Int64, _ db: Database) throws -> Int64? {
    try db.row(
      """
      SELECT generation FROM head WHERE library = ? AND (epoch, sequence) >= (?, ?)
      ORDER BY epoch, sequence LIMIT 1
      """, [.int(library), .bits(order.epoch), .bits(order.sequence)]
    ).map { try $0.integer(0) }
  }
}
