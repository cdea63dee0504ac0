import MantelCore
import MantelHousehold
import MantelSummary

/// Peers challenge each other: a root proves a claim, not bytes (design 3.4).
///
/// Asked is for a random range of a random content that is held here and claimed there: on this connection, or by what the peer
/// attests, as far as that counts anywhere. The right answer is computed first, from a file here whose whole bytes have the
/// content's hash, so that nobody is blamed for a file that is bad here. Of a large content only the range is read for that;
/// the whole file is read before a wrong answer is held against anybody.
///
/// What ends without an answer is an evasion. *Not held*, *failed* and *changed* are excused twice in a row, or for
/// `evasionPatience`: a file that has just moved. *Busy*, silence, and a connection that ends meanwhile are excused for
/// `busyPatience`: a first sync, or Wi-Fi. After that the machine is unproven, not refuted: an unplugged disk is no lie, and its
/// copies cannot be had either. A machine whose hello knows no challenges is never blamed.
///
/// Each machine asks for itself, and tells nobody what came of it: a hostile member could blacken honest ones.
extension Replicator {
  mutating func loadDoubts() throws(StoreError) {
    guard let bytes = try store.value(.challengeDoubts) else { return }
    let roster = roster
    challenging = Challenging(encoded: bytes) { roster.isMember($0) }
  }

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
    let peer = link.machine
    try forgetUnprovable(link)
    let releasing = releaseContent(for: link)
    let content: ContentID
    if let releasing {
      content = releasing
    } else if let claimed = try chosen(draw.position, link) {
      content = claimed
    } else {
      // While the peer's holdings are still compared it may claim more.
      if link.knowsContents { try judge { $0.forgive(peer) } }
      return nextChallenge(of: id, now: now)
    }
    let found = try size(of: content)
    guard let size = found, size > 0, releasing == nil || size <= settings.challengedBytes else {
      // Nobody can be asked for it, now or later.
      if releasing != nil { release?.keep(content, found == nil ? .unreadable : .tooLarge) }
      return nextChallenge(of: id, now: now)
    }
    let offset = draw.part % size
    let challenge = Challenge(
      content: content, offset: offset, count: UInt32(min(UInt64(Challenge.rangeBytes), size - offset)),
      nonce: draw.nonce)
    let isRangeOnly = size > settings.challengedBytes
    links[id]?.challenges.isRangeOnly = isRangeOnly
    links[id]?.challenges.disputed = nil
    actions.append(isRangeOnly ? .proveRange(id, challenge) : .prove(id, challenge))
  }

  // MARK: What is claimed

  /// Nothing more can come of contents that nobody wants, that are not here to compare with, or that the peer does not claim
  /// any more.
  private mutating func forgetUnprovable(_ link: Link) throws(StoreError) {
    var unprovable: Set<ContentID> = []
    for content in challenging.owed(by: link.machine) {
      if contents.isHeld(content), isWanted(content), try isClaimed(content, by: link) { continue }
      unprovable.insert(content)
    }
    guard !unprovable.isEmpty else { return }
    let (peer, settled) = (link.machine, unprovable)
    try judge { $0.absolve(peer, of: settled) }
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

  /// What was refuted before is asked for again first: it may have been healed. Else the first after a random position
  /// that the peer claims, in whatever way.
  private mutating func chosen(_ position: Digest256, _ link: Link) throws(StoreError) -> ContentID? {
    if let owed = challenging.owed(by: link.machine).min() { return owed }
    let attested = try attestedSets(of: link.machine)
    for start in [position, .zero] {
      var found: [Digest256] = []
      for (held, claimed) in attested {
        contents.index.forEach(in: [held], notIn: [], from: start) {
          guard claimed.contains($0) else { return true }
          found.append($0)
          return false
        }
      }
      contents.index.forEach(in: [contents.held, link.contents], notIn: [], from: start) {
        found.append($0)
        return false
      }
      if let first = found.min() { return ContentID(first) }
    }
    return nil
  }

  /// What a machine's newest statement proves, library by library: only where it has the root that follows from what it says,
  /// and of heads that are known here. Nothing else of it counts for *safe* or a release either. With what is held here of each of
  /// the libraries: a walk over that is as short as it is on a machine with little, and nobody is asked for what is not here.
  private mutating func attestedSets(
    of peer: MachineID
  ) throws(StoreError) -> [(held: SetHandle, claimed: SetSnapshot)] {
    guard let attestation = attesting.newest[peer]?.record, roster.isMember(peer), !hasExpired(peer) else {
      return []
    }
    var sets: [(held: SetHandle, claimed: SetSnapshot)] = []
    for statement in attestation.libraries where statement.listsMissing {
      guard let held = contents.byLibrary[statement.library]?.heldWanted, contents.index.count(of: held) > 0,
        let claimed = try proven(statement, by: peer)
      else { continue }
      sets.append((held: held, claimed: claimed))
    }
    return sets
  }

  /// Of a file here: what an entry says is the word of whoever signed it.
  private func size(of content: ContentID) throws(StoreError) -> UInt64? {
    if let copy = try store.replicaFiles(of: content).first { return copy.stamp.size }
    return try publishedFiles(of: content).first?.stamp.size
  }

  // MARK: Answers

  /// The right answer; nil when no file here could give it.
  mutating func proved(
    _ challenge: Challenge, _ answer: Digest256?, for id: LinkID, now: Now
  ) throws(StoreError) {
    guard let link = links[id] else { return }
    if let theirs = link.challenges.disputed {
      return try settle(challenge, ours: answer, theirs: theirs, link: id, now: now)
    }
    guard let answer else {
      releaseUnreadable(challenge.content)
      return nextChallenge(of: id, now: now)
    }
    let job = nextJob()
    links[id]?.jobs[job] = .challenge(challenge, answer: answer)
    links[id]?.challenges.answer = nil
    actions.append(.link(id, .challenge(job, challenge)))
  }

  mutating func challengeAnswered(_ answer: Digest256, job: LinkJob, link id: LinkID) {
    guard case .challenge = links[id]?.jobs[job] else { return }
    links[id]?.challenges.answer = answer
  }

  mutating func challengeEnded(
    _ challenge: Challenge, answer: Digest256, _ outcome: LinkOutcome, link id: LinkID, now: Now
  ) throws(StoreError) {
    guard let link = links[id] else { return }
    let (peer, content) = (link.machine, challenge.content)
    let isShown = outcome == .complete && link.challenges.answer == answer
    // Once it is refuted by a content, the pass over the whole file is not made again for each of its answers.
    if outcome == .complete, !isShown, link.challenges.isRangeOnly,
      !challenging.isRefuted(peer, by: content), let theirs = link.challenges.answer
    {
      links[id]?.challenges.disputed = theirs
      actions.append(.prove(id, challenge))
      return
    }
    nextChallenge(of: id, now: now)
    releaseChallenged(content, of: peer, isShown: isShown)
    switch outcome {
    case .complete where isShown: try judge { $0.show(peer, content) }
    case .complete: try fail(peer, content, .refuted)
    // A file that has just moved: whoever has the bytes shows them the next time.
    case .notHeld, .unknownHead, .changed, .failed:
      try evaded(content, link, patience: settings.evasionPatience)
    // This side's own patience, or the end of the connection.
    case .busy, .cancelled: try evaded(content, link, patience: settings.busyPatience)
    // By the hellos: this one has not been asked at all.
    case .unsupported: break
    }
  }

  /// The whole file here was read: now it is known whose bytes are wrong.
  private mutating func settle(
    _ challenge: Challenge, ours: Digest256?, theirs: Digest256, link id: LinkID, now: Now
  ) throws(StoreError) {
    guard let peer = links[id]?.machine else { return }
    let content = challenge.content
    links[id]?.challenges.disputed = nil
    nextChallenge(of: id, now: now)
    guard let ours else {
      for file in try store.replicaFiles(of: content) { doubt(.replica(file.path)) }
      for file in try publishedFiles(of: content) { doubt(.own(file.folder, file.path)) }
      return
    }
    if ours == theirs {
      try judge { $0.show(peer, content) }
    } else {
      try fail(peer, content, .refuted)
    }
  }

  private mutating func nextChallenge(of id: LinkID, now: Now) {
    links[id]?.challenges.due = now.instant + settings.challengeInterval
  }

  private mutating func evaded(
    _ content: ContentID, _ link: Link, patience: Duration
  ) throws(StoreError) {
    guard try isClaimed(content, by: link),
      challenging.evade(link.machine, content, at: agentTime, patience: patience)
    else { return }
    try fail(link.machine, content, .unproven)
  }

  private mutating func fail(
    _ machine: MachineID, _ content: ContentID, _ failure: Challenging.Failure
  ) throws(StoreError) {
    if challenging.isBelieved(machine) { actions.append(.warn(.refuted(machine, content))) }
    try judge { $0.fail(machine, content, failure) }
  }

  /// A newer word of the machine: what it names as missing is claimed no more.
  mutating func absolve(_ attestation: Attestation) throws(StoreError) {
    let missing = attestation.libraries.reduce(into: Set<ContentID>()) { $0.formUnion($1.missing) }
    let settled = challenging.owed(by: attestation.holder).filter {
      missing.contains($0) || !isWanted($0)
    }
    try judge { $0.absolve(attestation.holder, of: settled) }
  }

  /// Whatever changes who is believed is durable, and counts at once.
  private mutating func judge(_ change: (inout Challenging) -> Void) throws(StoreError) {
    let before = challenging.doubts
    change(&challenging)
    guard challenging.doubts != before else { return }
    try store.setValue(.challengeDoubts, challenging.encoded)
    if Set(challenging.doubts.keys) != Set(before.keys) { try recountSafe() }
  }
}
