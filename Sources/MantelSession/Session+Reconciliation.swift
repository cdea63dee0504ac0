import DequeModule
import MantelCore
import MantelSummary
import MantelWire
import NIOCore

// MARK: - What we open

extension Session {
  mutating func startReconciliation(_ job: JobID, _ reference: SetReference, mine: SetSnapshot) {
    guard !isClosed else { return deliver(.jobEnded(job, .cancelled)) }
    let accepted = ownReconciliations.add(
      OwnReconciliations.Job(job: job, reference: reference, mine: mine))
    if !accepted { deliver(.jobEnded(job, .busy)) }
  }

  mutating func startReconciliations(now: Instant) {
    while let next = ownReconciliations.next() {
      let id = ownRequests.open(.reconciliation)
      let (count, root) = (UInt64(next.mine.count), next.mine.root)
      ownReconciliations.open[id] = OwnReconciliations.Open(
        job: next.job, reference: next.reference,
        reconciler: Reconciler(
          mine: next.mine, isOpener: true, theirCount: nil, theirRoot: nil, salt: salt))
      clocks.opened(id, now: now)
      send(.reconcile(id, next.reference, count: count, root: root))
    }
  }

  mutating func receivedTurn(ofOurs id: RequestID, _ bytes: ByteBuffer, isLast: Bool) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .reconciliation)
    do {
      try ownReconciliations.open[id]?.reconciler.receive(Array(bytes.readableBytesView), isLast: isLast)
    } catch {
      throw .broke("a malformed turn: \(error)")
    }
    reportOwnDifference(id)
    guard isLast else { return }
    if !ownReconciliations.speaking.contains(id) { ownReconciliations.speaking.append(id) }
  }

  /// The peer says so when both know the whole difference; if we do not, it did not keep to the descent.
  mutating func receivedDone(ofReconciliation id: RequestID, _ outcome: Outcome) throws(PeerFault) {
    ownReconciliations.speaking.removeAll { $0 == id }
    guard var open = ownReconciliations.open.removeValue(forKey: id) else { return }
    do {
      if outcome == .complete { try open.reconciler.receivedDone() }
    } catch {
      deliver(.jobEnded(open.job, .failed))
      throw .broke("a reconciliation that ended early: \(error)")
    }
    deliver(.jobEnded(open.job, outcome))
  }

  private mutating func reportOwnDifference(_ id: RequestID) {
    guard let (theirs, mine) = ownReconciliations.open[id]?.reconciler.takeDifferences(),
      let open = ownReconciliations.open[id], !theirs.isEmpty || !mine.isEmpty
    else { return }
    deliver(.difference(open.job, open.reference, theirsOnly: theirs, mineOnly: mine))
  }
}

// MARK: - What the peer opens

extension Session {
  mutating func receivedReconcile(
    _ id: RequestID, _ reference: SetReference, count: UInt64, root: Digest256
  ) throws(PeerFault) {
    try peerRequests.open(id, .reconciliation, limits: limits)
    let ticket = peerReconciliations.add(id, reference, count: count, root: root)
    ask(.snapshot(reference), for: .snapshot(ticket))
  }

  mutating func answeredSnapshot(_ ticket: PeerReconciliations.Ticket, _ answer: StoreAnswer) {
    guard let open = peerReconciliations.open[ticket.id], open.serial == ticket.serial,
      case .awaitingSnapshot(let count, let root) = open.state
    else { return }
    switch answer {
    case .snapshot(let mine?):
      let reconciler = Reconciler(
        mine: mine, isOpener: false, theirCount: count, theirRoot: root, salt: salt)
      peerReconciliations.open[ticket.id]?.state = .descending(reconciler)
      peerReconciliations.speaking.append(ticket.id)
    case .snapshot(nil): peerReconciliations.end(ticket.id, .unknownHead)
    case .refused(let outcome):
      peerReconciliations.end(ticket.id, outcome == .complete ? .failed : outcome)
    case .delta, .entries, .read, .chosen, .proof:
      preconditionFailure("an answer to another question than for a snapshot")
    }
  }

