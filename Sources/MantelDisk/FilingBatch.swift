import CMantelSystem
import Glibc
package import MantelCore
import Synchronization

extension Replica {
  /// Does a batch of operations, durably, in order; one result an operation. A bad operation fails alone; when an
  /// fsync fails, every operation of the batch that had not failed is `.failed(.sync)`.
  ///
  /// First the bytes (landed contents, copies) get mode and mtime and are synced, then names change, then every
  /// directory that was touched is synced, up to the first that was there before.
  ///
  /// A batch that was cut off is safe to repeat, as a repeat: then no name is trusted, because a file that moved may have
  /// the name that another had. Each is known by its hash, where it came from or where it was to go. A file that cannot
  /// be read is none that is looked for. Nothing is removed: a removal that was not done is `.adopted`.
  package func commit(_ operations: [FilingOperation], isRepeat: Bool = false) -> [FilingResult] {
    commitLock.withLock { _ in
      do throws(DiskError) {
        let root = try mounted()
        var batch = FilingBatch(replica: self, root: root, staging: try staging(root), isRepeat: isRepeat)
        return batch.run(operations)
      } catch {
        return operations.map { _ in .failed(FilingFailure(error)) }
      }
    }
  }
}

extension FilingFailure {
  init(_ error: DiskError) {
    let code: Code =
      switch error.code {
      case .noSpace: .noSpace
      case .readOnly: .readOnly
      case .notMounted, .foreign: .notMounted
      case .io: .io
      case .name: .name
      default: .other
      }
    self.init(code: code, errno: error.errno, message: error.description)
  }
}

/// One run of `Replica.commit`.
struct FilingBatch {
  /// Why an operation ended early.
  enum Stop: Error {
    case disk(DiskError)
    case sourceChanged
    /// An fsync failed: the whole batch fails.
    case sync(Int)
  }
  /// Bytes in the staging area that are to get a name.
  struct Prepared {
    var name: [UInt8]
    /// Open only while the batch is small: descriptors are scarce. Else opened again to be synced.
    var file: OpenFile?
    var stamp: FileStamp
    var content: ContentID
    var isCopy: Bool
  }
  /// What an operation came to, before its directories are synced.
  enum Outcome {
    case placed(path: [UInt8])
    case adopted(path: [UInt8])
    case removed(path: [UInt8])
    case ended(FilingResult)

    /// Where the file is by now; nil when that is not known.
    var path: [UInt8]? {
      switch self {
      case .placed(let path), .adopted(let path): path
      case .removed, .ended: nil
      }
    }
  }
  /// The file that an operation is to bring: its path alone does not tell, for another content may ask for the same one.
  struct Target: Hashable {
    var path: [UInt8]
    var content: ContentID
  }
  /// Where an operation that is still to come will have put a file: for copies made before it.
  enum Source {
    case staged([UInt8])
    case replica([UInt8])
  }

  /// Of a replica file.
  static let fileMode: UInt32 = 0o444

  let replica: Replica
  let root: Directory
  let staging: Directory
  let isRepeat: Bool
  var touched: Set<[UInt8]> = []
  /// Whether an operation takes its bytes from a file that another one may bring, or move: else nobody asks where files are.
  var followsFiles = true
  /// Paths that files really got.
  var actual: [Target: [UInt8]] = [:]
  /// Files that were to come and did not: under their names lies what kept them from there, or nothing.
  var missed: Set<Target> = []
  /// Paths that files had only until a later operation moved them on.
  var movedOn: Set<[UInt8]> = []
  /// The directory that was asked for last: its path, and the one that it really has.
  var lastParent: (asked: [UInt8], path: [UInt8], directory: Directory)?

  /// The directory of the file that was looked at last, once all names are given.
  private var lastSeen: (path: [UInt8], directory: Directory)?

  var calls: DiskCalls { replica.calls }

  init(replica: Replica, root: Directory, staging: Directory, isRepeat: Bool) {
    self.replica = replica
    self.root = root
    self.staging = staging
    self.isRepeat = isRepeat
  }

