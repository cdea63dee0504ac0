internal import GRDB
package import MantelCore

/// What a library wanted at an earlier head. The rows' generations tell it, also after a restart, for as long as the
/// history is kept.
extension Catalog {
  package func wantedChanges(
    _ library: MachineID, since order: HeadOrder
  ) throws(StoreError) -> (came: [ContentID], went: [ContentID])? {
    try read { db in
      guard let row = try self.library(library, db),
        let before = order == .none ? 0 : try Self.generation(of: order, row, db)
      else { return nil }
      let isWanted = { (generation: String) in
        """
        EXISTS (
          SELECT 1 FROM entry e INDEXED BY entry_by_content
          WHERE e.library = ?1 AND e.content = t.content AND e.state <= 1
            AND e.since <= \(generation) AND (e.until = 0 OR e.until > \(generation)))
        """
      }
      let cursor = try db.rows(
        """
        SELECT content, \(isWanted("?2")), \(isWanted("?3")) FROM (
          SELECT content FROM entry INDEXED BY entry_by_since WHERE library = ?1 AND since > ?2 AND since <= ?3
          UNION
          SELECT content FROM entry INDEXED BY entry_by_until
          WHERE library = ?1 AND until <> 0 AND until > ?2 AND until <= ?3) t
        """, [.int(row.ref), .int(before), .int(row.installed)])
      var (came, went) = ([ContentID](), [ContentID]())
      while let row = try cursor.next() {
        switch (try row.flag(1), try row.flag(2)) {
        case (false, true): came.append(try row.id(0))
        case (true, false): went.append(try row.id(0))
        default: break
        }
      }
      return (came, went)
    }
  }

  package func wasWanted(
    _ content: ContentID, in library: MachineID, at order: HeadOrder
  ) throws(StoreError) -> Bool? {
    try was(content, in: library, order, having: "state <= 1") { "until = 0 OR until > \($0)" }
  }

  package func wasNamed(
    _ content: ContentID, in library: MachineID, by order: HeadOrder
  ) throws(StoreError) -> Bool? {
    try was(content, in: library, order, having: "state <> 2") { _ in "TRUE" }
  }

  package func firstHead(
    of library: MachineID, signedBy signer: MachineID
  ) throws(StoreError) -> HeadOrder? {
    try read { db in
      guard let row = try self.library(library, db) else { return nil }
      let heads = try db.rows(
        "SELECT bytes FROM head WHERE library = ? ORDER BY generation", [.int(row.ref)])
      while let found = try heads.next() {
        let head = try Signed<Head>(bytes: try found.bytes(0)).record
        if head.signer == signer { return head.order }
      }
      return nil
    }
  }

  /// Whether there is a row of a content that came with a head or before it.
  private func was(
    _ content: ContentID, in library: MachineID, _ order: HeadOrder, having states: String,
    staying condition: (_ generation: Int64) -> String
  ) throws(StoreError) -> Bool? {
    try read { db in
      guard let row = try self.library(library, db) else { return nil }
      if order == .none { return false }
      let rows =
        "SELECT 1 FROM entry INDEXED BY entry_by_content WHERE library = ? AND content = ? AND \(states)"
      if let generation = try Self.generation(of: order, row, db) {
        return try db.exists(
          rows + " AND since <= ? AND (\(condition(generation))) LIMIT 1",
          [.int(row.ref), .id(content), .int(generation)])
      }
      // A head that was purged: what came with the oldest that is kept, or later, was not there then.
      let oldest = try db.row(
        "SELECT epoch, sequence, generation FROM head WHERE library = ? ORDER BY generation LIMIT 1",
        [.int(row.ref)])
      guard let oldest, let kept = try oldest.order(0), order < kept else { return nil }
      let isOlder = try db.exists(
        rows + " AND since < ? LIMIT 1", [.int(row.ref), .id(content), .int(try oldest.integer(2))])
      return isOlder ? nil : false
    }
  }
}
