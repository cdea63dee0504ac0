import MantelCore

extension FileStatus {
  var isUnreadable: Bool {
    if case .skipped(.unreadable) = self { true } else { false }
  }
}

extension FolderScan {
  /// Whether a path lies below a directory that could not be looked into.
  func isHidden(_ path: [UInt8]) -> Bool {
    guard !unreadable.isEmpty else { return false }
    return path.indices.contains { path[$0] == UInt8(ascii: "/") && unreadable.contains(Array(path[..<$0])) }
  }
}

/// Directories that are there and may not be looked into. Each is one skipped item, with its reason; what is known
/// of the files below stays as it is, and the scan counts: no other one would tell more.
extension Replicator {
  mutating func directoryUnreadable(
    _ id: FolderID, _ path: [UInt8], errno: Int32, now: Now
  ) throws(StoreError) {
    guard ledger.folders[id] != nil else { return }
    ledger.scans[id]?.unreadable.insert(path)
    let key = FileKey(folder: id, path: path)
    let known = try ledgerFile(key)
    let reason = SkipReason.unreadable(errno: errno)
    guard known?.status != .skipped(reason) else { return }
    ledger.forget(key)
    try skip(key, reason, nil, known: known, now: now)
  }

  /// A directory can be looked into (again), or is gone: it is no skipped item any more.
  mutating func noteReadable(_ directory: [UInt8], of id: FolderID, now: Now) throws(StoreError) {
    guard !directory.isEmpty, let row = try store.file(id, directory), row.status.isUnreadable else { return }
    try vanished(row, reason: .deleted, now: now)
  }
}
