import Foundation
package import Logging
import MantelCatalog
package import MantelControl
import MantelCore
import MantelSummary
import MantelDisk
import MantelHousehold
import MantelReplication
import MantelTransport
import ServiceLifecycle
import Synchronization
import UnixSignals

package enum MantelVersion {
  package static let text = "0.1.0"
  package static let program = "mantel \(text)"
}

/// One agent: everything wired, not yet running.
package final class Agent: Sendable {
  /// The standard port; the next free one is taken, and remembered, when it is not to be had.
  package static let standardPort: UInt16 = 62_683

  package enum Listen: Sendable {
    /// The remembered port, else the standard one, else the next free one.
    case standard
    case exact(host: String?, port: UInt16)
  }

  package let control: any ControlService
  package let home: Home
  private let lock: StateLock
  private let engine: Engine
  private let effects: Effects
  private let transport: Transport
  private let environment: PeerEnvironment
  private let scanner: FolderScanner
  private let dialer: PeerDialer
  private let discovery: DiscoveryService
  private let invitations: Invitations
  private let catalog: Catalog
  private let catalogCheck: CatalogCheck
  private let jobs = Jobs()
  private let logger: Logger

  /// Opens the state directory and binds the port. Throws `AgentError`: not initialised, locked, or what a disk said.
  package init(home: Home, listen: Listen, logger: Logger) async throws {
    try home.requireInitialised()
    self.home = home
    self.logger = logger
    lock = try StateLock(home)
    try Rekey.complete(home)
    let key = try DeviceKey.load(from: home.keyPath)
    let catalog = try Catalog.open(home, machine: key.machine)
    self.catalog = catalog
    catalogCheck = CatalogCheck(catalog: catalog, logger: logger)
    let root = try Setup.replicaRoot(catalog, home)
    let replica = try AgentError.explainingPlace(of: root) {
      try Replica.open(root: Array(root.utf8), machine: key.machine, create: false)
    }
    let effects = Effects(
      replica: replica, stateDirectory: Array(home.state.utf8),
      cores: ProcessInfo.processInfo.activeProcessorCount, logger: logger)
    self.effects = effects
    let filesystem = Self.filesystemMark(replica)
    let configuration = try AgentConfiguration.load(home)
    engine = try Engine(
      catalog: catalog, members: MemberList(), effects: effects, logger: logger
    ) { now in
      try Setup.replicator(
        catalog: catalog, key: key, filesystem: filesystem, guarded: effects.guardedHead(),
        configuration: configuration, now: now)
    }
    invitations = Invitations(key: key, logger: logger)
    let rates = TransferRates()
    environment = PeerEnvironment(
      engine: engine, effects: effects, invitations: invitations,
      greeting: Greeting(machine: key.machine, listeningPort: 0), rates: rates)
    transport = try Transport(
      TransportConfiguration(
        key: key, listen: Self.request(listen, catalog), now: { AgentClock.instant },
        logger: logger),
      environment: environment)
    let port = try await transport.bind()
    environment.setListeningPort(port)
    try catalog.setValue(.listeningPort, Array(String(port).utf8))
    scanner = FolderScanner(
      engine: engine, effects: effects, ownPaths: home.ownPaths(replica: root), logger: logger)
    dialer = PeerDialer(engine: engine, transport: transport, catalog: catalog, logger: logger)
    discovery = DiscoveryService(
      engine: engine, dialer: dialer, invitations: invitations, port: port, logger: logger)
    control = AgentControl(
      home: home, replicaRoot: root, port: port, key: key, engine: engine, effects: effects,
      catalog: catalog, transport: transport, scanner: scanner, dialer: dialer,
      discovery: discovery, invitations: invitations, rates: rates, jobs: jobs,
      catalogCheck: catalogCheck)
    wire()
    try await announceRecord(port: port)
  }

  private func wire() {
    let (discovery, dialer, scanner, logger) = (discovery, dialer, scanner, logger)
    let (effects, engine, catalog) = (effects, engine, catalog)
    let readvertise: @Sendable () -> Void = {
      Task {
        await effects.keepHousehold(from: catalog, engine: engine)
        await discovery.advertise()
        dialer.reconsider()
      }
    }
    invitations.wire(household: engine, onChange: readvertise)
    environment.wire { dialer.reconsider() }
    effects.wire(
      transport: transport, onRosterChange: readvertise,
      onRestart: {
        Task {
          await effects.recaller.recallAgain(engine: engine)
          await effects.findStaged(engine: engine)
          await scanner.scanAll()
        }
      },
      onRescan: { Task { await scanner.scanAll() } },
      onFailure: { error in
        logger.critical("the agent cannot go on", metadata: ["error": "\(error)"])
        // A supervisor starts it again; what was announced is durable.
        exit(70)
      })
  }

  private static func request(_ listen: Listen, _ catalog: Catalog) -> ListenRequest {
    switch listen {
    case .exact(let host, let port): return .exact(host: host, port: port)
    case .standard:
      let remembered = (try? catalog.value(.listeningPort)).flatMap { $0 }
        .flatMap { UInt16(String(decoding: $0, as: UTF8.self)) }
      return .preferred(remembered ?? standardPort)
    }
  }

  /// Two machines share it only when their replicas lie on one filesystem of one host.
  private static func filesystemMark(_ replica: Replica) -> FolderID {
    let host = (try? Data(contentsOf: URL(fileURLWithPath: "/etc/machine-id"))) ?? Data()
    let bytes = Array(host) + replica.filesystemIdentity
    let digest = SummaryHash.sha256(bytes)
    return FolderID(high: digest.word0, low: digest.word1)
  }

  /// Signs and spreads what this machine is called and where it listens, when that changed.
  private func announceRecord(port: UInt16) async throws {
    let name = try catalog.value(.machineName).map { String(decoding: $0, as: UTF8.self) } ?? "machine"
    let addresses = LocalAddresses.list(port: port)
    dialer.setOwnAddresses(Set(addresses))
    _ = try await engine.change { replicator in
      .recordChanged(
        MachineRecord(
          machine: replicator.machine, number: 0, name: name, role: replicator.role,
          program: MantelVersion.program, addresses: addresses, folders: try replicator.folderNames()))
    }
  }

  // MARK: Running

  package var listeningPort: UInt16 { transport.listeningPort ?? 0 }

  /// Runs until `stop`, or until the task is cancelled. `isReady` is called once everything is started.
  package func run(isReady: @Sendable @escaping () -> Void) async throws {
    logger.notice(
      "agent started",
      metadata: ["listen.port": "\(listeningPort)", "home.state": "\(home.state)"])
    try catalogCheck.begin()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [self] in await effects.run() }
      group.addTask { [self] in try await transport.run() }
      group.addTask { [self] in await recover() }
      group.addTask { [self] in await scanner.run() }
      group.addTask { [self] in await dialer.run() }
      group.addTask { [self] in await discovery.run() }
      group.addTask { [self] in await refreshRegularly() }
      group.addTask { [self] in await catalogCheck.run(engine: engine, effects: effects) }
      isReady()
      do {
        try await gracefulShutdown()
      } catch is CancellationError {
        // Cancelled instead: the same end.
      }
      stop()
      group.cancelAll()
      try await group.waitForAll()
    }
    await engine.stop()
    await effects.keepHousehold(from: catalog, engine: engine)
    await effects.close()
    // Last: whatever is cut off before this is followed by a look at the catalog.
    do { try catalogCheck.end() } catch {
      // The disk is full, maybe: the next start looks, which harms nobody.
      logger.warning("that the agent ended could not be noted", metadata: ["error": "\(error)"])
    }
    logger.notice("agent stopped")
  }

  private func stop() {
    invitations.stop()
    jobs.cancelAll()
    catalogCheck.stop()
    transport.shutDown()
    discovery.stop()
    dialer.stop()
    scanner.stop()
    effects.stop()
  }

  /// What an earlier run left behind, before anything new is fetched.
  private func recover() async {
    await effects.takeBackRefusals(engine: engine)
    await effects.measureRoom(engine: engine)
    await effects.findStaged(engine: engine)
    await effects.keepHousehold(from: catalog, engine: engine)
  }

  /// Addresses change when a laptop moves; room on the disk all the time, and the disk itself may come and go.
  private func refreshRegularly() async {
    while !Task.isCancelled {
      do { try await Task.sleep(for: .seconds(30)) } catch { return }
      do { try await announceRecord(port: listeningPort) } catch {
        logger.warning("the machine record could not be renewed", metadata: ["error": "\(error)"])
      }
      // Before filing goes on, where the replica's disk has just come.
      await effects.takeBackRefusals(engine: engine)
      await effects.measureRoom(engine: engine)
      await effects.keepHousehold(from: catalog, engine: engine)
      await discovery.advertise()
    }
  }
}

extension Agent: Service {
  package func run() async throws { try await run(isReady: {}) }
}
