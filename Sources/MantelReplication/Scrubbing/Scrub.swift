import DequeModule
import MantelCore

/// What is being re-read, what waits for it, and what was found.
struct Scrub: Sendable {
  /// Files that are not what they were taken for, it seems: read before all others.
  var doubted: Deque<RereadTarget> = []
  private var isDoubted: Set<RereadTarget> = []
  /// More were doubted than are kept in mind: another comparison finds them.
  var hasForgottenDoubts = false
  /// The file whose bytes are on their way; one at a time, for one disk is kinder to one reader.
  var running: Running?
  var walk: RereadWalk?
  var verification: Verification?
  var lastVerification: UInt64 = 0
  /// Read and found right, not recorded yet: one transaction for many.
  var verified: [VerifiedFile] = []
  var verifiedOwn: [(folder: FolderID, path: [UInt8], content: ContentID)] = []

  var pace: ScrubPace?
  var surveyDue: Instant
  /// When the next file of the slow walk may be read.
  var readDue: Instant
  var isResting = false

  /// Files on their way out of the way; nothing is filed before they are.
  var settingAside: Set<[UInt8]> = []
  /// Contents with a report that is not healed.
  var unhealed: Set<ContentID> = []
  /// Found while a batch with the content was under way, by the number of the file: judged when it has ended.
  var awaiting: [Awaiting] = []
  /// The replica as it is mounted now.
  var sight: ReplicaSight
  /// When copies are looked for that are not where the catalog says; nil: nothing points to any.
  var straysDue: Instant?
  var isSeekingStrays = false
  /// Contents that had a file here which is gone, since the last look for strays; at most as many as doubts.
  var vanished: Set<ContentID> = []

  init(now: Instant, _ settings: ReplicationSettings) {
    surveyDue = now + settings.scrubDelay
    readDue = surveyDue
    sight = ReplicaSight(now: now, settings)
  }

  struct Running: Sendable {
    var target: RereadTarget
    /// What a replica file had by the catalog when the read was asked for.
    var content: ContentID?
    var isDoubted: Bool
    var began: Instant
  }

  struct Awaiting: Sendable {
    var content: ContentID
    var inode: UInt64
    /// Nil: the file may only have moved, and is read again.
    var fault: FileFault?
  }

  mutating func doubt(_ target: RereadTarget, limit: Int) {
    guard !isDoubted.contains(target) else { return }
    guard doubted.count < limit else { return hasForgottenDoubts = true }
    isDoubted.insert(target)
    doubted.append(target)
  }

  mutating func nextDoubted() -> RereadTarget? {
    guard let target = doubted.popFirst() else { return nil }
    isDoubted.remove(target)
    return target
  }

  /// Nobody knows whether the file is still what the catalog says: it waits to be read, or is being read.
  func doubts(_ target: RereadTarget) -> Bool {
    isDoubted.contains(target) || running.map { $0.isDoubted && $0.target == target } ?? false
  }

  var hasDoubts: Bool { !isDoubted.isEmpty || running?.isDoubted == true }

  /// If the catalog's word on the replica was held against the disk, and all that did not agree was read.
  mutating func judgeSight() {
    if !hasDoubts, !hasForgottenDoubts, awaiting.isEmpty { sight.doubtsEnded() }
  }

  mutating func beginComparison() -> ComparisonID {
    // What was doubted and not kept is doubted again by this one.
    defer { hasForgottenDoubts = false }
    return sight.comparisonBegan(isAnew: hasForgottenDoubts)
  }

  var hasMarks: Bool { !verified.isEmpty || !verifiedOwn.isEmpty }

  /// Another name of this file was just read.
  func isRead(_ file: ReplicaFile) -> Bool {
    verified.contains { $0.content == file.content && $0.inode == file.stamp.inode }
  }

  /// What is left to read before the next survey.
  var isWalkDone: Bool { walk?.isDone ?? true }

  /// Without what waits for an event instead of a moment: a read, a comparison that is under way.
  func nextDeadline(comparePatience: Duration) -> Instant? {
    let next = isWalkDone || isResting ? surveyDue : min(surveyDue, readDue)
    let comparison = sight.nextComparison(patience: comparePatience)
    return [running == nil ? next : nil, comparison, verification?.nextDeadline].compactMap(\.self).min()
  }
}

/// A walk over files in the order of their last reads: replica files, then own ones.
struct RereadWalk: Sendable {
  enum Part: Sendable {
    case replica
    case own
    case done
  }
  var threshold: WallTime
  var library: MachineID?
  var part: Part
  var withOwn: Bool
  var position: RereadPosition?
  var targets: Deque<RereadTarget> = []

  var isDone: Bool { part == .done && targets.isEmpty }

  /// `library`: only that one's files; its own folders for this machine.
  init(threshold: WallTime, library: MachineID?, of machine: MachineID) {
    self.threshold = threshold
    self.library = library
    part = library == machine ? .own : .replica
    withOwn = library == nil || library == machine
  }

  mutating func turn(to last: RereadPosition?, isLast: Bool) {
    position = last
    guard isLast else { return }
    position = nil
    part = part == .replica && withOwn ? .own : .done
  }
}

/// `mantel verify` under way.
struct Verification: Sendable {
  var request: VerifyRequest
  var report: VerifyReport
  var walk: RereadWalk
  var walksLeft: Int
  var lease: Instant
  var healDeadline: Instant?
  /// Bad files that are not healed, by their contents.
  var open: [ContentID: Int] = [:]

  var nextDeadline: Instant? {
    switch report.phase {
    case .reading: lease
    case .healing: min(lease, healDeadline ?? lease)
    case .done, .stopped, .unavailable: nil
    }
  }
}
