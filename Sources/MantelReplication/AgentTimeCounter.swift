package import MantelCore

/// Counts agent time from what the clocks say at each event.
///
/// Between two readings it grows by what all clocks agree has passed: a wall clock that is years off does not matter,
/// one that is set forward or back adds nothing of its jump, and boot time that went on while nobody could look (another
/// kernel's, a restored virtual machine's) needs the wall clock's word. A machine that is suspended runs no agent.
package struct AgentTimeCounter: Hashable, Sendable {
  /// Less than this between two readings of the clocks is no sleep.
  private static let doze: Duration = .seconds(1)

  package private(set) var time: AgentTime
  /// Since when the agent runs without having been suspended.
  package private(set) var awakeSince: Instant
  private var last: Now

  /// Starts at `time`; what passed while no agent ran does not count.
  package init(from time: AgentTime, now: Now) {
    self.time = time
    awakeSince = now.instant
    last = now
  }

  package mutating func count(to now: Now) {
    let boot = Self.passed(now.instant.nanoseconds, since: last.instant.nanoseconds)
    let wall = Self.passed(now.wall.nanoseconds, since: last.wall.nanoseconds)
    let slept = Self.passed(now.slept.inNanoseconds, since: last.slept.inNanoseconds)
    time.nanoseconds += max(0, min(boot - min(slept, boot), wall))
    if slept >= Self.doze.inNanoseconds { awakeSince = now.instant }
    last = now
  }

  /// The first instant at which a moment of agent time may have come; no sooner than a second from now, because a wall
  /// clock that stands still must not make anybody spin.
  package func soonest(_ moment: AgentTime) -> Instant {
    last.instant + max(moment - time, .seconds(1))
  }

  private static func passed(_ now: Int64, since last: Int64) -> Int64 {
    let (difference, overflow) = now.subtractingReportingOverflow(last)
    return overflow ? 0 : max(0, difference)
  }
}
