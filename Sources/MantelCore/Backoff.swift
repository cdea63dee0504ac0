/// Waiting times that double, from the first to the longest, while something goes on failing.
package struct Backoff: Hashable, Sendable {
  private let first: Duration
  private let longest: Duration
  private var upcoming: Duration

  package init(first: Duration, longest: Duration) {
    self.first = min(first, longest)
    self.longest = longest
    upcoming = self.first
  }

  /// How long to wait after one more failure.
  package mutating func next() -> Duration {
    defer { upcoming = min(upcoming * 2, longest) }
    return upcoming
  }

  /// It has gone well: the next failure is the first again.
  package mutating func reset() { upcoming = first }
}
