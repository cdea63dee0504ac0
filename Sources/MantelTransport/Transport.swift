import Logging
package import MantelCore
import MantelHousehold
package import MantelSession
package import MantelWire
import NIOCore
import NIOPosix
import Synchronization

/// Listens, dials, and runs one session per authorised connection.
///
/// Connections arrive on event loops, and are handed to `run()`, whose task group owns every session: each ends within
/// it, with its errors. Everything shared is in one mutex, which no one holds while calling the environment.
package final class Transport: Sendable {
  /// A connection that is authorised and waits for its task.
  enum Arrival: Sendable {
    case session(SessionLink)
    case join(AuthenticatedConnection, JoinPlace)
  }

  enum Phase {
    case prepared
    case running
    case stopped
  }

  struct State {
    var phase = Phase.prepared
    var hasRun = false
    var listeners: [any Channel] = []
    var port: UInt16?
    var tls: TLSContexts
    var admission: AdmissionControl
    /// Accepted connections that are not authorised yet.
    var pending: [AdmissionControl.Ticket: any Channel] = [:]
    var refusals = RefusalLog<SourceKey>()
    /// Members with whom a session ended as none should.
    var breaks = RefusalLog<MachineID>()
    var links: [SessionID: SessionLink] = [:]
    var lastSession: UInt64 = 0
    /// Who waits for a pong; none for longer than they said.
    var roundTrips: [SessionID: [UInt64: CheckedContinuation<Duration?, Never>]] = [:]
    var lastQuestion: UInt64 = 0
    var registry: ConnectionRegistry
    /// Join connections that are open as inviter.
    var joins: JoinPlaces<any Channel>
    var counters = TransportStatistics()

    /// Whether one more connection that a machine dialled may be taken in.
    func hasPlace(for machine: MachineID, _ limits: TransportLimits) -> Bool {
      links.values.count { $0.peer == machine && !$0.connection.isDialer } < limits.arrivalsPerPeer
    }
  }

  let configuration: TransportConfiguration
  let environment: any SessionEnvironment
  let queries: StoreQueries
  let state: Mutex<State>
  private let arrivals: AsyncStream<Arrival>
  private let arrivalsInput: AsyncStream<Arrival>.Continuation

  var limits: TransportLimits { configuration.limits }
  var logger: Logger { configuration.logger }

  /// Throws `.tls` when the key cannot be used.
  package init(
    _ configuration: TransportConfiguration, environment: any SessionEnvironment
  ) throws(TransportError) {
    self.configuration = configuration
    self.environment = environment
    queries = StoreQueries(environment: environment, limit: configuration.limits.concurrentQueries)
    let registry = ConnectionRegistry(
      local: configuration.key.machine, connectionsPerPeer: configuration.limits.connectionsPerPeer)
    let admission = AdmissionControl(limits: configuration.limits)
    let tls = try TLSContexts(key: configuration.key)
    let joins = JoinPlaces<any Channel>(
      capacity: configuration.limits.joinConnections,
      perAddress: configuration.limits.joinConnectionsPerAddress)
    state = Mutex(State(tls: tls, admission: admission, registry: registry, joins: joins))
    (arrivals, arrivalsInput) = AsyncStream.makeStream(
      bufferingPolicy: .bufferingOldest(configuration.limits.waitingConnections))
  }

  // MARK: Life

  /// Listens if `bind()` has not done so, and runs every session. Returns after `shutDown()` or cancellation, once all
  /// sessions have ended and the environment was told; waits little for a store that does not answer. May be called once;
  /// at once after a `shutDown()` that came first.
  package func run() async throws(TransportError) {
    let (isFirst, phase) = state.withLock { state in
      defer {
        state.hasRun = true
        if state.phase == .prepared { state.phase = .running }
      }
      return (!state.hasRun, state.phase)
    }
    guard isFirst else { throw TransportError(.notRunning, "a transport runs once") }
    guard phase == .prepared else { return }
    do {
      _ = try await bind()
    } catch {
      shutDown()
      throw error
    }
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        for await arrival in arrivals {
          group.addTask { await self.serve(arrival) }
        }
      }
    } onCancel: {
      shutDown()
    }
    abandonArrivals()
    await queries.drain(within: limits.closeGrace, on: configuration.group.next())
  }

  /// Closes every listener and session, telling the peers; `run()` then returns. Does not wait. Idempotent.
  package func shutDown() {
    let (wasRunning, listeners, pending, links, joins) = state.withLock { state in
      defer {
        state.phase = .stopped
        state.listeners = []
      }
      return (
        state.phase == .running, state.listeners, Array(state.pending.values), Array(state.links.values),
        state.joins.connections
      )
    }
    for listener in listeners { listener.close(promise: nil) }
    for channel in pending { channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Abandoned()) }
    for link in links { link.close(.shuttingDown, "") }
    for channel in joins { channel.close(promise: nil) }
    arrivalsInput.finish()
    if !wasRunning { abandonArrivals() }
  }

  /// Connections that arrived before or while `run()` ended never got a task.
  private func abandonArrivals() {
    let (links, joins) = state.withLock { state in
      defer {
        state.links = [:]
        state.joins.removeAll()
      }
      return (state.links, state.joins.connections)
    }
    for link in links.values {
      link.connection.channel.close(promise: nil)
      link.dial?.complete(.failure(TransportError(.notRunning, "the transport was shut down")))
    }
    for channel in joins { channel.close(promise: nil) }
  }

  /// Where peers reach this machine; nil before `bind()`, and when it does not listen.
  package var listeningPort: UInt16? { state.withLock { $0.port } }

  /// Makes the TLS configurations anew, so that no session ticket outlives the roster it was given under. For every
  /// change of the roster; open connections stay as they are.
  package func rebuildTLS() throws(TransportError) {
    let tls = try TLSContexts(key: configuration.key)
    state.withLock { $0.tls = tls }
  }

  // MARK: Sessions

  /// Gives a session a command; they are taken in order. False when there is no such session (any more).
  @discardableResult
  package func send(_ command: SessionCommand, to session: SessionID) -> Bool {
    guard let link = state.withLock({ $0.links[session] }) else { return false }
    link.send(command)
    return true
  }

  /// Ends a session, telling the peer why.
  package func close(_ session: SessionID, _ code: CloseCode, message: String = "") {
    send(.close(code, message: message), to: session)
  }

  /// Ends all connections to a machine that is no member any more, also those that are just opening.
  package func disconnect(_ machine: MachineID) {
    let links = state.withLock { state in state.links.values.filter { $0.peer == machine } }
    for link in links { link.close(.notMember, "") }
  }

  package func statistics() -> TransportStatistics {
    let (counters, links) = state.withLock { ($0.counters, Array($0.links.values)) }
    var statistics = counters
    statistics.sessions = links.map(\.statistics).sorted { $0.session < $1.session }
    return statistics
  }

  // MARK: Arrivals

  /// Takes in a connection whose peer is authorised; one that there is no place for is closed. False when its peer has
  /// too many: before their HELLOs, which a member may withhold, the registry does not know them.
  @discardableResult
  func arrived(_ connection: AuthenticatedConnection, dial: DialOutcome<SessionID>?) -> Bool {
    let (arrival, isCrowded): (Arrival?, Bool) = state.withLock { state in
      guard state.phase != .stopped else { return (nil, false) }
      state.counters.handshakesSucceeded += 1
      guard connection.isDialer || state.hasPlace(for: connection.identity.machine, limits) else {
        state.counters.connectionsRefused += 1
        return (nil, true)
      }
      state.lastSession += 1
      let link = SessionLink(
        id: SessionID(number: state.lastSession), connection: connection, limits: limits, dial: dial,
        connected: configuration.now())
      state.links[link.id] = link
      // From here on a dial that is given up ends the way a session ends, so that the peer hears why.
      dial?.attach { error in link.close(error.code == .timeout ? .timeout : .normal, error.message) }
      return (.session(link), false)
    }
    guard let arrival else {
      connection.channel.close(promise: nil)
      dial?.complete(.failure(TransportError(.notRunning, "the transport was shut down")))
      return !isCrowded
    }
    enqueue(arrival)
    return true
  }

  func enqueue(_ arrival: Arrival) {
    switch arrivalsInput.yield(arrival) {
    case .enqueued: return
    case .dropped, .terminated: break
    @unknown default: break
    }
    switch arrival {
    case .session(let link):
      link.connection.channel.close(promise: nil)
      link.dial?.complete(.failure(TransportError(.tooMany, "too many connections wait")))
      state.withLock { $0.links[link.id] = nil }
    case .join(let connection, let place):
      connection.channel.close(promise: nil)
      state.withLock { $0.joins.leave(place) }
    }
  }

  private func serve(_ arrival: Arrival) async {
    switch arrival {
    case .session(let link):
      await runSession(link)
    case .join(let connection, let place):
      let join = JoinConnection(connection) { self.newcomerProved(at: place) }
      await environment.join(join)
      await join.close()
      state.withLock { $0.joins.leave(place) }
    }
  }
}
