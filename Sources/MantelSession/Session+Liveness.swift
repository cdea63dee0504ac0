package import MantelCore
import MantelWire

extension Session {
  /// When `handleDeadline` wants to be called next; nil once closed.
  package var nextDeadline: Instant? {
    switch state {
    case .greeting(let greeting): return greeting.deadline
    case .open:
      let silence = min(liveness.pingDue(limits), liveness.deadAt(limits))
      let due = min(silence, clocks.nextDue ?? silence)
      return ownRequests.count > 0 ? min(due, liveness.stalledAt(limits)) : due
    case .closed: return nil
    }
  }

  /// Does what is due; a call that comes early does nothing. Frames that arrived before belong in first, or a machine
  /// that slept takes a living peer for dead.
  package mutating func handleDeadline(now: Instant) {
    goOn(now: now)
    switch state {
    case .greeting(let greeting):
      guard now >= greeting.deadline else { return }
      close(.timeout, message: "no hello", tellsPeer: true)
    case .open:
      liveness.judgeProgress(now: now, limits: limits)
      if now >= liveness.deadAt(limits) {
        close(.timeout, message: "nothing was heard", tellsPeer: true)
      } else if ownRequests.count > 0, now >= liveness.stalledAt(limits) {
        close(.timeout, message: "requests are not answered", tellsPeer: true)
      } else {
        do { try giveUpOverdue(now: now) } catch {
          return close(error.code, message: error.message, tellsPeer: true)
        }
        if now >= liveness.pingDue(limits) { ping(now: now) }
        pump(now: now)
      }
    case .closed: break
    }
  }

  mutating func ping(now: Instant) {
    if let number = liveness.ping(now: now, limits: limits) { send(.ping(number)) }
  }
}
