import Logging
import MantelCatalog
import MantelCore
import MantelWire
import MantelDisk
import MantelHousehold
import MantelReplication
import MantelSession
import MantelSummary
import MantelTransport

/// Owns the decisions and the catalog, one event at a time, on a thread of its own; has the actions carried out.
actor Engine {
  private let executor = QueueExecutor(label: "mantel.engine")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  nonisolated let catalog: Catalog
  nonisolated let members: MemberList
  nonisolated let effects: Effects
  nonisolated let logger: Logger
  private let makeReplicator: @Sendable (Now) throws -> Replicator
  private var clock = RunningClock()
  private var replicator: Replicator
  private var sessions: [LinkID: SessionID] = [:]
  private var peers: [LinkID: (machine: MachineID, isDialer: Bool)] = [:]
  private var lastSeen: [MachineID: WallTime] = [:]
  private var tick: (deadline: Instant, task: Task<Void, Never>)?
  /// Set while the catalog refuses to be written.
  private var outage: CatalogOutage?

  /// `makeReplicator` loads the decisions' memory from the catalog; also after a failure of the catalog.
  init(
    catalog: Catalog, members: MemberList, effects: Effects, logger: Logger,
    makeReplicator: @escaping @Sendable (Now) throws -> Replicator
  ) throws {
    self.catalog = catalog
    self.members = members
    self.effects = effects
    self.logger = logger
    self.makeReplicator = makeReplicator
    self.replicator = try makeReplicator(clock.reading(AgentClock.now))
    members.update(replicator.roster)
  }

  // MARK: Events

  /// A failure of the catalog is told in the log, and the engine has started over when this returns.
  func handle(_ event: ReplicationEvent) {
    do { try perform(event) } catch {
      // `perform` has told it; nobody waits for this event.
    }
  }

  /// Handles an event for somebody who waits for its success: throws what the catalog said, after starting over.
  func perform(_ event: ReplicationEvent) throws(StoreError) {
    // Nothing that follows from an event could be kept; what is missed is found again when the outage ends.
    if let outage, !outage.isOver { throw outage.error }
    do {
      let actions = try replicator.handle(event, now: clock.reading(AgentClock.now))
      for action in actions { carryOut(action) }
      armTick()
    } catch {
      recover(from: error)
      throw error
    }
  }

  /// Decides by what is true now, and handles the event that this leads to with nothing in between; false when `decide`
  /// wants none.
  func change(
    _ decide: @Sendable (inout Replicator) throws -> ReplicationEvent?
  ) throws -> Bool {
    guard let event = try decide(&replicator) else { return false }
    try perform(event)
    return true
  }

  /// Memory and catalog may differ after a failed transaction: start over from the catalog, after a pause that grows
  /// (a full disk does not empty by trying). Connections stay meanwhile, and peers are served from what is here.
  private func recover(from error: StoreError) {
    let outage = CatalogOutage(after: self.outage, error, now: AgentClock.instant)
    self.outage = outage
    logger.error(
      "the catalog failed; starting over from it",
      metadata: ["error": "\(error)", "pause.seconds": "\(outage.pause.components.seconds)"])
    stop()
    guard load() else { return }
    Task { [weak self] in
      try? await AgentClock.sleep(until: outage.end)
      await self?.resume()
    }
  }

  private func load() -> Bool {
    do {
      var loaded = try makeReplicator(clock.reading(AgentClock.now))
      loaded.keepSyncFaults(of: replicator)
      replicator = loaded
      return true
    } catch {
      logger.critical("the catalog cannot be read", metadata: ["error": "\(error)"])
      effects.fail(error)
      return false
    }
  }

  /// With new connections: what they would have told was missed.
  private func resume() async {
    do {
      try catalog.setValue(.agentDay, catalog.value(.agentDay))
    } catch {
      return recover(from: error)
    }
    outage?.isOver = true
    for session in sessions.values { effects.transport?.close(session, .shuttingDown) }
    sessions.removeAll()
    peers.removeAll()
    guard load() else { return }
    effects.restartScans()
    armTick()
    // Before any library is installed: what was measured meanwhile is lost, and the disk may still be full.
    await effects.measureRoom(engine: self)
  }

  /// Why nothing can be recorded; nil when it can.
  var catalogFailure: StoreError? { outage.flatMap { $0.isOver ? nil : $0.error } }

  private func armTick() {
    guard let deadline = replicator.nextDeadline else {
      tick?.task.cancel()
      tick = nil
      return
    }
    // One timer is enough: an earlier one re-arms when it fires.
    if let tick, tick.deadline <= deadline { return }
    tick?.task.cancel()
    let task = Task { [weak self] in
      try? await AgentClock.sleep(until: deadline)
      guard !Task.isCancelled else { return }
      await self?.ticked()
    }
    tick = (deadline, task)
  }

  private func ticked() {
    tick = nil
    handle(.tick)
  }

  func stop() {
    tick?.task.cancel()
    tick = nil
    do { try replicator.stop(now: clock.reading(AgentClock.now)) } catch {
      logger.error("the last minute was not kept", metadata: ["error": "\(error)"])
    }
  }

  // MARK: Actions

  private func carryOut(_ action: ReplicationAction) {
    switch action {
    case .link(let link, let command): send(command, to: link)
    case .look(let folder, let path): effects.look(folder, path, root: root(of: folder), engine: self)
    case .hash(let folder, let paths): effects.hash(folder, paths, root: root(of: folder), engine: self)
    case .inspect(let folder, let places, let missed):
      effects.inspect(folder, places, missed: missed, root: root(of: folder), engine: self)
    case .assemble(let content, let manifest): effects.assemble(content, manifest, engine: self)
    case .expect(let link, let order): effects.sink.expect([order], on: link)
    case .discardStaged(let content): effects.discard(content)
    case .recalled(let id, let outcome): effects.recaller.ended(id, outcome)
    case .file(let batch, let operations): effects.file(batch, operations, engine: self)
    case .fileAgain(let batch, let operations):
      effects.file(batch, operations, isRepeat: true, engine: self)
    case .reread(let target, let rate):
      var folder: [UInt8]?
      if case .own(let id, _) = target { folder = root(of: id) }
      effects.reread(target, bytesPerSecond: rate, root: folder, engine: self)
    case .setAside(let order): effects.setAside(order, engine: self)
    case .compareReplica(let id): effects.compareReplica(id, engine: self)
    case .findStrays: effects.findStrays(engine: self)
    case .drawChallenge(let link): effects.drawChallenge(link, engine: self)
    case .prove(let link, let challenge): effects.prove(challenge, isWhole: true, for: link, engine: self)
    case .proveRange(let link, let challenge):
      effects.prove(challenge, isWhole: false, for: link, engine: self)
    case .keepGuard(let head): effects.keepGuard(head, engine: self)
    case .rescan: effects.rescan()
    case .rosterChanged:
      let gone = members.update(replicator.roster)
      effects.rosterChanged(removed: gone)
    case .published(let order):
      logger.debug("published", metadata: ["head.sequence": "\(order.sequence)"])
    case .installed(let machine, let order):
      logger.debug(
        "installed",
        metadata: ["library.id": "\(machine.short)", "head.sequence": "\(order.sequence)"])
    case .warn(let warning): warn(warning)
    }
  }

  private func send(_ command: LinkCommand, to link: LinkID) {
    guard let session = sessions[link], let transport = effects.transport else { return }
    if case .fetch(let orders) = command { effects.sink.expect(orders, on: link) }
    transport.send(command.sessionCommand, to: session)
  }

  private func root(of folder: FolderID) -> [UInt8]? {
    replicator.folder(folder)?.root
  }

  private func warn(_ warning: ReplicationWarning) {
    switch warning {
    case .rejectedHead(let machine, let why):
      logger.warning("refused a head", metadata: ["library.id": "\(machine.short)", "why": "\(why)"])
    case .rejectedStatement(let why):
      logger.warning("refused a roster statement", metadata: ["why": "\(why)"])
    case .corruptUnit(let peer, let content):
      logger.warning(
        "a peer sent bytes that do not match",
        metadata: ["peer.id": "\(peer.short)", "content.id": "\(content.short)"])
    case .filingFailed(let failure):
      logger.warning(
        "a replica file could not be written; it is tried again",
        metadata: ["error": "\(failure.message)", "errno": "\(failure.errno)"])
    case .replicaReadOnly:
      logger.warning("the replica's filesystem is read-only: nothing is fetched or filed until it is not")
    case .clone(let machine, let peer):
      var metadata: Logger.Metadata = ["machine.id": "\(machine.short)"]
      if let peer { metadata["peer.id"] = "\(peer.short)" }
      logger.error("two copies of one machine are running", metadata: metadata)
    case .badFile(let content, let fault):
      logger.warning(
        "a replica file is bad; it is set aside and made again",
        metadata: ["content.id": "\(content.short)", "fault": "\(fault)"])
    case .refuted(let machine, let content):
      logger.warning(
        "a machine could not show what it claims to hold: its word counts no more",
        metadata: ["peer.id": "\(machine.short)", "content.id": "\(content.short)"])
    case .suspectedRot(let content):
      logger.warning(
        "a photo of this machine has other bytes though nobody wrote to it: it is not published",
        metadata: ["content.id": "\(content.short)"])
    case .orphaned(let machine, let count):
      logger.warning(
        "photos fell out of a library without a word: their copies stay until its machine takes them back",
        metadata: ["library.id": "\(machine.short)", "photos": "\(count)"])
    case .forked(let machine):
      logger.error(
        "a machine has signed two histories of its library: the one that was learned first stays",
        metadata: ["library.id": "\(machine.short)"])
    case .lastHeadUnseen(let machine):
      logger.warning(
        "the library of a removed machine goes on without the last head that its removal names: no member has it",
        metadata: ["library.id": "\(machine.short)"])
    case .orphansTakenBack(let count):
      logger.notice(
        "photos that this machine had published once are in its library again, as retired",
        metadata: ["photos": "\(count)"])
    case .ownHeadAhead(let order):
      logger.error(
        "this machine has published more than its catalog knows: nothing is published before the rest was learned",
        metadata: ["head.epoch": "\(order.epoch)", "head.sequence": "\(order.sequence)"])
    case .ownHistoryResumed(let epoch):
      logger.notice(
        "this machine's library has caught up with what it had published, and goes on",
        metadata: ["head.epoch": "\(epoch)"])
    case .massChange(let folder, let massChange):
      logger.warning(
        "much of a folder was deleted or replaced: held until it is accepted",
        metadata: [
          "folder.id": "\(folder)", "lost": "\(massChange.contents)", "files": "\(massChange.files)",
        ])
    }
  }

  // MARK: Sessions

  /// Whether a machine is this one, or connected to it.
  func isAlive(_ machine: MachineID) -> Bool {
    machine == replicator.machine || peers.values.contains { $0.machine == machine }
  }

  /// What a new connection says of this machine, and whether its peer is a guest: admitted, and no member yet. Nil when the
  /// peer is neither any more.
  func greet(
    _ peer: MachineID, isDialer: Bool, session: SessionID, greeting: Greeting
  ) -> (configuration: SessionConfiguration, isForGuest: Bool)? {
    let link = LinkID(session.number)
    guard let words = replicator.greet(peer, over: link) else { return nil }
    sessions[link] = session
    peers[link] = (peer, isDialer)
    let configuration = greeting.configuration(
      peer: peer, isDialer: isDialer, roster: replicator.roster, saying: words)
    return (configuration, words.isForGuest)
  }

  func received(_ event: SessionEvent, on session: SessionID) {
    let link = LinkID(session.number)
    guard let peer = peers[link],
      let mapped = ReplicationEvent(
        event, link: link, peer: peer.machine, isDialer: peer.isDialer)
    else { return }
    lastSeen[peer.machine] = AgentClock.wall
    handle(mapped)
  }

  func ended(_ session: SessionID) {
    let link = LinkID(session.number)
    sessions[link] = nil
    if let peer = peers.removeValue(forKey: link) { lastSeen[peer.machine] = AgentClock.wall }
    handle(.linkClosed(link))
  }

  /// What a peer that leaves the choice to this machine gets next.
  func choose(_ units: [UnitID], count: Int, for session: SessionID) -> [UnitID] {
    replicator.choose(units, count: count, for: LinkID(session.number))
  }

  func snapshot(of set: ComparedSet, for session: SessionID) -> SetSnapshot? {
    replicator.snapshot(of: set, for: LinkID(session.number))
  }

  var connected: Set<MachineID> { Set(peers.values.map(\.machine)) }
  func peer(of session: SessionID) -> MachineID? { peers[LinkID(session.number)]?.machine }
  func seenAt(_ machine: MachineID) -> WallTime? { lastSeen[machine] }
  func beginListing(_ folder: FolderID, _ directory: [UInt8]) -> Bool {
    replicator.beginListing(folder, directory)
  }

  // MARK: Questions

  /// Reads, or changes, the decisions between two events.
  func ask<Answer: Sendable>(
    _ body: @Sendable (inout Replicator) throws -> Answer
  ) rethrows -> Answer {
    try body(&replicator)
  }
}
