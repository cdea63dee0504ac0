import HeapModule
import MantelCore

/// Things that wait, each until a moment of its own; whoever asks at each event pays for what is over, not for what waits.
struct Delays<Key: Hashable & Comparable & Sendable>: Sendable {
  private struct Due: Comparable {
    var instant: Instant
    var key: Key

    static func < (left: Self, right: Self) -> Bool {
      left.instant == right.instant ? left.key < right.key : left.instant < right.instant
    }
  }

  private(set) var until: [Key: Instant] = [:]
  /// What has left `until`, or waits for another moment, is passed over.
  private var queue = Heap<Due>()

  var count: Int { until.count }

  /// No later than the first wait ends; earlier where that was forgotten.
  var nextDeadline: Instant? { queue.min?.instant }

  func contains(_ key: Key) -> Bool { until[key] != nil }

  mutating func wait(_ key: Key, until instant: Instant) {
    until[key] = instant
    queue.insert(Due(instant: instant, key: key))
  }

  /// The next whose wait is over; each comes once, and is still contained.
  mutating func nextOver(now: Instant) -> Key? {
    while let due = queue.min, due.instant <= now {
      queue.removeMin()
      if until[due.key] == due.instant { return due.key }
    }
    return nil
  }

  /// The same, and it waits no more.
  mutating func popOver(now: Instant) -> Key? {
    guard let key = nextOver(now: now) else { return nil }
    until[key] = nil
    return key
  }

  mutating func forget(_ key: Key) { until[key] = nil }

  mutating func forget(where isOver: (Key) -> Bool) { until = until.filter { !isOver($0.key) } }
}
