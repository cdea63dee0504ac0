import DequeModule
package import MantelCore
import MantelSummary
package import MantelWire

/// One connection between two machines of a household: greeting, news, libraries, reconciliation, transfer.
///
/// A session is a value that decides and does nothing else. Its owner feeds it what happened (frames, store answers,
/// commands, the passing of time) and then drains `nextAction()` while the channel takes bytes, or
/// `nextControlAction()` while it does not. Everything that the peer's requests cause waits in lanes that only
/// `nextAction()` reads, so a peer that does not read makes nothing grow: what goes out without a writable channel is
/// bounded by our own limits.
///
/// Time comes in as an argument and must not go back. Nothing is done after the `close` action.
package struct Session: ~Copyable {
  enum State {
    /// Our hello is on its way, the peer's is awaited until the deadline.
    case greeting(Greeting)
    case open(Opening)
    case closed(CloseCode)
  }

  /// What may be news to the peer, kept until its hello tells.
  struct Greeting {
    var deadline: Instant
    var records: [Signed<MachineRecord>]
    var heads: [Signed<Head>]
    var attestations: [Signed<Attestation>]
    var roster: [[UInt8]]
  }

  /// What the two hellos settled.
  struct Opening {
    var version: UInt8
    var features: UInt64
    /// Salt of the short hashes of this connection.
    var salt: [UInt8]
  }

  /// What an answer of the store belongs to.
  enum PendingQuery {
    case read(UnitReading.Ticket)
    case page(LibraryServing.Ticket)
    case choice(UnitReading.ChoiceTicket)
    case snapshot(PeerReconciliations.Ticket)
    case proof(RequestID)
  }

  var state: State
  let household: HouseholdID
  let local: MachineID
  let peer: MachineID
  let isDialer: Bool
  let hello: Hello
  let limits: SessionLimits

  /// What can be done without a writable channel, in order.
  var actions: Deque<SessionAction> = []
  var queries: [QueryID: PendingQuery] = [:]
  private var queryCount: UInt64 = 0
  var counters = SessionCounters()

  var liveness: Liveness
  var ownRequests = OwnRequests()
  var clocks: RequestClocks
  /// Since when nothing could be taken from the peer.
  var heldUpSince: Instant?
  var peerRequests = PeerRequests()
  var news: NewsQueue
  var attestationAssembler = AttestationAssembler()
  var fetching: Fetching
  var serving: UnitReading
  var libraryJobs: LibraryJobs
  var libraryServing: LibraryServing
  var ownReconciliations: OwnReconciliations
  var peerReconciliations = PeerReconciliations()
  var ownChallenges: OwnChallenges
  var peerChallenges: PeerChallenges
  /// Requests of the peer that are answered with DONE(unsupported).
  var unsupported: Deque<RequestID> = []

  /// Queues our hello. Precondition: the hello is of the configuration's household.
  package init(_ configuration: consuming SessionConfiguration, now: Instant) {
    precondition(configuration.hello.household == configuration.household, "a hello of another household")
    let limits = configuration.limits
    household = configuration.household
    local = configuration.local
    peer = configuration.peer
    isDialer = configuration.isDialer
    hello = configuration.hello
    self.limits = limits
    state = .greeting(
      Greeting(
        deadline: now + limits.handshake, records: configuration.records, heads: configuration.heads,
        attestations: configuration.attestations, roster: configuration.roster))
    liveness = Liveness(now: now)
    clocks = RequestClocks(limits: limits)
    news = NewsQueue(limits: limits)
    fetching = Fetching(limits: limits)
    serving = UnitReading(limits: limits)
    libraryJobs = LibraryJobs(limits: limits)
    libraryServing = LibraryServing(limits: limits)
    ownReconciliations = OwnReconciliations(limits: limits)
    ownChallenges = OwnChallenges(limits: limits)
    peerChallenges = PeerChallenges(limits: limits)
    send(.hello(configuration.hello))
  }

  // MARK: What happened

  /// A frame of the peer, in the order of arrival. Ignored once the session is closed.
  package mutating func received(_ frame: Frame, now: Instant) {
    guard !isClosed else { return }
    goOn(now: now)
    counters.framesReceived += 1
    liveness.received(at: now)
    do {
      try take(frame, now: now)
    } catch {
      close(error.code, message: error.message, tellsPeer: true)
    }
    pump(now: now)
  }

  /// The answer to a query; ignored when nobody waits for it any more. Precondition: it is of the query's kind.
  package mutating func answered(_ query: QueryID, _ answer: StoreAnswer, now: Instant) {
    guard let pending = queries.removeValue(forKey: query), !isClosed else { return }
    switch pending {
    case .read(let ticket): answeredRead(ticket, answer)
    case .page(let ticket): answeredPage(ticket, answer)
    case .choice(let ticket): answeredChoice(ticket, answer)
    case .snapshot(let ticket): answeredSnapshot(ticket, answer)
    case .proof(let request): peerChallenges.answered(request, answer)
    }
    pump(now: now)
  }

  package mutating func command(_ command: SessionCommand, now: Instant) {
    switch command {
    case .announceHead(let head): announce { $0.add(head) }
    case .announceRecord(let record): announce { $0.add(record) }
    case .announceAttestation(let attestation): announce { $0.add(attestation) }
    case .announceRoster(let roster): announce { $0.add(roster: roster) }
    case .announceForgetRequest(let request): announceForgetRequest(request)
    case .fetchDelta(let job, let library, let from, let to):
      precondition(from < to, "a delta that goes back")
      startDelta(LibraryJobs.Delta(job: job, library: library, from: from, to: to))
    case .fetchEntries(let job, let library, let ids): startEntries(job, library: library, ids)
    case .reconcile(let job, let reference, let mine): startReconciliation(job, reference, mine: mine)
    case .challenge(let job, let challenge): startChallenge(job, challenge)
    case .fetch(let units): fetch(units)
    case .pull(let job, let request): pull(job, request)
    case .cancelFetch(let units): cancelFetch(units)
    case .available(let added, let removed): announceAvailable(added: added, removed: removed)
    case .availableBlocks(let content, let ranges): announceAvailable(content, ranges)
    case .ping: if isOpen { ping(now: now) }
    case .close(let code, let message): close(code, message: message, tellsPeer: true)
    }
    pump(now: now)
  }

  /// The connection is gone, whoever ended it.
  package mutating func transportClosed(now: Instant) {
    close(.normal, message: "the connection ended", tellsPeer: false)
  }

  // MARK: What to do

  /// The next thing to do while the channel takes bytes: control first, file data last.
  package mutating func nextAction() -> SessionAction? {
    if let action = nextControlAction() { return action }
    guard isOpen, let frame = nextLaneFrame() else { return nil }
    counters.framesSent += 1
    return .send(frame)
  }

  /// The next thing to do while the channel takes no bulk: deliveries, queries, our own small requests, close.
  package mutating func nextControlAction() -> SessionAction? {
    guard let action = actions.popFirst() else { return nil }
    if case .send = action { counters.framesSent += 1 }
    return action
  }

  package var snapshot: SessionSnapshot {
    let shown: SessionSnapshot.State =
      switch state {
      case .greeting: .greeting
      case .open(let opening): .open(version: opening.version)
      case .closed(let code): .closed(code)
      }
    return SessionSnapshot(
      state: shown, peer: peer, isDialer: isDialer, counters: counters, roundTrip: liveness.roundTrip,
      openRequests: ownRequests.count, openPeerRequests: peerRequests.count,
      queuedUnits: fetching.queuedCount, unitsInFlight: fetching.inFlightCount,
      bytesInFlight: fetching.outstandingBytes,
      jobs: libraryJobs.count + ownReconciliations.count + ownChallenges.count + fetching.pullCount,
      readsInFlight: serving.readsInFlight, readAheadBytes: serving.heldBytes, openQueries: queries.count,
      queuedActions: actions.count)
  }
}

