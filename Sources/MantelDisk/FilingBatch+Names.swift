import CMantelSystem
import Glibc
import MantelCore

/// The second half of a batch: names. Everything here comes after the bytes were synced.
extension FilingBatch {
  mutating func apply(_ operation: FilingOperation, _ bytes: Prepared?) throws(Stop) -> Outcome {
    guard Self.isAllowed(operation.path) else {
      throw .disk(DiskError(.name, path: operation.path, operation: "check path"))
    }
    let outcome: Outcome
    switch operation {
    case .land(let content, let path, let mtime):
      outcome = try place(bytes, at: path, content: content, mtime: mtime)
      replica.forget(content)
    case .copy(_, let path, let content, let mtime), .copyOwn(_, _, let path, let content, let mtime):
      outcome = try place(bytes, at: path, content: content, mtime: mtime)
    case .move(let from, let path, let content, let mtime):
      outcome = try move(from: actual[from] ?? from, to: path, content: content, mtime: mtime)
    case .link(let from, let path, let content, let mtime):
      outcome = try link(from: actual[from] ?? from, to: path, content: content, mtime: mtime)
    case .remove(let path):
      try remove(path)
      outcome = .removed(path: path)
    }
    switch outcome {
    case .placed(let path), .adopted(let path): actual[operation.path] = path
    case .removed(let path): actual[path] = nil
    case .ended: break
    }
    return outcome
  }

  /// Below the root and not among Mantel's own files, but for the trash.
  static func isAllowed(_ path: [UInt8]) -> Bool {
    guard Directory.isSafe(path) else { return false }
    let components = RelativePath.components(path)
    guard components.first == Replica.directoryName else { return true }
    return components.count > 2 && path.starts(with: Replica.trashPath + [UInt8(ascii: "/")])
  }

  // MARK: Operations

  /// Gives prepared bytes their name; without bytes, looks whether an earlier run has done so.
  private mutating func place(
    _ bytes: Prepared?, at path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard let bytes else { return try existing(path, content: content, mtime: mtime) }
    let staging = staging
    return try name(path, content: content, mtime: mtime, source: bytes.stamp) { batch, parent, leaf in
      batch.rename(staging, bytes.name, parent, leaf)
    } discard: { batch in
      batch.dropStaged(bytes.name)
    }
  }

  private mutating func move(
    from: [UInt8], to path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard Self.isAllowed(from) else { throw .disk(DiskError(.name, path: from, operation: "check path")) }
    guard let source = try openIfThere(from) else {
      return try existing(path, content: content, mtime: mtime)
    }
    if source.status.stamp.mtime != mtime {
      if source.status.linkCount > 1 {
        // Other names share this file's mtime: the moved one becomes a file of its own.
        if from == path { throw .disk(DiskError(.exists, path: path, operation: "move")) }
        let outcome = try placeCopy(of: source, at: path, content: content, mtime: mtime)
        try remove(from)
        return outcome
      }
      try dress(source.file, mtime: mtime)
      try sync(source.file)
    }
    if from == path { return .placed(path: path) }
    let (directory, leaf) = try disk { () throws(DiskError) in try root.parent(of: from) }
    let outcome = try name(path, content: content, mtime: mtime, source: source.status.stamp) {
      batch, parent, newLeaf in
      batch.rename(directory, leaf, parent, newLeaf)
    } discard: { batch in
      _ = batch.calls.unlink(directory.descriptor, leaf, false)
    }
    left(from)
    return outcome
  }

