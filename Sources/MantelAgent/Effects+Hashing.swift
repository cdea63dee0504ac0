import MantelCore
import MantelDisk
import MantelReplication

/// Reading own files through, on their way into the library.
extension Effects {
  func hash(_ folder: FolderID, _ paths: [[UInt8]], root: [UInt8]?, engine: Engine) {
    start { [self] in
      guard let root else { return await engine.handle(.hashed(folder, paths.map { FileHash($0, .gone) })) }
      do {
        let results = try await hasher.hash(root: root, paths: paths) { [self] in isRunning }
        var files: [FileHash] = []
        files.reserveCapacity(paths.count)
        for (path, result) in zip(paths, results) {
          guard let outcome = try await outcome(of: result, root: root, path: path) else { return }
          files.append(FileHash(path, outcome))
        }
        await engine.handle(.hashed(folder, files))
      } catch {
        // The agent ends: the next one hashes them.
        logger.debug("files were not hashed", metadata: ["error": "\(error)"])
      }
    }
  }

  /// Nil when the agent ends.
  private func outcome(
    of result: Result<HashedFile, DiskError>, root: [UInt8], path: [UInt8]
  ) async throws -> HashOutcome? {
    switch result {
    case .success(let file):
      return .hashed(
        content: file.content, manifest: file.manifestHash, before: file.stampBefore, after: file.stampAfter,
        isHeld: file.isDurable)
    case .failure(let error):
      switch error.code {
      case .notFound: return .gone
      case .cancelled: return nil
      case .changed: return try await changed(root: root, path: path)
      case .notDurable:
        logger.warning(
          "a file could not be synced to its disk; it is not backed up yet", metadata: ["error": "\(error)"])
        return .notDurable
      default: return .unreadable(errno: error.errno)
      }
    }
  }

  /// Reports a change as what it is, so that the file is looked at again.
  private func changed(root: [UInt8], path: [UInt8]) async throws -> HashOutcome {
    let found = try await hashing.run { try? FileReader.stat(root: root, path: path) }
    guard let seen = found else { return .gone }
    var before = seen.stamp
    before.ctime -= 1
    return .hashed(content: ContentID(.zero), manifest: nil, before: before, after: seen.stamp, isHeld: false)
  }
}