// MARK: - Shared by the concerns

extension Session {
  var isClosed: Bool { if case .closed = state { true } else { false } }
  var isOpen: Bool { if case .open = state { true } else { false } }

  var features: UInt64 {
    guard case .open(let opening) = state else { return 0 }
    return opening.features
  }

  mutating func send(_ frame: Frame) { actions.append(.send(frame)) }

  /// Queues an event. Once the session is closed it goes in front of `closing`, and nowhere if that was handed out:
  /// `closing` is the last event and ends everything.
  mutating func deliver(_ event: SessionEvent) {
    guard isClosed else { return actions.append(.deliver(event)) }
    let closing = actions.firstIndex { if case .deliver(.closing) = $0 { true } else { false } }
    if let closing { actions.insert(.deliver(event), at: closing) }
  }

  mutating func ask(_ query: StoreQuery, for pending: PendingQuery) {
    queryCount += 1
    let id = QueryID(queryCount)
    queries[id] = pending
    actions.append(.query(id, query))
  }

  /// Starts whatever the last input made possible. Own requests of an open session are all opened here.
  mutating func pump(now: Instant) {
    guard isOpen else { return }
    let open = ownRequests.count
    startGets()
    startPulls()
    // What was given up counts at the peer until it has ended it: more might be too many.
    if !clocks.hasGivenUp {
      startLibraryRequests(now: now)
      startReconciliations(now: now)
      startChallenges(now: now)
    }
    if open == 0, ownRequests.count > 0 { liveness.progressed(at: now) }
    askForChoices()
    askForReads()
    askForPages()
    askForProofs()
  }