  private mutating func link(
    from: [UInt8], to path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard Self.isAllowed(from) else { throw .disk(DiskError(.name, path: from, operation: "check path")) }
    guard let source = try openIfThere(from) else {
      return try existing(path, content: content, mtime: mtime)
    }
    if from == path { return .placed(path: path) }
    // A link has its file's mtime; if that is not the one asked for, only a copy can have it.
    guard source.status.stamp.mtime == mtime else {
      return try placeCopy(of: source, at: path, content: content, mtime: mtime)
    }
    let (directory, leaf) = try disk { () throws(DiskError) in try root.parent(of: from) }
    do throws(Stop) {
      return try name(path, content: content, mtime: mtime, source: source.status.stamp) {
        batch, parent, newLeaf in
        batch.calls.link(directory.descriptor, leaf, parent.descriptor, newLeaf)
      } discard: { _ in
      }
    } catch {
      let refusals = [EPERM, EMLINK, EOPNOTSUPP, EXDEV, ENOSYS]
      guard case .disk(let failure) = error, refusals.contains(failure.errno) else { throw error }
      return try placeCopy(of: source, at: path, content: content, mtime: mtime)
    }
  }

  private mutating func remove(_ path: [UInt8]) throws(Stop) {
    do throws(DiskError) {
      let (directory, leaf) = try root.parent(of: path)
      let outcome = calls.unlink(directory.descriptor, leaf, false)
      guard outcome >= 0 || outcome == -Int(ENOENT) else {
        throw DiskError(call: outcome, path: path, operation: "remove")
      }
    } catch {
      // Gone with its directory: done by an earlier run.
      guard error.code == .notFound else { throw .disk(error) }
    }
    left(path)
  }

  // MARK: Names

  /// Tries the path, then its suffixed names, until `take` succeeds or a file of the same bytes is there already;
  /// then `discard` removes the source.
  private mutating func name(
    _ path: [UInt8], content: ContentID, mtime: Int64, source: FileStamp,
    take: (FilingBatch, Directory, [UInt8]) -> Int, discard: (FilingBatch) -> Void
  ) throws(Stop) -> Outcome {
    let parentPath = Self.parentPath(path)
    let parent = try makeParent(parentPath)
    for attempt in 0..<SuffixedName.attempts {
      let candidate = SuffixedName.candidate(path, content, attempt: attempt)
      let leaf = Self.leaf(candidate)
      let outcome = take(self, parent, leaf)
      if outcome >= 0 {
        touched.insert(parentPath)
        return .placed(path: candidate)
      }
      guard outcome == -Int(EEXIST) else {
        throw .disk(DiskError(call: outcome, path: path, operation: "file"))
      }
      let isSame = (try? parent.entryStatus(leaf, path: candidate).stamp.inode) == source.inode
      let isTaken =
        isSame ? true : try adopt(parent, leaf, content: content, size: source.size, mtime: mtime)
      guard isTaken else { continue }
      touched.insert(parentPath)
      discard(self)
      return isSame ? .placed(path: candidate) : .adopted(path: candidate)
    }
    throw .disk(DiskError(.exists, errno: EEXIST, path: path, operation: "file"))
  }

  /// The file that an earlier run left at the path or one of its suffixed names; else the source has changed.
  private mutating func existing(_ path: [UInt8], content: ContentID, mtime: Int64) throws(Stop) -> Outcome {
    let parentPath = Self.parentPath(path)
    let parent: Directory
    do throws(DiskError) {
      parent = try parentPath.isEmpty ? root : root.directory(parentPath)
    } catch {
      if error.code == .notFound { throw .sourceChanged }
      throw .disk(error)
    }
    for attempt in 0..<SuffixedName.attempts {
      let candidate = SuffixedName.candidate(path, content, attempt: attempt)
      guard (try? parent.entryStatus(Self.leaf(candidate), path: candidate)) != nil else { break }
      if try adopt(parent, Self.leaf(candidate), content: content, size: nil, mtime: mtime) {
        touched.insert(parentPath)
        return .adopted(path: candidate)
      }
    }
    throw .sourceChanged
  }

