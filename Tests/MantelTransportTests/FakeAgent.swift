import Logging
import MantelCore
import MantelHousehold
import MantelSession
import MantelWire
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MantelTransport

/// What reached an environment, in order; tests wait for it instead of sleeping.
final class Journal: Sendable {
  enum Item: Sendable {
    case event(SessionID, SessionEvent)
    case ended(SessionID, MachineID)
  }

  private struct State {
    var items: [Item] = []
    var waiters: [(test: @Sendable ([Item]) -> Bool, resume: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Mutex(State())

  var items: [Item] { state.withLock { $0.items } }

  func add(_ item: Item) {
    let ready = state.withLock { state in
      state.items.append(item)
      let items = state.items
      let ready = state.waiters.filter { $0.test(items) }
      state.waiters.removeAll { $0.test(items) }
      return ready
    }
    for waiter in ready { waiter.resume.resume() }
  }

  func wait(until test: @escaping @Sendable ([Item]) -> Bool) async {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        if test(state.items) { return true }
        state.waiters.append((test, continuation))
        return false
      }
      if isReady { continuation.resume() }
    }
  }

  func waitForOpened(_ count: Int = 1) async {
    await wait { $0.openedSessions.count >= count }
  }

  func waitForEnd(of session: SessionID) async {
    await wait { $0.contains { if case .ended(session, _) = $0 { true } else { false } } }
  }
}

extension [Journal.Item] {
  var openedSessions: [SessionID] {
    compactMap { if case .event(let session, .opened) = $0 { session } else { nil } }
  }

  var endedSessions: [SessionID] {
    compactMap { if case .ended(let session, _) = $0 { session } else { nil } }
  }

  /// Shown and not ended.
  var liveSessions: [SessionID] {
    let ended = Set(endedSessions)
    return openedSessions.filter { !ended.contains($0) }
  }

  func closeCode(of session: SessionID) -> CloseCode? {
    for case .event(session, .closing(let code, _, _)) in self { return code }
    return nil
  }

  func roundTrips(of session: SessionID) -> Int {
    count { if case .event(session, .roundTrip) = $0 { true } else { false } }
  }

  func endedUnits() -> [UnitID: Outcome] {
    var ended: [UnitID: Outcome] = [:]
    for case .event(_, .unitEnded(let unit, let outcome)) in self { ended[unit] = outcome }
    return ended
  }

  func bytes(of unit: UnitID) -> [UInt8] {
    var bytes: [UInt8] = []
    for case .event(_, .unitData(unit, let buffer)) in self {
      bytes.append(contentsOf: buffer.readableBytesView)
    }
    return bytes
  }
}

/// An agent without a disk: a roster, a few contents, a journal.
final class FakeAgent: SessionEnvironment {
  let key: DeviceKey
  let household: HouseholdID
  let instance: [UInt8]
  let journal = Journal()
  let contents: [ContentID: ByteBuffer]
  let members: Mutex<Set<MachineID>>
  let isInviting = Mutex(false)
  /// What to do with a join connection as inviter.
  let joining: @Sendable (JoinConnection) async -> Void
  /// Runs before a connection is greeted, and before a question is answered.
  let greetingDelay = Mutex<(@Sendable () async -> Void)?>(nil)
  let answerDelay = Mutex<(@Sendable (StoreQuery) async -> Void)?>(nil)
  /// Runs before each event is taken.
  let slowness = Mutex<(@Sendable (SessionEvent) async -> Void)?>(nil)

  init(
    key: DeviceKey = DeviceKey(), household: HouseholdID, instance: [UInt8] = .random(16),
    members: Set<MachineID>, contents: [ContentID: ByteBuffer] = [:],
    joining: @escaping @Sendable (JoinConnection) async -> Void = { _ in }
  ) {
    self.key = key
    self.household = household
    self.instance = instance
    self.members = Mutex(members.union([key.machine]))
    self.contents = contents
    self.joining = joining
  }

  var hello: Hello {
    Hello(
      lowestVersion: 1, highestVersion: 1, features: 0, household: household, nonce: .random(16),
      instance: instance, time: WallTime(nanoseconds: 0), listeningPort: 0, rosterHash: .zero,
      holdingsCount: 0, holdingsRoot: .zero, members: [])
  }

  func authorises(_ peer: MachineID) -> Bool { members.withLock { $0.contains(peer) } }

  var answersNewcomers: Bool { isInviting.withLock { $0 } }

  func configuration(
    for peer: MachineID, isDialer: Bool, session: SessionID
  ) async -> SessionConfiguration? {
    if let delay = greetingDelay.withLock({ $0 }) { await delay() }
    guard authorises(peer) else { return nil }
    return SessionConfiguration(
      household: household, local: key.machine, peer: peer, isDialer: isDialer, hello: hello)
  }

