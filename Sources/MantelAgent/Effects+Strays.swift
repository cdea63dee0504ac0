import Logging
import MantelCore
import MantelDisk
import MantelReplication

/// Copies in the replica that are not where the catalog says.
extension Effects {
  /// Copies that one look brings; another one, when these have their rows, finds the rest.
  private static let mostStrays = 10_000
  /// Missing contents whose sizes are looked at in one go.
  private static let missingPage = 1_000

  func findStrays(engine: Engine) {
    start { [self] in
      var look = StrayLook()
      do {
        try await walk(&look, engine)
      } catch let error as DiskError where error.code == .notMounted {
        await replicaIsAway(engine: engine)
      } catch {
        logger.warning("lost copies were not looked for in the replica", metadata: ["error": "\(error)"])
      }
      await engine.handle(.straysSought(look.found, isComplete: look.isComplete))
    }
  }

  /// What a look knows and has found.
  private struct StrayLook {
    /// Of missing contents; nil before a file was seen: an empty replica, of which all is missing, has no use for them.
    var sizes: Set<UInt64>?
    var found: [StrayFile] = []
    /// One copy of each is enough.
    var contents: Set<ContentID> = []
    var isComplete = false
  }

  private func missingSizes(_ engine: Engine) throws -> Set<UInt64> {
    var sizes: Set<UInt64> = []
    var after: MissingPosition?
    repeat {
      let page = try engine.catalog.missing(after: after, limit: Self.missingPage)
      sizes.formUnion(page.contents.lazy.map(\.size))
      after = page.next
    } while after != nil && isRunning
    return sizes
  }

  /// All directories of the replica, one at a time, and what was set aside: a disk that gave wrong bytes once may give the
  /// right ones again.
  private func walk(_ look: inout StrayLook, _ engine: Engine) async throws {
    var open: [[UInt8]] = [Replica.quarantinePath, []]
    while let directory = open.popLast() {
      guard isRunning else { return }
      let entries: [FileObservation]
      do {
        entries = try await walk { [replica] in try replica.entries(in: directory) }
      } catch let error as DiskError where error.code != .notMounted {
        // Gone, or closed to this agent: the rest is looked at.
        continue
      }
      open += entries.lazy.filter { $0.type == .directory }.map(\.path)
      let files = entries.filter { $0.type == .regular }
      guard !files.isEmpty else { continue }
      let sizes = try look.sizes ?? missingSizes(engine)
      look.sizes = sizes
      guard !sizes.isEmpty else { return }
      // Those that are as long as something missing, and have no row in the catalog.
      let likely = try files.filter { entry in
        try sizes.contains(entry.stamp.size)
          && engine.catalog.replicaFile(at: entry.path) == nil
      }
      guard !likely.isEmpty else { continue }
      do {
        try await scrubbing.run { [replica] in try replica.syncNames(in: directory) }
        for entry in likely {
          guard look.found.count < Self.mostStrays else { return }
          try await read(entry.path, &look, engine)
        }
      } catch let error as DiskError where error.code != .notMounted {
        logger.debug("lost copies cannot be taken from a directory", metadata: ["error": "\(error)"])
      }
    }
    look.isComplete = true
  }

  private func read(_ path: [UInt8], _ look: inout StrayLook, _ engine: Engine) async throws {
    do {
      let file = try await scrubbing.run { [self] in
        try replica.hashDurable(path: path, shouldContinue: { self.isRunning })
      }
      guard file.isStable, !look.contents.contains(file.content),
        try engine.catalog.missingContent(file.content) != nil
      else { return }
      look.contents.insert(file.content)
      look.found.append(StrayFile(path: path, content: file.content, stamp: file.stampAfter))
    } catch let error as DiskError where error.code != .notMounted {
      logger.debug("a lost copy cannot be taken", metadata: ["error": "\(error)"])
    }
  }
}
