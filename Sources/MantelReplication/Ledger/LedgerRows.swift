import MantelCore

/// Rows of the ledger that the catalog does not have yet, or has in an older form.
struct LedgerRows: Sendable {
  private var rows: [FileKey: LedgerFile] = [:]
  /// Files of which the catalog has no row at all.
  private var new: Set<FileKey> = []

  var count: Int { rows.count }
  /// Files that are there, and that only this memory knows: `status` counts them beside the catalog's.
  var newCount: Int { new.count }
  var keys: Dictionary<FileKey, LedgerFile>.Keys { rows.keys }
  var all: [FileKey: LedgerFile] { rows }

  /// Nil takes a row out: it was written, or is void.
  subscript(key: FileKey) -> LedgerFile? {
    get { rows.isEmpty ? nil : rows[key] }
    set {
      rows[key] = newValue
      if newValue == nil { new.remove(key) }
    }
  }

  /// A row of a file; `isNew` when the catalog has none.
  mutating func put(_ file: LedgerFile, at key: FileKey, isNew: Bool) {
    rows[key] = file
    if isNew { new.insert(key) }
  }
}

extension Replicator {
  /// Files of the folders that were seen and have no row in the catalog yet; all of them are pending.
  package var unwrittenFiles: Int { publication.ledgerRows.newCount }
}
