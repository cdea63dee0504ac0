import DequeModule
import MantelCore
import MantelHousehold
import MantelSummary

/// The files of this machine's folders that are on their way into the library.
struct Ledger: Sendable {
  var folders: [FolderID: Folder] = [:]
  var scans: [FolderID: FolderScan] = [:]
  /// The directories that a walk is reading at this moment; there is one walk at a time.
  var listings = OpenListings()
  /// Folders whose first scan since start is complete.
  var scanned: Set<FolderID> = []
  /// Looked at once, waiting for a second look that shows the same.
  private(set) var settling: [FileKey: Settling] = [:]
  /// The settling files by their next look. All settle for the same time, so they come in order; what has left
  /// `settling`, or was put off, is passed over.
  private var looks: Deque<(due: Instant, key: FileKey)> = []
  /// Settled, waiting for a hashing thread. What has left `isQueued` is passed over.
  private var queued: Deque<FileKey> = []
  private(set) var isQueued: Set<FileKey> = []
  /// What was seen of the files that are queued or being hashed.
  private var queuedStamps: [FileKey: FileStamp] = [:]
  var hashing = HashesInFlight()
  /// Seen to change while it was hashed: looked at again afterwards.
  var changedWhileHashing: Set<FileKey> = []
  /// Hashed while another write could have left the same stamp: hashed once more when that is over.
  var unproven: Set<FileKey> = []
  /// What the other names of a changed file were looked at for; forgotten when all is settled.
  var linkedLooks: [UInt64: FileStamp] = [:]
  /// Rows of files that went before they were published, to be removed with the next write.
  var gone: [FileKey] = []
  /// What each folder lost lately; as the catalog keeps it.
  var losses: [FolderID: FolderLosses] = [:]
  var places: [FolderID: FolderPlaces] = [:]
  var inspections: [FolderID: FolderInspection] = [:]
  /// Files that change often wait here, not among those that settle.
  var delays = ChangeDelays()

  var nextDeadline: Instant? {
    [looks.first?.due, delays.nextDeadline].compactMap(\.self).min()
  }

  /// Nothing is settling, queued or being hashed.
  var isIdle: Bool { waiting == 0 && hashing.isEmpty }

  /// Files that wait for a hashing thread, or are with one.
  var unhashed: Int { isQueued.count + hashing.count }

  /// Files that settle or wait to be hashed.
  var waiting: Int { settling.count + isQueued.count }

  mutating func settle(_ key: FileKey, _ stamp: FileStamp, due: Instant) {
    settling[key] = Settling(stamp: stamp, due: due)
    looks.append((due, key))
  }

  /// The next settling file whose second look is due; it stays until the look has come.
  mutating func nextLook(now: Instant) -> FileKey? {
    while let (due, key) = looks.first {
      guard let file = settling[key], file.due == due, !file.isLooking else {
        looks.removeFirst()
        continue
      }
      guard due <= now else { return nil }
      looks.removeFirst()
      settling[key]?.isLooking = true
      return key
    }
    return nil
  }

  mutating func enqueue(_ key: FileKey, _ stamp: FileStamp? = nil) {
    settling[key] = nil
    queuedStamps[key] = stamp
    guard isQueued.insert(key).inserted else { return }
    if queued.count > 2 * isQueued.count + 64 { queued.removeAll { !isQueued.contains($0) } }
    queued.append(key)
  }

  /// The file at the front of the queue, if it is wanted; `size` is what was seen of it last, 0 when nothing was.
  mutating func dequeue(if isWanted: (_ key: FileKey, _ size: UInt64) -> Bool = { _, _ in true }) -> FileKey?
  {
    while let key = queued.first {
      guard isQueued.contains(key) else {
        queued.removeFirst()
        continue
      }
      guard isWanted(key, queuedStamps[key]?.size ?? 0) else { return nil }
      queued.removeFirst()
      isQueued.remove(key)
      return key
    }
    return nil
  }

  /// All files that are on their way into the library, by what is seen of them without their bytes.
  var waitingFiles: FileTraces {
    FileTraces(settling.values.lazy.map(\.stamp)).union(FileTraces(queuedStamps.values))
  }

  /// The hash of a file has come.
  mutating func endHashing(_ key: FileKey) -> Bool {
    if !isQueued.contains(key) { queuedStamps[key] = nil }
    return hashing.remove(key)
  }

  /// The file is not what it was: a hash that is on its way says nothing of it any more.
  mutating func forget(_ key: FileKey) {
    settling[key] = nil
    isQueued.remove(key)
    queuedStamps[key] = nil
    unproven.remove(key)
    if hashing.contains(key) { changedWhileHashing.insert(key) }
  }