  mutating func run(_ operations: [FilingOperation]) -> [FilingResult] {
    replica.syncer.watch(root)
    defer { replica.releaseIfIdle() }
    followsFiles = operations.contains(where: \.takesFromReplica)
    let prepared = prepare(operations)
    let synced = syncBytes(prepared)
    guard synced >= 0 else { return abandon(prepared, errno: synced) }

    var outcomes: [Outcome] = []
    var syncFailure: Int?
    for (index, operation) in operations.enumerated() {
      do throws(Stop) {
        let bytes = try prepared[index].get()
        outcomes.append(try apply(operation, bytes))
      } catch {
        if case .sync(let failure) = error { syncFailure = failure }
        if case .success(let bytes?) = prepared[index], bytes.isCopy { dropStaged(bytes.name) }
        outcomes.append(.ended(Self.ending(of: error)))
        miss(operation)
      }
    }
    let directories = syncDirectories()
    if directories < 0 { syncFailure = directories }
    return outcomes.map { outcome in
      if case .ended(let result) = outcome { return result }
      if let syncFailure { return Self.syncResult(syncFailure) }
      return finished(outcome)
    }
  }

  static func ending(of stop: Stop) -> FilingResult {
    switch stop {
    case .disk(let error): .failed(FilingFailure(error))
    case .sourceChanged: .sourceChanged
    case .sync(let failure): syncResult(failure)
    }
  }

  private static func syncResult(_ failure: Int) -> FilingResult {
    let error = DiskError(call: failure, path: [], operation: "fsync")
    return .failed(FilingFailure(code: .sync, errno: error.errno, message: error.description))
  }

  // MARK: Bytes

  /// Gets the bytes of landings and copies ready in the staging area, with mode and mtime, not yet synced.
  private mutating func prepare(_ operations: [FilingOperation]) -> [Result<Prepared?, Stop>] {
    var coming: [Target: Source] = [:]
    var landing: Set<ContentID> = []
    let keepsFiles = operations.count <= Syncer.manyFiles
    return operations.map { operation in
      let target = Target(path: operation.path, content: operation.content)
      do throws(Stop) {
        switch operation {
        case .land(let content, _, let mtime):
          if followsFiles { coming[target] = .staged(content.hexDigits) }
          if landing.insert(content).inserted {
            return .success(try prepareLanding(content, mtime: mtime, keepsFile: keepsFiles))
          }
          let sources = [Source.staged(content.hexDigits)]
          return .success(try prepareCopy(of: sources, content, mtime: mtime, keepsFile: keepsFiles))
        case .move(let from, _, let content, _), .link(let from, _, let content, _):
          coming[target] = coming[Target(path: from, content: content)] ?? .replica(from)
          return .success(nil)
        case .copy(let from, _, let content, let mtime):
          // Where the source lies now; where it is to lie, if an earlier run has brought it there.
          let sources = [coming[Target(path: from, content: content)], .replica(from)].compactMap(\.self)
          let bytes = try prepareCopy(of: sources, content, mtime: mtime, keepsFile: keepsFiles)
          coming[target] = bytes.map { .staged($0.name) }
          return .success(bytes)
        case .copyOwn(let folder, let source, _, let content, let mtime):
          let origin = try disk { () throws(DiskError) in try Directory(root: folder).openRegular(source) }
          let size = origin.status.stamp.size
          return .success(
            try copy(origin.file, size: size, content, mtime: mtime, keepsFile: keepsFiles))
        case .remove:
          return .success(nil)
        }
      } catch {
        // Not to be made again; it may have been made the first time.
        if isRepeat, case .sync = error {} else if isRepeat { return .success(nil) }
        return .failure(error)
      }
    }
  }

