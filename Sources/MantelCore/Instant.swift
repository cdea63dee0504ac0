/// A moment on a clock that never goes back (boot time): nanoseconds since an arbitrary start.
///
/// Pure modules take it as an argument; only the agent reads a clock.
package struct Instant: Hashable, Comparable, Sendable {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  package static func + (left: Self, right: Duration) -> Self {
    Self(nanoseconds: left.nanoseconds + right.inNanoseconds)
  }

  package static func - (left: Self, right: Self) -> Duration {
    .nanoseconds(left.nanoseconds - right.nanoseconds)
  }
}

/// Wall-clock time: nanoseconds since 1970. For display and signed statements, never for decisions of age.
package struct WallTime: Hashable, Comparable, Sendable {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Whole seconds since 1970, rounded down.
  package var seconds: Int64 {
    let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    return remainder < 0 ? quotient - 1 : quotient
  }
}

/// What a decision may know of time: both clocks, read once by the caller.
package struct Now: Hashable, Sendable {
  package var instant: Instant
  package var wall: WallTime
  /// How long the machine has been suspended since its start: `instant` goes on meanwhile, and nothing runs.
  package var slept: Duration

  package init(instant: Instant, wall: WallTime, slept: Duration = .zero) {
    self.instant = instant
    self.wall = wall
    self.slept = slept
  }
}

extension Duration {
  /// Whole nanoseconds; durations here are below 290 years.
  package var inNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }

  package var inSeconds: Double { Double(inNanoseconds) / 1e9 }
}