  /// Nothing is hashed for the many files of which none settles.
  mutating func settled(_ key: FileKey) { if !settling.isEmpty { settling[key] = nil } }

  mutating func forget(folder id: FolderID) {
    settling = settling.filter { $0.key.folder != id }
    isQueued = isQueued.filter { $0.folder != id }
    queuedStamps = queuedStamps.filter { $0.key.folder != id }
    unproven = unproven.filter { $0.folder != id }
    delays.forget(folder: id)
    places[id] = nil
    inspections[id] = nil
  }
}

struct FileKey: Hashable, Comparable, Sendable {
  var folder: FolderID
  var path: [UInt8]

  /// As one run of bytes: an array hashes itself byte by byte.
  func hash(into hasher: inout Hasher) {
    hasher.combine(folder)
    path.withUnsafeBytes { hasher.combine(bytes: $0) }
  }

  static func < (left: Self, right: Self) -> Bool {
    left.folder == right.folder
      ? left.path.lexicographicallyPrecedes(right.path) : left.folder < right.folder
  }

  /// Whether the file lies in a directory of the folder, at any depth; the empty path is the folder itself.
  func isBelow(_ directory: [UInt8], of folder: FolderID) -> Bool {
    guard self.folder == folder else { return false }
    return directory.isEmpty
      || path.count > directory.count && path[directory.count] == UInt8(ascii: "/")
        && path.starts(with: directory)
  }
}

struct Settling: Sendable {
  var stamp: FileStamp
  var due: Instant
  var isLooking = false
}

/// What a running scan has seen.
struct FolderScan: Sendable {
  /// Walked, or made since the walk passed by: files were seen in them.
  var directories: Set<[UInt8]> = []
  /// There, and closed to this agent: what lies below is not known to be gone.
  var unreadable: Set<[UInt8]> = []
  /// Found to be away.
  var away: Set<[UInt8]> = []

  /// Whether the directory that a file lies in was walked. `last` is one that was, for the file that comes next: most lie in the
  /// directory of the file before them.
  func walked(pathOf file: [UInt8], last: inout [UInt8]?) -> Bool {
    let above = file[..<(file.lastIndex(of: UInt8(ascii: "/")) ?? 0)]
    if let last, above.elementsEqual(last) { return true }
    let directory = Array(above)
    guard directories.contains(directory) else { return false }
    last = directory
    return true
  }
}

extension Replicator {
  // MARK: Folders

  mutating func addFolder(_ folder: Folder) throws(StoreError) {
    try store.putFolder(folder)
    ledger.folders[folder.id] = folder
    try loadPlaces(of: folder)
  }

  /// A removed folder's files are retired: they are excluded from now on, and nothing is dropped.
  mutating func removeFolder(_ id: FolderID, now: Now) throws(StoreError) {
    guard var folder = ledger.folders.removeValue(forKey: id) else { return }
    folder.isRemoved = true
    try store.putFolder(folder)
    ledger.scans[id] = nil
    ledger.scanned.remove(id)
    ledger.forget(folder: id)
    if ledger.losses.removeValue(forKey: id) != nil {
      try store.setLosses(FolderLosses(), of: id, held: [])
    }
    for key in publication.ledgerRows.keys where key.folder == id {
      dropChange(key)
      publication.ledgerRows[key] = nil
    }
    try retireFiles(of: id, now: now)
  }

  /// Also at start: the head that retires them may not have come before a crash. Afterwards no row is left.
  mutating func retireFiles(of folder: FolderID, now: Now) throws(StoreError) {
    var after: [UInt8]?
    while true {
      let page = try store.files(folder, after: after, limit: 1_000)
      guard let last = page.last else { break }
      for file in page { try vanished(file, reason: .excluded, now: now) }
      after = last.path
    }
  }

  // MARK: Scans

