import DequeModule
import MantelWire

extension Session {
  /// Ends the session once: every unit and job that is open ends as cancelled, then `closing`, then the connection.
  ///
  /// Events that wait are still delivered; questions and frames that wait are not sent any more, but for the roster's.
  mutating func close(_ code: CloseCode, message: String, tellsPeer: Bool, byPeer: Bool = false) {
    guard !isClosed else { return }
    actions.removeAll { action in
      switch action {
      case .send, .query: true
      case .deliver, .close: false
      }
    }
    // A machine that is removed hears of it while it can.
    if tellsPeer, code == .notMember, isOpen { for frame in news.takeRoster() { send(frame) } }
    if tellsPeer { send(.close(code, message: message)) }
    queries = [:]
    let (units, pulls) = fetching.endAll()
    for unit in units { deliver(.unitEnded(unit, .cancelled)) }
    for job in pulls { deliver(.jobEnded(job, .cancelled)) }
    for job in libraryJobs.endAll() { deliver(.jobEnded(job, .cancelled)) }
    for job in ownReconciliations.endAll() { deliver(.jobEnded(job, .cancelled)) }
    for job in ownChallenges.endAll() { deliver(.jobEnded(job, .cancelled)) }
    releaseState()
    state = .closed(code)
    actions.append(.deliver(.closing(code, message: message, byPeer: byPeer)))
    actions.append(.close)
  }

  /// Buffers and pinned snapshots are of no use any more.
  private mutating func releaseState() {
    serving = UnitReading(limits: limits)
    libraryServing = LibraryServing(limits: limits)
    peerReconciliations = PeerReconciliations()
    peerChallenges = PeerChallenges(limits: limits)
    news = NewsQueue(limits: limits)
    ownRequests = OwnRequests()
    clocks = RequestClocks(limits: limits)
    peerRequests = PeerRequests()
    unsupported = []
  }
}
