import MantelCore

/// How fast files are re-read so that none waits for more than the period. Pure.
///
/// Nothing younger than half the period is read again: a replica that was just filled is left alone. From then on
/// the rate is what brings the backlog to its end before its oldest file is due, within bounds; it is computed anew
/// now and then, so it follows what is added, and what an agent that was off has missed.
struct ScrubPace: Equatable, Sendable {
  var bytesPerSecond: UInt64
  /// Files that were last read before this moment are the backlog.
  var threshold: WallTime
  /// Nothing is to be read before the next survey.
  var isIdle: Bool

  static func threshold(now: WallTime, _ settings: ReplicationSettings) -> WallTime {
    WallTime(nanoseconds: now.nanoseconds - settings.scrubPeriod.inNanoseconds / 2)
  }

  init(_ backlog: RereadBacklog, now: WallTime, _ settings: ReplicationSettings) {
    threshold = Self.threshold(now: now, settings)
    isIdle = backlog.files == 0
    let oldest = backlog.oldest?.nanoseconds ?? now.nanoseconds
    // What is late is caught up with in a while of its own, not all at once.
    let left = max(
      settings.scrubCatchUp.inNanoseconds,
      settings.scrubPeriod.inNanoseconds - (now.nanoseconds - max(oldest, 0)))
    let needed = Double(backlog.bytes) / (Double(left) / 1e9)
    bytesPerSecond = min(
      max(UInt64(needed.rounded(.up)), settings.scrubTrickle), settings.scrubLimit)
  }

  /// How long a file's read may take at this rate; an empty one costs a seek too.
  func time(for bytes: UInt64) -> Duration {
    .seconds(Double(max(bytes, 4_096)) / Double(max(bytesPerSecond, 1)))
  }
}
