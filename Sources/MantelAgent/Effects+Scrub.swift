import Glibc
import Logging
import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication

/// Reading files again, and moving bad ones out of the way.
extension Effects {
  func reread(_ target: RereadTarget, bytesPerSecond: UInt64?, root: [UInt8]?, engine: Engine) {
    start { [self] in
      let outcome: RereadOutcome
      do {
        let file = try await scrubbing.run { [self] in
          var throttle = ReadThrottle(bytesPerSecond: bytesPerSecond)
          let mayGoOn = {
            throttle.pause()
            return self.isRunning
          }
          switch target {
          case .replica(let path): return try replica.reread(path, shouldContinue: mayGoOn)
          case .own(_, let path):
            guard let root else { throw DiskError(.notFound, path: path, operation: "re-read") }
            return try FileReader.rehash(root: root, path: path, shouldContinue: mayGoOn)
          }
        }
        outcome = file.isStable ? .read(file.content, file.stampAfter) : .unsettled
      } catch let error as DiskError {
        outcome = RereadOutcome(error, of: target)
        if error.code == .notMounted { await replicaIsAway(engine: engine) }
      } catch {
        outcome = .unavailable
      }
      await engine.handle(.reread(target, outcome))
    }
  }

  func setAside(_ order: SetAsideOrder, engine: Engine) {
    start { [disk, replica, logger] in
      do {
        let target = try await disk.run {
          try replica.setAside(order.path, inode: order.inode, to: order.target)
        }
        await engine.handle(.setAside(order.path, target.map { .done($0) } ?? .gone))
      } catch {
        logger.warning("a bad replica file could not be moved away", metadata: ["error": "\(error)"])
        await engine.handle(.setAside(order.path, .failed))
      }
    }
  }

  /// All files, by stat alone: opening nothing that is unchanged.
  func compareReplica(_ id: ComparisonID, engine: Engine) {
    start { [self] in
      var isComplete = false
      do {
        var after: [UInt8]?
        while isRunning {
          let page = try engine.catalog.replicaFiles(of: nil, after: after, limit: 1_000)
          guard let last = page.last else {
            isComplete = true
            break
          }
          let doubtful = try await walk { [replica] in try replica.doubtful(among: page) }
          for file in doubtful { await engine.handle(.replicaFileDoubted(file.path)) }
          // A cold disk may take hours for all of them.
          await engine.handle(.replicaPartCompared(id))
          after = last.path
        }
      } catch let error as DiskError where error.code == .notMounted {
        await replicaIsAway(engine: engine)
      } catch {
        logger.warning("the replica cannot be compared with the catalog", metadata: ["error": "\(error)"])
      }
      // An agent that stops has not failed.
      if isComplete || isRunning { await engine.handle(.replicaCompared(id, isComplete: isComplete)) }
    }
  }
}

extension RereadOutcome {
  /// Only what the disk itself says of the file counts against it.
  init(_ error: DiskError, of target: RereadTarget) {
    switch (error.code, target) {
    case (.notFound, _), (.notRegular, _): self = .gone
    case (.changed, _): self = .unsettled
    case (.io, _), (.permission, .replica): self = .unreadable(errno: error.errno)
    // Its owner may forbid it: the next scan skips it, with its reason.
    case (.permission, .own): self = .unsettled
    default: self = .unavailable
    }
  }
}

/// Holds a reader of one MiB after the other to a rate, on a thread of its own that may sleep.
struct ReadThrottle {
  private static let chunkBytes: UInt64 = 1 << 20
  private static let longestPause: UInt64 = 2_000_000
  let bytesPerSecond: UInt64?
  private var isFirst = true

  init(bytesPerSecond: UInt64?) { self.bytesPerSecond = bytesPerSecond }

  /// Asked before each MiB; the first one is read at once.
  mutating func pause() {
    defer { isFirst = false }
    guard !isFirst, let bytesPerSecond, bytesPerSecond > 0 else { return }
    usleep(useconds_t(min(Self.chunkBytes * 1_000_000 / bytesPerSecond, Self.longestPause)))
  }
}
