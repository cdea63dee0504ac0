import DequeModule
import MantelCore
import MantelWire

/// Our jobs that ask the peer for entries: deltas one request each, lists of ids cut and pipelined.
struct LibraryJobs {
  struct Delta: Hashable {
    var job: JobID
    var library: MachineID
    var from: HeadOrder
    var to: HeadOrder
  }

  private struct OpenDelta {
    var job: JobID
    var added = 0
    var removed = 0
  }

  private struct EntriesJob {
    var library: MachineID
    var rest: ArraySlice<EntryID>
    var openRequests = 0
    /// The first outcome that was not complete.
    var outcome = Outcome.complete
  }

  private struct OpenEntries {
    var job: JobID
    /// How many entries may still come.
    var missing: Int
  }

  private let limits: SessionLimits
  private var deltas: Deque<Delta> = []
  private var openDeltas: [RequestID: OpenDelta] = [:]
  /// Jobs that have ids to ask for, taking turns.
  private var waiting: Deque<JobID> = []
  private var entriesJobs: [JobID: EntriesJob] = [:]
  private var openEntries: [RequestID: OpenEntries] = [:]

  init(limits: SessionLimits) { self.limits = limits }

  var count: Int { deltas.count + openDeltas.count + entriesJobs.count }

  /// False: too many jobs wait.
  mutating func add(_ delta: Delta) -> Bool {
    guard deltas.count < limits.queuedJobs else { return false }
    deltas.append(delta)
    return true
  }

  /// False: too many jobs wait. Precondition: there is an id, and the job is not one that has not ended.
  mutating func add(_ job: JobID, library: MachineID, _ ids: [EntryID]) -> Bool {
    precondition(!ids.isEmpty && entriesJobs[job] == nil, "an empty job, or one that is open already")
    guard entriesJobs.count < limits.queuedJobs else { return false }
    entriesJobs[job] = EntriesJob(library: library, rest: ids[...])
    waiting.append(job)
    return true
  }

  mutating func nextDelta() -> Delta? {
    openDeltas.count < limits.openDeltas ? deltas.popFirst() : nil
  }

  mutating func opened(_ id: RequestID, _ delta: Delta) { openDeltas[id] = OpenDelta(job: delta.job) }

  /// The next ids to ask for; nil while enough requests are open.
  mutating func nextEntries() -> (job: JobID, library: MachineID, ids: [EntryID])? {
    guard openEntries.count < limits.openEntryRequests, let job = waiting.popFirst(),
      let state = entriesJobs[job]
    else { return nil }
    return (job, state.library, Array(state.rest.prefix(Limits.idsPerFrame)))
  }

  mutating func opened(_ id: RequestID, _ job: JobID, ids: Int) {
    openEntries[id] = OpenEntries(job: job, missing: ids)
    entriesJobs[job]?.openRequests += 1
    entriesJobs[job]?.rest.removeFirst(ids)
    if entriesJobs[job]?.rest.isEmpty == false { waiting.append(job) }
  }

  /// The job that entries belong to. More than a library can have, or than was asked for, is the peer's fault.
  mutating func received(_ id: RequestID, entries: Int) throws(PeerFault) -> JobID {
    if let delta = openDeltas[id] {
      guard delta.added + entries <= Limits.entriesPerLibrary else { throw .broke("a delta without end") }
      openDeltas[id]?.added += entries
      return delta.job
    }
    guard let open = openEntries[id] else { preconditionFailure("a request that is not open") }
    guard entries <= open.missing else { throw .broke("more entries than were asked for") }
    openEntries[id]?.missing -= entries
    return open.job
  }

  mutating func received(_ id: RequestID, removed: Int) throws(PeerFault) -> JobID {
    guard let delta = openDeltas[id] else { preconditionFailure("a delta that is not open") }
    guard delta.removed + removed <= Limits.entriesPerLibrary else { throw .broke("a delta without end") }
    openDeltas[id]?.removed += removed
    return delta.job
  }

  mutating func closedDelta(_ id: RequestID) -> JobID {
    guard let delta = openDeltas.removeValue(forKey: id) else {
      preconditionFailure("a delta that is not open")
    }
    return delta.job
  }

  /// A request for ids ended. The job and its outcome when it was the last: entries that were not there leave the
  /// others worth asking for, any other failure ends the job.
  mutating func closedEntries(_ id: RequestID, _ outcome: Outcome) -> (JobID, Outcome)? {
    guard let open = openEntries.removeValue(forKey: id), var job = entriesJobs[open.job] else {
      preconditionFailure("a request that is not open")
    }
    job.openRequests -= 1
    // Fewer entries than were asked for are not a complete answer, whatever the peer calls it.
    let judged = outcome == .complete && open.missing > 0 ? .notHeld : outcome
    if job.outcome == .complete || job.outcome == .notHeld, judged != .complete { job.outcome = judged }
    if judged != .complete, judged != .notHeld, !job.rest.isEmpty {
      job.rest = []
      waiting.removeAll { $0 == open.job }
    }
    if job.openRequests == 0, job.rest.isEmpty {
      entriesJobs[open.job] = nil
      return (open.job, job.outcome)
    }
    entriesJobs[open.job] = job
    return nil
  }

  /// Forgets everything: the jobs that had not ended.
  mutating func endAll() -> [JobID] {
    let open = openDeltas.values.map(\.job) + deltas.map(\.job) + entriesJobs.keys
    self = LibraryJobs(limits: limits)
    return open.sorted { $0.number < $1.number }
  }
}
