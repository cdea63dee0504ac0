import MantelCore

/// How many bytes are asked for at once of a peer that is itself still getting what it gives: as many as it brings in a few
/// seconds, so that nothing waits long at one that turns out to be slow.
struct ShareWindow: Sendable {
  private(set) var bytes: UInt64
  private let settings: Bounds

  struct Bounds: Hashable, Sendable {
    var least: UInt64 = 1
    var first: UInt64 = 4 << 20
    var most: UInt64 = 16 << 20
    /// A unit that comes sooner than this lets the window grow, one that comes later than the other lets it shrink.
    var soon: Duration = .seconds(1)
    var late: Duration = .seconds(4)
  }

  init(_ settings: Bounds) {
    self.settings = settings
    bytes = settings.first
  }

  /// A unit came so long after it was asked for.
  mutating func took(_ time: Duration) {
    if time < settings.soon { bytes = min(settings.most, bytes * 2) }
    if time > settings.late { bytes = max(settings.least, bytes / 2) }
  }
}
