package import MantelCore

/// The counter, and what of it is in the catalog.
struct CountedTime: Sendable {
  var counter: AgentTimeCounter
  var saved: AgentTime
}

extension Replicator {
  /// Ages that end in a deletion and windows of a day are counted in it.
  package var agentTime: AgentTime { countedTime.counter.time }

  /// Whoever may still want something had the time to say so since the start, or since the machine woke.
  func isPastGrace(_ now: Now) -> Bool { graceEnd <= now.instant }

  var graceEnd: Instant { countedTime.counter.awakeSince + settings.deletionGrace }

  /// Where the last agent of this machine had counted to.
  mutating func loadAgentTime(now: Now) throws(StoreError) {
    guard let stored = try store.value(.agentDay) else { return }
    guard let nanoseconds = Self.agentTime(stored) else {
      throw StoreError(
        code: .corrupt, message: "the catalog holds something else where an agent time belongs")
    }
    let time = AgentTime(nanoseconds: nanoseconds)
    countedTime = CountedTime(counter: AgentTimeCounter(from: time, now: now), saved: time)
  }

  /// Eight bytes, big-endian, not negative.
  private static func agentTime(_ bytes: [UInt8]) -> Int64? {
    guard bytes.count == 8 else { return nil }
    let value = Int64(truncatingIfNeeded: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    return value >= 0 ? value : nil
  }

  mutating func countTime(now: Now) throws(StoreError) {
    countedTime.counter.count(to: now)
    if agentTime - countedTime.saved >= settings.agentTimeSaved { try saveAgentTime() }
  }

  /// The agent ends: what it counted since the last minute is kept too.
  package mutating func stop(now: Now) throws(StoreError) {
    countedTime.counter.count(to: now)
    try saveAgentTime()
  }

  private mutating func saveAgentTime() throws(StoreError) {
    let bits = UInt64(agentTime.nanoseconds)
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }
    try store.setValue(.agentDay, bytes)
    countedTime.saved = agentTime
  }
}