  /// A frame of the lanes that wait for a writable channel, the most urgent lane first.
  private mutating func nextLaneFrame() -> Frame? {
    if let number = liveness.nextPong() { return .pong(number) }
    if let request = unsupported.popFirst() {
      peerRequests.close(request)
      return .done(request, .unsupported)
    }
    if let frame = nextProof() { return frame }
    if let frame = news.next() { return frame }
    if let frame = nextTurn() { return frame }
    if let frame = nextPage() { return frame }
    return nextData()
  }

  private mutating func take(_ frame: Frame, now: Instant) throws(PeerFault) {
    switch frame {
    case .hello(let hello): try receivedHello(hello)
    case .close(let code, let message): close(code, message: message, tellsPeer: false, byPeer: true)
    default:
      guard isOpen else { throw .broke("a frame before the hello") }
      try takeWhenOpen(frame, now: now)
    }
  }

  private mutating func takeWhenOpen(_ frame: Frame, now: Instant) throws(PeerFault) {
    switch frame {
    case .hello, .close: preconditionFailure("taken before")
    case .ping(let number): try liveness.receivedPing(number, limits: limits)
    case .pong(let number):
      deliver(.roundTrip(try liveness.receivedPong(number, now: now)))

    case .roster(let statements): deliver(.roster(statements))
    case .record(let record): deliver(.record(record))
    case .head(let head): deliver(.head(head))
    case .attestation(let part, let isLast, let piece):
      try receivedAttestation(part: part, isLast: isLast, piece)
    case .forgetRequest(let request): deliver(.forgetRequest(request))
    case .available(let added, let removed): deliver(.available(added: added, removed: removed))
    case .availableBlocks(let content, let ranges): deliver(.availableBlocks(content, ranges))

    case .getDelta(let id, let library, let from, let to):
      try receivedGetDelta(id, library: library, from: from, to: to)
    case .getEntries(let id, let library, let ids): try receivedGetEntries(id, library: library, ids)
    case .reconcile(let id, let reference, let count, let root):
      try receivedReconcile(id, reference, count: count, root: root)
    case .turn(let id, isReply: false, let isLast, let bytes):
      try receivedTurn(ofPeers: id, bytes, isLast: isLast)
    case .get(let id, let units): try receivedGet(id, units)
    case .cancel(let id): receivedCancel(id)
    case .challenge(let id, let content, let offset, let count, let nonce):
      try receivedChallenge(id, Challenge(content: content, offset: offset, count: count, nonce: nonce))
    case .pullAny(let id, let count, let bytes, let units):
      try receivedPull(id, count: Int(count), bytes: UInt64(bytes), units)

    case .entries, .removedEntries, .turn, .chosenUnit, .unitBegin, .data, .unitEnd, .challengeAnswer, .done:
      if try isAwaited(frame, now: now) { try takeReply(frame) }
    }
  }

  /// Frames that answer our requests.
  private mutating func takeReply(_ frame: Frame) throws(PeerFault) {
    switch frame {
    case .entries(let id, let entries): try receivedEntries(id, entries)
    case .removedEntries(let id, let ids): try receivedRemovedEntries(id, ids)
    case .turn(let id, _, let isLast, let bytes): try receivedTurn(ofOurs: id, bytes, isLast: isLast)
    case .chosenUnit(let id, let index, let unit): try receivedChosenUnit(id, index: index, unit)
    case .unitBegin(let id, let index, let bytes): try receivedUnitBegin(id, index: index, bytes: bytes)
    case .data(let id, let index, let bytes): try receivedData(id, index: index, bytes)
    case .unitEnd(let id, let index, let outcome): try receivedUnitEnd(id, index: index, outcome)
    case .challengeAnswer(let id, let answer): try receivedChallengeAnswer(id, answer)
    case .done(let id, let outcome):
      switch try ownRequests.close(id) {
      case .get, .pull: try receivedDone(ofGet: id, outcome)
      case .delta: receivedDone(ofDelta: id, outcome)
      case .entries: receivedDone(ofEntries: id, outcome)
      case .reconciliation: try receivedDone(ofReconciliation: id, outcome)
      case .challenge: try receivedDone(ofChallenge: id, outcome)
      }
    default: preconditionFailure("not a reply")
    }
  }

  /// The peer gives up a request. One that is not open has crossed our DONE.
  private mutating func receivedCancel(_ id: RequestID) {
    switch peerRequests.kinds[id] {
    case .get: serving.cancel(id)
    case .library: libraryServing.cancel(id)
    case .reconciliation: peerReconciliations.end(id, .cancelled)
    case .challenge: peerChallenges.cancel(id)
    case .unsupported, nil: break
    }
  }
}
