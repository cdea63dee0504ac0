import MantelCore
import MantelControl
import MantelDisk
import MantelReplication

/// Tells of every file of a directory (a camera card) whether another machine holds its bytes. Writes nothing.
struct CheckRun: Sendable {
  private enum Verdict {
    case safe
    case onlyHere
    case unknown
  }
  /// Absolute path, bytes.
  let directory: [UInt8]
  let engine: Engine
  let effects: Effects

  /// Files that are read at once; the pool decides how many threads that takes.
  private static let filesAtOnce = 8

  func run(_ progress: JobProgress) async throws {
    let walker = FolderWalker(
      folder: Folder(
        id: FolderID(high: 0, low: 0), name: "", root: directory, excludes: [], filesystem: []), ownPaths: [])
    var open: [[UInt8]] = [[]]
    while let next = open.popLast() {
      try Task.checkCancellation()
      let listing: DirectoryListing
      do {
        listing = try await effects.walk { try walker.directory(next) }
      } catch let error as DiskError {
        try await say(
          "unreadable", next, size: nil, content: nil, "cannot be looked into: \(error)", progress)
        continue
      }
      open += listing.subdirectories.reversed()
      for (path, reason) in listing.skipped {
        switch reason {
        case .junk, .excluded, .mantel, .symlink, .special, .forgotten: progress.count("skipped", bytes: 0)
        case .unreadable, .tooLarge, .pathTooLong:
          let words = SkipReasonText(.skipped(reason)).message
          try await say("unreadable", path, size: nil, content: nil, words, progress)
        }
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, file) in listing.files.enumerated() {
          if number >= Self.filesAtOnce { try await group.next() }
          group.addTask { try await check(file, progress) }
        }
        try await group.waitForAll()
      }
    }
  }

  private func check(_ file: FileObservation, _ progress: JobProgress) async throws {
    let directory = directory
    let hashed: HashedFile
    do {
      hashed = try await effects.readThrough { [effects] in
        try FileReader.hash(root: directory, path: file.path, fsync: false) { effects.isRunning }
      }
    } catch let error as DiskError where error.code == .cancelled {
      // The agent ends: this says nothing of the file.
      throw CancellationError()
    } catch let error as DiskError {
      return try await say(
        "unreadable", file.path, size: file.stamp.size, content: nil, "cannot be read: \(error)", progress)
    }
    let (content, size) = (hashed.content, hashed.size)
    switch try await verdict(content) {
    case .safe: progress.count("safe", bytes: size)
    case .onlyHere:
      try await say(
        "onlyHere", file.path, size: size, content: content, "only on this machine so far", progress)
    case .unknown:
      try await say(
        "unknown", file.path, size: size, content: content, "in no library of the household", progress)
    }
  }

  private func verdict(_ content: ContentID) async throws -> Verdict {
    let (holders, machine) = try await engine.ask {
      (try $0.holders(of: content), $0.machine)
    }
    if holders.contains(where: { $0 != machine }) { return .safe }
    if holders.contains(machine) { return .onlyHere }
    return try engine.catalog.ownFiles(of: content).isEmpty ? .unknown : .onlyHere
  }

  private func say(
    _ state: String, _ path: [UInt8], size: UInt64?, content: ContentID?, _ words: String,
    _ progress: JobProgress
  ) async throws {
    progress.count(state, bytes: size ?? 0)
    try await progress.say(
      JobItem(
        state: state, path: PathText(bytes: path), size: size, sha256: content?.hex, message: words))
  }
}
