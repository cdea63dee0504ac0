import DequeModule
import MantelCore

/// Who was heard when: pings, pongs and the moments at which silence means something.
struct Liveness {
  private(set) var lastReceived: Instant
  private var lastPing: Instant
  /// When our open requests last got on, or the first of them was opened.
  private var lastProgress: Instant
  /// Bytes that moved since, not yet enough to count.
  private var moved = 0
  private var pings: [UInt64: Instant] = [:]
  private var pingCount: UInt64 = 0
  /// The peer's pings that wait for a writable channel.
  private var pongs: Deque<UInt64> = []
  private(set) var roundTrip: Duration?

  init(now: Instant) {
    lastReceived = now
    lastPing = now
    lastProgress = now
  }

  mutating func received(at now: Instant) { lastReceived = max(lastReceived, now) }
  mutating func progressed(at now: Instant) {
    lastProgress = max(lastProgress, now)
    moved = 0
  }

  /// Bytes of our requests came, or went.
  mutating func moved(_ bytes: Int) { moved += bytes }

  /// Takes what has moved for progress, if it is enough.
  mutating func judgeProgress(now: Instant, limits: SessionLimits) {
    if moved >= limits.progressBytes { progressed(at: now) }
  }

  mutating func postpone(by pause: Duration) { lastProgress = lastProgress + pause }

  /// The number of a ping to send now; nil while `limits.pings` are unanswered.
  mutating func ping(now: Instant, limits: SessionLimits) -> UInt64? {
    lastPing = now
    guard pings.count < limits.pings else { return nil }
    pingCount += 1
    pings[pingCount] = now
    return pingCount
  }

  /// When a ping is due while nothing of the peer is heard; nil when enough are unanswered.
  func heldUpPingDue(_ limits: SessionLimits) -> Instant? {
    pings.count < limits.heldUpPings ? lastPing + limits.pingAfterIdle : nil
  }

  mutating func heldUpPing(now: Instant) -> UInt64 {
    lastPing = now
    pingCount += 1
    pings[pingCount] = now
    return pingCount
  }

  mutating func receivedPing(_ number: UInt64, limits: SessionLimits) throws(PeerFault) {
    guard pongs.count < limits.pongs else { throw .overLimit("too many unanswered pings") }
    pongs.append(number)
  }

  mutating func receivedPong(_ number: UInt64, now: Instant) throws(PeerFault) -> Duration {
    guard let sent = pings.removeValue(forKey: number) else { throw .broke("a pong without a ping") }
    let elapsed = now - sent
    roundTrip = elapsed
    return elapsed
  }

  mutating func nextPong() -> UInt64? { pongs.popFirst() }

  func pingDue(_ limits: SessionLimits) -> Instant { max(lastReceived, lastPing) + limits.pingAfterIdle }
  func deadAt(_ limits: SessionLimits) -> Instant { lastReceived + limits.deadAfterIdle }
  func stalledAt(_ limits: SessionLimits) -> Instant { lastProgress + limits.stalledAfter }
}