  /// Whether the entry is a file of the content's bytes; then it is synced, with the mtime asked for unless other
  /// names share it. A nil size is not compared.
  private func adopt(
    _ parent: Directory, _ leaf: [UInt8], content: ContentID, size: UInt64?, mtime: Int64
  ) throws(Stop) -> Bool {
    // What cannot be opened, or is no file, is somebody else's: it keeps its name.
    guard let (file, status) = try? parent.openRegular(leaf), size == nil || status.stamp.size == size else {
      return false
    }
    guard try isOnDisk(content, file, size: status.stamp.size) else { return false }
    if status.linkCount == 1 {
      try dress(file, mtime: mtime)
      try sync(file)
    }
    return true
  }

  private mutating func placeCopy(
    of source: (file: OpenFile, status: FileStatistics), at path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    let bytes = try copy(source.file, size: source.status.stamp.size, content, mtime: mtime, keepsFile: true)
    do throws(Stop) {
      if let file = bytes.file { try sync(file) }
      return try place(bytes, at: path, content: content, mtime: mtime)
    } catch {
      dropStaged(bytes.name)
      throw error
    }
  }

  /// Renames without replacing; where the filesystem cannot promise that, by a second name, and where there are none,
  /// after a look: nobody else writes below the root.
  private func rename(_ from: Directory, _ name: [UInt8], _ to: Directory, _ newName: [UInt8]) -> Int {
    let outcome = calls.rename(from.descriptor, name, to.descriptor, newName)
    guard [-Int(EINVAL), -Int(ENOSYS), -Int(EOPNOTSUPP)].contains(outcome) else { return outcome }
    let linked = calls.link(from.descriptor, name, to.descriptor, newName)
    if linked >= 0 { return calls.unlink(from.descriptor, name, false) }
    guard [-Int(EPERM), -Int(EOPNOTSUPP), -Int(ENOSYS)].contains(linked) else { return linked }
    if (try? to.entryStatus(newName, path: newName)) != nil { return -Int(EEXIST) }
    return calls.replace(from.descriptor, name, to.descriptor, newName)
  }

  private func openIfThere(_ path: [UInt8]) throws(Stop) -> (file: OpenFile, status: FileStatistics)? {
    do throws(DiskError) {
      return try root.openRegular(path)
    } catch {
      if error.code == .notFound { return nil }
      throw .disk(error)
    }
  }

  // MARK: Directories

  /// Opens the directory, making what is missing on the way; each new one's parent is to be synced.
  private mutating func makeParent(_ path: [UInt8]) throws(Stop) -> Directory {
    if let lastParent, lastParent.path == path { return lastParent.directory }
    if path.isEmpty { return root }
    let directory: Directory
    do throws(DiskError) {
      directory = try root.directory(path)
    } catch {
      guard error.errno == ENOENT else { throw .disk(error) }
      directory = try makeDirectories(path)
    }
    lastParent = (path, directory)
    return directory
  }

  private mutating func makeDirectories(_ path: [UInt8]) throws(Stop) -> Directory {
    var directory = root
    var above: [UInt8] = []
    for name in RelativePath.components(path) {
      let outcome = calls.mkdir(directory.descriptor, name)
      if outcome >= 0 {
        touched.insert(above)
      } else if outcome != -Int(EEXIST) {
        throw .disk(DiskError(call: outcome, path: path, operation: "create directory"))
      }
      let current = directory
      directory = try disk { () throws(DiskError) in try current.directory(name) }
      above = above.isEmpty ? name : above + [UInt8(ascii: "/")] + name
    }
    return directory
  }

  /// After a file left a directory: it is to be synced, or goes if it is empty, up to the machine's directory.
  private mutating func left(_ path: [UInt8]) {
    var current = Self.parentPath(path)
    touched.insert(current)
    while RelativePath.components(current).count > 1 {
      guard let (parent, leaf) = try? root.parent(of: current),
        calls.unlink(parent.descriptor, leaf, true) >= 0
      else { return }
      lastParent = nil
      current = Self.parentPath(current)
      touched.insert(current)
    }
  }

  static func parentPath(_ path: [UInt8]) -> [UInt8] {
    path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
  }

  static func leaf(_ path: [UInt8]) -> [UInt8] {
    path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[($0 + 1)...]) } ?? path
  }
}
