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
  /// What has left `until`, or waits for another moment, is passed over; it is never the first.
  private var queue = Heap<Due>()

  var count: Int { until.count }
  /// Also what is passed over.
  var queued: Int { queue.count }

  /// When the first wait ends.
  var nextDeadline: Instant? { queue.min?.instant }

  func contains(_ key: Key) -> Bool { until[key] != nil }

  mutating func wait(_ key: Key, until instant: Instant) {
    until[key] = instant
    queue.insert(Due(instant: instant, key: key))
    dropForgotten()
    if queue.count > 2 * until.count + 64 { dropPassedOver() }
  }

  /// The next whose wait is over; each comes once, and is still contained.
  mutating func nextOver(now: Instant) -> Key? {
    guard let due = queue.min, due.instant <= now else { return nil }
    queue.removeMin()
    dropForgotten()
    return due.key
  }

  /// The same, and it waits no more.
  mutating func popOver(now: Instant) -> Key? {
    guard let key = nextOver(now: now) else { return nil }
    forget(key)
    return key
  }

  mutating func forget(_ key: Key) {
    until[key] = nil
    dropForgotten()
  }

  mutating func forget(where isOver: (Key) -> Bool) {
    until = until.filter { !isOver($0.key) }
    dropForgotten()
  }

  /// Else whoever sets a clock by the first would be woken for nothing, once for each.
  private mutating func dropForgotten() {
    while let due = queue.min, until[due.key] != due.instant { queue.removeMin() }
  }

  /// Behind one that waits for long, whoever has things put off and forgotten over and over could fill the memory.
  private mutating func dropPassedOver() {
    var kept: Set<Key> = []
    let left = queue.unordered.filter { until[$0.key] == $0.instant && kept.insert($0.key).inserted }
    queue = Heap(left)
  }
}
