import Glibc
import MantelCore

extension Replica {
  package static let quarantinePath = Array(".mantel/quarantine".utf8)

  /// Moves a bad file out of the way, durably: nothing is replaced, and nothing but the file of that inode is moved.
  /// Returns where it lies now, below the root; nil if it was not there. Repeating it after a crash is safe.
  ///
  /// `target` is a name in `.mantel/quarantine`; suffixed if another file has it.
  package func setAside(_ path: [UInt8], inode: UInt64, to target: [UInt8]) throws(DiskError) -> [UInt8]? {
    guard FilingBatch.isSource(path), target.starts(with: Self.quarantinePath + [UInt8(ascii: "/")]),
      Directory.isSafe(target)
    else { throw DiskError(.name, path: path, operation: "set aside") }
    let result = commitLock.withLock { _ -> Result<[UInt8]?, DiskError> in
      do throws(DiskError) {
        return .success(try moveAside(path, inode: inode, to: target))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private func moveAside(_ path: [UInt8], inode: UInt64, to target: [UInt8]) throws(DiskError) -> [UInt8]? {
    let root = try mounted()
    let quarantine = try quarantine(root)
    guard let source = try place(of: path, inode: inode, root) else {
      // An earlier run may have come so far and not to the end.
      return (try? root.status(target))?.stamp.inode == inode ? target : nil
    }
    for attempt in 1...SuffixedName.attempts {
      let name = attempt == 1 ? target : target + Array(" (\(attempt))".utf8)
      let leaf = FilingBatch.leaf(name)
      var outcome = calls.rename(source.directory.descriptor, source.name, quarantine.descriptor, leaf)
      if outcome == -Int(EEXIST) {
        // Another name of the same file was set aside before: this one only goes.
        guard (try? quarantine.entryStatus(leaf, path: name))?.stamp.inode == inode else { continue }
        outcome = calls.unlink(source.directory.descriptor, source.name, false)
      }
      guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "set aside") }
      // The new name first: between the two the file may have both, and never none.
      try Self.sync(quarantine, path: Self.quarantinePath, calls: calls)
      try Self.sync(source.directory, path: path, calls: calls)
      return name
    }
    throw DiskError(.exists, errno: EEXIST, path: path, operation: "set aside")
  }

  private func place(
    of path: [UInt8], inode: UInt64, _ root: Directory
  ) throws(DiskError) -> (directory: Directory, name: [UInt8])? {
    do throws(DiskError) {
      let (directory, name) = try root.parent(of: path)
      guard try directory.entryStatus(name, path: path).stamp.inode == inode else { return nil }
      return (directory, name)
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  private func quarantine(_ root: Directory) throws(DiskError) -> Directory {
    let control = try root.directory(Self.directoryName)
    let outcome = calls.mkdir(control.descriptor, FilingBatch.leaf(Self.quarantinePath))
    guard outcome >= 0 || outcome == -Int(EEXIST) else {
      throw DiskError(call: outcome, path: Self.quarantinePath, operation: "create quarantine")
    }
    if outcome >= 0 { try Self.sync(control, path: Self.quarantinePath, calls: calls) }
    return try root.directory(Self.quarantinePath)
  }
}
