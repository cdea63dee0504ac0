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
}
