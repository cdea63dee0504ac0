import MantelCore
import MantelWire

// What we ask for.
extension Session {
  mutating func startDelta(_ delta: LibraryJobs.Delta) {
    guard !isClosed else { return deliver(.jobEnded(delta.job, .cancelled)) }
    if !libraryJobs.add(delta) { deliver(.jobEnded(delta.job, .busy)) }
  }

  mutating func startEntries(_ job: JobID, library: MachineID, _ ids: [EntryID]) {
    guard !isClosed else { return deliver(.jobEnded(job, .cancelled)) }
    guard !ids.isEmpty else { return deliver(.jobEnded(job, .complete)) }
    if !libraryJobs.add(job, library: library, ids) { deliver(.jobEnded(job, .busy)) }
  }

  mutating func startLibraryRequests(now: Instant) {
    while let delta = libraryJobs.nextDelta() {
      let id = ownRequests.open(.delta)
      libraryJobs.opened(id, delta)
      clocks.opened(id, now: now)
      send(.getDelta(id, library: delta.library, from: delta.from, to: delta.to))
    }
    while let (job, library, ids) = libraryJobs.nextEntries() {
      let id = ownRequests.open(.entries)
      libraryJobs.opened(id, job, ids: ids.count)
      clocks.opened(id, now: now)
      send(.getEntries(id, library: library, ids))
    }
  }

  mutating func receivedEntries(_ id: RequestID, _ encoded: [[UInt8]]) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .delta, .entries)
    let job = try libraryJobs.received(id, entries: encoded.count)
    var entries: [Entry] = []
    entries.reserveCapacity(encoded.count)
    do {
      for bytes in encoded { entries.append(try Entry(canonicalBytes: bytes)) }
    } catch {
      throw .broke("a malformed entry: \(error)")
    }
    deliver(.entries(job, added: entries, removed: []))
  }

  mutating func receivedRemovedEntries(_ id: RequestID, _ ids: [EntryID]) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .delta)
    deliver(.entries(try libraryJobs.received(id, removed: ids.count), added: [], removed: ids))
  }

  mutating func receivedDone(ofDelta id: RequestID, _ outcome: Outcome) {
    deliver(.jobEnded(libraryJobs.closedDelta(id), outcome))
  }

  mutating func receivedDone(ofEntries id: RequestID, _ outcome: Outcome) {
    if let (job, outcome) = libraryJobs.closedEntries(id, outcome) { deliver(.jobEnded(job, outcome)) }
  }
}

// What the peer asks for.
extension Session {
  mutating func receivedGetDelta(
    _ id: RequestID, library: MachineID, from: HeadOrder, to: HeadOrder
  ) throws(PeerFault) {
    guard from < to else { throw .broke("a delta that goes back") }
    try peerRequests.open(id, .library, limits: limits)
    libraryServing.addDelta(id, library: library, from: from, to: to)
  }

  mutating func receivedGetEntries(
    _ id: RequestID, library: MachineID, _ ids: [EntryID]
  ) throws(PeerFault) {
    guard !ids.isEmpty, ids.count <= Limits.idsPerFrame else {
      throw .broke("a request for too few or many entries")
    }
    try peerRequests.open(id, .library, limits: limits)
    libraryServing.addEntries(id, library: library, ids)
  }

  mutating func askForPages() {
    while let (ticket, query) = libraryServing.nextQuery() { ask(query, for: .page(ticket)) }
  }

  mutating func answeredPage(_ ticket: LibraryServing.Ticket, _ answer: StoreAnswer) {
    libraryServing.answered(ticket, answer)
  }

  /// The next frame of the peer's library requests; the page after the one that went out is asked for.
  mutating func nextPage() -> Frame? {
    guard let frame = libraryServing.nextFrame() else { return nil }
    if case .done(let id, _) = frame { peerRequests.close(id) }
    askForPages()
    return frame
  }
}
