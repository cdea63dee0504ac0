import Logging
import MantelCore
import MantelHousehold
import MantelTransport
import Synchronization

@testable import MantelAgent

/// Both ends of a connection without a network.
final class MemoryPipe: JoinPipe {
  let peerPublicKey: [UInt8]
  let remote = NetworkAddress(host: "192.0.2.1", port: 1)
  let hasProved = Mutex(false)
  /// Runs before a message is sent; throws to lose it.
  let beforeSending = Mutex<(@Sendable ([UInt8]) throws(TransportError) -> Void)?>(nil)
  /// What a `receive` that waits for the other's user ends with.
  let impatience = Mutex<TransportError?>(nil)
  private let incoming: AsyncStream<[UInt8]>
  private let outgoing: AsyncStream<[UInt8]>.Continuation
  private let ownEnd: AsyncStream<[UInt8]>.Continuation

  private init(
    peer: DeviceKey, incoming: AsyncStream<[UInt8]>, ownEnd: AsyncStream<[UInt8]>.Continuation,
    outgoing: AsyncStream<[UInt8]>.Continuation
  ) {
    peerPublicKey = peer.publicKey
    self.incoming = incoming
    self.ownEnd = ownEnd
    self.outgoing = outgoing
  }

  static func pair(_ inviter: DeviceKey, _ newcomer: DeviceKey) -> (inviter: MemoryPipe, newcomer: MemoryPipe)
  {
    let (toInviter, inviterEnd) = AsyncStream.makeStream(
      of: [UInt8].self, bufferingPolicy: .bufferingOldest(16))
    let (toNewcomer, newcomerEnd) = AsyncStream.makeStream(
      of: [UInt8].self, bufferingPolicy: .bufferingOldest(16))
    return (
      MemoryPipe(peer: newcomer, incoming: toInviter, ownEnd: inviterEnd, outgoing: newcomerEnd),
      MemoryPipe(peer: inviter, incoming: toNewcomer, ownEnd: newcomerEnd, outgoing: inviterEnd)
    )
  }

  func send(_ message: [UInt8]) async throws(TransportError) {
    if let hook = beforeSending.withLock({ $0 }) { try hook(message) }
    guard case .enqueued = outgoing.yield(message) else {
      throw TransportError(.connectionClosed, "closed")
    }
  }

  func receive(maximumBytes: Int, timeout: Duration) async throws(TransportError) -> [UInt8] {
    if timeout == JoinPatience.decision, let error = impatience.withLock({ $0 }) { throw error }
    for await message in incoming {
      guard message.count <= maximumBytes else { throw TransportError(.overLimit, "too long") }
      return message
    }
    throw TransportError(.connectionClosed, "closed")
  }

  func proved() { hasProved.withLock { $0 = true } }

  func close() async {
    outgoing.finish()
    ownEnd.finish()
  }
}

/// A household whose statements are in memory.
final class MemoryHousehold: InvitingHousehold {
  let key = DeviceKey()
  private let state: Mutex<Roster>

  init() throws {
    state = Mutex(
      Roster(
        try Roster.found(
          name: "home", machineName: "anna", key: key, random: [UInt8](repeating: 9, count: 32),
          now: WallTime(nanoseconds: 0))))
  }

  var roster: Roster { state.withLock { $0 } }

  func identity() async -> HouseholdID { roster.household }

  func admission(
    of application: JoinApplication, by key: DeviceKey
  ) async throws -> (statement: SignedStatement, record: Signed<MachineRecord>) {
    let record = MachineRecord(
      machine: key.machine, number: 1, name: "anna", role: .full, program: "", addresses: [], folders: [])
    return (
      try roster.admission(of: application, by: key, now: WallTime(nanoseconds: 1)),
      try key.sign(record, in: roster.household)
    )
  }

  func learn(_ statement: SignedStatement) async -> Bool {
    state.withLock { !$0.merge([statement]).isEmpty || $0.contains(statement.id) }
  }

  func statements() async -> [SignedStatement] { roster.statements }

  func turningAway(_ machine: MachineID, by key: DeviceKey) async throws -> SignedStatement? {
    try roster.turningAway(machine, by: key, now: WallTime(nanoseconds: 2))
  }

  func retiringReplaced(by newcomer: MachineID, by key: DeviceKey) async throws -> SignedStatement? {
    try roster.memberReplaced(by: newcomer).map {
      try roster.removing($0, lastHead: .none, lastRoot: .zero, by: key, now: WallTime(nanoseconds: 3))
    }
  }
}

/// A machine that invites, one that wants to join, and a clock that a test moves.
final class JoinScene: Sendable {
  let household: MemoryHousehold
  let invitations: Invitations
  let newcomer = DeviceKey()
  private let clock: Clock

  final class Clock: Sendable {
    let now = Mutex(Instant(nanoseconds: 1_000_000_000))
  }

  init(logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) throws {
    let household = try MemoryHousehold()
    let clock = Clock()
    self.household = household
    self.clock = clock
    invitations = Invitations(
      key: household.key, logger: logger, now: { clock.now.withLock { $0 } }, wrongProofCost: .zero)
    invitations.wire(household: household) {}
  }

  func pass(_ duration: Duration) { clock.now.withLock { $0 = $0 + duration } }

  func joining(_ code: InviteCode, name: String = "ben", replaces: String? = nil) -> Joining {
    Joining(
      code: code, key: newcomer, name: name, replaces: replaces,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  var standing: MachineStanding { household.roster.standing(of: newcomer.machine) }

  /// Runs both sides; `body` is the newcomer's.
  func meet<Value: Sendable>(
    _ prepare: (MemoryPipe, MemoryPipe) -> Void = { _, _ in },
    _ body: (MemoryPipe) async throws -> Value
  ) async throws -> Value {
    let pipes = MemoryPipe.pair(household.key, newcomer)
    prepare(pipes.inviter, pipes.newcomer)
    async let inviting: Void = {
      await invitations.join(pipes.inviter)
      await pipes.inviter.close()
    }()
    do {
      let value = try await body(pipes.newcomer)
      await pipes.newcomer.close()
      await inviting
      return value
    } catch {
      await pipes.newcomer.close()
      await inviting
      throw error
    }
  }

  /// The statements that the newcomer stored.
  func join(
    _ code: InviteCode, replaces: String? = nil, agrees: Bool = true,
    preparing prepare: (MemoryPipe, MemoryPipe) -> Void = { _, _ in },
    storing store: ([SignedStatement]) throws -> Void = { _ in }
  ) async throws -> [SignedStatement] {
    try await meet(prepare) { pipe in
      let joining = joining(code, replaces: replaces)
      let proved = try await joining.prove(on: pipe)
      return try await joining.settle(proved, confirm: { _, _ in agrees }) { statements in
        try store(statements)
        return statements
      }
    }
  }
}
