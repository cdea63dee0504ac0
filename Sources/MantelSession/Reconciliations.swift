import DequeModule
import MantelCore
import MantelSummary
import MantelWire

/// Reconciliations that we open.
struct OwnReconciliations {
  struct Job {
    var job: JobID
    var reference: SetReference
    var mine: SetSnapshot
  }

  struct Open {
    var job: JobID
    var reference: SetReference
    var reconciler: Reconciler
  }

  private let limits: SessionLimits
  private var waiting: Deque<Job> = []
  var open: [RequestID: Open] = [:]
  /// Those that may have a piece of a turn to say, taking turns among themselves.
  var speaking: Deque<RequestID> = []

  init(limits: SessionLimits) { self.limits = limits }

  var count: Int { waiting.count + open.count }

  /// False: too many jobs wait.
  mutating func add(_ job: Job) -> Bool {
    guard waiting.count < limits.queuedJobs else { return false }
    waiting.append(job)
    return true
  }

  mutating func next() -> Job? {
    open.count < limits.openReconciliations ? waiting.popFirst() : nil
  }

  mutating func endAll() -> [JobID] {
    let jobs = open.sorted { $0.key < $1.key }.map(\.value.job) + waiting.map(\.job)
    self = OwnReconciliations(limits: limits)
    return jobs
  }
}

/// Reconciliations that the peer opened.
struct PeerReconciliations {
  struct Ticket: Hashable {
    var id: RequestID
    var serial: UInt64
  }

  enum State {
    /// The store is asked for our side.
    case awaitingSnapshot(count: UInt64, root: Digest256)
    case descending(Reconciler)
  }

  struct Open {
    /// Tells it from an earlier one of the same number.
    var serial: UInt64
    var reference: SetReference
    var state: State
  }

  var open: [RequestID: Open] = [:]
  var speaking: Deque<RequestID> = []
  /// Requests that are over but for their DONE.
  var ended: Deque<(id: RequestID, outcome: Outcome)> = []
  private var serials: UInt64 = 0

  mutating func add(_ id: RequestID, _ reference: SetReference, count: UInt64, root: Digest256) -> Ticket {
    serials += 1
    open[id] = Open(serial: serials, reference: reference, state: .awaitingSnapshot(count: count, root: root))
    return Ticket(id: id, serial: serials)
  }

  mutating func end(_ id: RequestID, _ outcome: Outcome) {
    guard open.removeValue(forKey: id) != nil else { return }
    speaking.removeAll { $0 == id }
    ended.append((id, outcome))
  }
}
