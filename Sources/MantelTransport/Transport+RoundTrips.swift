import MantelCore
import NIOCore

extension Transport {
  /// Sends a ping over a session, and tells how long its answer took. Nil when none has come within `patience`, or before the
  /// connection ended.
  package func roundTrip(of session: SessionID, within patience: Duration) async -> Duration? {
    await withCheckedContinuation { continuation in
      let asked = state.withLock { state -> (link: SessionLink, question: UInt64)? in
        guard let link = state.links[session] else { return nil }
        state.lastQuestion += 1
        state.roundTrips[session, default: [:]][state.lastQuestion] = continuation
        return (link, state.lastQuestion)
      }
      guard let (link, question) = asked else { return continuation.resume(returning: nil) }
      link.send(.ping)
      configuration.group.next().scheduleTask(in: .nanoseconds(patience.inNanoseconds)) {
        self.state.withLock { state in
          defer { if state.roundTrips[session]?.isEmpty == true { state.roundTrips[session] = nil } }
          return state.roundTrips[session]?.removeValue(forKey: question)
        }?.resume(returning: nil)
      }
    }
  }

  /// A pong came, or none will come any more: whoever waits for one is told.
  func endRoundTrips(of session: SessionID, with elapsed: Duration?) {
    let waiting = state.withLock { $0.roundTrips.removeValue(forKey: session) }
    for continuation in (waiting ?? [:]).values { continuation.resume(returning: elapsed) }
  }
}
