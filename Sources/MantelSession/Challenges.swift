import DequeModule
import MantelCore
import MantelWire

/// What this side asks the peer to prove.
struct OwnChallenges {
  private struct Open {
    var job: JobID
    var isAnswered = false
  }

  private let limits: SessionLimits
  private var waiting: Deque<(job: JobID, challenge: Challenge)> = []
  private var open: [RequestID: Open] = [:]

  init(limits: SessionLimits) { self.limits = limits }

  var count: Int { waiting.count + open.count }

  /// False when too many wait.
  mutating func add(_ job: JobID, _ challenge: Challenge) -> Bool {
    guard waiting.count < limits.queuedChallenges else { return false }
    waiting.append((job, challenge))
    return true
  }

  mutating func next() -> (job: JobID, challenge: Challenge)? {
    open.count < limits.openChallenges ? waiting.popFirst() : nil
  }

  mutating func opened(_ id: RequestID, _ job: JobID) { open[id] = Open(job: job) }

  /// The job that an answer belongs to. Throws for a second answer.
  mutating func answered(_ id: RequestID) throws(PeerFault) -> JobID {
    guard let challenge = open[id], !challenge.isAnswered else { throw .broke("a challenge answered twice") }
    open[id]?.isAnswered = true
    return challenge.job
  }

  mutating func closed(_ id: RequestID, _ outcome: Outcome) throws(PeerFault) -> JobID {
    guard let challenge = open[id] else { throw .broke("an end of no open challenge") }
    // What breaks the rules stays open: the session's end ends its job.
    guard challenge.isAnswered == (outcome == .complete) else {
      throw .broke("a challenge that ends otherwise than it was answered")
    }
    open[id] = nil
    return challenge.job
  }

  /// The peer took too long.
  mutating func givenUp(_ id: RequestID) -> JobID? { open.removeValue(forKey: id)?.job }

  mutating func endAll() -> [JobID] {
    defer {
      waiting.removeAll()
      open.removeAll()
    }
    return waiting.map(\.job) + open.sorted { $0.key < $1.key }.map(\.value.job)
  }
}

/// What the peer asks this side to prove: one at a time is read, a few wait.
struct PeerChallenges {
  private struct Asked {
    let id: RequestID
    let challenge: Challenge
    var isRead = false
    var isCancelled = false
  }

  private let limits: SessionLimits
  private var asked: Deque<Asked> = []
  private var frames: Deque<Frame> = []

  init(limits: SessionLimits) { self.limits = limits }

  mutating func add(_ id: RequestID, _ challenge: Challenge) {
    guard asked.count < limits.openChallenges else { return frames.append(.done(id, .busy)) }
    asked.append(Asked(id: id, challenge: challenge))
  }

  mutating func cancel(_ id: RequestID) {
    guard let position = asked.firstIndex(where: { $0.id == id }) else { return }
    if asked[position].isRead {
      asked[position].isCancelled = true
    } else {
      asked.remove(at: position)
      frames.append(.done(id, .cancelled))
    }
  }

  /// The next one to be read.
  mutating func nextQuery() -> (RequestID, Challenge)? {
    guard let first = asked.first, !first.isRead else { return nil }
    asked[0].isRead = true
    return (first.id, first.challenge)
  }

  mutating func answered(_ id: RequestID, _ answer: StoreAnswer) {
    guard let first = asked.first, first.id == id else { return }
    asked.removeFirst()
    switch answer {
    case _ where first.isCancelled: frames.append(.done(id, .cancelled))
    case .proof(let digest): frames += [.challengeAnswer(id, digest), .done(id, .complete)]
    case .refused(let outcome): frames.append(.done(id, outcome))
    case .read, .snapshot, .delta, .entries, .chosen:
      preconditionFailure("an answer to another question than a challenge")
    }
  }

  mutating func nextFrame() -> Frame? { frames.popFirst() }
}
