internal import GRDB
package import MantelCore

extension Catalog {
  package func fileCounts(_ folder: FolderID) throws(StoreError) -> (published: Int, pending: Int) {
    try read { db in
      var counts = (published: 0, pending: 0)
      let rows = try db.rows("SELECT status, files FROM file_count WHERE folder = ?", [.folder(folder)])
      while let row = try rows.next() {
        let files = Int(try row.integer(1))
        switch try row.integer(0) {
        case LedgerCoding.published: counts.published = files
        case LedgerCoding.pending: counts.pending = files
        default: break
        }
      }
      return counts
    }
  }

  package func losses() throws(StoreError) -> [FolderID: FolderLosses] {
    try read { db in
      var losses: [FolderID: FolderLosses] = [:]
      let hours = try db.rows(
        "SELECT folder, hour, contents, deletions FROM folder_loss ORDER BY folder, hour")
      while let row = try hours.next() {
        losses[try row.folder(0), default: FolderLosses()].hours.append(
          FolderLosses.Hour(
            number: try row.integer(1), contents: Int(try row.integer(2)),
            deletions: Int(try row.integer(3))))
      }
      let massChanges = try db.rows("SELECT folder, contents, files FROM mass_change")
      while let row = try massChanges.next() {
        losses[try row.folder(0), default: FolderLosses()].massChange = FolderLosses.MassChange(
          contents: Int(try row.integer(1)), files: Int(try row.integer(2)))
      }
      return losses
    }
  }

  package func setLosses(
    _ losses: FolderLosses, of folder: FolderID, held: [LedgerFile]
  ) throws(StoreError) {
    try write { db in
      try forgetLosses(of: folder, db)
      for hour in losses.hours {
        try db.run(
          "INSERT INTO folder_loss (folder, hour, contents, deletions) VALUES (?, ?, ?, ?)",
          [.folder(folder), .int(hour.number), .int(hour.contents), .int(hour.deletions)])
      }
      if let massChange = losses.massChange {
        try db.run(
          "INSERT INTO mass_change (folder, contents, files) VALUES (?, ?, ?)",
          [.folder(folder), .int(massChange.contents), .int(massChange.files)])
      }
      try put(held, db)
    }
  }

  package func awaitsChanges(_ folder: FolderID) throws(StoreError) -> Bool {
    try read { db in
      try db.exists(
        """
        SELECT 1 FROM file INDEXED BY file_unpublished
        WHERE status <> 1 AND status = \(LedgerCoding.pending) AND folder = ? AND reason NOT IN (?, ?) LIMIT 1
        """,
        [
          .folder(folder), .int(LedgerCoding.code(.suspectedRot)), .int(LedgerCoding.code(.changesOften)),
        ])
    }
  }

  package func heldFiles(_ folder: FolderID) throws(StoreError) -> Int {
    try read { db in
      // The index holds them alone: the numbers of the condition are those of its own.
      try db.row(
        "SELECT count(*) FROM file INDEXED BY file_held WHERE folder = ? AND status = 0 AND reason = 6",
        [.folder(folder)]
      ).map { Int(try $0.integer(0)) } ?? 0
    }
  }

  package func acceptHeldFiles(_ folder: FolderID) throws(StoreError) -> Int {
    try write { db in
      try db.run(
        "UPDATE file SET reason = ?, is_accepted = 1 WHERE folder = ? AND status = 0 AND reason = 6",
        [.int(LedgerCoding.code(.settling)), .folder(folder)])
      let accepted = db.changesCount
      try forgetLosses(of: folder, db)
      return accepted
    }
  }

  private func forgetLosses(of folder: FolderID, _ db: Database) throws {
    try db.run("DELETE FROM folder_loss WHERE folder = ?", [.folder(folder)])
    try db.run("DELETE FROM mass_change WHERE folder = ?", [.folder(folder)])
  }
}
