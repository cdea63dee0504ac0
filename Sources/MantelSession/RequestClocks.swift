import MantelCore
import MantelWire

/// How long our requests for entries and comparisons may take: some patience, and more for what has moved, at the slowest
/// rate that counts as moving. A frame now and then keeps nothing open for ever.
///
/// Requests for units have none: the peer sends their units in turn, so one may wait long behind others that come well.
struct RequestClocks {
  private struct Clock {
    var due: Instant
    var isGivenUp = false
  }

  private let limits: SessionLimits
  private var clocks: [RequestID: Clock] = [:]

  init(limits: SessionLimits) { self.limits = limits }

  var nextDue: Instant? { clocks.values.lazy.map(\.due).min() }
  /// Requests that were given up and that the peer has not ended.
  var hasGivenUp: Bool { clocks.values.contains(where: \.isGivenUp) }
  func isGivenUp(_ id: RequestID) -> Bool { clocks[id]?.isGivenUp ?? false }

  mutating func opened(_ id: RequestID, now: Instant) {
    clocks[id] = Clock(due: now + limits.stalledAfter)
  }

  /// Bytes of the request went over the connection, either way.
  mutating func moved(_ id: RequestID, bytes: Int) {
    guard let clock = clocks[id], !clock.isGivenUp else { return }
    clocks[id]?.due = clock.due + .nanoseconds(Int64(bytes) * 1_000_000_000 / Int64(limits.slowestRate))
  }

  mutating func closed(_ id: RequestID) { clocks[id] = nil }

  /// The time during which nothing was taken from the peer is not the peer's.
  mutating func postpone(by pause: Duration) {
    clocks = clocks.mapValues { Clock(due: $0.due + pause, isGivenUp: $0.isGivenUp) }
  }

  /// Requests to be given up now; throws when the peer has not even ended one that was given up before.
  mutating func giveUpOverdue(now: Instant) throws(PeerFault) -> [RequestID] {
    let overdue = clocks.filter { $0.value.due <= now }
    guard !overdue.values.contains(where: \.isGivenUp) else {
      throw PeerFault(code: .timeout, message: "a cancelled request does not end")
    }
    let ids = overdue.keys.sorted()
    for id in ids { clocks[id] = Clock(due: now + limits.stalledAfter, isGivenUp: true) }
    return ids
  }
}
