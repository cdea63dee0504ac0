import CMantelSystem
import Glibc
package import MantelCore
import Synchronization

/// A file that is to be brought back.
package struct RestoreFile: Hashable, Sendable {
  package var content: ContentID
  package var size: UInt64
  /// Nanoseconds since 1970.
  package var mtime: Int64
  /// Below the target's root, bytes.
  package var path: [UInt8]

  package init(content: ContentID, size: UInt64, mtime: Int64, path: [UInt8]) {
    self.content = content
    self.size = size
    self.mtime = mtime
    self.path = path
  }
}

/// What became of a file that was to be written, and the path below the root that it has.
package enum RestoredFile: Hashable, Sendable {
  case written([UInt8])
  /// The same bytes have come there meanwhile: another item has the same place.
  case present([UInt8])

  package var path: [UInt8] {
    switch self {
    case .written(let path), .present(let path): path
    }
  }
}

/// Where the bytes of a restored file may be taken from; they are hashed again whatever the source.
package enum RestoreSource: Sendable {
  /// Below an absolute path: a user's own file, read-only.
  case own(root: [UInt8], path: [UInt8])
  case replica(Replica, path: [UInt8])
  case staged(Replica, ContentID)

  func open() throws(DiskError) -> (file: OpenFile, status: FileStatistics) {
    switch self {
    case .own(let root, let path): try Directory(root: root).openRegular(path)
    case .replica(let replica, let path): try replica.mounted().openRegular(path)
    case .staged(let replica, let content):
      try replica.staging(replica.mounted()).openRegular(content.hexDigits)
    }
  }
}

