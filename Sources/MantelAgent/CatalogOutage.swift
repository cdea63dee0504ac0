import MantelCore

/// The catalog refuses to be written (mostly for want of space): how long to leave it alone.
struct CatalogOutage {
  let error: StoreError
  let pause: Duration
  let end: Instant
  /// The catalog could be written again.
  var isOver = false

  private let backoff: Backoff

  /// A failure this long after the last one has nothing to do with it.
  private static let memory: Duration = .seconds(300)

  init(after last: CatalogOutage?, _ error: StoreError, now: Instant) {
    self.error = error
    var backoff = Backoff(first: .seconds(1), longest: .seconds(60))
    if let last, now - last.end < Self.memory { backoff = last.backoff }
    pause = backoff.next()
    self.backoff = backoff
    end = now + pause
  }
}
