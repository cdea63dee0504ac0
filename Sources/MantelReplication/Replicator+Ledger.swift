import DequeModule
import MantelCore
import MantelHousehold
import MantelSummary

/// The files of this machine's folders that are on their way into the library.
struct Ledger: Sendable {
  var folders: [FolderID: Folder] = [:]
  var scans: [FolderID: FolderScan] = [:]
  /// Folders whose first scan since start is complete.
  var scanned: Set<FolderID> = []
  /// Looked at once, waiting for a second look that shows the same.
  var settling: [FileKey: Settling] = [:]
  /// Settled, waiting for a hashing thread.
  var queued: Deque<FileKey> = []
  var isQueued: Set<FileKey> = []
  var hashing: Set<FileKey> = []
  /// Seen to change while it was hashed: looked at again afterwards.
  var changedWhileHashing: Set<FileKey> = []

  var nextDeadline: Instant? {
    settling.values.lazy.filter { !$0.isLooking }.map(\.due).min()
  }

  /// Nothing is settling, queued or being hashed.
  var isIdle: Bool { settling.isEmpty && queued.isEmpty && hashing.isEmpty }
}

struct FileKey: Hashable, Sendable {
  var folder: FolderID
  var path: [UInt8]
}

struct Settling: Sendable {
  var stamp: FileStamp
  var due: Instant
  var isLooking = false
}

/// What a running scan has seen.
struct FolderScan: Sendable {
  var directories: Set<[UInt8]> = []
}

extension Replicator {
  // MARK: Folders

  mutating func addFolder(_ folder: Folder) throws(StoreError) {
    try store.putFolder(folder)
    ledger.folders[folder.id] = folder
  }

  /// A removed folder's files are retired: they are excluded from now on, and nothing is dropped.
  mutating func removeFolder(_ id: FolderID, now: Now) throws(StoreError) {
    guard var folder = ledger.folders.removeValue(forKey: id) else { return }
    folder.isRemoved = true
    try store.putFolder(folder)
    ledger.scans[id] = nil
    ledger.scanned.remove(id)
    ledger.settling = ledger.settling.filter { $0.key.folder != id }
    ledger.queued.removeAll { $0.folder == id }
    ledger.isQueued = ledger.isQueued.filter { $0.folder != id }
    try retireFiles(of: id, now: now)
  }

  /// Also at start, for a folder that was removed while no agent ran.
  mutating func retireFiles(of id: FolderID, now: Now) throws(StoreError) {
    var after: [UInt8]?
    while true {
      let page = try store.files(id, after: after, limit: 1_000)
      guard let last = page.last else { break }
      for file in page { try vanished(file, reason: .excluded, now: now) }
      after = last.path
    }
  }

  // MARK: Scans

