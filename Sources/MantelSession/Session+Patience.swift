package import MantelCore
import MantelWire
import NIOCore

// How long we wait for the peer, and it for us.
extension Session {
  /// Gives up what is overdue: the peer is told, the caller goes on elsewhere.
  mutating func giveUpOverdue(now: Instant) throws(PeerFault) {
    for id in try clocks.giveUpOverdue(now: now) {
      switch ownRequests.kinds[id] {
      case .delta: deliver(.jobEnded(libraryJobs.closedDelta(id), .cancelled))
      case .entries:
        if let (job, outcome) = libraryJobs.closedEntries(id, .cancelled) { deliver(.jobEnded(job, outcome)) }
      case .reconciliation:
        ownReconciliations.speaking.removeAll { $0 == id }
        if let open = ownReconciliations.open.removeValue(forKey: id) {
          deliver(.jobEnded(open.job, .cancelled))
        }
      case .challenge:
        if let job = ownChallenges.givenUp(id) { deliver(.jobEnded(job, .cancelled)) }
      case .get, .pull, nil: preconditionFailure("a clock of no such request")
      }
      send(.cancel(id))
    }
  }

  /// Notes what an answer brought. The rest of what was given up is of no use: false.
  mutating func isAwaited(_ answer: Frame, now: Instant) throws(PeerFault) -> Bool {
    let (id, bytes) = answer.progress
    liveness.moved(bytes)
    liveness.judgeProgress(now: now, limits: limits)
    clocks.moved(id, bytes: bytes)
    let isGivenUp = clocks.isGivenUp(id)
    if case .done = answer {
      liveness.progressed(at: now)
      clocks.closed(id)
      if isGivenUp { _ = try ownRequests.close(id) }
    }
    return !isGivenUp
  }

  // MARK: Our own slowness

  /// When `heldUp` wants to be called next while nothing can be taken from the peer; nil when it is of no use.
  package var nextHeldUpDeadline: Instant? {
    isOpen ? liveness.heldUpPingDue(limits) : nil
  }

  /// Nothing can be taken from the peer now, because its news have no room here. It hears of us all the same, or it would
  /// take us for dead; and the time does not count against what it owes us.
  package mutating func heldUp(now: Instant) {
    guard isOpen else { return }
    if heldUpSince == nil { heldUpSince = now }
    guard let due = liveness.heldUpPingDue(limits), now >= due else { return }
    send(.ping(liveness.heldUpPing(now: now)))
  }

  mutating func goOn(now: Instant) {
    guard let since = heldUpSince else { return }
    heldUpSince = nil
    clocks.postpone(by: now - since)
    liveness.postpone(by: now - since)
  }
}

extension Frame {
  /// The request that an answer belongs to, and what it is worth as progress, in bytes.
  fileprivate var progress: (RequestID, Int) {
    switch self {
    case .entries(let id, let entries): (id, entries.reduce(0) { $0 + $1.count })
    case .removedEntries(let id, let ids): (id, ids.count * Digest256.byteCount)
    case .turn(let id, _, _, let bytes): (id, bytes.readableBytes)
    case .data(let id, _, let bytes): (id, bytes.readableBytes)
    // To find and open a file is work, also when it is small or not there.
    case .unitEnd(let id, _, _), .challengeAnswer(let id, _): (id, SessionLimits.unitWorth)
    case .unitBegin(let id, _, _), .chosenUnit(let id, _, _), .done(let id, _): (id, 0)
    default: preconditionFailure("not an answer")
    }
  }
}
