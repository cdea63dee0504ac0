import MantelCore
import MantelSummary

/// Peers challenge each other: a root proves a claim, not bytes (design 3.4).
///
/// Asked is for a random range of a random content that both have by their word. The right answer is computed first, from a
/// file here whose whole bytes have the content's hash, so that nobody is blamed for a file that is bad here.
extension Replicator {
  /// Every link has its turn now and then.
  mutating func challengeIfDue(now: Now) {
    for id in links.keys.sorted() {
      guard let link = links[id], let due = link.challenges.due, due <= now.instant else { continue }
      links[id]?.challenges.due = nil
      actions.append(.drawChallenge(id))
    }
  }

  mutating func drawn(_ draw: ChallengeDraw, for id: LinkID, now: Now) throws(StoreError) {
    guard let link = links[id] else { return }
    try forgetUnprovable(link)
    let releasing = releaseContent(for: link)
    guard let content = releasing ?? chosen(draw.position, link) else {
      return nextChallenge(of: id, now: now)
    }
    let found = try size(of: content)
    guard let size = found, size > 0, size <= settings.challengedBytes else {
      // Nobody can be asked for it, now or later.
      if releasing != nil { release?.keep(content, found == nil ? .unreadable : .tooLarge) }
      return nextChallenge(of: id, now: now)
    }
    let offset = draw.part % size
    actions.append(
      .prove(
        id,
        Challenge(
          content: content, offset: offset, count: UInt32(min(UInt64(Challenge.rangeBytes), size - offset)),
          nonce: draw.nonce)))
  }

  /// Nothing more can come of contents that nobody wants, that are not here to compare with, or that the peer does not claim
  /// any more.
  private mutating func forgetUnprovable(_ link: Link) throws(StoreError) {
    var unprovable: Set<ContentID> = []
    for content in challenging.owed(by: link.machine) {
      if contents.isHeld(content), isWanted(content), try isClaimed(content, by: link) { continue }
      unprovable.insert(content)
    }
    if challenging.absolve(link.machine, of: unprovable) { try recountSafe() }
  }

  /// On this connection, or in its newest attestation: not to announce what it attests is no excuse.
  private func isClaimed(_ content: ContentID, by link: Link) throws(StoreError) -> Bool {
    if contents.index.contains(content.digest, in: link.contents) { return true }
    for owner in libraries.keys.sorted() where contents.isWanted(content, in: owner) {
      if try lastKnownHolders(of: content, in: owner).contains(link.machine) { return true }
    }
    return false
  }

  private func isWanted(_ content: ContentID) -> Bool {
    libraries.keys.contains { contents.isWanted(content, in: $0) }
  }

  /// What was refuted before is asked for again first: it may have been healed.
  private func chosen(_ position: Digest256, _ link: Link) -> ContentID? {
    let claimed = [contents.held, link.contents]
    if let refuted = challenging.owed(by: link.machine).min() { return refuted }
    for start in [position, .zero] {
      var found: ContentID?
      contents.index.forEach(in: claimed, notIn: [], from: start) {
        found = ContentID($0)
        return false
      }
      if let found { return found }
    }
    return nil
  }

  /// Of a file here: what an entry says is the word of whoever signed it.
  private func size(of content: ContentID) throws(StoreError) -> UInt64? {
    if let copy = try store.replicaFiles(of: content).first { return copy.stamp.size }
    return try publishedFiles(of: content).first?.stamp.size
  }

  /// The right answer; nil when no file here could give it.
  mutating func proved(_ challenge: Challenge, _ answer: Digest256?, for id: LinkID, now: Now) {
    guard links[id] != nil else { return }
    guard let answer else {
      releaseUnreadable(challenge.content)
      return nextChallenge(of: id, now: now)
    }
    let job = nextJob()
    links[id]?.jobs[job] = .challenge(challenge.content, answer: answer)
    links[id]?.challenges.answer = nil
    actions.append(.link(id, .challenge(job, challenge)))
  }

  mutating func challengeAnswered(_ answer: Digest256, job: LinkJob, link id: LinkID) {
    guard case .challenge = links[id]?.jobs[job] else { return }
    links[id]?.challenges.answer = answer
  }

  mutating func challengeEnded(
    _ content: ContentID, answer: Digest256, _ outcome: LinkOutcome, link id: LinkID, now: Now
  ) throws(StoreError) {
    guard let link = links[id] else { return }
    nextChallenge(of: id, now: now)
    let isShown = outcome == .complete && link.challenges.answer == answer
    releaseChallenged(content, of: link.machine, isShown: isShown)
    switch outcome {
    case .complete where link.challenges.answer == answer:
      if challenging.show(link.machine, content) { try recountSafe() }
    case .complete: try fail(link.machine, content, .refuted)
    // A file that has just moved, a disk that is unplugged or busy: whoever has the bytes shows them the next time.
    case .notHeld, .unknownHead, .changed, .busy, .failed:
      if try isClaimed(content, by: link), challenging.evade(link.machine, content) {
        try fail(link.machine, content, .unproven)
      }
    // This side's own patience, or the end of the connection.
    case .cancelled, .unsupported: break
    }
  }

  private mutating func nextChallenge(of id: LinkID, now: Now) {
    links[id]?.challenges.due = now.instant + settings.challengeInterval
  }

  private mutating func fail(
    _ machine: MachineID, _ content: ContentID, _ failure: Challenging.Failure
  ) throws(StoreError) {
    guard challenging.fail(machine, content, failure) else { return }
    actions.append(.warn(.refuted(machine, content)))
    try recountSafe()
  }

  /// A newer word of the machine: what it names as missing is claimed no more.
  mutating func absolve(_ attestation: Attestation) {
    let missing = attestation.libraries.reduce(into: Set<ContentID>()) { $0.formUnion($1.missing) }
    let settled = challenging.owed(by: attestation.holder).filter {
      missing.contains($0) || !isWanted($0)
    }
    _ = challenging.absolve(attestation.holder, of: settled)
  }
}
