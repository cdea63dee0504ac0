import MantelCore
import MantelTransport
import Synchronization

/// Bytes per second of each connection, from the counters at two looks.
final class SessionRates: Sendable {
  struct Rate: Sendable {
    var received: Double
    var sent: Double
  }

  private struct Look {
    var at: Instant
    var received: UInt64
    var sent: UInt64
    var rate: Rate?

    init(_ session: SessionStatistics, at now: Instant) {
      at = now
      received = session.bytesIn
      sent = session.bytesOut
    }
  }

  /// Between two looks at least; asked sooner, the last rate still holds.
  static let shortest: Duration = .milliseconds(250)
  /// A look that is older tells of another time.
  private static let longest: Duration = .seconds(10)

  private let looks = Mutex<[SessionID: Look]>([:])

  /// Whether the next `update` would have no rate to tell for one of the sessions. Takes a first look at it.
  func areStale(_ sessions: [SessionStatistics]) -> Bool {
    let now = AgentClock.instant
    return looks.withLock { looks in
      let stale = sessions.filter { session in
        looks[session.session].map { now - $0.at > Self.longest } ?? true
      }
      for session in stale { looks[session.session] = Look(session, at: now) }
      return !stale.isEmpty
    }
  }

  /// The rates since the looks before; 0 for a connection that was not looked at for long.
  func update(_ sessions: [SessionStatistics]) -> [SessionID: Rate] {
    let now = AgentClock.instant
    return looks.withLock { looks in
      var next: [SessionID: Look] = [:]
      for session in sessions {
        var look = Look(session, at: now)
        if let last = looks[session.session] {
          let span = now - last.at
          if span < Self.shortest {
            look = last
          } else if span <= Self.longest {
            look.rate = Rate(
              received: Double(session.bytesIn &- last.received) / span.inSeconds,
              sent: Double(session.bytesOut &- last.sent) / span.inSeconds)
          }
        }
        next[session.session] = look
      }
      looks = next
      return next.compactMapValues(\.rate)
    }
  }
}