  mutating func scanned(_ id: FolderID, _ sight: DirectorySight, now: Now) throws(StoreError) {
    guard ledger.folders[id] != nil, let current = ledger.close(sight, of: id),
      try isPresent(id, sight, now: now)
    else { return }
    let sight = current
    ledger.scans[id]?.directories.insert(sight.directory)
    try noteReadable(sight.directory, of: id, now: now)
    var rows = try store.files(id, in: sight.directory)
    // Of most directories the catalog knows all.
    if !sight.newer.isEmpty || publication.ledgerRows.count > 0 {
      rows = rows.compactMap { file in
        sight.newer.contains(file.path)
          ? nil : publication.ledgerRows[FileKey(folder: id, path: file.path)] ?? file
      }
    }
    var known = KnownFiles(rows)
    for (path, stamp) in sight.files {
      let key = FileKey(folder: id, path: path)
      let file = known.take(path) ?? publication.ledgerRows[key]
      try seen(key, stamp, isClosed: false, known: file, now: now)
    }
    known.rewind()
    var skipped: [LedgerFile] = []
    for (path, reason) in sight.skipped {
      let file = known.take(path)
      guard file?.status != .skipped(reason) else { continue }
      let row = skippedFile(id, path, reason, nil)
      if let file {
        try vanished(file, reason: .excluded, becoming: row, now: now)
      } else {
        skipped.append(row)
      }
    }
    if !skipped.isEmpty { try store.putFiles(skipped) }
    let subdirectories = Set(sight.subdirectories)
    known.rewind()
    for file in known.left {
      if file.status.isUnreadable, subdirectories.contains(file.path) { continue }
      try vanished(file, reason: .deleted, now: now)
    }
  }

  mutating func scanEnded(_ id: FolderID, isComplete: Bool, now: Now) throws(StoreError) {
    guard let scan = ledger.scans.removeValue(forKey: id), isComplete else { return }
    settlePlaces(id, after: scan, now: now)
    var after: [UInt8]?
    var walked: [UInt8]?
    while true {
      let page = try store.filePaths(id, after: after, limit: 4_096)
      guard let last = page.last else { break }
      for path in page {
        guard !scan.walked(pathOf: path, last: &walked), !scan.isHidden(path) else { continue }
        guard !isAway(FileKey(folder: id, path: path)), let file = try store.file(id, path) else { continue }
        try vanished(file, reason: .deleted, now: now)
      }
      after = last
    }
    ledger.scanned.insert(id)
    try endMassChange(of: id)
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
    ledger.listings.note(key)
    let known = try ledgerFile(key)
    switch sight {
    case .file(let stamp, let isClosed):
      ledger.scans[id]?.directories.insert(Self.directory(of: path))
      try seen(key, stamp, isClosed: isClosed, known: known, now: now)
    case .skipped(let reason, let stamp):
      ledger.forget(key)
      guard known?.status != .skipped(reason) else { return }
      try skip(key, reason, stamp, known: known, now: now)
    case .gone:
      ledger.forget(key)
      if let known { try vanished(known, reason: .deleted, now: now) }
    }
  }

  mutating func directoryGone(_ id: FolderID, _ path: [UInt8], now: Now) throws(StoreError) {
    ledger.listings.noteGone(path, of: id)
    try noteReadable(path, of: id, now: now)
    for key in ledger.hashing.files where key.isBelow(path, of: id) { ledger.forget(key) }
    // Rows that were not written yet.
    for (key, file) in publication.ledgerRows.all where key.isBelow(path, of: id) {
      ledger.forget(key)
      try vanished(file, reason: .deleted, now: now)
    }
    var after: [UInt8]?
    while true {
      let page = try store.files(id, below: path, after: after, limit: 1_000)
      guard let last = page.last else { break }
      for file in page {
        ledger.forget(FileKey(folder: id, path: file.path))
        try vanished(file, reason: .deleted, now: now)
      }
      after = last.path
    }
  }

  func ledgerFile(_ key: FileKey) throws(StoreError) -> LedgerFile? {
    if let row = publication.ledgerRows[key] { return row }
    return try store.file(key.folder, key.path)
  }

  /// A file is there and is not backed up: what was backed up of it is retired, and then it is listed with its reason.
  mutating func skip(
    _ key: FileKey, _ reason: SkipReason, _ stamp: FileStamp?, known: LedgerFile?, now: Now
  ) throws(StoreError) {
    let row = skippedFile(key.folder, key.path, reason, stamp)
    if let known {
      try vanished(known, reason: .excluded, becoming: row, now: now)
    } else {
      publication.ledgerRows[key] = nil
      try store.putFiles([row])
    }
  }

  private func skippedFile(
    _ id: FolderID, _ path: [UInt8], _ reason: SkipReason, _ stamp: FileStamp?
  ) -> LedgerFile {
    LedgerFile(
      folder: id, path: path,
      stamp: stamp ?? .unknown,
      status: .skipped(reason), content: nil, manifest: nil, changes: 0)
  }

  /// Its row says all that there is to say of it.
  private func isUpToDate(_ known: LedgerFile, _ stamp: FileStamp) throws(StoreError) -> Bool {
    guard let content = known.content, known.stamp.isSame(as: stamp) else { return false }
    switch known.status {
    case .published, .pending(.suspectedRot): return true
    case .skipped(.forgotten):
      if try isForgotten(content) { return true }
      // Forgotten under this name alone; or the library has taken it back in a time that this catalog has forgotten.
      guard try store.liveEntry(machine, known.folder, known.path) == nil else { return false }
      return try store.forgotten(of: content).contains {
        $0.entry.folder == known.folder && $0.entry.path == known.path
      }
    default: return false
    }
  }