/// The directory of the user's that files are restored to.
///
/// Nothing that is there is ever replaced, changed or removed; what is written appears under its name whole, hashed,
/// synced and with its time. Nothing below the root is reached through a symlink. Calls block; files of one path may be
/// written by several callers at once.
package final class RestoreTarget: Sendable {
  /// Absolute path, bytes.
  package let root: [UInt8]
  private let directory: Directory
  /// New directories get the mode of the root.
  private let directoryMode: UInt32
  private let calls: DiskCalls
  private let syncer: Syncer
  /// Temporary names that this process writes under, whatever the directory: no two files share one.
  fileprivate static let namesUnderWay = Mutex<Set<[UInt8]>>([])

  /// Opens the directory, and makes it and those above it if they are missing.
  package init(root: [UInt8], calls: DiskCalls = .system) throws(DiskError) {
    self.root = root
    self.calls = calls
    directory = try Self.makeRoot(root, calls: calls)
    directoryMode = try directory.file.status(root).mode & 0o777
    syncer = Syncer(calls: calls)
  }

  package func space() throws(DiskError) -> (free: UInt64, total: UInt64) {
    let facts = try FilesystemFacts.facts(of: directory.file, path: root)
    return (facts.free_bytes, facts.total_bytes)
  }

  /// The file that has the bytes already: at the path, or under a suffixed name of an earlier restore. Its time is its
  /// owner's. Nil if the file is to be written. It may not be durable yet: `settle`.
  package func existing(
    _ file: RestoreFile, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> [UInt8]? {
    try Self.check(file.path)
    let parent: Directory
    do throws(DiskError) {
      parent = try directory.parent(of: file.path).directory
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
    for attempt in 0..<SuffixedName.attempts {
      let candidate = SuffixedName.candidate(file.path, file.content, attempt: attempt)
      do throws(DiskError) {
        let equal = try Self.equal(to: file, at: candidate, in: parent, shouldContinue: shouldContinue)
        if equal != nil { return candidate }
      } catch {
        if error.code == .notFound { return nil }
        if error.code == .cancelled { throw error }
        // What cannot be read is somebody else's: it keeps its name.
      }
    }
    return nil
  }

  /// Makes files that are there durable, and the names that lead to them: an earlier run may have ended, or failed, before that.
  /// Returns why each is not durable; nil if it is.
  package func settle(_ paths: [[UInt8]]) -> [DiskError?] {
    syncer.watch(directory)
    defer { syncer.unwatch() }
    let root = directory
    // Each once: the kernel tells an error of what was written a single time, so a second try would hide it.
    let files = syncer.syncEach(paths.count) { index throws(DiskError) in
      try root.openRegular(paths[index]).file
    }
    var failures = zip(paths, files).map { Self.failure(of: $1, path: $0, operation: "fsync") }
    var above: Set<[UInt8]> = [[]]
    for path in paths {
      var parent = FilingBatch.parentPath(path)
      while above.insert(parent).inserted { parent = FilingBatch.parentPath(parent) }
    }
    let directories = Array(above)
    let names = syncer.syncEach(directories.count) { index throws(DiskError) in
      try root.directory(directories[index]).file
    }
    var lost: [[UInt8]: DiskError] = [:]
    for (path, outcome) in zip(directories, names) {
      lost[path] = Self.failure(of: outcome, path: path, operation: "fsync directory")
    }
    for index in paths.indices {
      var parent = paths[index]
      while failures[index] == nil, !parent.isEmpty {
        parent = FilingBatch.parentPath(parent)
        failures[index] = lost[parent]
      }
    }
    return failures
  }

  private static func failure(of outcome: Int, path: [UInt8], operation: String) -> DiskError? {
    // A filesystem that is only read (ISO 9660) knows no sync, and needs none.
    guard outcome < 0, outcome != -Int(EINVAL) else { return nil }
    return DiskError(call: outcome, path: path, operation: operation)
  }

  /// Writes files, each from the first of its sources that really has its bytes, and makes all of them durable together.
  /// Returns the paths that they got: another than the one asked for, where something else lies there. Fails with
  /// `.changed` when no source has the bytes, with `.cancelled` when whoever asks wants no more.
  package func write(
    _ files: [(file: RestoreFile, sources: [RestoreSource])], shouldContinue: () -> Bool = { true }
  ) -> [Result<RestoredFile, DiskError>] {
    var batch = RestoreBatch(directory: directory, mode: directoryMode, calls: calls, syncer: syncer)
    syncer.watch(directory)
    defer { syncer.unwatch() }
    return batch.run(files, shouldContinue: shouldContinue)
  }

  /// The file at a path whose directory is `parent`, if it has the bytes.
  fileprivate static func equal(
    to file: RestoreFile, at candidate: [UInt8], in parent: Directory, shouldContinue: () -> Bool
  ) throws(DiskError) -> OpenFile? {
    let leaf = FilingBatch.leaf(candidate)
    let status = try parent.entryStatus(leaf, path: candidate)
    guard status.isRegular, status.stamp.size == file.size else { return nil }
    let opened = try parent.openRegular(leaf)
    let digests = try ContentDigests(
      of: opened.file, size: file.size, path: candidate, withBlocks: false, shouldContinue: shouldContinue)
    return digests.content == file.content ? opened.file : nil
  }

  /// Refuses a path that leads out of the directory.
  fileprivate static func check(_ path: [UInt8]) throws(DiskError) {
    guard Directory.isSafe(path) else { throw DiskError(.name, path: path, operation: "check path") }
  }

  private static func makeRoot(_ root: [UInt8], calls: DiskCalls) throws(DiskError) -> Directory {
    do throws(DiskError) {
      return try Directory(root: root)
    } catch {
      guard error.errno == ENOENT else { throw error }
    }
    var path: [UInt8] = []
    var directory = try Directory(root: Array("/".utf8))
    for name in RelativePath.components(root) {
      path += [UInt8(ascii: "/")] + name
      let outcome = calls.mkdir(directory.descriptor, name)
      guard outcome >= 0 || outcome == -Int(EEXIST) else {
        throw DiskError(call: outcome, path: path, operation: "create directory")
      }
      if outcome >= 0 { try Replica.sync(directory, path: path, calls: calls) }
      // A link on the way to the root is the user's own wish.
      directory = try Directory(root: path)
    }
    return directory
  }
}

/// One call of `RestoreTarget.write`: bytes first, then names, then directories.
private struct RestoreBatch {
  /// Hashed bytes under a temporary name in the directory where the file belongs.
  private struct Prepared {
    var name: [UInt8]
    var parent: Directory
    var file: OpenFile
  }

  let directory: Directory
  let mode: UInt32
  let calls: DiskCalls
  let syncer: Syncer
  /// Directories whose entries changed, and those above them, by their path below the root.
  private var touched: [[UInt8]: Directory] = [:]
  private var lastParent: (path: [UInt8], directory: Directory)?
  /// Temporary names that are this batch's until it ends.
  private var names: [[UInt8]] = []

  init(directory: Directory, mode: UInt32, calls: DiskCalls, syncer: Syncer) {
    self.directory = directory
    self.mode = mode
    self.calls = calls
    self.syncer = syncer
  }

  mutating func run(
    _ files: [(file: RestoreFile, sources: [RestoreSource])], shouldContinue: () -> Bool
  ) -> [Result<RestoredFile, DiskError>] {
    defer { releaseNames() }
    var prepared: [Result<Prepared, DiskError>] = []
    for item in files {
      do throws(DiskError) {
        prepared.append(.success(try prepare(item.file, item.sources, shouldContinue: shouldContinue)))
      } catch {
        prepared.append(.failure(error))
      }
    }
    if let failure = sync(prepared.compactMap { try? $0.get().file }, operation: "fsync") {
      for case .success(let bytes) in prepared { drop(bytes) }
      return prepared.map { $0.flatMap { _ in .failure(failure) } }
    }
    var results: [Result<RestoredFile, DiskError>] = []
    for (item, bytes) in zip(files, prepared) {
      do throws(DiskError) {
        results.append(.success(try name(bytes.get(), item.file, shouldContinue: shouldContinue)))
      } catch {
        if case .success(let bytes) = bytes { drop(bytes) }
        results.append(.failure(error))
      }
    }
    // A name that is not durable yet is no promise: the file is found to be there by the next restore.
    if let failure = sync(touched.values.map(\.file), operation: "fsync directory") {
      return results.map { $0.flatMap { _ in .failure(failure) } }
    }
    return results
  }

  private func sync(_ files: [OpenFile], operation: String) -> DiskError? {
    let outcome = syncer.sync(files.count) { files[$0] }
    return outcome < 0 ? DiskError(call: outcome, path: [], operation: operation) : nil
  }

  // MARK: Bytes

  private mutating func prepare(
    _ file: RestoreFile, _ sources: [RestoreSource], shouldContinue: () -> Bool
  ) throws(DiskError) -> Prepared {
    try RestoreTarget.check(file.path)
    let parent = try makeParent(FilingBatch.parentPath(file.path))
    let name = takeName(file)
    var failure = DiskError(.changed, path: file.path, operation: "restore")
    for source in sources {
      do throws(DiskError) {
        let copy = try copy(file, from: source, to: name, in: parent, shouldContinue: shouldContinue)
        return Prepared(name: name, parent: parent, file: copy)
      } catch {
        failure = error
        // What one source could not give, another may; a full disk stays full, and an end is one.
        if error.code == .noSpace || error.code == .cancelled { break }
      }
    }
    throw failure
  }

  /// On the junk list, so that a watched folder never takes it for a photo. Of this path alone, for equal files are written
  /// side by side; and with the lowest number that nobody here has, for the same place may be written twice at once. So it is
  /// mostly the same in the next run, which takes the place of what a crash has left of it.
  private mutating func takeName(_ file: RestoreFile) -> [UInt8] {
    let path = Digest256(hashing: file.path).hex.prefix(16)
    let stem = ".mantel-restore-\(file.content.hex)-\(path)"
    let name = RestoreTarget.namesUnderWay.withLock { taken -> [UInt8] in
      var number = 0
      while true {
        let candidate = Array("\(stem)-\(number).part".utf8)
        if taken.insert(candidate).inserted { return candidate }
        number += 1
      }
    }
    names.append(name)
    return name
  }

  private mutating func releaseNames() {
    let released = names
    RestoreTarget.namesUnderWay.withLock { $0.subtract(released) }
    names.removeAll()
  }

  private func copy(
    _ file: RestoreFile, from source: RestoreSource, to name: [UInt8], in parent: Directory,
    shouldContinue: () -> Bool
  ) throws(DiskError) -> OpenFile {
    let changed = DiskError(.changed, path: file.path, operation: "restore")
    let origin = try source.open()
    guard origin.status.stamp.size == file.size else { throw changed }
    let target = try create(name, in: parent)
    do throws(DiskError) {
      try FileCopy.copy(origin.file, to: target, size: file.size, calls: calls)
      let digests = try ContentDigests(
        of: target, size: file.size, path: file.path, withBlocks: false, shouldContinue: shouldContinue)
      guard digests.content == file.content else { throw changed }
      // UTIME_OMIT: the access time stays. A filesystem with coarser times keeps what it can.
      let times = [timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2), timespec(nanoseconds: file.mtime)]
      let dated = result { futimens(target.descriptor, times) }
      guard dated >= 0 else { throw DiskError(call: dated, path: file.path, operation: "set times") }
      return target
    } catch {
      _ = calls.unlink(parent.descriptor, name, false)
      throw error
    }
  }

  /// The process's umask decides about the mode, as for any new file of the user's.
  private func create(_ name: [UInt8], in parent: Directory) throws(DiskError) -> OpenFile {
    var made = calls.create(parent.descriptor, name, O_RDWR | O_CREAT | O_EXCL, 0o666)
    if made == -Int(EEXIST) {
      _ = calls.unlink(parent.descriptor, name, false)
      made = calls.create(parent.descriptor, name, O_RDWR | O_CREAT | O_EXCL, 0o666)
    }
    guard made >= 0 else { throw DiskError(call: made, path: name, operation: "create") }
    return OpenFile(Int32(made))
  }

  private func drop(_ bytes: Prepared) { _ = calls.unlink(bytes.parent.descriptor, bytes.name, false) }

  // MARK: Names

  private mutating func name(
    _ bytes: Prepared, _ file: RestoreFile, shouldContinue: () -> Bool
  ) throws(DiskError) -> RestoredFile {
    for attempt in 0..<SuffixedName.attempts {
      let candidate = SuffixedName.candidate(file.path, file.content, attempt: attempt)
      let outcome = rename(bytes, FilingBatch.leaf(candidate))
      if outcome >= 0 {
        touched[FilingBatch.parentPath(file.path)] = bytes.parent
        return .written(candidate)
      }
      guard outcome == -Int(EEXIST) else {
        throw DiskError(call: outcome, path: file.path, operation: "restore")
      }
      guard try isPresent(file, at: candidate, in: bytes.parent, shouldContinue: shouldContinue) else {
        continue
      }
      touched[FilingBatch.parentPath(file.path)] = bytes.parent
      drop(bytes)
      return .present(candidate)
    }
    throw DiskError(.exists, errno: EEXIST, path: file.path, operation: "restore")
  }

  /// Whether the same bytes have the name already, and durably: of two items with one place one is enough.
  private func isPresent(
    _ file: RestoreFile, at candidate: [UInt8], in parent: Directory, shouldContinue: () -> Bool
  ) throws(DiskError) -> Bool {
    let equal: OpenFile?
    do throws(DiskError) {
      equal = try RestoreTarget.equal(to: file, at: candidate, in: parent, shouldContinue: shouldContinue)
    } catch {
      // A second file of the same bytes would be made.
      if error.code == .cancelled { throw error }
      // What cannot be read is somebody else's: it keeps its name.
      equal = nil
    }
    guard let equal else { return false }
    let outcome = withExtendedLifetime(equal) { calls.fsync(equal.descriptor) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: candidate, operation: "fsync") }
    return true
  }

  /// Never replaces: where the filesystem cannot promise that for a rename, a second name takes its place; where there
  /// are none either, an empty file holds the name until it is this batch's own to replace.
  private func rename(_ bytes: Prepared, _ leaf: [UInt8]) -> Int {
    let parent = bytes.parent.descriptor
    let unsupported = [-Int(EINVAL), -Int(ENOSYS), -Int(EOPNOTSUPP), -Int(EPERM)]
    let renamed = calls.rename(parent, bytes.name, parent, leaf)
    guard unsupported.contains(renamed) else { return renamed }
    let linked = calls.link(parent, bytes.name, parent, leaf)
    if linked >= 0 { return min(0, calls.unlink(parent, bytes.name, false)) }
    guard unsupported.contains(linked) else { return linked }
    let held = calls.create(parent, leaf, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard held >= 0 else { return held }
    close(Int32(held))
    return calls.replace(parent, bytes.name, parent, leaf)
  }

  // MARK: Directories

  private mutating func makeParent(_ path: [UInt8]) throws(DiskError) -> Directory {
    if let lastParent, lastParent.path == path { return lastParent.directory }
    var current = directory
    var above: [UInt8] = []
    for name in RelativePath.components(path) {
      let parent = current
      do throws(DiskError) {
        current = try parent.directory(name)
      } catch {
        guard error.errno == ENOENT else { throw error }
        let made = calls.mkdir(parent.descriptor, name)
        guard made >= 0 || made == -Int(EEXIST) else {
          throw DiskError(call: made, path: path, operation: "create directory")
        }
        current = try parent.directory(name)
        // Filesystems without modes refuse; there the mount options decide.
        if made >= 0 { fchmod(current.descriptor, mode) }
      }
      // One that was there too: an earlier run, or another call, may not have synced its name.
      touched[above] = parent
      above = above.isEmpty ? name : above + [UInt8(ascii: "/")] + name
    }
    lastParent = (path, current)
    return current
  }
}
