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
}
