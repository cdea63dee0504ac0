import MantelCore
import MantelDisk
import MantelReplication

/// Second looks at replica files: the catalog forgets a file only when the file itself was seen to be gone or changed.
extension Effects {
  /// Files that peers ask for are re-read one pass each; more doubts at once wait for the next check.
  private static let doubtedAtOnce = 16

  /// A peer could not be served from a file. Only what may be the file's own fault is looked into: of a disk that does
  /// not answer, or of a replica that is not mounted, nothing follows.
  func doubt(_ file: ReplicaFile, because error: DiskError, engine: Engine) {
    guard [.notFound, .notRegular, .changed].contains(error.code) else {
      logger.debug("a replica file cannot be read", metadata: ["error": "\(error)"])
      return
    }
    let isNew = doubted.withLock {
      $0.count < Self.doubtedAtOnce && $0.insert(file.path).inserted
    }
    guard isNew else { return }
    Task {
      await recheck(file, engine: engine)
      _ = doubted.withLock { $0.remove(file.path) }
    }
  }

  /// Tells the decisions how much room there is; nothing when that cannot be found out.
  func measureRoom(engine: Engine) async {
    do {
      let room = try await walk { [replica, stateDirectory] in
        let catalog = try FilesystemFacts.space(of: stateDirectory)
        return DiskRoom(
          replica: DiskSpace(free: try replica.freeBytes, total: try replica.totalBytes),
          catalog: DiskSpace(free: catalog.free, total: catalog.total))
      }
      await engine.handle(.diskRoom(room))
    } catch {
      logger.debug("the room on the disks cannot be told", metadata: ["error": "\(error)"])
    }
  }

  /// Re-reads a file and reports what became of it; nothing when that is not certain.
  func recheck(_ file: ReplicaFile, engine: Engine) async {
    do {
      switch try await hashing.run({ [replica] in try replica.check(file) }) {
      case .intact(let stamp):
        if !stamp.isSame(as: file.stamp) {
          await engine.handle(.replicaFileTouched(file.path, file.content, stamp))
        }
      case .gone, .other: await engine.handle(.replicaFileLost(file.path))
      }
    } catch {
      logger.debug("a replica file could not be checked", metadata: ["error": "\(error)"])
    }
  }
}
