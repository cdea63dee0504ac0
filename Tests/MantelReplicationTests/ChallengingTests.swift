import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Who claims what it cannot show loses its claim at once, and gets it back by showing it.
@Suite struct ChallengingTests {
  private let a = content("a")
  private let b = content("b")
  private let right = SummaryHash.sha256([1])
  private let draw = ChallengeDraw(
    position: .zero, part: 3, nonce: [UInt8](repeating: 5, count: Challenge.nonceBytes))

  /// A machine whose photo a peer attests, and says to have on this connection if it announces it.
  private func safeMachine(
    announces: Bool = true, settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(settings: settings)
    try machine.publish("a.jpg", a, machine.stamp(10))
    let link = try machine.connect(has: announces ? [a] : [])
    try attest(machine, number: 1, link)
    #expect(machine.isSafe(a))
    _ = machine.take()
    return (machine, link)
  }

  private func attest(
    _ machine: SingleMachine, number: UInt64, of all: [ContentID]? = nil, missing: [ContentID] = [],
    _ link: LinkID
  ) throws {
    let order = try #require(machine.head?.order)
    let statement = machine.statement(
      machine.machine, order, held: (all ?? [a]).filter { !missing.contains($0) }, missing: missing)
    try machine.send(.attestationReceived(link, try machine.attestation(0, number: number, [statement])))
  }

