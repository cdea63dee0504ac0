import Logging
import MantelCatalog
import MantelCore
import MantelReplication
import MantelDiscovery
import MantelHousehold
import MantelTransport
import Synchronization

/// Where to dial, and when: pure bookkeeping of addresses, what is known to answer there, and waiting times.
struct DialPlan: Sendable {
  struct Candidate: Hashable, Sendable {
    var address: NetworkAddress
    /// Who is expected there; nil when only the certificate will tell.
    var machine: MachineID?
  }
  private struct Attempts: Sendable {
    var failures = 0
    var notBefore: Instant
    var isDialling = false
  }

  /// Addresses that somebody told (discovery, the user): who answers there is not known at first.
  private var anonymous: [NetworkAddress: Set<Source>] = [:]
  /// Who answered at an address in this run.
  private var answered: [NetworkAddress: MachineID] = [:]
  private var attempts: [NetworkAddress: Attempts] = [:]

  enum Source: Hashable, Sendable {
    case discovered(instance: String)
    case fixed
  }

  static let shortestWait: Duration = .seconds(1)
  static let longestWait: Duration = .seconds(60)
  static let candidatesAtOnce = 8
  static let addresses = 512

  // MARK: What is known

  mutating func discovered(_ instance: String, _ addresses: [NetworkAddress], now: Instant) {
    lost(instance)
    for address in addresses where anonymous.count < Self.addresses {
      anonymous[address, default: []].insert(.discovered(instance: instance))
      // A new sign of life is worth a try at once.
      if attempts[address]?.isDialling != true { attempts[address] = nil }
    }
  }

  mutating func lost(_ instance: String) {
    for address in anonymous.keys {
      anonymous[address]?.remove(.discovered(instance: instance))
      if anonymous[address]?.isEmpty == true { anonymous[address] = nil }
    }
  }

  mutating func setFixed(_ addresses: Set<NetworkAddress>) {
    for address in anonymous.keys where !addresses.contains(address) {
      anonymous[address]?.remove(.fixed)
      if anonymous[address]?.isEmpty == true { anonymous[address] = nil }
    }
    for address in addresses { anonymous[address, default: []].insert(.fixed) }
  }

  // MARK: Dialling

  /// What to dial now. `remembered`: addresses of members that worked, or that members told of each other, best first.
  /// `wanted`: members without a connection.
  func due(
    wanted: Set<MachineID>, remembered: [MachineID: [NetworkAddress]], own: Set<NetworkAddress>,
    now: Instant
  ) -> [Candidate] {
    var candidates: [Candidate] = []
    var busy = attempts.values.count(where: \.isDialling)
    func add(_ candidate: Candidate) {
      guard busy < Self.candidatesAtOnce, !own.contains(candidate.address),
        !candidates.contains(where: { $0.address == candidate.address })
      else { return }
      if let state = attempts[candidate.address], state.isDialling || state.notBefore > now { return }
      candidates.append(candidate)
      busy += 1
    }
    for address in anonymous.keys.sorted() {
      let machine = answered[address]
      if let machine, !wanted.contains(machine) { continue }
      guard !wanted.isEmpty else { continue }
      add(Candidate(address: address, machine: machine))
    }
    for machine in wanted.sorted() {
      for address in remembered[machine] ?? [] {
        add(Candidate(address: address, machine: machine))
      }
    }
    return candidates
  }

  /// When something may be due that is not now; nil when only news can change that.
  func nextDue(now: Instant) -> Instant? {
    attempts.values.filter { !$0.isDialling && $0.notBefore > now }.map(\.notBefore).min()
  }

  mutating func began(_ address: NetworkAddress, now: Instant) {
    attempts[address, default: Attempts(notBefore: now)].isDialling = true
  }

  mutating func succeeded(_ address: NetworkAddress, _ machine: MachineID, now: Instant) {
    answered[address] = machine
    attempts[address] = Attempts(notBefore: now + Self.shortestWait)
  }

  mutating func failed(_ address: NetworkAddress, isStranger: Bool, now: Instant) {
    if isStranger { answered[address] = nil }
    let failures = (attempts[address]?.failures ?? 0) + 1
    let factor = 1 << min(failures - 1, 6)
    let wait = isStranger ? Self.longestWait : min(Self.shortestWait * factor, Self.longestWait)
    attempts[address] = Attempts(failures: failures, notBefore: now + wait)
  }

  var dialling: Bool { attempts.values.contains(where: \.isDialling) }
}

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
    state.withLock { $0.own = addresses }
  }

  /// A service was seen; `isMember`: its tag is the household's.
  func discovered(_ service: DiscoveredService, isMember: Bool) {
    state.withLock { state in
      if isMember {
        state.strangers[service.instance] = nil
        state.plan.discovered(service.instance, service.addresses, now: AgentClock.instant)
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

  /// Addresses or members changed: look again.
  func reconsider() { waker.yield() }

  func stop() { waker.finish() }

  func run() async {
    await withDiscardingTaskGroup { group in
      group.addTask { [self] in
        // Waiting times end by themselves; news comes through `wake`.
        while !Task.isCancelled {
          do { try await Task.sleep(for: .seconds(1)) } catch { break }
          waker.yield()
        }
      }
      for await _ in wake {
        for candidate in await candidates() {
          state.withLock { $0.plan.began(candidate.address, now: AgentClock.instant) }
          group.addTask { [self] in await dial(candidate) }
        }
      }
      group.cancelAll()
    }
  }

  private func candidates() async -> [DialPlan.Candidate] {
    let connected = await engine.connected
    let (members, records) = await engine.ask { replicator in
      (
        replicator.roster.members.map(\.machine).filter { $0 != replicator.machine },
        replicator.records.mapValues(\.record.addresses)
      )
    }
    let wanted = Set(members).subtracting(connected)
    guard !wanted.isEmpty else { return [] }
    var remembered: [MachineID: [NetworkAddress]] = [:]
    for machine in wanted {
      let worked = (try? catalog.peerAddresses(machine).map(\.address)) ?? []
      var seen = Set<NetworkAddress>()
      remembered[machine] = (worked + (records[machine] ?? [])).filter { seen.insert($0).inserted }
    }
    let fixed = Set((try? catalog.fixedAddresses()) ?? [])
    return state.withLock { [remembered] state in
      state.plan.setFixed(fixed)
      return state.plan.due(
        wanted: wanted, remembered: remembered, own: state.own, now: AgentClock.instant)
    }
  }

  private func dial(_ candidate: DialPlan.Candidate) async {
    do {
      let session = try await transport.dial(candidate.address, expecting: candidate.machine)
      guard let machine = await engine.peer(of: session) else {
        state.withLock { $0.plan.failed(candidate.address, isStranger: false, now: AgentClock.instant) }
        return
      }
      state.withLock { $0.plan.succeeded(candidate.address, machine, now: AgentClock.instant) }
      try catalog.recordDial(machine, candidate.address, succeeded: true, at: AgentClock.wall)
    } catch let error as TransportError {
      var isStranger = false
      switch error.code {
      case .isSelf, .notMember, .refused: isStranger = true
      case .unexpectedPeer: isStranger = false
      case .duplicate:
        // Already connected the other way round.
        if let machine = candidate.machine {
          state.withLock { $0.plan.succeeded(candidate.address, machine, now: AgentClock.instant) }
          return
        }
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
