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
      let source = actual[Target(path: from, content: content)] ?? from
      outcome = try move(from: source, to: path, content: content, mtime: mtime)
    case .link(let from, let path, let content, let mtime):
      let source = actual[Target(path: from, content: content)] ?? from
      outcome = try link(from: source, to: path, content: content, mtime: mtime)
    case .remove(let path, let content):
      // Outside of the trash a user may have put another file there: its bytes are looked at first.
      let isKnown = !isRepeat && path.starts(with: Replica.trashPath)
      let found = isKnown ? .adopted(path: path) : try removed(path, content: content)
      if !isRepeat, case .adopted = found {
        try remove(path)
        outcome = .removed(path: path)
      } else {
        outcome = found
      }
    }
    guard followsFiles else { return outcome }
    let target = Target(path: operation.path, content: operation.content)
    switch outcome {
    case .placed(let path), .adopted(let path):
      actual[target] = path
      missed.remove(target)
      movedOn.remove(path)
    case .removed: actual[target] = nil
    case .ended: break
    }
    return outcome
  }

  /// The operation was not done: what is to be made from its file must not be made from another.
  mutating func miss(_ operation: FilingOperation) {
    guard followsFiles else { return }
    let target = Target(path: operation.path, content: operation.content)
    actual[target] = nil
    missed.insert(target)
  }

  /// Below the root and not among Mantel's own files, but for the trash.
  static func isAllowed(_ path: [UInt8]) -> Bool {
    guard Directory.isSafe(path) else { return false }
    // Nearly every path: it need not be taken apart.
    guard path.starts(with: Replica.directoryName) else { return true }
    let components = RelativePath.components(path)
    guard components.first == Replica.directoryName else { return true }
    return components.count > 2 && path.starts(with: Replica.trashPath + [UInt8(ascii: "/")])
  }

  /// Where bytes may be taken from: what was set aside may turn out to be somebody's photo after all.
  static func isSource(_ path: [UInt8]) -> Bool {
    isAllowed(path)
      || Directory.isSafe(path) && path.starts(with: Replica.quarantinePath + [UInt8(ascii: "/")])
  }

  // MARK: Operations

  /// Gives prepared bytes their name; without bytes, looks whether an earlier run has done so.
  private mutating func place(
    _ bytes: Prepared?, at path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard let bytes else { return try existing(path, content: content, mtime: mtime) }
    let staging = staging
    return try name(path, content: content, mtime: mtime, source: bytes.stamp) { batch, parent, leaf in
      batch.calls.renameWithoutReplacing(staging, bytes.name, parent, leaf)
    } discard: { batch in
      batch.dropStaged(bytes.name)
    }
  }

  private mutating func move(
    from: [UInt8], to path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard Self.isSource(from) else { throw .disk(DiskError(.name, path: from, operation: "check path")) }
    guard let source = try source(from, content) else {
      return try existing(path, content: content, mtime: mtime)
    }
    if source.status.stamp.mtime != mtime {
      if source.status.linkCount > 1 {
        // Other names share this file's mtime: the moved one becomes a file of its own.
        if from == path { throw .disk(DiskError(.exists, path: path, operation: "move")) }
        let outcome = try placeCopy(of: source, at: path, content: content, mtime: mtime)
        if outcome.path != from { try remove(from) }
        return outcome
      }
      try dress(source.file, mtime: mtime)
      try sync(source.file)
    }
    if from == path { return .placed(path: path) }
    let (directory, leaf) = try disk { () throws(DiskError) in try root.parent(of: from) }
    let outcome = try name(path, content: content, mtime: mtime, source: source.status.stamp, own: from) {
      batch, parent, newLeaf in
      batch.calls.renameWithoutReplacing(directory, leaf, parent, newLeaf)
    } discard: { batch in
      _ = batch.calls.unlink(directory.descriptor, leaf, false)
    }
    if outcome.path == from { return outcome }
    movedOn.insert(from)
    left(from)
    return outcome
  }

  private mutating func link(
    from: [UInt8], to path: [UInt8], content: ContentID, mtime: Int64
  ) throws(Stop) -> Outcome {
    guard Self.isSource(from) else { throw .disk(DiskError(.name, path: from, operation: "check path")) }
    guard let source = try source(from, content) else {
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

  /// What became of a removal that was cut off, or failed. It is not done again: its bytes may be wanted by now.
  private mutating func removed(_ path: [UInt8], content: ContentID) throws(Stop) -> Outcome {
    if let found = try openIfThere(path) {
      switch try isOnDiskNow(content, found.file, size: found.status.stamp.size) {
      case true?: return .adopted(path: path)
      // Another file has got the name.
      case false?: return .removed(path: path)
      case nil: throw .sourceChanged
      }
    }
    left(path)
    return .removed(path: path)
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
  /// then `discard` removes the source. A name that the filesystem cannot hold is escaped. A source that has one of
  /// these names itself (`own`) stays: renamed onto itself it would be taken for a twin, and removed.
  private mutating func name(
    _ path: [UInt8], content: ContentID, mtime: Int64, source: FileStamp, own: [UInt8]? = nil,
    take: (FilingBatch, Directory, [UInt8]) -> Int, discard: (FilingBatch) -> Void
  ) throws(Stop) -> Outcome {
    let (parent, parentPath) = try makeParent(Self.parentPath(path))
    var refusal = -Int(EEXIST)
    for form in EscapedName.forms(of: Self.leaf(path)) {
      for attempt in 0..<SuffixedName.attempts {
        let leaf = SuffixedName.candidate(form, content, attempt: attempt)
        let candidate = Self.path(parentPath, leaf)
        if candidate == own {
          touched.insert(parentPath)
          return .placed(path: candidate)
        }
        refusal = take(self, parent, leaf)
        if refusal >= 0 {
          touched.insert(parentPath)
          return .placed(path: candidate)
        }
        guard refusal == -Int(EEXIST) else { break }
        let there = try? parent.entryStatus(leaf, path: candidate)
        let isSame = there?.stamp.inode == source.inode
        if isSame, own != nil, there?.linkCount == 1 {
          // Names that differ in case alone, where case does not count.
          touched.insert(parentPath)
          return .placed(path: candidate)
        }
        let isTaken =
          isSame ? true : try adopt(parent, leaf, content: content, size: source.size, mtime: mtime)
        guard isTaken else { continue }
        touched.insert(parentPath)
        discard(self)
        return isSame ? .placed(path: candidate) : .adopted(path: candidate)
      }
      guard EscapedName.mayHelp(refusal) else { break }
    }
    throw .disk(DiskError(call: refusal, path: path, operation: "file"))
  }

  /// The file that an earlier run left at the path or one of its suffixed names; else the source has changed.
  private mutating func existing(_ path: [UInt8], content: ContentID, mtime: Int64) throws(Stop) -> Outcome {
    guard let (parent, parentPath) = try findParent(Self.parentPath(path)) else { throw .sourceChanged }
    for form in EscapedName.forms(of: Self.leaf(path)) {
      for attempt in 0..<SuffixedName.attempts {
        let leaf = SuffixedName.candidate(form, content, attempt: attempt)
        let candidate = Self.path(parentPath, leaf)
        guard (try? parent.entryStatus(leaf, path: candidate)) != nil else { break }
        if try adopt(parent, leaf, content: content, size: nil, mtime: mtime) {
          touched.insert(parentPath)
          return .adopted(path: candidate)
        }
      }
    }
    throw .sourceChanged
  }

  /// Whether the entry is a file of the content's bytes; then it is synced, with the mtime asked for unless other
  /// names share it. A nil size is not compared.
  private func adopt(
    _ parent: Directory, _ leaf: [UInt8], content: ContentID, size: UInt64?, mtime: Int64
  ) throws(Stop) -> Bool {
    // What cannot be opened or read, or is no file, is somebody else's: it keeps its name.
    guard let (file, status) = try? parent.openRegular(leaf), size == nil || status.stamp.size == size else {
      return false
    }
    guard try isOnDiskNow(content, file, size: status.stamp.size) == true else { return false }
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

  /// The file to be moved or linked: what has its name; in a repeat, or when the file was to come there just before and did
  /// not, its bytes too.
  private func source(
    _ path: [UInt8], _ content: ContentID
  ) throws(Stop) -> (file: OpenFile, status: FileStatistics)? {
    guard let found = try openIfThere(path) else { return nil }
    if isRepeat || missed.contains(Target(path: path, content: content)) {
      guard try isOnDiskNow(content, found.file, size: found.status.stamp.size) == true else { return nil }
    }
    return found
  }

  private func openIfThere(_ path: [UInt8]) throws(Stop) -> (file: OpenFile, status: FileStatistics)? {
    do throws(DiskError) {
      return try root.openRegular(path)
    } catch {
      // A link, or a directory: somebody else's, where a repeat looks for a file.
      if error.code == .notFound || isRepeat && error.code == .notRegular { return nil }
      throw .disk(error)
    }
  }

  // MARK: Directories

  /// Opens the directory, making what is missing on the way; each new one's parent is to be synced. Also its path:
  /// components that the filesystem cannot hold are escaped.
  private mutating func makeParent(_ path: [UInt8]) throws(Stop) -> (Directory, path: [UInt8]) {
    if let lastParent, lastParent.asked == path { return (lastParent.directory, lastParent.path) }
    if path.isEmpty { return (root, []) }
    let found: (Directory, path: [UInt8])
    do throws(DiskError) {
      found = (try root.directory(path), path)
    } catch {
      guard error.errno == ENOENT || EscapedName.mayHelp(-Int(error.errno)) else { throw .disk(error) }
      found = try makeDirectories(path)
    }
    lastParent = (path, found.path, found.0)
    return found
  }

  private mutating func makeDirectories(_ path: [UInt8]) throws(Stop) -> (Directory, path: [UInt8]) {
    var directory = root
    var above: [UInt8] = []
    for name in RelativePath.components(path) {
      var made = (name: name, outcome: 0)
      for form in EscapedName.forms(of: name) {
        made = (form, calls.mkdir(directory.descriptor, form))
        guard EscapedName.mayHelp(made.outcome) else { break }
      }
      if made.outcome >= 0 {
        touched.insert(above)
      } else if made.outcome != -Int(EEXIST) {
        throw .disk(DiskError(call: made.outcome, path: path, operation: "create directory"))
      }
      let current = directory
      directory = try disk { () throws(DiskError) in try current.directory(made.name) }
      above = Self.path(above, made.name)
    }
    return (directory, above)
  }

  /// The directory as `makeParent` would find it; nil if there is none.
  private func findParent(_ path: [UInt8]) throws(Stop) -> (Directory, path: [UInt8])? {
    var directory = root
    var above: [UInt8] = []
    for name in RelativePath.components(path) {
      let forms = EscapedName.forms(of: name)
      guard let form = forms.first(where: { (try? directory.entryStatus($0, path: path)) != nil }) else {
        return nil
      }
      let current = directory
      directory = try disk { () throws(DiskError) in try current.directory(form) }
      above = Self.path(above, form)
    }
    return (directory, above)
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

  static func path(_ directory: [UInt8], _ name: [UInt8]) -> [UInt8] {
    directory.isEmpty ? name : directory + [UInt8(ascii: "/")] + name
  }

  static func leaf(_ path: [UInt8]) -> [UInt8] {
    path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[($0 + 1)...]) } ?? path
  }
}
