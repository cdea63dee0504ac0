import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Who claims what it cannot show loses its claim at once, and gets it back by showing it.
@Suite struct ChallengingTests {
  private let a = content("a")
  private let right = SummaryHash.sha256([1])
  private let draw = ChallengeDraw(
    position: .zero, part: 3, nonce: [UInt8](repeating: 5, count: Challenge.nonceBytes))

  /// A machine whose photo a peer attests, and says to have on this connection.
  private func safeMachine() throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", a, machine.stamp(10))
    let link = try machine.connect(has: [a])
    try attest(machine, number: 1, link)
    #expect(machine.isSafe(a))
    _ = machine.take()
    return (machine, link)
  }

  private func attest(_ machine: SingleMachine, number: UInt64, missing: [ContentID] = [], _ link: LinkID)
    throws
  {
    let order = try #require(machine.head?.order)
    let statement = machine.statement(
      machine.machine, order, held: [a].filter { !missing.contains($0) }, missing: missing)
    try machine.send(.attestationReceived(link, try machine.attestation(0, number: number, [statement])))
  }

  /// Lets the next challenge fall due, and brings it to the peer.
  private func challenge(_ machine: SingleMachine, _ link: LinkID) throws -> LinkJob {
    _ = machine.take()
    try machine.pass(machine.settings.challengeInterval)
    #expect(machine.take().contains { if case .drawChallenge(link) = $0 { true } else { false } })
    let asked = try machine.send(.challengeDrawn(link, draw)).compactMap { action -> Challenge? in
      if case .prove(link, let challenge) = action { challenge } else { nil }
    }
    let challenge = try #require(asked.first)
    #expect(challenge.content == a && challenge.offset == 3 && challenge.count == 7)
    let commands = try machine.send(.proved(link, challenge, right)).commands(link)
    return try #require(
      commands.compactMap { command -> LinkJob? in
        if case .challenge(let job, challenge) = command { job } else { nil }
      }.first)
  }

  private func answer(_ machine: SingleMachine, _ link: LinkID, _ answer: Digest256) throws {
    let job = try challenge(machine, link)
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

  @Test func whoTakesTheClaimBackIsBelievedAgain() throws {
    let (machine, link) = try safeMachine()
    try answer(machine, link, SummaryHash.sha256([2]))
    try attest(machine, number: 2, missing: [a], link)
    #expect(try !isRefuted(machine))
    #expect(!machine.isSafe(a))
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
  @Test(arguments: [LinkOutcome.notHeld, .busy, .failed, .changed])
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

  @Test func whatThisSideGaveUpSaysNothing() throws {
    let (machine, link) = try safeMachine()
    for _ in 0..<4 {
      let job = try challenge(machine, link)
      try machine.send(.jobEnded(link, job, .cancelled))
    }
    #expect(machine.isSafe(a))
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

  @Test func contentsThatAreTooLargeToCheckHereAreLeftOut() throws {
    var settings = ReplicationSettings()
    settings.challengedBytes = 9
    let machine = try SingleMachine(settings: settings)
    try machine.publish("a.jpg", a, machine.stamp(10))
    let link = try machine.connect(has: [a])
    try machine.pass(machine.settings.challengeInterval)
    let actions = try machine.send(.challengeDrawn(link, draw))
    #expect(!actions.contains { if case .prove = $0 { true } else { false } })
  }
}
