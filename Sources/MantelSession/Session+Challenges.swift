import MantelCore
import MantelWire

// What we ask the peer to prove.
extension Session {
  mutating func startChallenge(_ job: JobID, _ challenge: Challenge) {
    guard !isClosed else { return deliver(.jobEnded(job, .cancelled)) }
    if !ownChallenges.add(job, challenge) { deliver(.jobEnded(job, .busy)) }
  }

  mutating func startChallenges(now: Instant) {
    while let (job, challenge) = ownChallenges.next() {
      guard features & Feature.challenges != 0 else {
        deliver(.jobEnded(job, .unsupported))
        continue
      }
      let id = ownRequests.open(.challenge)
      ownChallenges.opened(id, job)
      clocks.opened(id, now: now)
      send(
        .challenge(
          id, challenge.content, offset: challenge.offset, count: challenge.count, nonce: challenge.nonce))
    }
  }

  mutating func receivedChallengeAnswer(_ id: RequestID, _ answer: Digest256) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .challenge)
    deliver(.challengeAnswered(try ownChallenges.answered(id), answer))
  }

  /// *Unsupported* is what this side says of a peer whose hello knows no challenges. From one that offered to answer them it is no
  /// excuse.
  mutating func receivedDone(ofChallenge id: RequestID, _ outcome: Outcome) throws(PeerFault) {
    let job = try ownChallenges.closed(id, outcome)
    deliver(.jobEnded(job, outcome == .unsupported ? .failed : outcome))
  }
}

// What the peer asks us to prove.
extension Session {
  mutating func receivedChallenge(_ id: RequestID, _ challenge: Challenge) throws(PeerFault) {
    guard features & Feature.challenges != 0 else {
      try peerRequests.open(id, .unsupported, limits: limits)
      unsupported.append(id)
      return
    }
    try peerRequests.open(id, .challenge, limits: limits)
    peerChallenges.add(id, challenge)
  }

  mutating func askForProofs() {
    while let (id, challenge) = peerChallenges.nextQuery() { ask(.prove(challenge), for: .proof(id)) }
  }

  mutating func nextProof() -> Frame? {
    guard let frame = peerChallenges.nextFrame() else { return nil }
    if case .done(let id, _) = frame { peerRequests.close(id) }
    return frame
  }
}