  mutating func scanned(_ id: FolderID, _ sight: DirectorySight, now: Now) throws(StoreError) {
    guard ledger.folders[id] != nil else { return }
    ledger.scans[id]?.directories.insert(sight.directory)
    var known: [[UInt8]: LedgerFile] = [:]
    for file in try store.files(id, in: sight.directory) {
      known[file.path] = publication.ledgerRows[FileKey(folder: id, path: file.path)] ?? file
    }
    for (path, stamp) in sight.files {
      let key = FileKey(folder: id, path: path)
      let file = known.removeValue(forKey: path) ?? publication.ledgerRows[key]
      try seen(key, stamp, isClosed: false, known: file, now: now)
    }
    var skipped: [LedgerFile] = []
    for (path, reason) in sight.skipped {
      let file = known.removeValue(forKey: path)
      guard file?.status != .skipped(reason) else { continue }
      if let file { try vanished(file, reason: .excluded, now: now) }
      skipped.append(skippedFile(id, path, reason, nil))
    }
    if !skipped.isEmpty { try store.putFiles(skipped) }
    for file in known.values.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
      try vanished(file, reason: .deleted, now: now)
    }
  }

  mutating func scanEnded(_ id: FolderID, isComplete: Bool, now: Now) throws(StoreError) {
    guard let scan = ledger.scans.removeValue(forKey: id), isComplete else { return }
    var after: [UInt8]?
    while true {
      let page = try store.files(id, after: after, limit: 1_000)
      guard let last = page.last else { break }
      for file in page where !scan.directories.contains(Self.directory(of: file.path)) {
        try vanished(file, reason: .deleted, now: now)
      }
      after = last.path
    }
    ledger.scanned.insert(id)
    attesting.isChanged = true
  }

  static func directory(of path: [UInt8]) -> [UInt8] {
    path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
  }

  // MARK: Single files

  mutating func sighted(
    _ id: FolderID, _ path: [UInt8], _ sight: FileSight, now: Now
  ) throws(StoreError) {
    guard ledger.folders[id] != nil else { return }
    let key = FileKey(folder: id, path: path)
    let known = try ledgerFile(key)
    switch sight {
    case .file(let stamp, let isClosed):
      try seen(key, stamp, isClosed: isClosed, known: known, now: now)
    case .skipped(let reason, let stamp):
      forget(key)
      guard known?.status != .skipped(reason) else { return }
      if let known { try vanished(known, reason: .excluded, now: now) }
      try store.putFiles([skippedFile(id, path, reason, stamp)])
    case .gone:
      forget(key)
      if let known { try vanished(known, reason: .deleted, now: now) }
    }
  }

  mutating func directoryGone(_ id: FolderID, _ path: [UInt8], now: Now) throws(StoreError) {
    var after: [UInt8]?
    while true {
      let page = try store.files(id, below: path, after: after, limit: 1_000)
      guard let last = page.last else { break }
      for file in page {
        forget(FileKey(folder: id, path: file.path))
        try vanished(file, reason: .deleted, now: now)
      }
      after = last.path
    }
  }

  private func ledgerFile(_ key: FileKey) throws(StoreError) -> LedgerFile? {
    if let row = publication.ledgerRows[key] { return row }
    return try store.file(key.folder, key.path)
  }

  private mutating func forget(_ key: FileKey) {
    ledger.settling[key] = nil
    if ledger.isQueued.remove(key) != nil { ledger.queued.removeAll { $0 == key } }
  }

  private func skippedFile(
    _ id: FolderID, _ path: [UInt8], _ reason: SkipReason, _ stamp: FileStamp?
  ) -> LedgerFile {
    LedgerFile(
      folder: id, path: path,
      stamp: stamp ?? FileStamp(size: 0, mtime: 0, ctime: 0, inode: 0, device: 0),
      status: .skipped(reason), content: nil, manifest: nil, changes: 0)
  }

  /// A regular file is there. An unchanged one costs nothing more than this comparison.
  private mutating func seen(
    _ key: FileKey, _ stamp: FileStamp, isClosed: Bool, known: LedgerFile?, now: Now
  ) throws(StoreError) {
    if let known, known.content != nil, known.stamp.isSame(as: stamp), known.status == .published {
      publication.deletions[key] = nil
      ledger.settling[key] = nil
      return
    }
    guard stamp.size <= Limits.contentBytes, key.path.count <= Limits.pathBytes else {
      let reason: SkipReason = stamp.size > Limits.contentBytes ? .tooLarge : .pathTooLong
      guard known?.status != .skipped(reason) else { return }
      if let known { try vanished(known, reason: .excluded, now: now) }
      try store.putFiles([skippedFile(key.folder, key.path, reason, stamp)])
      return
    }
    publication.deletions[key] = nil
    if ledger.hashing.contains(key) {
      ledger.changedWhileHashing.insert(key)
      return
    }
    let isSettled =
      isClosed || ledger.settling[key]?.stamp.isSame(as: stamp) ?? false
      // An old file that a scan meets for the first time settled long ago, by either clock's word.
      || (known == nil
        && now.wall.nanoseconds - max(stamp.mtime, stamp.ctime)
          > settings.settle.inNanoseconds * 5)
    if let known, known.status == .published { try unhold(known) }
    if isSettled {
      ledger.settling[key] = nil
      enqueue(key)
    } else {
      ledger.settling[key] = Settling(stamp: stamp, due: now.instant + settings.settle)
    }
    let reason: PendingReason = isSettled ? .hashing : .settling
    guard known?.status != .pending(reason) || known?.stamp != stamp else { return }
    var file =
      known
      ?? LedgerFile(
        folder: key.folder, path: key.path, stamp: stamp, status: .pending(reason), content: nil,
        manifest: nil, changes: 0)
    file.status = .pending(reason)
    // A published file keeps the stamp of what was hashed until it is hashed again.
    if file.content == nil { file.stamp = stamp }
    publication.ledgerRows[key] = file
  }

  private mutating func enqueue(_ key: FileKey) {
    guard ledger.isQueued.insert(key).inserted else { return }
    ledger.queued.append(key)
  }

  /// The first sign of a change: the bytes at this path are no longer known to be the content's.
  private mutating func unhold(_ file: LedgerFile) throws(StoreError) {
    guard let content = file.content else { return }
    let others = try store.ownFiles(of: content).contains {
      ($0.folder, $0.path) != (file.folder, file.path) && $0.status == .published
    }
    let replicas = try store.replicaFiles(of: content)
    guard !others, replicas.isEmpty else { return }
    contents.setHeld(content, false)
    makeUnavailable(content)
  }

  // MARK: Hashing

  mutating func advanceLedger(now: Now) throws(StoreError) {
    for (key, settling) in ledger.settling
    where !settling.isLooking && settling.due <= now.instant {
      ledger.settling[key]?.isLooking = true
      actions.append(.look(key.folder, key.path))
    }
    try flushPendingRows()
    while ledger.hashing.count < settings.hashesInFlight, let key = ledger.queued.popFirst() {
      ledger.isQueued.remove(key)
      ledger.hashing.insert(key)
      actions.append(.hash(key.folder, key.path))
    }
  }

  /// Pending rows are kept for `status` and for a restart; they may wait, but not pile up.
  private mutating func flushPendingRows() throws(StoreError) {
    guard publication.ledgerRows.count - publication.changes.count >= settings.pendingRows else {
      return
    }
    let rows = publication.ledgerRows.filter { publication.changes[$0.key] == nil }
    try store.putFiles(Array(rows.values))
    for key in rows.keys { publication.ledgerRows[key] = nil }
  }

  /// Whether a scan may go on: what it finds waits in memory to be hashed.
  package var wantsMoreFiles: Bool {
    ledger.queued.count + ledger.settling.count < settings.filesWaiting
  }

  mutating func hashed(
    _ id: FolderID, _ path: [UInt8], _ outcome: HashOutcome, now: Now
  ) throws(StoreError) {
    let key = FileKey(folder: id, path: path)
    guard ledger.hashing.remove(key) != nil else { return }
    let isDirty = ledger.changedWhileHashing.remove(key) != nil
    guard ledger.folders[id] != nil else { return }
    let known = try ledgerFile(key)
    switch outcome {
    case .gone:
      if let known { try vanished(known, reason: .deleted, now: now) }
    case .unreadable(let errno):
      let reason = SkipReason.unreadable(errno: errno)
      if let known, known.content != nil { try vanished(known, reason: .excluded, now: now) }
      publication.ledgerRows[key] = nil
      try store.putFiles([skippedFile(id, path, reason, known?.stamp)])
    case .hashed(let content, let manifest, let before, let after, let isHeld):
      guard before == after, !isDirty else {
        ledger.settling[key] = Settling(stamp: after, due: now.instant + settings.settle)
        return
      }
      try accept(
        key, content, manifest, after, isHeld: isHeld, known: known, now: now)
    }
  }

  private mutating func accept(
    _ key: FileKey, _ content: ContentID, _ manifest: Digest256?, _ stamp: FileStamp,
    isHeld: Bool, known: LedgerFile?, now: Now
  ) throws(StoreError) {
    let file = LedgerFile(
      folder: key.folder, path: key.path, stamp: stamp, status: .published, content: content,
      manifest: manifest, changes: (known?.changes ?? 0) + 1)
    publication.ledgerRows[key] = file
    publication.changes[key] = OwnChange(
      content: content, size: stamp.size, mtime: stamp.mtime, manifest: manifest, isHeld: isHeld)
    publication.deletions[key] = nil
    publication.noteChange(now: now, settings)
    if contents.setAvailable(content, true) {
      sendToAll(.available(added: [content], removed: []))
    }
  }
}
