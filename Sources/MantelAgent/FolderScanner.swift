import Logging
import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication
import Synchronization

/// Walks and watches the folders, and tells the engine what it sees. One walk at a time.
final class FolderScanner: Sendable {
  /// Between two rescans of everything; more often where there are no watches.
  static let interval: Duration = .seconds(3_600)
  static let intervalWithoutWatches: Duration = .seconds(600)
  /// Between two looks for what is away.
  static let returnInterval: Duration = .seconds(15)

  private let engine: Engine
  private let effects: Effects
  private let ownPaths: [[UInt8]]
  private let watcher: FolderWatcher?
  private let logger: Logger
  /// Says that something was asked for; what it is stands in `state.requests`.
  private let wakeups: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation
  private let state = Mutex(State())

  private struct State {
    var requests = ScanRequests()
    var isWatched = true
  }

  init(engine: Engine, effects: Effects, ownPaths: [[UInt8]], logger: Logger) {
    self.engine = engine
    self.effects = effects
    self.ownPaths = ownPaths
    self.logger = logger
    (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    do {
      watcher = try FolderWatcher()
    } catch {
      watcher = nil
      logger.warning("folders cannot be watched; they are rescanned instead", metadata: ["error": "\(error)"])
    }
  }

  /// Asks for a walk of a folder that begins after this call.
  func scan(_ folder: FolderID) {
    state.withLock { $0.requests.ask(folder) }
    wake.yield()
  }

  func scanAll() async {
    for folder in await engine.ask({ $0.folders }) { scan(folder.id) }
  }

  /// Whether a walk is asked for or under way.
  var isBusy: Bool { state.withLock { $0.requests.isBusy } }

  func forget(_ folder: FolderID) {
    watcher?.unwatch(folder)
    state.withLock { $0.requests.forget(folder) }
  }

  // MARK: Running

  func run() async {
    await scanAll()
    await withDiscardingTaskGroup { group in
      group.addTask { [self] in await walkRequests() }
      group.addTask { [self] in await followWatcher() }
      group.addTask { [self] in await rescanRegularly() }
      group.addTask { [self] in await awaitReturns() }
    }
  }

  func stop() {
    wake.finish()
    watcher?.close()
  }

  private func rescanRegularly() async {
    while !Task.isCancelled {
      let wait = state.withLock { $0.isWatched } ? Self.interval : Self.intervalWithoutWatches
      do { try await Task.sleep(for: wait) } catch { return }
      await scanAll()
    }
  }

  /// Nothing tells of a mount: folders and parts of them that are away are looked for until they are back.
  private func awaitReturns() async {
    while !Task.isCancelled {
      do { try await Task.sleep(for: Self.returnInterval) } catch { return }
      for folder in await engine.ask({ $0.folders }) {
        let away = await engine.ask { $0.awayParts(of: folder.id) }
        // Not the unreadable ones: only the next scan can tell.
        let isBack = away.contains { part in
          guard part.path.isEmpty || !part.filesystem.isEmpty else { return false }
          guard let there = try? FilesystemFacts.identity(of: part.path, below: folder.root) else {
            return false
          }
          return there == part.filesystem
        }
        if isBack { scan(folder.id) }
      }
    }
  }

  private func walkRequests() async {
    for await _ in wakeups {
      while let request = state.withLock({ $0.requests.begin() }) {
        await walk(request)
        state.withLock { $0.requests.end() }
      }
    }
  }

  private func walk(_ request: ScanRequests.Request) async {
    switch request {
    case .folder(let id): await walk(id)
    case .subtree(let id, let path):
      guard let folder = await engine.ask({ $0.folder(id) }) else { return }
      _ = await walk(folder, from: path)
    }
  }

  // MARK: Walking

  private func walk(_ id: FolderID) async {
    guard let folder = await engine.ask({ $0.folder(id) }) else { return }
    guard isThere(folder) else {
      logger.warning("a folder is offline", metadata: ["folder.id": "\(id)"])
      await engine.handle(.folderOffline(id))
      return
    }
    noteWhetherLocal(folder)
    await watcher?.watch(folder, ownPaths: ownPaths)
    await engine.handle(.scanBegan(id))
    let isWhole = await walk(folder, from: [])
    // Only a folder that was there from start to end can tell that files are gone.
    await engine.handle(.scanEnded(id, isComplete: isWhole && isThere(folder)))
  }

  /// The folder's root exists and lies on the filesystem on which it was added. One that had no identity then has none now:
  /// what has one is the disk below a mount that has gone.
  private func isThere(_ folder: Folder) -> Bool {
    guard let identity = try? FilesystemFacts.identity(of: folder.root) else { return false }
    return identity == folder.filesystem
  }

  /// Files on a network filesystem can be served, but are not held: their fsync proves nothing about a disk.
  private func noteWhetherLocal(_ folder: Folder) {
    do {
      try engine.catalog.setFolder(folder.id, isLocal: try FilesystemFacts.isLocal(folder.root))
    } catch {
      logger.warning("a folder's filesystem could not be looked at", metadata: ["error": "\(error)"])
    }
  }

  private func walk(_ folder: Folder, from start: [UInt8]) async -> Bool {
    let walker = FolderWalker(folder: folder, ownPaths: ownPaths)
    let directories = DirectoryWalk(
      begin: { [engine] directory in await engine.beginListing(folder.id, directory) },
      list: { [effects] directory in
        try await effects.walk { try DirectorySight(walker.directory(directory), of: directory) }
      },
      tell: { [self] directory, listing in await tell(directory, listing, of: folder) })
    return await directories.run(from: start)
  }

  /// False when the whole folder cannot be said to have been seen.
  private func tell(
    _ directory: [UInt8], _ listing: DirectoryWalk.Listing, of folder: Folder
  ) async -> Bool {
    do {
      let sight = try listing.get()
      await engine.handle(.directoryScanned(folder.id, sight))
    } catch let error as DiskError where error.code == .notFound && !directory.isEmpty {
      await engine.handle(.directoryGone(folder.id, directory))
    } catch let error as DiskError where error.code == .permission && !directory.isEmpty {
      await engine.handle(.directoryUnreadable(folder.id, directory, errno: error.errno))
    } catch {
      logger.warning("a directory could not be read", metadata: ["error": "\(error)"])
      guard !directory.isEmpty else { return false }
      await engine.handle(.directoryAway(folder.id, directory))
    }
    return true
  }

  // MARK: Watching

  private func followWatcher() async {
    guard let watcher else { return state.withLock { $0.isWatched = false } }
    for await event in watcher.events {
      guard let folder = await engine.ask({ $0.folder(event.folder) }) else { continue }
      switch event.kind {
      case .settled: await look(folder, event.path, isClosed: true)
      case .changed: await look(folder, event.path, isClosed: false)
      case .gone: await look(folder, event.path, isClosed: false)
      case .directoryAppeared:
        state.withLock { $0.requests.ask(folder.id, below: event.path) }
        wake.yield()
      case .directoryGone: await engine.handle(.directoryGone(folder.id, event.path))
      case .overflow, .rootGone: scan(folder.id)
      case .noWatches:
        state.withLock { $0.isWatched = false }
        logger.warning(
          "not all of a folder can be watched; it is rescanned every ten minutes",
          metadata: ["folder.id": "\(folder.id)"])
      }
    }
  }

  private func look(_ folder: Folder, _ path: [UInt8], isClosed: Bool) async {
    guard var sight = await effects.sight(root: folder.root, path: path, isClosed: isClosed) else { return }
    let walker = FolderWalker(folder: folder, ownPaths: ownPaths)
    if sight != .gone, let reason = walker.skipReason(for: path, isDirectory: false) {
      sight = .skipped(reason, nil)
    }
    await engine.handle(.sighted(folder.id, path, sight))
  }
}

extension DirectorySight {
  fileprivate init(_ listing: DirectoryListing, of directory: [UInt8]) {
    self.init(
      directory: directory, files: listing.files.map { ($0.path, $0.stamp) }, skipped: listing.skipped,
      subdirectories: listing.subdirectories, filesystem: listing.filesystem)
  }
}
