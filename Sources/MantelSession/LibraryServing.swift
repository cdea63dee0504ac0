import DequeModule
import MantelCore
import MantelWire

/// The peer's requests for deltas and entries, served page by page: the next page is asked of the store when the one
/// before has gone out, so each request holds at most one page.
struct LibraryServing {
  /// What a page belongs to.
  struct Ticket: Hashable { var serial: UInt64 }

  private enum Source {
    case delta(library: MachineID, from: HeadOrder, to: HeadOrder, cursor: Int64)
    case entries(library: MachineID, ArraySlice<EntryID>)
  }

  private struct Served {
    let id: RequestID
    let serial: UInt64
    var source: Source
    var frames: Deque<Frame> = []
    var isAsked = false
    /// Set when nothing is left to ask for.
    var outcome: Outcome?
    var lacksEntries = false
  }

  private let limits: SessionLimits
  private var requests: Deque<Served> = []
  private var serials: UInt64 = 0
  private var queriesInFlight = 0

  init(limits: SessionLimits) { self.limits = limits }

  mutating func addDelta(_ id: RequestID, library: MachineID, from: HeadOrder, to: HeadOrder) {
    add(id, .delta(library: library, from: from, to: to, cursor: 0))
  }

  mutating func addEntries(_ id: RequestID, library: MachineID, _ ids: [EntryID]) {
    add(id, .entries(library: library, ids[...]))
  }

  private mutating func add(_ id: RequestID, _ source: Source) {
    serials += 1
    requests.append(Served(id: id, serial: serials, source: source))
  }

  mutating func cancel(_ id: RequestID) {
    guard let position = requests.firstIndex(where: { $0.id == id }) else { return }
    requests[position].frames = []
    requests[position].outcome = .cancelled
  }

  /// The next question to the store; nil while enough are out or every request has frames to send.
  mutating func nextQuery() -> (Ticket, StoreQuery)? {
    guard queriesInFlight < limits.pageQueries,
      let position = requests.firstIndex(where: { !$0.isAsked && $0.frames.isEmpty && $0.outcome == nil })
    else { return nil }
    queriesInFlight += 1
    requests[position].isAsked = true
    let ticket = Ticket(serial: requests[position].serial)
    switch requests[position].source {
    case .delta(let library, let from, let to, let cursor):
      return (ticket, .delta(library: library, from: from, to: to, cursor: cursor))
    case .entries(let library, let ids):
      return (ticket, .entries(library: library, Array(ids.prefix(limits.entriesPerQuery))))
    }
  }

  mutating func answered(_ ticket: Ticket, _ answer: StoreAnswer) {
    queriesInFlight -= 1
    guard let position = requests.firstIndex(where: { $0.serial == ticket.serial }) else { return }
    requests[position].isAsked = false
    guard requests[position].outcome == nil else { return }
    switch (requests[position].source, answer) {
    case (_, .refused(let outcome)):
      requests[position].outcome = outcome == .complete ? .failed : outcome
    case (.delta(let library, let from, let to, let cursor), .delta(let added, let removed, let next)):
      guard queue(added, at: position) else { return }
      for run in removed.runs(of: Limits.idsPerFrame) {
        requests[position].frames.append(.removedEntries(requests[position].id, Array(run)))
      }
      if let next {
        precondition(next != cursor, "a page that leads to itself")
        requests[position].source = .delta(library: library, from: from, to: to, cursor: next)
      } else {
        requests[position].outcome = .complete
      }
    case (.entries(let library, let ids), .entries(let entries)):
      let asked = min(ids.count, limits.entriesPerQuery)
      precondition(entries.count <= asked, "more entries than were asked for")
      guard queue(entries, at: position) else { return }
      if entries.count < asked { requests[position].lacksEntries = true }
      let rest = ids.dropFirst(asked)
      requests[position].source = .entries(library: library, rest)
      if rest.isEmpty { requests[position].outcome = requests[position].lacksEntries ? .notHeld : .complete }
    default: preconditionFailure("an answer to another question than for a page")
    }
  }

  /// Entries in frames of at most a page; false ends the request, because one is longer than any entry.
  private mutating func queue(_ entries: [[UInt8]], at position: Int) -> Bool {
    guard entries.allSatisfy({ $0.count <= Entry.maximumBytes }) else {
      requests[position].outcome = .failed
      return false
    }
    let id = requests[position].id
    var page: [[UInt8]] = []
    var bytes = 0
    for entry in entries {
      if !page.isEmpty, bytes + entry.count + 2 > limits.pageBytes || page.count == Limits.idsPerFrame {
        requests[position].frames.append(.entries(id, page))
        page = []
        bytes = 0
      }
      page.append(entry)
      bytes += entry.count + 2
    }
    if !page.isEmpty { requests[position].frames.append(.entries(id, page)) }
    return true
  }

  /// The next frame, requests taking turns; nil when all wait for the store.
  mutating func nextFrame() -> Frame? {
    for position in requests.indices {
      if let frame = requests[position].frames.popFirst() {
        requests.append(requests.remove(at: position))
        return frame
      }
      if let outcome = requests[position].outcome {
        return .done(requests.remove(at: position).id, outcome)
      }
    }
    return nil
  }
}
