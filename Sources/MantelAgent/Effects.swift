import Logging
import MantelCore
import MantelCatalog
import MantelDisk
import MantelReplication
import MantelTransport
import Synchronization

/// Carries out what the decisions ask of disks and threads, and reports back. Decides nothing.
///
/// Work is started on pools with bounded queues; how much of it there is at once is bounded by the decisions.
final class Effects: Sendable {
  let replica: Replica
  let sink: TransferSink
  let recaller = Recaller()
  let logger: Logger
  /// Where the catalog lies.
  let stateDirectory: [UInt8]
  let hashing: BlockingPool
  let disk: BlockingPool
  private let syncing: BlockingPool
  let hasher: OwnFileHasher
  /// Re-reads, in nobody's way.
  let scrubbing: BlockingPool
  private let filing: BlockingPool
  private let shared = Mutex(Shared())
  private let work: AsyncStream<@Sendable () async -> Void>
  private let workQueue: AsyncStream<@Sendable () async -> Void>.Continuation

  private struct Shared {
    /// Passes over whole files end early.
    var isStopping = false
    var transport: Transport?
    var onRosterChange: (@Sendable () -> Void)?
    var onRestart: (@Sendable () -> Void)?
    var onRescan: (@Sendable () -> Void)?
    var onFailure: (@Sendable (any Error) -> Void)?
  }
  /// The replica was not there when it was looked at last.
  let isReplicaAway = Mutex(false)
  let guarding = Mutex(GuardWriting())
  let refusals = Mutex(RefusalKeeping())
  var machine: MachineID { replica.marker.machine }

  init(replica: Replica, stateDirectory: [UInt8], cores: Int, logger: Logger) {
    self.replica = replica
    self.stateDirectory = stateDirectory
    self.logger = logger
    hashing = BlockingPool(threads: max(1, cores), queueLimit: 64)
    disk = BlockingPool(threads: 4, queueLimit: 256)
    syncing = BlockingPool(threads: 1, queueLimit: 16)
    hasher = OwnFileHasher(hashing: hashing, syncing: syncing)
    filing = BlockingPool(threads: 1, queueLimit: 4)
    scrubbing = BlockingPool(threads: 1, queueLimit: 1, priority: .idle)
    sink = TransferSink(replica: replica, pool: disk)
    // Unbounded as a stream, bounded by what the decisions have under way at once.
    (work, workQueue) = AsyncStream.makeStream()
  }

  func wire(
    transport: Transport, onRosterChange: @escaping @Sendable () -> Void,
    onRestart: @escaping @Sendable () -> Void, onRescan: @escaping @Sendable () -> Void,
    onFailure: @escaping @Sendable (any Error) -> Void
  ) {
    shared.withLock {
      $0.transport = transport
      $0.onRosterChange = onRosterChange
      $0.onRestart = onRestart
      $0.onRescan = onRescan
      $0.onFailure = onFailure
    }
  }

  var transport: Transport? { shared.withLock { $0.transport } }

  /// Runs until cancelled; work that has begun is finished.
  func run() async {
    await withDiscardingTaskGroup { group in
      for await body in work { group.addTask { await body() } }
    }
  }

  /// Work that has begun is finished, but for passes over whole files, which may take minutes.
  func stop() {
    shared.withLock { $0.isStopping = true }
    workQueue.finish()
  }

  /// Asked once a MiB by passes over whole files.
  var isRunning: Bool { shared.withLock { !$0.isStopping } }

  /// Ends the pools' threads; after `run` has returned.
  func close() async {
    for pool in [hashing, disk, syncing, filing, scrubbing] {
      do { try await pool.close() } catch { logger.debug("pool", metadata: ["error": "\(error)"]) }
    }
  }

  func start(_ body: @escaping @Sendable () async -> Void) { workQueue.yield(body) }

  func rosterChanged(removed: Set<MachineID>) {
    let shared = shared.withLock { ($0.transport, $0.onRosterChange) }
    do { try shared.0?.rebuildTLS() } catch {
      logger.error("TLS could not be set up anew", metadata: ["error": "\(error)"])
    }
    for machine in removed { shared.0?.disconnect(machine) }
    shared.1?()
  }

  /// Walks all folders.
  func rescan() { shared.withLock { $0.onRescan }?() }
  func restartScans() { shared.withLock { $0.onRestart }?() }
  func fail(_ error: any Error) { shared.withLock { $0.onFailure }?(error) }

  // MARK: Own files

  func look(_ folder: FolderID, _ path: [UInt8], root: [UInt8]?, engine: Engine) {
    start { [disk] in
      guard let root else { return }
      let sight = await Self.sight(root: root, path: path, isClosed: false, pool: disk)
      if let sight { await engine.handle(.sighted(folder, path, sight)) }
    }
  }