  func answer(_ queries: [StoreQuery], for session: SessionID) async -> [StoreAnswer] {
    var answers: [StoreAnswer] = []
    for query in queries { answers.append(await answer(query)) }
    return answers
  }

  private func answer(_ query: StoreQuery) async -> StoreAnswer {
    if let delay = answerDelay.withLock({ $0 }) { await delay(query) }
    guard case .read(let unit, let offset, let count) = query, let bytes = contents[unit.content] else {
      return .refused(.notHeld)
    }
    let end = min(bytes.readableBytes, Int(offset) + count)
    guard let slice = bytes.getSlice(at: Int(offset), length: end - Int(offset)) else {
      return .refused(.failed)
    }
    return .read(slice, unitBytes: UInt64(bytes.readableBytes))
  }

  func received(_ event: SessionEvent, on session: SessionID) async {
    if let slowness = slowness.withLock({ $0 }) { await slowness(event) }
    journal.add(.event(session, event))
  }

  func ended(_ session: SessionID, peer: MachineID) async {
    journal.add(.ended(session, peer))
  }

  func join(_ connection: JoinConnection) async { await joining(connection) }
}

extension [UInt8] {
  static func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: .min ... .max) } }
}

/// A content of repeatable bytes; its id is made up, as nothing here hashes.
func content(_ number: UInt64, bytes count: Int) -> (ContentID, ByteBuffer) {
  var generator = SplitMix(state: number)
  // A run of random bytes, then that run again and again, each behind its own number: quick to make, and no two pieces
  // of any length are alike.
  var run = ByteBuffer()
  for _ in 0..<128 { run.writeInteger(generator.next()) }
  var buffer = ByteBuffer()
  buffer.reserveCapacity(count + 2 * run.readableBytes)
  while buffer.readableBytes < count {
    buffer.writeInteger(UInt64(buffer.readableBytes))
    buffer.writeImmutableBuffer(run)
  }
  return (ContentID(Digest256(number, 1, 2, 3)), buffer.getSlice(at: 0, length: count) ?? ByteBuffer())
}

/// Waits for what no journal tells; the suite's time limit bounds it.
func eventually(_ condition: () -> Bool) async {
  while !condition(), !Task.isCancelled { await Task.yield() }
}

/// A household of transports on 127.0.0.1 and ::1, all running.
struct Household {
  var agents: [FakeAgent]
  var transports: [Transport]

  func address(of number: Int, host: String = "127.0.0.1") -> NetworkAddress {
    NetworkAddress(host: host, port: transports[number].listeningPort ?? 0)
  }

  static func transport(_ agent: FakeAgent, limits: TransportLimits = TransportLimits()) throws -> Transport {
    try Transport(
      TransportConfiguration(
        key: agent.key, listen: .exact(host: nil, port: 0),
        now: { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) },
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, limits: limits),
      environment: agent)
  }

  /// Runs transports of these agents around the body; everything has ended when this returns.
  static func run(
    _ agents: [FakeAgent], limits: TransportLimits = TransportLimits(),
    _ body: (Household) async throws -> Void
  ) async throws {
    let transports = try agents.map { try transport($0, limits: limits) }
    for transport in transports { _ = try await transport.bind() }
    try await withThrowingTaskGroup { group in
      for transport in transports { group.addTask { try await transport.run() } }
      do {
        try await body(Household(agents: agents, transports: transports))
      } catch {
        for transport in transports { transport.shutDown() }
        throw error
      }
      for transport in transports { transport.shutDown() }
      try await group.waitForAll()
    }
  }

  /// Agents that all know each other.
  static func agents(_ count: Int, contents: [ContentID: ByteBuffer] = [:]) -> [FakeAgent] {
    let keys = (0..<count).map { _ in DeviceKey() }
    let members = Set(keys.map(\.machine))
    let household = HouseholdID(Digest256(4, 4, 4, 4))
    return keys.map { FakeAgent(key: $0, household: household, members: members, contents: contents) }
  }

  /// A ping is answered: the session works both ways.
  func expectWorking(
    _ session: SessionID, of number: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let journal = agents[number].journal
    let before = journal.items.roundTrips(of: session)
    transports[number].send(.ping, to: session)
    await journal.wait { $0.roundTrips(of: session) > before || $0.endedSessions.contains(session) }
    #expect(
      journal.items.roundTrips(of: session) > before && !journal.items.endedSessions.contains(session),
      "the session has ended: \(journal.items.closeCode(of: session).map { "\($0)" } ?? "no code")",
      sourceLocation: sourceLocation)
  }
}
