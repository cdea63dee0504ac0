import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore
import Testing

/// Proofs over one connection: each challenge ends once, and a few at a time are read.
@Suite struct ChallengeTests {
  private func challenge(_ number: UInt64, count: UInt32 = 10) -> Challenge {
    Challenge(
      content: Fixture.unit(number).content, offset: 0, count: count,
      nonce: [UInt8](repeating: UInt8(number), count: Challenge.nonceBytes))
  }

  private func side(features: UInt64 = Feature.challenges) -> SessionSide {
    var configuration = Fixture.configuration(Fixture.bob, peer: Fixture.alice)
    configuration.hello.features = Feature.challenges
    let side = SessionSide(configuration)
    var hello = Fixture.hello(nonce: 1)
    hello.features = features
    side.session.received(.hello(hello), now: Fixture.start)
    side.drain()
    side.sent = []
    side.events = []
    return side
  }

  private func frame(_ challenge: Challenge, _ id: UInt32) -> Frame {
    .challenge(
      RequestID(id), challenge.content, offset: challenge.offset, count: challenge.count,
      nonce: challenge.nonce)
  }

  private let answer = SummaryHash.sha256([7])

  @Test func aProofIsGivenAndEnds() throws {
    let side = side()
    side.store.proofs[challenge(1)] = answer
    side.session.received(frame(challenge(1), 5), now: Fixture.start)
    let frames = try ServingTests.serve(side)
    #expect(frames == [.challengeAnswer(RequestID(5), answer), .done(RequestID(5), .complete)])
    #expect(side.session.snapshot.openPeerRequests == 0)
  }

  @Test func whatIsNotHereIsSaidSo() throws {
    let side = side()
    side.session.received(frame(challenge(1), 5), now: Fixture.start)
    #expect(try ServingTests.serve(side) == [.done(RequestID(5), .notHeld)])
  }

  @Test func aFloodIsReadOneByOneAndTheRestIsRefused() throws {
    let side = side()
    for number in 1...20 as ClosedRange<UInt32> {
      side.store.proofs[challenge(UInt64(number))] = answer
      side.session.received(frame(challenge(UInt64(number)), number), now: Fixture.start)
    }
    side.drain(control: true)
    #expect(side.queries.count == 1)
    let frames = try ServingTests.serve(side)
    let done = frames.compactMap { if case .done(_, let outcome) = $0 { outcome } else { nil } }
    #expect(done.count { $0 == .complete } == SessionLimits().openChallenges)
    #expect(done.count { $0 == .busy } == 20 - SessionLimits().openChallenges)
  }

  @Test func withoutTheFeatureNothingIsRead() throws {
    let side = side(features: 0)
    side.session.received(frame(challenge(1), 5), now: Fixture.start)
    #expect(try ServingTests.serve(side) == [.done(RequestID(5), .unsupported)])
    side.session.command(.challenge(JobID(1), challenge(2)), now: Fixture.start)
    side.drain()
    #expect(side.events == [.jobEnded(JobID(1), .unsupported)])
  }

  /// The hello said otherwise.
  @Test func whoOfferedToAnswerHasNoExcuse() {
    let side = side()
    side.session.command(.challenge(JobID(9), challenge(2)), now: Fixture.start)
    side.drain()
    side.session.received(.done(RequestID(1), .unsupported), now: Fixture.start)
    side.drain()
    #expect(side.events == [.jobEnded(JobID(9), .failed)])
  }

  @Test func anAnswerIsToldBeforeTheEnd() {
    let side = side()
    side.session.command(.challenge(JobID(9), challenge(2)), now: Fixture.start)
    side.drain()
    side.session.received(.challengeAnswer(RequestID(1), answer), now: Fixture.start)
    side.session.received(.done(RequestID(1), .complete), now: Fixture.start)
    side.drain()
    #expect(side.events == [.challengeAnswered(JobID(9), answer), .jobEnded(JobID(9), .complete)])
  }

  /// Twice, without an answer, with an answer and a refusal, or to nothing that was asked.
  @Test(arguments: 0..<4) func anAnswerThatDoesNotFitCloses(rule: Int) {
    let side = side()
    side.session.command(.challenge(JobID(9), challenge(2)), now: Fixture.start)
    side.drain()
    let frames: [Frame] =
      switch rule {
      case 0: [.challengeAnswer(RequestID(1), answer), .challengeAnswer(RequestID(1), answer)]
      case 1: [.done(RequestID(1), .complete)]
      case 2: [.challengeAnswer(RequestID(1), answer), .done(RequestID(1), .notHeld)]
      default: [.challengeAnswer(RequestID(77), answer)]
      }
    for frame in frames { side.session.received(frame, now: Fixture.start) }
    #expect(side.session.snapshot.state == .closed(.protocolError))
    side.drain()
    // However it ends, the job has one end.
    #expect(side.events.count { if case .jobEnded(JobID(9), _) = $0 { true } else { false } } == 1)
  }

  @Test func aPeerThatKeepsSilentIsGivenUp() {
    let side = side()
    side.session.command(.challenge(JobID(9), challenge(2)), now: Fixture.start)
    side.drain()
    let later = Fixture.start + SessionLimits().stalledAfter
    side.session.received(.pong(1), now: Fixture.start)
    side.session.handleDeadline(now: later)
    side.drain()
    #expect(side.events.contains { if case .jobEnded(JobID(9), _) = $0 { true } else { false } })
  }
}
