internal import GRDB
package import MantelCore

extension Catalog {
  /// A page holds at least one item, however small `maximumBytes` is. Pages of one delta may be read while heads are
  /// staged and installed. Nil also for a closed library, and when `from` is the newer one.
  package func delta(
    _ library: MachineID, from: HeadOrder, to: HeadOrder, cursor: Int64, maximumBytes: Int
  ) throws(StoreError) -> (added: [[UInt8]], removed: [EntryID], next: Int64?)? {
    try read { db in
      guard let row = try self.library(library, db), !row.isClosed,
        let last = try Self.generation(of: to, row, db),
        let first = from == .none ? 0 : try Self.generation(of: from, row, db), first <= last
      else { return nil }
      var page = DeltaPage(library: row.ref, first: first, last: last, maximumBytes: maximumBytes)
      guard try page.fill(from: cursor, db) else { return nil }
      return (page.added, page.removed, page.next)
    }
  }

  /// Answers for every row that is kept, so that a peer that fetches an older head than the installed one still gets
  /// its entries. A closed library's are not served.
  package func entryBytes(_ library: MachineID, _ ids: [EntryID]) throws(StoreError) -> [[UInt8]] {
    try read { db in
      guard let row = try self.library(library, db), !row.isClosed else { return [] }
      return try ids.compactMap { id in
        try db.row(
          "SELECT \(EntryCoding.columns) FROM entry e WHERE e.library = ? AND e.id = ? LIMIT 1",
          [.int(row.ref), .id(id)]
        )?.entry().entry.canonicalBytes
      }
    }
  }

  /// Nil when the head is not known here (any more).
  static func generation(of order: HeadOrder, _ row: LibraryRow, _ db: Database) throws
    -> Int64?
  {
    try db.row(
      "SELECT generation FROM head WHERE library = ? AND epoch = ? AND sequence = ?",
      [.int(row.ref), .bits(order.epoch), .bits(order.sequence)]
    )?.integer(0)
  }
}

/// A page of a delta: first what came, by (since, row), then what went, by (until, row).
///
/// Its cursor is the number of the row that it ended with, negative for one that went; `.min` is before the first that
/// went. The row tells the generation, so that the next page starts by a seek however many rows one generation has.
private struct DeltaPage {
  let library: Int64
  /// Generations between which the delta is; the view of 0 is empty.
  let first: Int64
  let last: Int64
  let maximumBytes: Int
  private(set) var added: [[UInt8]] = []
  private(set) var removed: [EntryID] = []
  private(set) var next: Int64?
  private var bytes = 0

  init(library: Int64, first: Int64, last: Int64, maximumBytes: Int) {
    self.library = library
    self.first = first
    self.last = last
    self.maximumBytes = maximumBytes
  }

  /// False when the cursor's row is not there any more, or does not belong to this delta.
  mutating func fill(from cursor: Int64, _ db: Database) throws -> Bool {
    guard first < last else { return true }
    if cursor >= 0 {
      guard let start = try position(cursor, "since", db) else { return false }
      if try !fillAdded(from: start, cursor, db) { return true }
    }
    let ref = cursor >= 0 || cursor == .min ? 0 : -cursor
    guard let start = try position(ref, "until", db) else { return false }
    try fillRemoved(from: start, ref, db)
    return true
  }

  private func position(_ ref: Int64, _ column: String, _ db: Database) throws -> Int64? {
    if ref == 0 { return first + 1 }
    return try db.row(
      "SELECT \(column) FROM entry WHERE ref = ? AND library = ? AND \(column) > ? AND \(column) <= ?",
      [.int(ref), .int(library), .int(first), .int(last)]
    )?.integer(0)
  }

  /// Whether one more item fits; counts it if so.
  private mutating func takes(_ count: Int) -> Bool {
    guard bytes == 0 || bytes + count <= maximumBytes else { return false }
    bytes += count
    return true
  }

  /// False when the page is full.
  private mutating func fillAdded(from start: Int64, _ ref: Int64, _ db: Database) throws -> Bool {
    // An id that went and came back between the two heads did not change.
    let sql = { (range: String) in
      """
      SELECT \(EntryCoding.columns), e.ref FROM entry e INDEXED BY entry_by_since
      WHERE e.library = ?1 AND \(range) AND (e.until = 0 OR e.until > ?3) AND NOT EXISTS (
        SELECT 1 FROM entry o WHERE o.library = ?1 AND o.id = e.id AND o.since <= ?2
          AND (o.until = 0 OR o.until > ?2))
      ORDER BY e.since, e.ref
      """
    }
    let key: [SQLValue] = [.int(library), .int(first), .int(last), .int(start)]
    var lastRef = ref
    for (range, values) in [
      ("e.since = ?4 AND e.ref > ?5", key + [.int(ref)]),
      ("e.since > ?4 AND e.since <= ?3", key),
    ] {
      let cursor = try db.rows(sql(range), values)
      while let row = try cursor.next() {
        let entry = try row.entry().entry.canonicalBytes
        guard takes(entry.count) else {
          next = lastRef
          return false
        }
        added.append(entry)
        lastRef = try row.integer(EntryCoding.columnCount)
      }
    }
    return true
  }

  private mutating func fillRemoved(from start: Int64, _ ref: Int64, _ db: Database) throws {
    let sql = { (range: String) in
      """
      SELECT e.id, e.ref FROM entry e INDEXED BY entry_by_until
      WHERE e.library = ?1 AND e.until <> 0 AND \(range) AND e.since <= ?2 AND NOT EXISTS (
        SELECT 1 FROM entry o WHERE o.library = ?1 AND o.id = e.id AND o.since <= ?3
          AND (o.until = 0 OR o.until > ?3))
      ORDER BY e.until, e.ref
      """
    }
    let key: [SQLValue] = [.int(library), .int(first), .int(last), .int(start)]
    var lastRef = ref
    for (range, values) in [
      ("e.until = ?4 AND e.ref > ?5", key + [.int(ref)]),
      ("e.until > ?4 AND e.until <= ?3", key),
    ] {
      let cursor = try db.rows(sql(range), values)
      while let row = try cursor.next() {
        guard takes(Digest256.byteCount) else {
          next = lastRef == 0 ? .min : -lastRef
          return
        }
        removed.append(try row.id(0))
        lastRef = try row.integer(1)
      }
    }
  }
}
