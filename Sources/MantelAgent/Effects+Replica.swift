import MantelCore
import MantelDisk
import MantelReplication

/// What is found out about the replica while it is used.
extension Effects {
  /// A peer could not be served from a file. Only what may be the file's own fault is looked into: of a replica that is
  /// not mounted nothing follows.
  func doubt(_ file: ReplicaFile, because error: DiskError, engine: Engine) {
    guard [.notFound, .notRegular, .changed, .io].contains(error.code) else {
      logger.debug("a replica file cannot be read", metadata: ["error": "\(error)"])
      return
    }
    Task { await engine.handle(.replicaFileDoubted(file.path)) }
  }

  /// Tells the decisions how much room there is, whether the replica is there, and whether one that was read-only is still so;
  /// nothing of what cannot be found out.
  func measureRoom(engine: Engine) async {
    do {
      let room = try await walk { [self] in
        DiskRoom(
          replica: DiskSpace(free: try replica.freeBytes, total: try replica.totalBytes),
          catalog: try catalogSpace(), sharing: sharing())
      }
      isReplicaAway.withLock { $0 = false }
      // What the decisions were told last counts: another look may have failed meanwhile.
      if await engine.ask({ $0.isReplicaAway }) { await engine.handle(.replicaMounted) }
      await engine.handle(.diskRoom(room))
      // Found out without a peer, whose bytes would be sent in vain.
      guard await engine.ask({ $0.isReplicaReadOnly }) else { return }
      if try await walk({ [replica] in try replica.isReadOnly() }) { return }
      logger.info("the replica can be written again")
      await engine.handle(.replicaWritable)
    } catch let error as DiskError where error.code == .notMounted {
      await replicaIsAway(engine: engine)
      await measureCatalog(engine: engine)
    } catch {
      logger.debug("the state of the disks cannot be told", metadata: ["error": "\(error)"])
    }
  }

  /// Libraries are taken in while the replica is away, too.
  private func measureCatalog(engine: Engine) async {
    do {
      let space = try await walk { [self] in try catalogSpace() }
      await engine.handle(.catalogRoom(space))
    } catch {
      logger.debug("the state of the catalog's disk cannot be told", metadata: ["error": "\(error)"])
    }
  }

  private func catalogSpace() throws(DiskError) -> DiskSpace {
    let space = try FilesystemFacts.space(of: stateDirectory)
    return DiskSpace(free: space.free, total: space.total)
  }

  /// What cannot be told now is asked again when the room is measured next; copies need room until then.
  private func sharing() -> [UInt8]? {
    do {
      return try replica.sharesCopies() ? replica.filesystemIdentity : nil
    } catch {
      logger.debug("whether copies share their bytes cannot be told", metadata: ["error": "\(error)"])
      return nil
    }
  }

  /// Told each time: decisions that were loaded anew do not know it. Logged once.
  func replicaIsAway(engine: Engine) async {
    let isNew = isReplicaAway.withLock { isAway in
      defer { isAway = true }
      return !isAway
    }
    if isNew {
      logger.warning("the replica is not there: not mounted, or another filesystem is in its place")
    }
    await engine.handle(.replicaAway)
  }
}
