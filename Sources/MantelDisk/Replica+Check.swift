import Glibc
package import MantelCore

extension Replica {
  /// The files that a look alone does not vouch for: gone, or of another size or time. What cannot be looked at is
  /// among them. Throws if the replica is not mounted.
  package func doubtful(among files: [ReplicaFile]) throws(DiskError) -> [ReplicaFile] {
    let root = try mounted()
    return files.filter { file in
      guard let status = try? root.status(file.path), status.isRegular else { return true }
      return status.stamp.size != file.stamp.size || status.stamp.mtime != file.stamp.mtime
    }
  }

  /// Re-reads a file from its disk. A call that failed says nothing of the file while the replica may not be there: what
  /// is thrown of the file itself (`.notFound`, `.notRegular`, `.io`, ...), or returned, was seen in a replica whose marker
  /// was there before and after. Otherwise throws `.notMounted`.
  package func reread(
    _ path: [UInt8], shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    let outcome: Result<HashedFile, DiskError>
    do throws(DiskError) {
      outcome = .success(try hash(path: path, fromDisk: true, shouldContinue: shouldContinue))
    } catch {
      outcome = .failure(error)
    }
    try checkMounted()
    return try outcome.get()
  }

  /// Whether the filesystem takes no writes, found out by writing: its flags do not always tell of an error that has made it
  /// so. The name that is tried goes again, at the latest with the next start.
  package func isReadOnly() throws(DiskError) -> Bool {
    let staging = try staging(mounted())
    let name = nextTemporaryName()
    let outcome = withExtendedLifetime(staging) {
      let made = calls.create(staging.descriptor, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
      guard made >= 0 else { return made }
      // Closed at once.
      _ = OpenFile(Int32(made))
      return calls.unlink(staging.descriptor, name, false)
    }
    guard outcome < 0 else { return false }
    let error = DiskError(call: outcome, path: name, operation: "try to write")
    switch error.code {
    case .readOnly: return true
    case .noSpace: return false
    default: throw error
    }
  }

  /// Whether copies within the replica's filesystem share their bytes, found out by making one: once for each place that the
  /// replica is seen at, for a filesystem does not change its mind while it is mounted. Throws where it cannot be told now.
  package func sharesCopies() throws(DiskError) -> Bool {
    let staging = try staging(mounted())
    let (place, known) = state.withLock { ($0.place, $0.sharing) }
    if let known, known.place == place { return known.isShared }
    let isShared = try withExtendedLifetime(staging) { () throws(DiskError) in
      try sharesCopy(in: staging)
    }
    if let place { state.withLock { $0.sharing = Sharing(place: place, isShared: isShared) } }
    return isShared
  }

  /// Of a file of one block. Both names go again, at the latest with the next start.
  private func sharesCopy(in staging: Directory) throws(DiskError) -> Bool {
    let names = [nextTemporaryName(), nextTemporaryName()]
    defer { for name in names { _ = calls.unlink(staging.descriptor, name, false) } }
    var files: [OpenFile] = []
    for name in names {
      let made = calls.create(staging.descriptor, name, O_RDWR | O_CREAT | O_EXCL, 0o600)
      guard made >= 0 else { throw DiskError(call: made, path: name, operation: "try to share") }
      files.append(OpenFile(Int32(made)))
    }
    try files[0].write([UInt8](repeating: 1, count: Self.blockBytes), at: 0, path: names[0], calls: calls)
    let outcome = withExtendedLifetime(files) {
      calls.reflink(files[1].descriptor, files[0].descriptor)
    }
    // These say nothing of what the filesystem can do; all others are its refusal.
    let isNoAnswer = [ENOSPC, EDQUOT, EIO, EROFS, ENOMEM, EINTR].contains { outcome == -Int($0) }
    if isNoAnswer { throw DiskError(call: outcome, path: names[1], operation: "try to share") }
    return outcome >= 0
  }

  /// As much as any common filesystem takes for a block, and more than one keeps beside a file's metadata.
  private static let blockBytes = 4_096
}