  /// Nil when nothing is staged: then the file may be at its target already, from a run that was cut off.
  private func prepareLanding(
    _ content: ContentID, mtime: Int64, keepsFile: Bool
  ) throws(Stop) -> Prepared? {
    let name = content.hexDigits
    if !keepsFile, let known = try dressByName(name, content, mtime: mtime) { return known }
    let opened: (file: OpenFile, status: FileStatistics)
    do throws(DiskError) {
      opened = try staging.openRegular(name)
    } catch {
      if error.code == .notFound { return nil }
      throw .disk(error)
    }
    let stage = replica.verified(content)
    let file = stage?.file ?? opened.file
    if let stage {
      if replica.isDoubted(stage) { try expectOnDisk(content, file, size: opened.status.stamp.size) }
    } else {
      // Being written by another thread, it is not the whole of anything: a batch that is repeated finds what is fetched
      // since. What was verified of it would be lost with its name, and whoever writes would not know.
      guard !replica.isBeingWritten(content) else { throw .sourceChanged }
      let isWhole = try isOnDisk(content, file, size: opened.status.stamp.size)
      guard !replica.isBeingWritten(content) else { throw .sourceChanged }
      guard isWhole else {
        // It must not stand in the way of the bytes that are fetched now.
        dropStaged(name)
        throw .sourceChanged
      }
    }
    try dress(file, mtime: mtime)
    return Prepared(
      name: name, file: keepsFile ? file : nil, stamp: opened.status.stamp, content: content, isCopy: false)
  }

  /// The same without opening a file that this process has verified: nil when that cannot be had, or does not do.
  private func dressByName(
    _ name: [UInt8], _ content: ContentID, mtime: Int64
  ) throws(Stop) -> Prepared? {
    guard let stage = replica.verified(content), !replica.isDoubted(stage),
      let status = try? staging.entryStatus(name, path: name),
      status.isRegular, status.linkCount == 1, status.mode & 0o7777 == Self.fileMode
    else { return nil }
    let times = Self.times(mtime)
    let set = result { withName(name) { utimensat(staging.descriptor, $0, times, AT_SYMLINK_NOFOLLOW) } }
    guard set >= 0 else { return nil }
    return Prepared(name: name, file: nil, stamp: status.stamp, content: content, isCopy: false)
  }

  /// Nil when no source is there: the copy may be, from a run that was cut off.
  private func prepareCopy(
    of sources: [Source], _ content: ContentID, mtime: Int64, keepsFile: Bool
  ) throws(Stop) -> Prepared? {
    for source in sources {
      let opened: (file: OpenFile, status: FileStatistics)
      do throws(DiskError) {
        switch source {
        case .staged(let name): opened = try staging.openRegular(name)
        case .replica(let path): opened = try root.openRegular(path)
        }
      } catch {
        if error.code == .notFound { continue }
        throw .disk(error)
      }
      return try copy(
        opened.file, size: opened.status.stamp.size, content, mtime: mtime, keepsFile: keepsFile)
    }
    return nil
  }

  /// A copy of an open file in the staging area, hashed after it was made.
  func copy(
    _ source: OpenFile, size: UInt64, _ content: ContentID, mtime: Int64, keepsFile: Bool
  ) throws(Stop) -> Prepared {
    let name = replica.nextTemporaryName()
    let made = calls.create(staging.descriptor, name, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard made >= 0 else { throw .disk(DiskError(call: made, path: name, operation: "copy")) }
    let target = OpenFile(Int32(made))
    do throws(Stop) {
      try disk { () throws(DiskError) in try FileCopy.copy(source, to: target, size: size, calls: calls) }
      let isRight = try disk { () throws(DiskError) in
        try replica.isContent(content, target, size: size, path: name)
      }
      guard isRight else { throw .sourceChanged }
      try dress(target, mtime: mtime)
      let stamp = try disk { () throws(DiskError) in try target.status(name).stamp }
      return Prepared(
        name: name, file: keepsFile ? target : nil, stamp: stamp, content: content, isCopy: true)
    } catch {
      dropStaged(name)
      throw error
    }
  }

  /// Mode and mtime of a replica file. A filesystem that knows no modes, or coarser times, keeps what it can.
  func dress(_ file: OpenFile, mtime: Int64) throws(Stop) {
    let lenient = [0, -Int(EPERM), -Int(EOPNOTSUPP), -Int(EINVAL), -Int(ENOSYS)]
    let mode = result { fchmod(file.descriptor, Self.fileMode) }
    guard lenient.contains(mode) else {
      throw .disk(DiskError(call: mode, path: [], operation: "set mode"))
    }
    let times = Self.times(mtime)
    let set = result { futimens(file.descriptor, times) }
    guard lenient.contains(set) else { throw .disk(DiskError(call: set, path: [], operation: "set times")) }
  }

  /// UTIME_OMIT: the access time stays.
  private static func times(_ mtime: Int64) -> [timespec] {
    [timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2), timespec(nanoseconds: mtime)]
  }