  /// Lets the next challenge fall due, and brings it to the peer.
  private func challenge(
    _ machine: SingleMachine, _ link: LinkID, of content: ContentID? = nil, after wait: Duration? = nil
  ) throws -> LinkJob {
    let asked = try drawn(machine, link, after: wait)
    let challenge = try #require(asked.first)
    #expect(challenge.content == content ?? a && challenge.offset == 3 && challenge.count == 7)
    let commands = try machine.send(.proved(link, challenge, right)).commands(link)
    return try #require(
      commands.compactMap { command -> LinkJob? in
        if case .challenge(let job, challenge) = command { job } else { nil }
      }.first)
  }

  /// What the right answer has to be found for.
  private func drawn(
    _ machine: SingleMachine, _ link: LinkID, at position: Digest256 = .zero, after wait: Duration? = nil
  ) throws -> [Challenge] {
    _ = machine.take()
    try machine.pass(wait ?? machine.settings.challengeInterval)
    #expect(machine.take().contains { if case .drawChallenge(link) = $0 { true } else { false } })
    var draw = self.draw
    draw.position = position
    return try machine.send(.challengeDrawn(link, draw)).compactMap { action -> Challenge? in
      switch action {
      case .prove(link, let challenge), .proveRange(link, let challenge): challenge
      default: nil
      }
    }
  }

  private func answer(
    _ machine: SingleMachine, _ link: LinkID, of content: ContentID? = nil, _ answer: Digest256
  ) throws {
    let job = try challenge(machine, link, of: content)
    try machine.send(.challengeAnswered(link, job, answer))
    try machine.send(.jobEnded(link, job, .complete))
  }

  private func isRefuted(_ machine: SingleMachine) throws -> Bool {
    try machine.report().reasons.contains(.refuted(machine.peers[0].machine))
  }

  @Test func theRightAnswerChangesNothing() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, right)
    #expect(machine.isSafe(a))
    #expect(try !isRefuted(machine))
  }

  @Test func theWrongAnswerVoidsEveryClaim() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    #expect(!machine.isSafe(a))
    #expect(try isRefuted(machine))
    #expect(try machine.report().state == .attention)
    #expect(try !machine.report().peers[0].isComplete)
    // Saying it again does not help.
    try attest(machine, number: 2, link)
    #expect(!machine.isSafe(a))
    // Showing it does.
    try answer(machine, link, right)
    #expect(machine.isSafe(a))
    #expect(try !isRefuted(machine))
  }

  /// But not before it has shown something that it still claims.
  @Test func whoTakesTheClaimBackHasToShowAnother() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    try machine.publish("b.jpg", b, machine.stamp(10, inode: 8))
    try machine.send(.availabilityChanged(link, added: [], removed: [a]))
    try attest(machine, number: 2, of: [a, b], missing: [a], link)
    #expect(try isRefuted(machine))
    #expect(!machine.isSafe(b))
    try answer(machine, link, of: b, right)
    #expect(try !isRefuted(machine))
    #expect(machine.isSafe(b) && !machine.isSafe(a))
  }

  /// Nothing more can come of it: what it says is that it has nothing.
  @Test func whoClaimsNothingAnyMoreIsNotRefutedForEver() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    try machine.send(.availabilityChanged(link, added: [], removed: [a]))
    try attest(machine, number: 2, missing: [a], link)
    #expect(try isRefuted(machine))
    #expect(try drawn(machine, link).isEmpty)
    #expect(try !isRefuted(machine))
    #expect(!machine.isSafe(a))
  }

  @Test func whoAttestsAndAnnouncesNothingIsAskedAllTheSame() throws {
    let (machine, link) = try safeMachine(announces: false)
    try answer(machine, link, SummaryHash.sha256([2]))
    #expect(!machine.isSafe(a))
    #expect(try isRefuted(machine))
  }

  /// What came after the head that the statement speaks of, and what it names as missing, is claimed by nobody.
  @Test func onlyWhatIsAttestedIsAskedOfWhoAnnouncesNothing() throws {
    let (machine, link) = try safeMachine(announces: false)
    try machine.publish("b.jpg", b, machine.stamp(10, inode: 8))
    for position in [Digest256.zero, a.digest, b.digest] {
      let asked = try drawn(machine, link, at: position)
      #expect(asked.map(\.content) == [a])
      // Nobody can be asked now: the next one comes in its time.
      for challenge in asked { try machine.send(.proved(link, challenge, nil)) }
    }
    try attest(machine, number: 2, of: [a, b], missing: [a, b], link)
    #expect(try drawn(machine, link).isEmpty)
  }

  /// It does not count as held either, and names nobody where it is told who has a copy.
  @Test func aStatementWithoutTheRootThatFollowsFromItClaimsNothing() throws {
    let (machine, link) = try safeMachine(announces: false)
    let peer = machine.peers[0].machine
    var holders = try machine.replicator.holders(of: a, in: machine.machine)
    #expect(holders.contains(peer))
    try attest(machine, number: 2, of: [b], link)
    #expect(!machine.isSafe(a))
    #expect(try drawn(machine, link).isEmpty)
    holders = try machine.replicator.holders(of: a, in: machine.machine)
    #expect(!holders.contains(peer))
    let everywhere = try machine.replicator.holders(of: a)
    #expect(!everywhere.contains(peer))
    #expect(try machine.replicator.lastKnownHolders(of: a, in: machine.machine) == [peer], "worth asking")
    // What was found of a statement says nothing of the next one.
    try attest(machine, number: 3, link)
    holders = try machine.replicator.holders(of: a, in: machine.machine)
    #expect(holders.contains(peer))
  }

  /// A newer head takes nothing from what others proved of an older one. Its owner's word counts for the newest alone: it speaks of
  /// what is live, and that of an earlier head is known nowhere.
  @Test func whatWasProvedOfAnOlderHeadIsJudgedAnewWithEachHead() throws {
    let machine = try SingleMachine(peers: 2)
    let links = try (0..<2).map { try machine.connect($0) }
    let (owner, other) = (machine.peers[0].machine, machine.peers[1].machine)
    let entries = [machine.entry("a.jpg", a), machine.entry("b.jpg", b)]
    try machine.install(0, 1, [entries[0]], over: links[0])
    func attest(_ peer: Int, number: UInt64, _ sequence: UInt64, held: [ContentID]) throws {
      let statement = machine.statement(owner, HeadOrder(epoch: 1, sequence: sequence), held: held)
      try machine.send(
        .attestationReceived(links[peer], try machine.attestation(peer, number: number, [statement])))
    }
    func holders(of content: ContentID) throws -> Set<MachineID> {
      Set(try machine.replicator.holders(of: content, in: owner))
    }
    for peer in 0..<2 { try attest(peer, number: 1, 1, held: [a]) }
    #expect(try holders(of: a) == [owner, other])
    try machine.install(0, 2, entries, added: [entries[1]], over: links[0])
    #expect(machine.replicator.installedHead(of: owner)?.order.sequence == 2)
    #expect(try holders(of: a) == [other])
    #expect(try holders(of: b).isEmpty)
    for peer in 0..<2 { try attest(peer, number: 2, 2, held: [a, b]) }
    #expect(try holders(of: b) == [owner, other])
  }

  @Test func aRestartForgivesNobody() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    try machine.restart()
    #expect(!machine.isSafe(a))
    #expect(try isRefuted(machine))
    let again = try machine.connect(has: [a])
    try answer(machine, again, right)
    #expect(machine.isSafe(a))
    try machine.restart()
    #expect(machine.isSafe(a))
    #expect(try !isRefuted(machine))
  }

  /// Not to announce it any more is no excuse while it is attested.
  @Test func whoWithdrawsOnTheConnectionAloneIsNotBelieved() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    try machine.send(.availabilityChanged(link, added: [], removed: [a]))
    let job = try challenge(machine, link)
    try machine.send(.jobEnded(link, job, .notHeld))
    #expect(!machine.isSafe(a))
    #expect(try isRefuted(machine))
  }

  /// A file that has just moved, or a disk that is unplugged: nobody is called a liar for it, and it does not count for long.
  @Test(arguments: [LinkOutcome.notHeld, .failed, .changed])
  func whoShowsNothingThreeTimesIsNotBelievedUntilItDoes(outcome: LinkOutcome) throws {
    let (machine, link) = try safeMachine()
    for evasion in 1...3 {
      let job = try challenge(machine, link)
      try machine.send(.jobEnded(link, job, outcome))
      #expect(machine.isSafe(a) == (evasion < 3))
    }
    let report = try machine.report()
    #expect(report.reasons.contains(.unproven(machine.peers[0].machine)) && report.state != .attention)
    try answer(machine, link, right)
    #expect(machine.isSafe(a))
  }

  /// A machine with much to do, or a connection that is slow or ends: for an hour, not for ever.
  @Test(arguments: [LinkOutcome.busy, .cancelled])
  func whoNeverAnswersIsNotBelievedAfterAnHour(outcome: LinkOutcome) throws {
    let (machine, link) = try safeMachine()
    for evasion in 1...7 {
      let job = try challenge(machine, link)
      try machine.send(.jobEnded(link, job, outcome))
      #expect(machine.isSafe(a) == (evasion < 7))
    }
    let reasons = try machine.report().reasons
    #expect(reasons.contains(.unproven(machine.peers[0].machine)))
    try answer(machine, link, right)
    #expect(machine.isSafe(a))
  }

  /// Each new connection is asked soon.
  @Test func aConnectionThatComesAndGoesUsesUpNoPatience() throws {
    let (machine, first) = try safeMachine()
    var link = first
    for _ in 1...4 {
      let job = try challenge(machine, link, after: machine.settings.challengeDelay)
      try machine.send(.jobEnded(link, job, .notHeld))
      try machine.send(.linkClosed(link))
      link = try machine.connect(has: [a])
      #expect(machine.isSafe(a))
    }
    let job = try challenge(machine, link)
    try machine.send(.jobEnded(link, job, .notHeld))
    #expect(!machine.isSafe(a))
  }

  @Test func anOlderVersionThatKnowsNoChallengesIsNotBlamed() throws {
    let (machine, link) = try safeMachine()
    for _ in 0..<4 {
      let job = try challenge(machine, link)
      try machine.send(.jobEnded(link, job, .unsupported))
    }
    #expect(machine.isSafe(a))
  }

  /// Nobody is blamed for what may be bad here.
  @Test func withoutAGoodFileHereNobodyIsAsked() throws {
    let (machine, link) = try safeMachine()
    try machine.pass(machine.settings.challengeInterval)
    let action = try machine.send(.challengeDrawn(link, draw)).first {
      if case .prove = $0 { true } else { false }
    }
    guard case .prove(_, let challenge) = action else {
      Issue.record("not asked to prove")
      return
    }
    #expect(try machine.send(.proved(link, challenge, nil)).commands(link).isEmpty)
    #expect(machine.isSafe(a))
    // The next one comes in its time.
    _ = machine.take()
    try machine.pass(machine.settings.challengeInterval)
    #expect(machine.take().contains { if case .drawChallenge = $0 { true } else { false } })
  }

  // MARK: Large contents

  /// A peer that has answered a challenge on a content of which only the range was read here.
  private func answeredLarge(_ answer: Digest256) throws -> (
    SingleMachine, LinkID, Challenge, [ReplicationAction]
  ) {
    var settings = ReplicationSettings()
    settings.challengedBytes = 9
    let (machine, link) = try safeMachine(settings: settings)
    let asked = try drawn(machine, link)
    let challenge = try #require(asked.first)
    let commands = try machine.send(.proved(link, challenge, right)).commands(link)
    let jobs = commands.compactMap { if case .challenge(let job, _) = $0 { job } else { nil } }
    let job = try #require(jobs.first)
    try machine.send(.challengeAnswered(link, job, answer))
    return (machine, link, challenge, try machine.send(.jobEnded(link, job, .complete)))
  }

  private func readsWhole(_ actions: [ReplicationAction]) -> Bool {
    actions.contains { if case .prove = $0 { true } else { false } }
  }

  @Test func ofALargeContentOnlyTheRangeIsRead() throws {
    var settings = ReplicationSettings()
    settings.challengedBytes = 9
    let (machine, link) = try safeMachine(settings: settings)
    try machine.pass(machine.settings.challengeInterval)
    let actions = try machine.send(.challengeDrawn(link, draw))
    #expect(actions.contains { if case .proveRange = $0 { true } else { false } })
    #expect(!readsWhole(actions))
  }

  @Test func theRightAnswerOnALargeContentNeedsNoPassOverIt() throws {
    let (machine, _, _, actions) = try answeredLarge(right)
    #expect(!readsWhole(actions))
    #expect(machine.isSafe(a))
  }

  @Test func theWrongAnswerOnALargeContentIsWrongOnceTheFileHereIsRight() throws {
    let wrong = SummaryHash.sha256([2])
    let (machine, link, challenge, actions) = try answeredLarge(wrong)
    #expect(readsWhole(actions))
    #expect(machine.isSafe(a))
    try machine.send(.proved(link, challenge, right))
    #expect(!machine.isSafe(a))
    #expect(try isRefuted(machine))
    // A liar costs one pass over the file, not one for each of its lies.
    let asked = try drawn(machine, link)
    let again = try #require(asked.first)
    let commands = try machine.send(.proved(link, again, right)).commands(link)
    let jobs = commands.compactMap { if case .challenge(let job, _) = $0 { job } else { nil } }
    let job = try #require(jobs.first)
    try machine.send(.challengeAnswered(link, job, wrong))
    let ended = try machine.send(.jobEnded(link, job, .complete))
    #expect(!readsWhole(ended))
  }

  /// Nil: no file here is the content. Or the range was read wrongly the first time.
  @Test(arguments: [nil, SummaryHash.sha256([2])] as [Digest256?])
  func nobodyIsBlamedForALargeFileThatIsBadHere(found: Digest256?) throws {
    let (machine, link, challenge, _) = try answeredLarge(SummaryHash.sha256([2]))
    try machine.send(.proved(link, challenge, found))
    #expect(machine.isSafe(a))
    #expect(try !isRefuted(machine))
    // It lies in an own file alone.
    let own = RereadTarget.own(SingleMachine.folderID, bytes("a.jpg"))
    #expect(machine.take().rereads.contains(own) == (found == nil))
    // The next one comes in its time.
    #expect(try drawn(machine, link).count == 1)
  }
}
