import MantelCore

/// The catalog refuses to be written (mostly for want of space): how long to leave it alone.
struct CatalogOutage {
  let error: StoreError
  let pause: Duration
  let end: Instant
  /// The catalog could be written again.
  var isOver = false

  private static let first: Duration = .seconds(1)
  private static let longest: Duration = .seconds(60)
  /// A failure this long after the last one has nothing to do with it.
  private static let memory: Duration = .seconds(300)

  init(after last: CatalogOutage?, _ error: StoreError, now: Instant) {
    self.error = error
    if let last, now - last.end < Self.memory {
      pause = min(last.pause * 2, Self.longest)
    } else {
      pause = Self.first
    }
    end = now + pause
  }
}
