package import MantelCore

/// What became of a file that the catalog names.
package enum ReplicaFileState: Hashable, Sendable {
  /// It has its content; the stamp may be another than the catalog's.
  case intact(FileStamp)
  /// No regular file has its name, in a replica whose marker was seen before and after the look.
  case gone
  /// Other bytes have its name.
  case other
}

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

  /// Re-reads a file that somebody doubts. A call that failed says nothing of the file: throws whenever it is not
  /// certain what became of it (`.notMounted`, `.io`, no descriptors, ...), and then nothing may be concluded.
  package func check(
    _ file: ReplicaFile, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> ReplicaFileState {
    let state: ReplicaFileState
    do throws(DiskError) {
      // A file of another length has other bytes, without a read.
      if try stamp(path: file.path).size != file.stamp.size {
        state = .other
      } else {
        let found = try hash(path: file.path, shouldContinue: shouldContinue)
        guard found.isStable else { throw DiskError(.changed, path: file.path, operation: "check") }
        state = found.content == file.content ? .intact(found.stampAfter) : .other
      }
    } catch {
      guard error.code == .notFound || error.code == .notRegular else { throw error }
      state = .gone
    }
    try checkMounted()
    return state
  }
}
