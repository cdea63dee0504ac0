import MantelReplication

/// A walk through a tree of directories. Some are listed at once, ahead of the one that is told of. All are told of in the order
/// in which their listings began, each after the directory that it lies in.
struct DirectoryWalk: Sendable {
  /// Directories that are listed while another one is told of: two keep a disk and two processors busy.
  static let ahead = Replicator.openListings - 1
  /// While a directory of more files than this is told of, one other is listed: no more than two large listings are in memory.
  static let manyFiles = 32_768

  typealias Listing = Result<DirectorySight, any Error>

  /// Whether a directory may be listed now. It is asked again for one that it refused, and in the meantime for no other.
  let begin: @Sendable (_ directory: [UInt8]) async -> Bool
  let list: @Sendable (_ directory: [UInt8]) async throws -> DirectorySight
  /// False when the whole tree cannot be said to have been seen.
  let tell: @Sendable (_ directory: [UInt8], _ listing: Listing) async -> Bool
  /// Comes before `begin` is asked again when nothing is being listed.
  var pause: @Sendable () async throws -> Void = { try await Task.sleep(for: .milliseconds(50)) }

  private struct Look: Sendable {
    let directory: [UInt8]
    let task: Task<DirectorySight, any Error>

    func result() async -> Listing {
      await withTaskCancellationHandler {
        await task.result
      } onCancel: {
        task.cancel()
      }
    }
  }
  private struct Progress {
    /// Found, and not begun; the last one is next.
    var open: [[UInt8]]
    /// Begun, and not told of; the first one is next.
    var looks: [Look] = []
  }

  /// Whether all was seen. A task that is cancelled ends its walk, once the listings that have begun are through.
  func run(from start: [UInt8]) async -> Bool {
    var progress = Progress(open: [start])
    var isWhole = true
    while !Task.isCancelled {
      await beginMore(&progress, upTo: Self.ahead)
      guard !progress.looks.isEmpty else {
        if progress.open.isEmpty { return isWhole }
        do { try await pause() } catch { break }
        continue
      }
      let look = progress.looks.removeFirst()
      let listing = await look.result()
      guard !Task.isCancelled else { break }
      var ahead = Self.ahead
      if case .success(let sight) = listing {
        progress.open.append(contentsOf: sight.subdirectories.reversed())
        if sight.files.count > Self.manyFiles { ahead = 1 }
      }
      await beginMore(&progress, upTo: ahead)
      if await !tell(look.directory, listing) { isWhole = false }
    }
    for look in progress.looks {
      look.task.cancel()
      _ = await look.task.result
    }
    return false
  }

  private func beginMore(_ progress: inout Progress, upTo count: Int) async {
    while progress.looks.count < count, !Task.isCancelled, let directory = progress.open.last {
      guard await begin(directory) else { return }
      progress.open.removeLast()
      let task = Task { [list] in try await list(directory) }
      progress.looks.append(Look(directory: directory, task: task))
    }
  }
}
