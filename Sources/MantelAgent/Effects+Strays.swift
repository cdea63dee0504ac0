import Logging
import MantelCore
import MantelDisk
import MantelReplication

/// Copies in the replica that are not where the catalog says.
extension Effects {
  /// Files that one look takes note of; another one finds the rest.
  private static let mostStrays = 10_000
  /// Missing contents whose sizes are looked at in one go.
  private static let missingPage = 1_000

  func findStrays(engine: Engine) {
    start { [self] in
      do {
        let unknown = try await unknownFiles(engine)
        for path in try await likely(unknown, engine) {
          let file = try await scrubbing.run { [self] in
            try replica.hash(path: path, shouldContinue: { self.isRunning })
          }
          guard file.isStable else { continue }
          await engine.handle(
            .strayFound(StrayFile(path: path, content: file.content, stamp: file.stampAfter)))
        }
      } catch let error as DiskError where error.code == .notMounted {
        await replicaIsAway(engine: engine)
      } catch {
        logger.warning("lost copies were not looked for in the replica", metadata: ["error": "\(error)"])
      }
      await engine.handle(.straysSought)
    }
  }

  /// Regular files without a row in the catalog, a directory at a time.
  private func unknownFiles(_ engine: Engine) async throws -> [FileObservation] {
    var unknown: [FileObservation] = []
    var open: [[UInt8]] = [[]]
    while let directory = open.popLast(), isRunning, unknown.count < Self.mostStrays {
      let entries: [FileObservation]
      do {
        entries = try await walk { [replica] in try replica.entries(in: directory) }
      } catch let error as DiskError where error.code != .notMounted {
        // Gone, or closed to this agent: the rest is looked at.
        continue
      }
      for entry in entries {
        switch entry.type {
        case .directory: open.append(entry.path)
        case .regular where try engine.catalog.replicaFile(at: entry.path) == nil: unknown.append(entry)
        default: break
        }
      }
    }
    return Array(unknown.prefix(Self.mostStrays))
  }

  /// Those that are as long as something missing.
  private func likely(_ unknown: [FileObservation], _ engine: Engine) async throws -> [[UInt8]] {
    guard !unknown.isEmpty else { return [] }
    let sizes = Set(unknown.map(\.stamp.size))
    var wanted: Set<UInt64> = []
    var after: MissingContent?
    while wanted.count < sizes.count, isRunning {
      let page = try engine.catalog.missing(after: after, limit: Self.missingPage)
      guard let last = page.last else { break }
      wanted.formUnion(page.lazy.map(\.size).filter(sizes.contains))
      after = last
    }
    return unknown.filter { wanted.contains($0.stamp.size) }.map(\.path)
  }
}