  /// A turn for a request that is not open crossed our DONE.
  mutating func receivedTurn(ofPeers id: RequestID, _ bytes: ByteBuffer, isLast: Bool) throws(PeerFault) {
    guard peerReconciliations.open[id] != nil else { return }
    try peerReconciliations.open[id]?.receive(bytes, isLast: isLast)
    reportPeerDifference(id)
    guard isLast else { return }
    if !peerReconciliations.speaking.contains(id) { peerReconciliations.speaking.append(id) }
  }

  private mutating func reportPeerDifference(_ id: RequestID) {
    guard let reference = peerReconciliations.open[id]?.reference,
      let (theirs, mine) = peerReconciliations.open[id]?.withReconciler({ $0.takeDifferences() }),
      reference == .holdings, !theirs.isEmpty || !mine.isEmpty
    else { return }
    deliver(.difference(nil, reference, theirsOnly: theirs, mineOnly: mine))
  }
}

// MARK: - Both

extension Session {
  /// The next piece of a turn, or the DONE of a reconciliation of the peer.
  mutating func nextTurn() -> Frame? {
    if let (id, outcome) = peerReconciliations.ended.popFirst() {
      peerRequests.close(id)
      return .done(id, outcome)
    }
    while let id = ownReconciliations.speaking.popFirst() {
      guard let piece = ownReconciliations.open[id]?.reconciler.nextPiece(maximumBytes: FrameLimits.turnBytes)
      else { continue }
      ownReconciliations.speaking.append(id)
      reportOwnDifference(id)
      // A long turn of ours is no silence of the peer: it goes out as fast as the peer takes it.
      clocks.moved(id, bytes: piece.bytes.count)
      liveness.moved(piece.bytes.count)
      return .turn(id, isReply: false, isLast: piece.isLast, ByteBuffer(bytes: piece.bytes))
    }
    while let id = peerReconciliations.speaking.popFirst() {
      let next = peerReconciliations.open[id]?.withReconciler {
        $0.nextPiece(maximumBytes: FrameLimits.turnBytes)
      }
      if let piece = next ?? nil {
        peerReconciliations.speaking.append(id)
        reportPeerDifference(id)
        return .turn(id, isReply: true, isLast: piece.isLast, ByteBuffer(bytes: piece.bytes))
      }
      if let frame = finishPeerReconciliation(id) { return frame }
    }
    return nil
  }

  /// DONE when both sides know the whole difference, which the responder is the one to say.
  private mutating func finishPeerReconciliation(_ id: RequestID) -> Frame? {
    reportPeerDifference(id)
    guard let open = peerReconciliations.open[id], case .descending(let reconciler) = open.state,
      reconciler.isFinished
    else { return nil }
    peerReconciliations.open[id] = nil
    peerRequests.close(id)
    deliver(.reconciledByPeer(open.reference))
    return .done(id, .complete)
  }

  private var salt: [UInt8] {
    guard case .open(let opening) = state else { preconditionFailure("no salt before the hello") }
    return opening.salt
  }
}

extension PeerReconciliations.Open {
  mutating func receive(_ bytes: ByteBuffer, isLast: Bool) throws(PeerFault) {
    let taken: Void?
    do {
      taken = try withReconciler { reconciler throws(ReconcileError) in
        try reconciler.receive(Array(bytes.readableBytesView), isLast: isLast)
      }
    } catch {
      throw .broke("a malformed turn: \(error)")
    }
    if taken == nil { throw .broke("a turn before its time") }
  }

  /// Works on the reconciler in place; nil while the store is asked for our side.
  mutating func withReconciler<Result, Failure>(
    _ body: (inout Reconciler) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    guard case .descending(var reconciler) = state else { return nil }
    // Out of the enum while it changes, so that its storage is not copied.
    state = .awaitingSnapshot(count: 0, root: .zero)
    defer { state = .descending(reconciler) }
    return try body(&reconciler)
  }
}
