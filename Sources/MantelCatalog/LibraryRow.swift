internal import GRDB
internal import MantelCore

/// A library's row, as the calls that change a library need it.
struct LibraryRow {
  var ref: Int64
  var isOwn: Bool
  /// Generation of the installed head; 0 before the first.
  var installed: Int64
  var installedOrder: HeadOrder?
  var staging: HeadOrder?
  var isClosed: Bool
  var counts: LibraryCounts
  var stagedCounts: LibraryCounts

  /// The generation that is being staged or published.
  var next: Int64 { installed + 1 }
}

extension Catalog {
  /// The number of a machine that the catalog knows.
  static func ref(of machine: MachineID, _ db: Database) throws -> Int64? {
    try db.row("SELECT ref FROM machine WHERE id = ?", [.id(machine)])?.integer(0)
  }

  /// The number of a machine, given to it now if it has none.
  static func ensureRef(of machine: MachineID, _ db: Database) throws -> Int64 {
    if let ref = try ref(of: machine, db) { return ref }
    let count = try db.row("SELECT count(*) FROM machine")?.integer(0) ?? 0
    guard count < maximumMachines else { throw StoreError.refused("too many machines") }
    try db.run("INSERT INTO machine (id) VALUES (?)", [.id(machine)])
    return db.lastInsertedRowID
  }

  func library(_ machine: MachineID, _ db: Database) throws -> LibraryRow? {
    let row = try db.row(
      """
      SELECT l.machine, l.installed, l.staging_epoch, l.staging_sequence, l.is_closed, h.epoch, h.sequence,
        l.live, l.retired, l.unheld, l.dropped, l.bytes,
        l.staged_live, l.staged_retired, l.staged_unheld, l.staged_dropped, l.staged_bytes
      FROM machine m JOIN library l ON l.machine = m.ref
        LEFT JOIN head h ON h.library = l.machine AND h.generation = l.installed
      WHERE m.id = ?
      """, [.id(machine)])
    guard let row else { return nil }
    let ref = try row.integer(0)
    return LibraryRow(
      ref: ref, isOwn: ref == ownRef, installed: try row.integer(1),
      installedOrder: try row.order(5), staging: try row.order(2), isClosed: try row.flag(4),
      counts: try row.counts(7), stagedCounts: try row.counts(12))
  }

  func ensureLibrary(_ machine: MachineID, _ db: Database) throws -> LibraryRow {
    if let library = try library(machine, db) { return library }
    let ref = try Self.ensureRef(of: machine, db)
    try db.run("INSERT INTO library (machine) VALUES (?)", [.int(ref)])
    return LibraryRow(
      ref: ref, isOwn: ref == ownRef, installed: 0, installedOrder: nil, staging: nil,
      isClosed: false, counts: LibraryCounts(), stagedCounts: LibraryCounts())
  }

  /// Writes back what may have changed.
  func save(_ library: LibraryRow, _ db: Database) throws {
    try db.run(
      """
      UPDATE library SET installed = ?, staging_epoch = ?, staging_sequence = ?, is_closed = ?,
        live = ?, retired = ?, unheld = ?, dropped = ?, bytes = ?,
        staged_live = ?, staged_retired = ?, staged_unheld = ?, staged_dropped = ?, staged_bytes = ?
      WHERE machine = ?
      """,
      [
        .int(library.installed), library.staging.map { .bits($0.epoch) } ?? .null,
        library.staging.map { .bits($0.sequence) } ?? .null, .flag(library.isClosed),
      ] + library.counts.values + library.stagedCounts.values + [.int(library.ref)])
  }

  /// Puts the machine's number into `identity`. When the catalog was another machine's, the old library becomes one
  /// of the others and the new one stops being one.
  static func takeIdentity(_ machine: MachineID, _ db: Database) throws -> Int64 {
    let ref = try ensureRef(of: machine, db)
    let before = try db.row("SELECT machine FROM identity")?.integer(0)
    guard before != ref else { return ref }
    try db.run(
      "INSERT INTO identity (only, machine) VALUES (1, ?) ON CONFLICT DO UPDATE SET machine = excluded.machine",
      [.int(ref)])
    try clearMarks(library: ref, db)
    if let before {
      try setMarks(library: before, db)
      try noteLiveForgotten(library: before, db)
    }
    return ref
  }

  /// Keeps of the library that was the own one until now which forgotten contents it has live. It may be somebody else's from now
  /// on, who has the former key: what it says later counts for nothing. What it does not name at all stays as it was known.
  private static func noteLiveForgotten(library: Int64, _ db: Database) throws {
    let entries = """
      SELECT 1 FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
      WHERE l.machine = ?1 AND \(EntryCoding.isInstalled)
      """
    try db.run(
      "DELETE FROM live_before_rekey WHERE EXISTS (\(entries) AND e.content = live_before_rekey.content)",
      [.int(library)])
    try db.run(
      """
      INSERT INTO live_before_rekey (content)
      SELECT DISTINCT f.content FROM forgotten f
      WHERE EXISTS (\(entries) AND e.content = f.content AND e.state = 0)
      ON CONFLICT DO NOTHING
      """, [.int(library)])
  }

  /// Takes a library's rows out of the queues.
  static func clearMarks(library: Int64, _ db: Database) throws {
    try db.run(
      "UPDATE entry SET came = 0, went = 0, lacking = 0 WHERE library = ? AND (came = 1 OR went = 1 OR lacking = 1)",
      [.int(library)])
  }

  /// Puts the rows of a library that joins the wanted ones into the queues: all is unfiled, and what has no replica
  /// file is missing.
  static func setMarks(library: Int64, _ db: Database) throws {
    try db.run(
      """
      UPDATE entry SET came = 1,
        lacking = state IN (0, 1) AND NOT EXISTS (
          SELECT 1 FROM replica_file r WHERE r.content = entry.content)
      WHERE library = ?1 AND (until = 0 OR until > (SELECT installed FROM library WHERE machine = ?1))
      """, [.int(library)])
  }
}

extension ResultRow {
  /// Two columns of an order that may be NULL.
  func order(_ column: Int) throws -> HeadOrder? {
    if isNull(column) { return nil }
    return HeadOrder(epoch: try bits(column), sequence: try bits(column + 1))
  }

  /// Five columns: live, retired, unheld, dropped, bytes.
  func counts(_ column: Int) throws -> LibraryCounts {
    var counts = LibraryCounts()
    counts.live = try bits(column)
    counts.retired = try bits(column + 1)
    counts.unheld = try bits(column + 2)
    counts.dropped = try bits(column + 3)
    counts.bytes = try bits(column + 4)
    return counts
  }
}

extension LibraryCounts {
  /// Counts an entry out; throws where `count` would trap, because the numbers come from the disk.
  mutating func countOut(_ entry: Entry) throws {
    let (count, bytes) =
      switch entry.state {
      case .live: (live, entry.size)
      case .retired: (retired, entry.size)
      case .unheld: (unheld, 0)
      case .dropped: (dropped, 0)
      }
    guard count > 0, self.bytes >= bytes else { throw StoreError.damaged("a count") }
    self.count(entry, by: -1)
  }

  var values: [SQLValue] {
    [.bits(live), .bits(retired), .bits(unheld), .bits(dropped), .bits(bytes)]
  }
}