  /// Nil when nothing can be said: the pool closes.
  static func sight(
    root: [UInt8], path: [UInt8], isClosed: Bool, pool: BlockingPool
  ) async -> FileSight? {
    do {
      let seen = try await pool.run { try FileReader.stat(root: root, path: path) }
      switch seen.type {
      case .regular: return .file(seen.stamp, isClosed: isClosed)
      case .symlink: return .skipped(.symlink, seen.stamp)
      // The file that was here is not: a directory has its name.
      case .directory: return .gone
      case .unreadable(let errno): return .skipped(.unreadable(errno: errno), seen.stamp)
      default: return .skipped(.special, seen.stamp)
      }
    } catch let error as DiskError {
      return error.code == .notFound ? .gone : .skipped(.unreadable(errno: error.errno), nil)
    } catch {
      return nil
    }
  }

  func sight(root: [UInt8], path: [UInt8], isClosed: Bool) async -> FileSight? {
    await Self.sight(root: root, path: path, isClosed: isClosed, pool: disk)
  }

  /// Always answers: what cannot be looked at is not there.
  func inspect(
    _ folder: FolderID, _ places: [[UInt8]], missed: [[UInt8]], root: [UInt8]?, engine: Engine
  ) {
    start { [disk] in
      guard let root else { return }
      let found = try? await disk.run {
        var found: [[UInt8]: [UInt8]] = [:]
        for place in places { found[place] = try? FilesystemFacts.identity(of: place, below: root) }
        // After the places: what comes back in between is seen.
        let isBack = missed.contains { (try? FileReader.stat(root: root, path: $0).type) == .regular }
        return (places: found, isBack: isBack)
      }
      await engine.handle(.inspected(folder, found?.places ?? [:], isBack: found?.isBack ?? false))
    }
  }

  /// Runs a walk's step on the disk pool.
  func walk<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await disk.run(body)
  }

  /// Runs what reads whole files on the hashing threads.
  func readThrough<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await hashing.run(body)
  }

  // MARK: Replica

  func assemble(_ content: ContentID, _ manifest: Manifest, engine: Engine) {
    start { [hashing, sink, logger] in
      do {
        let isIntact = try await hashing.run { try sink.assemble(content, manifest) }
        await engine.handle(.contentAssembled(content, isIntact: isIntact))
      } catch let error as DiskError {
        logger.warning(
          "a large file could not be checked; it is tried again", metadata: ["error": "\(error)"])
        await engine.handle(.assemblyFailed(content))
      } catch {
        // The agent ends: nothing was found out.
        logger.debug("a check was not made", metadata: ["error": "\(error)"])
      }
    }
  }

  func discard(_ content: ContentID) {
    sink.doom(content)
    start { [disk, sink, logger] in
      do { try await disk.run { try sink.discard(content) } } catch {
        logger.debug("staged bytes could not be removed", metadata: ["error": "\(error)"])
      }
    }
  }

  func file(_ batch: BatchID, _ operations: [FilingOperation], isRepeat: Bool = false, engine: Engine) {
    start { [self] in
      do {
        let results = try await filing.run { [replica] in replica.commit(operations, isRepeat: isRepeat) }
        await engine.handle(.filed(batch, results))
        await measureRoom(engine: engine)
      } catch {
        let failure = FilingFailure(code: .other, errno: 0, message: "\(error)")
        await engine.handle(.filed(batch, operations.map { _ in .failed(failure) }))
      }
    }
  }

  /// What an earlier run left in the staging area, re-hashed.
  func findStaged(engine: Engine) async {
    for (content, size) in await stagedContents() {
      let partial = await engine.ask { _ in try? engine.catalog.partial(content) } ?? nil
      do {
        let state = try await hashing.run { [sink] in
          try sink.recover(content, size: size, partial: partial)
        }
        if let state {
          await engine.handle(.stagedFound(content, blocks: state.blocks))
        }
      } catch {
        logger.debug("staged bytes cannot be read", metadata: ["error": "\(error)"])
        discard(content)
      }
    }
    await engine.handle(.recovered)
  }

  /// What cannot be looked at is fetched anew.
  private func stagedContents() async -> [(ContentID, UInt64)] {
    do {
      return try await disk.run { [replica, logger] in
        try replica.stagedContents { error in
          logger.warning("staged bytes cannot be looked at", metadata: ["error": "\(error)"])
        }
      }
    } catch let error as DiskError {
      logger.warning("the staging area cannot be listed", metadata: ["error": "\(error)"])
      return []
    } catch {
      // The agent ends.
      logger.debug("the staging area was not listed", metadata: ["error": "\(error)"])
      return []
    }
  }
}