  func sync(_ file: OpenFile) throws(Stop) {
    let outcome = calls.fsync(file.descriptor)
    guard outcome >= 0 else { throw .sync(outcome) }
  }

  /// Makes the prepared bytes durable; the first error, negated, or 0.
  private func syncBytes(_ prepared: [Result<Prepared?, Stop>]) -> Int {
    var files: [Prepared] = []
    for bytes in prepared {
      switch bytes {
      case .success(let bytes?): files.append(bytes)
      case .success(nil): break
      case .failure(.sync(let failure)): return failure
      case .failure: break
      }
    }
    let (replica, staging, waiting) = (replica, staging, files)
    return replica.syncer.sync(waiting.count) { index throws(DiskError) in
      let bytes = waiting[index]
      // The descriptor that was written through, if it is still open, reports errors that a new one may miss.
      if let file = bytes.file { return file }
      if !bytes.isCopy, let file = replica.verified(bytes.content)?.file { return file }
      return try staging.openRegular(bytes.name).file
    }
  }

  /// After a failed sync: the staged bytes of the batch are not to be trusted, and go.
  private func abandon(_ prepared: [Result<Prepared?, Stop>], errno: Int) -> [FilingResult] {
    prepared.map { bytes in
      switch bytes {
      case .failure(let stop): return Self.ending(of: stop)
      case .success(let bytes):
        if let bytes {
          if !bytes.isCopy { replica.forget(bytes.content) }
          dropStaged(bytes.name)
        }
        return Self.syncResult(errno)
      }
    }
  }

  /// Best effort: what stays is found and removed, or checked again, at the next start.
  func dropStaged(_ name: [UInt8]) { _ = calls.unlink(staging.descriptor, name, false) }

  // MARK: Ends

  private func syncDirectories() -> Int {
    let paths = touched.sorted { $0.lexicographicallyPrecedes($1) }
    let root = root
    return replica.syncer.sync(paths.count) { index throws(DiskError) in
      do throws(DiskError) {
        return try paths[index].isEmpty ? root.file : root.directory(paths[index]).file
      } catch {
        // Removed since, as empty: its parent is among the touched.
        if error.code == .notFound { return nil }
        throw error
      }
    }
  }

  private mutating func finished(_ outcome: Outcome) -> FilingResult {
    switch outcome {
    case .removed(let path): return .done(path: path, nil)
    case .ended(let result): return result
    case .placed(let path) where movedOn.contains(path), .adopted(let path) where movedOn.contains(path):
      return .done(path: path, nil)
    case .placed(let path), .adopted(let path):
      do {
        let stamp = try status(path).stamp
        if case .adopted = outcome { return .adopted(path: path, stamp) }
        return .done(path: path, stamp)
      } catch {
        return .failed(FilingFailure(error))
      }
    }
  }

  /// Files come in directory order: the last one's directory is kept open.
  private mutating func status(_ path: [UInt8]) throws(DiskError) -> FileStatistics {
    let parent = Self.parentPath(path)
    let directory: Directory
    if let lastSeen, lastSeen.path == parent {
      directory = lastSeen.directory
    } else {
      directory = try parent.isEmpty ? root : root.directory(parent)
      lastSeen = (parent, directory)
    }
    return try directory.entryStatus(Self.leaf(path), path: path)
  }

  /// Lifts a disk error into the reasons that end an operation.
  func disk<Value>(_ body: () throws(DiskError) -> Value) throws(Stop) -> Value {
    do throws(DiskError) {
      return try body()
    } catch {
      throw .disk(error)
    }
  }
}

extension FilingOperation {
  fileprivate var takesFromReplica: Bool {
    switch self {
    case .move, .link, .copy: true
    case .land, .copyOwn, .remove: false
    }
  }
}

extension Replica {
  /// With nothing staged and nothing to sync, no descriptor is kept open: the disk can be unmounted.
  func releaseIfIdle() {
    if state.withLock({ $0.verified.isEmpty && $0.reserved.isEmpty && $0.openStages == 0 }) {
      syncer.unwatch()
    }
  }
}
