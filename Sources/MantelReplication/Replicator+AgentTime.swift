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
    guard let time = AgentTime(bytes: stored) else {
      throw StoreError(
        code: .corrupt, message: "the catalog holds something else where an agent time belongs")
    }
    countedTime = CountedTime(counter: AgentTimeCounter(from: time, now: now), saved: time)
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
    try store.setValue(.agentDay, agentTime.bytes)
    countedTime.saved = agentTime
  }
}

extension AgentTime {
  /// Eight bytes, big-endian, not negative; nil for anything else.
  package init?(bytes: [UInt8]) {
    guard bytes.count == 8, bytes[0] < 0x80 else { return nil }
    self.init(nanoseconds: Int64(bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }))
  }

  package var bytes: [UInt8] { withUnsafeBytes(of: UInt64(nanoseconds).bigEndian, Array.init) }
}
