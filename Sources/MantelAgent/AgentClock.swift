import Foundation
import Glibc
package import MantelCore

/// Reads the clocks; the only place of the agent that does.
package enum AgentClock {
  /// Boot time: goes on while the machine sleeps, and never back.
  package static var instant: Instant { Instant(nanoseconds: read(CLOCK_BOOTTIME)) }
  package static var wall: WallTime { WallTime(nanoseconds: read(CLOCK_REALTIME)) }
  /// The monotonic clock stands still in suspend; read first, so that time between the two is no sleep of the next reading.
  package static var now: Now {
    let running = read(CLOCK_MONOTONIC)
    let instant = instant
    return Now(instant: instant, wall: wall, slept: .nanoseconds(instant.nanoseconds - running))
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  package static func sleep(until deadline: Instant) async throws {
    let wait = deadline - instant
    if wait > .zero { try await Task.sleep(for: wait) }
  }
}
