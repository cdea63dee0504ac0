import Logging
import MantelCatalog
import MantelCore
import MantelReplication
import MantelDiscovery
import MantelHousehold
import MantelTransport
import Synchronization

/// Keeps a connection to every member: dials what discovery, memory and the user name.
final class PeerDialer: Sendable {
  private let engine: Engine
  private let transport: Transport
  private let catalog: Catalog
  private let logger: Logger
  private let state = Mutex(State())
  private let wake: AsyncStream<Void>
  private let waker: AsyncStream<Void>.Continuation

  private struct State {
    var plan = DialPlan()
    var strangers: [String: NetworkAddress] = [:]
    var own: Set<NetworkAddress> = []
  }

  init(engine: Engine, transport: Transport, catalog: Catalog, logger: Logger) {
    self.engine = engine
    self.transport = transport
    self.catalog = catalog
    self.logger = logger
    (wake, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// A dial is under way: who is reachable is not known yet.
  var isDialling: Bool { state.withLock { $0.plan.dialling } }
  var strangers: [String: NetworkAddress] { state.withLock { $0.strangers } }

  func setOwnAddresses(_ addresses: Set<NetworkAddress>) {
    let isNew = state.withLock { state in
      defer { state.own = addresses }
      return state.own != addresses
    }
    if isNew { waker.yield() }
  }

  /// A service was seen; `isMember`: its tag is the household's.
  func discovered(_ service: DiscoveredService, isMember: Bool) {
    state.withLock { state in
      if isMember {
        state.strangers[service.instance] = nil
        state.plan.discovered(
          service.instance, service.addresses, wired: service.wired, wireless: service.wireless,
          now: AgentClock.instant)
      } else {
        state.strangers[service.instance] = service.addresses.first
      }
    }
    waker.yield()
  }

  func lost(_ instance: String) {
    state.withLock {
      $0.plan.lost(instance)
      $0.strangers[instance] = nil
    }
  }

  /// Addresses, members or connections changed: look again.
  func reconsider() { waker.yield() }

  func stop() { waker.finish() }

  func run() async {
    waker.yield()
    await withDiscardingTaskGroup { group in
      // Waiting times end by themselves; all else comes through `wake`.
      var timer: Task<Void, Never>?
      for await _ in wake {
        timer?.cancel()
        let (candidates, next) = await look()
        for candidate in candidates {
          group.addTask { [self] in
            await dial(candidate)
            waker.yield()
          }
        }
        timer = next.map { next in
          Task { [waker] in
            do { try await AgentClock.sleep(until: next) } catch { return }
            waker.yield()
          }
        }
      }
      timer?.cancel()
      group.cancelAll()
    }
  }

  /// What to dial now, noted as begun, and when to look again.
  private func look() async -> (candidates: [DialPlan.Candidate], next: Instant?) {
    let connected = await engine.connected
    let (members, records) = await engine.ask { replicator in
      (
        replicator.roster.members.map(\.machine).filter { $0 != replicator.machine },
        replicator.records.mapValues(\.record.addresses)
      )
    }
    let wanted = Set(members).subtracting(connected)
    guard !wanted.isEmpty else { return ([], nil) }
    var remembered: [MachineID: [NetworkAddress]] = [:]
    for machine in wanted {
      let worked = (try? catalog.peerAddresses(machine).map(\.address)) ?? []
      var seen = Set<NetworkAddress>()
      remembered[machine] = (worked + (records[machine] ?? [])).filter { seen.insert($0).inserted }
    }
    let fixed = Set((try? catalog.fixedAddresses()) ?? [])
    return state.withLock { [remembered] state in
      state.plan.setFixed(fixed)
      let now = AgentClock.instant
      let candidates = state.plan.due(wanted: wanted, remembered: remembered, own: state.own, now: now)
      for candidate in candidates { state.plan.began(candidate.address, now: now) }
      return (
        candidates,
        state.plan.nextLook(wanted: wanted, remembered: remembered, own: state.own, now: now)
      )
    }
  }

  private func dial(_ candidate: DialPlan.Candidate) async {
    do {
      let session = try await transport.dial(candidate.address, expecting: candidate.machine)
      guard let machine = await engine.peer(of: session) else {
        state.withLock { $0.plan.failed(candidate.address, isStranger: false, now: AgentClock.instant) }
        return
      }
      state.withLock { $0.plan.answered(candidate.address, by: machine, now: AgentClock.instant) }
      try catalog.recordDial(machine, candidate.address, succeeded: true, at: AgentClock.wall)
    } catch let error as TransportError {
      var isStranger = false
      switch error.code {
      case .isSelf, .notMember, .refused, .noCommonProtocol: isStranger = true
      case .duplicate(let machine), .unexpectedPeer(let machine):
        // Nothing failed: it is another member's address, or that of one which is connected already.
        state.withLock { $0.plan.answered(candidate.address, by: machine, now: AgentClock.instant) }
        return
      default: break
      }
      state.withLock {
        $0.plan.failed(candidate.address, isStranger: isStranger, now: AgentClock.instant)
      }
      logger.debug(
        "dialling failed",
        metadata: ["peer.address": "\(candidate.address)", "error": "\(error.message)"])
    } catch {
      state.withLock {
        $0.plan.failed(candidate.address, isStranger: false, now: AgentClock.instant)
      }
      logger.warning("an address could not be recorded", metadata: ["error": "\(error)"])
    }
  }
}
