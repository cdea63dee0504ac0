import MantelCore

/// What is known of the replica as it is mounted now: whether its disk is there, whether all of it was compared with the catalog,
/// whether what did not agree was read, and when to try again. Pure.
struct ReplicaSight: Sendable {
  enum Outcome: Sendable {
    /// All files were seen, and those that differ are in doubt.
    case complete
    case failed
  }

  /// The replica's disk is not there.
  private(set) var isAway = false
  /// The comparison under way.
  private(set) var comparing: ComparisonID?
  /// How the last comparison since the start, and since the replica was mounted, ended; nil: none has.
  private(set) var outcome: Outcome?
  /// Since then nothing was in doubt any more: the catalog is not an old one, nor the disk's state.
  private(set) var isJudged = false
  /// That was so once since the start: whatever was mounted since, the catalog is not an old one.
  private(set) var isCatalogProven = false

  private var lastComparison: ComparisonID
  private var compareDue: Instant
  /// From here on no judgement is waited for.
  private(set) var judgeBy: Instant
  /// That moment comes no later, whatever is seen meanwhile.
  private var lastJudgeBy: Instant
  /// Parts of the replica that the comparison under way has seen, and the most that any has since the mount: what is only seen
  /// again is no progress.
  private var parts = 0
  private var farthest = 0

  init(now: Instant, _ settings: ReplicationSettings) {
    compareDue = now
    judgeBy = now + settings.judgePatience
    lastJudgeBy = now + max(settings.judgePatience, settings.judgeLimit)
    // What an earlier value of this process asked for must not be taken for what this one does.
    lastComparison = ComparisonID(UInt64(clamping: now.nanoseconds))
  }

  // MARK: What is asked

  /// A comparison has ended, well or not: until then nothing is moved by its name.
  var isSeen: Bool { !isAway && outcome != nil }

  var isComplete: Bool { outcome == .complete }

  var hasFailed: Bool { outcome == .failed }

  /// Whether nothing here can be an older state that names what has gone, or that was waited for long enough. Of a disk that is
  /// away nothing is said anyway.
  func isJudged(at now: Instant) -> Bool { isJudged || isAway || judgeBy <= now }

  /// Whether nothing is left to look at but what cannot be read: one file is no reason for ever.
  func isLookedAt(at now: Instant) -> Bool { isJudged || isComplete && judgeBy <= now }

  /// When to compare next, with patience for what moves files; nil while that waits for an event.
  func nextComparison(patience: Duration) -> Instant? {
    comparing == nil && !isAway ? compareDue + patience : nil
  }

  // MARK: What happens

  mutating func unmounted() { isAway = true }

  /// It may be another disk, or another state of it; a comparison that began before has not seen all of this one.
  mutating func mounted(now: Instant, _ settings: ReplicationSettings) {
    let before = self
    self = ReplicaSight(now: now, settings)
    lastComparison.number = max(before.lastComparison.number, lastComparison.number)
    isCatalogProven = before.isCatalogProven
  }

  /// `isAnew`: of what the last one found not all was kept.
  mutating func comparisonBegan(isAnew: Bool) -> ComparisonID {
    if isAnew { outcome = nil }
    lastComparison.number += 1
    comparing = lastComparison
    parts = 0
    return lastComparison
  }

  /// A comparison has seen one more part of the replica, or the end of it.
  mutating func partAnswered(_ id: ComparisonID, now: Instant, _ settings: ReplicationSettings) {
    guard comparing == id else { return }
    parts += 1
    guard parts > farthest else { return }
    farthest = parts
    // Once it was waited for long enough it is waited for no more.
    if judgeBy > now { judgeBy = min(now + settings.judgePatience, lastJudgeBy) }
  }

  /// False if it is not the one that is waited for.
  mutating func comparisonEnded(
    _ id: ComparisonID, isComplete: Bool, now: Instant, _ settings: ReplicationSettings
  ) -> Bool {
    guard comparing == id else { return false }
    if isComplete { partAnswered(id, now: now, settings) }
    comparing = nil
    outcome = isComplete ? .complete : .failed
    compareDue = now + (isComplete ? settings.compareInterval : settings.compareAgain)
    return true
  }

  mutating func compareBy(_ moment: Instant) { compareDue = min(compareDue, moment) }

  /// Nothing is in doubt any more; of what no comparison has seen whole that says nothing.
  mutating func doubtsEnded() {
    guard isComplete else { return }
    isJudged = true
    isCatalogProven = true
  }
}