  /// A regular file is there. An unchanged one costs nothing more than this comparison, unless somebody has just written
  /// it: where clocks tick coarsely two writes leave the same stamp.
  private mutating func seen(
    _ key: FileKey, _ stamp: FileStamp, isClosed: Bool, known: LedgerFile?, now: Now
  ) throws(StoreError) {
    if let known, try isUpToDate(known, stamp), !isClosed, !ledger.unproven.contains(key) {
      if !publication.deletions.isEmpty { publication.deletions[key] = nil }
      ledger.settled(key)
      return
    }
    if let known, known.content != nil, known.stamp.isSame(as: stamp), try staysHeld(known) {
      publication.deletions[key] = nil
      ledger.settled(key)
      return
    }
    guard stamp.size <= Limits.contentBytes, key.path.count <= Limits.pathBytes else {
      let reason: SkipReason = stamp.size > Limits.contentBytes ? .tooLarge : .pathTooLong
      ledger.forget(key)
      guard known?.status != .skipped(reason) else { return }
      try skip(key, reason, stamp, known: known, now: now)
      return
    }
    publication.deletions[key] = nil
    if try postpones(key, known, now: now) {
      dropChange(key)
      return
    }
    if ledger.hashing.contains(key) {
      ledger.changedWhileHashing.insert(key)
      return
    }
    // What was hashed and is not out yet are bytes that are gone.
    dropChange(key)
    let first = ledger.settling[key].flatMap { $0.stamp.isSame(as: stamp) ? $0 : nil }
    // A second look that comes too soon proves nothing: clocks of filesystems tick coarsely.
    if let first, !isClosed, first.due > now.instant { return }
    let isSettled =
      isClosed || first != nil
      // An old file that a scan meets for the first time settled long ago, by either clock's word.
      || ((known?.stamp.isOfEntry ?? true)
        && now.wall.nanoseconds - max(stamp.mtime, stamp.ctime)
          > settings.settle.inNanoseconds * 5)
    if let known, known.status == .published {
      try unhold(known)
      try lookAtOtherNames(of: known, seen: stamp)
    }
    if isSettled {
      ledger.enqueue(key, stamp)
    } else {
      ledger.settle(key, stamp, due: now.instant + settings.settle)
    }
    let reason: PendingReason = isSettled ? .hashing : .settling
    guard known?.status != .pending(reason) || known?.stamp != stamp else { return }
    var file =
      known
      ?? LedgerFile(
        folder: key.folder, path: key.path, stamp: stamp, status: .pending(reason), content: nil,
        manifest: nil, changes: 0)
    if known?.status == .pending(.massChange), file.content == nil,
      let live = try store.liveEntry(machine, key.folder, key.path)?.entry
    {
      // A deletion that was held, and the file is back: what the library says of it tells whether it rotted meanwhile.
      file.content = live.content
      file.manifest = live.manifest
      if file.stamp == .unknown { file.stamp = FileStamp(of: live) }
    }
    file.status = .pending(reason)
    // A published file keeps the stamp of what was hashed until it is hashed again.
    if file.content == nil { file.stamp = stamp }
    publication.ledgerRows.put(file, at: key, isNew: known == nil)
  }

  /// The first sign of a change: the bytes at this path are no longer known to be the content's. Nothing is lost by that: its user
  /// has written it.
  mutating func unhold(_ file: LedgerFile) throws(StoreError) {
    guard let content = file.content else { return }
    try unhold(content, withoutOwn: FileKey(folder: file.folder, path: file.path))
  }

  /// Own files that have a content, as far as anybody knows: the catalog's rows, but for those that changed since.
  func publishedFiles(of content: ContentID) throws(StoreError) -> [LedgerFile] {
    try store.ownFiles(of: content).filter { $0.status == .published && !isOutdated($0) }
  }

  /// Those of them that count as a copy: what lies on a network filesystem can be served, and is not held.
  func heldOwnFiles(of content: ContentID) throws(StoreError) -> [LedgerFile] {
    try store.heldOwnFiles(of: content).filter { !isOutdated($0) }
  }

  /// Whether the file of a published row has changed since, as far as anybody knows.
  private func isOutdated(_ file: LedgerFile) -> Bool {
    guard let row = publication.ledgerRows[FileKey(folder: file.folder, path: file.path)] else {
      return false
    }
    return row.status != .published || row.content != file.content
  }
}
