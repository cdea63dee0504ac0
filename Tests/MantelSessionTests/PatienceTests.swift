import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Testing

/// How long a session waits for a peer that is slow, or plays for time; and what it says while it is slow itself.
@Suite struct PatienceTests {
  private let library = Fixture.bob
  private let patience = SessionLimits().stalledAfter

  private func frames(_ side: SessionSide) throws -> [Frame] {
    defer { side.sent = [] }
    return try side.sent.map {
      var buffer = $0
      var decoder = FrameDecoder()
      return try #require(try decoder.decode(&buffer))
    }
  }

  /// Lets time pass in steps of ten seconds, in each of which the peer says something.
  private func pass(_ side: SessionSide, seconds: ClosedRange<Int>, _ say: (Int) -> Frame?) {
    for second in stride(from: seconds.lowerBound, through: seconds.upperBound, by: 10) {
      let now = Fixture.start + .seconds(second)
      if let frame = say(second) { side.session.received(frame, now: now) }
      side.session.handleDeadline(now: now)
      side.drain()
    }
  }

  @Test func aUnitThatDribblesEndsTheSession() throws {
    let side = DeadlineTests.greeted()
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 1 << 20)]), now: Fixture.start)
    side.session.received(.unitBegin(RequestID(1), index: 0, bytes: 1 << 20), now: Fixture.start)
    pass(side, seconds: 0...110) { _ in .data(RequestID(1), index: 0, ByteBuffer(bytes: [1])) }
    #expect(side.closing == nil)
    pass(side, seconds: 120...120) { _ in .data(RequestID(1), index: 0, ByteBuffer(bytes: [1])) }
    #expect(side.closing?.0 == .timeout)
  }

  /// A laptop at the edge of the Wi-Fi: slow, and not a fault.
  @Test func aUnitThatComesSlowlyIsWaitedFor() throws {
    let side = DeadlineTests.greeted()
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 4 << 20)]), now: Fixture.start)
    side.session.received(.unitBegin(RequestID(1), index: 0, bytes: 4 << 20), now: Fixture.start)
    pass(side, seconds: 0...1_200) { _ in
      .data(RequestID(1), index: 0, ByteBuffer(repeating: 1, count: 8 << 10))
    }
    #expect(side.closing == nil)
  }

  /// Units of another request come well meanwhile, so it is not the connection that stalls.
  @Test func aDeltaThatDribblesIsGivenUpAndTheConnectionIsNot() throws {
    let side = DeadlineTests.greeted()
    let entry = Fixture.entry(1).canonicalBytes
    side.command(
      .fetchDelta(JobID(1), library: library, from: .none, to: HeadOrder(epoch: 1, sequence: 1)),
      now: Fixture.start)
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 4 << 20)]), now: Fixture.start)
    side.drain()
    let requests = try frames(side)
    guard
      case .getDelta(let delta, _, _, _) = requests.first(where: {
        if case .getDelta = $0 { true } else { false }
      }),
      case .get(let get, _) = requests.first(where: { if case .get = $0 { true } else { false } })
    else {
      Issue.record("\(requests)")
      return
    }
    side.session.received(.unitBegin(get, index: 0, bytes: 4 << 20), now: Fixture.start)
    pass(side, seconds: 0...130) { second in
      second % 20 == 0
        ? .entries(delta, [entry]) : .data(get, index: 0, ByteBuffer(repeating: 1, count: 32 << 10))
    }
    #expect(side.closing == nil)
    #expect(side.tally.jobEnds == [JobID(1): .cancelled])
    #expect(try frames(side).contains(.cancel(delta)))
    // What was on its way is ignored, and its end frees the number.
    side.session.received(.entries(delta, [entry]), now: Fixture.start + .seconds(131))
    side.session.received(.done(delta, .cancelled), now: Fixture.start + .seconds(132))
    side.drain()
    #expect(side.closing == nil && side.session.snapshot.openRequests == 1)
    #expect(side.tally.jobEnds == [JobID(1): .cancelled])
  }

  @Test func aCancelledRequestThatDoesNotEndEndsTheSession() throws {
    let side = DeadlineTests.greeted()
    side.command(
      .fetchEntries(JobID(1), library: library, [EntryID(Digest256(1, 1, 1, 1))]), now: Fixture.start)
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 4 << 20)]), now: Fixture.start)
    side.drain()
    let requests = try frames(side)
    guard case .get(let get, _) = requests.first(where: { if case .get = $0 { true } else { false } }) else {
      Issue.record("\(requests)")
      return
    }
    side.session.received(.unitBegin(get, index: 0, bytes: 4 << 20), now: Fixture.start)
    let data = Frame.data(get, index: 0, ByteBuffer(repeating: 1, count: 32 << 10))
    pass(side, seconds: 0...230) { _ in data }
    #expect(side.closing == nil)
    #expect(side.tally.jobEnds == [JobID(1): .cancelled])
    pass(side, seconds: 240...250) { _ in data }
    #expect(side.closing?.0 == .timeout)
  }

  /// At the slowest rate that counts a delta may take as long as it likes.
  @Test func aDeltaThatMovesIsWaitedFor() throws {
    let side = DeadlineTests.greeted()
    side.command(
      .fetchDelta(JobID(1), library: library, from: .none, to: HeadOrder(epoch: 1, sequence: 1)),
      now: Fixture.start)
    let page = Array(repeating: Fixture.entry(1).canonicalBytes, count: 1_024)
    let bytes = page.reduce(0) { $0 + $1.count }
    let rounds = 400
    // So many pages in each ten seconds that they come at just that rate.
    let pages = (10 * SessionLimits().slowestRate + bytes - 1) / bytes
    for round in 1...rounds {
      let now = Fixture.start + .seconds(10 * round)
      for _ in 0..<pages { side.session.received(.entries(RequestID(1), page), now: now) }
      side.session.handleDeadline(now: now)
      side.drain()
      side.events.removeAll { if case .entries = $0 { true } else { false } }
    }
    #expect(side.closing == nil && side.tally.jobEnds.isEmpty)
  }

  // MARK: While nothing is taken from the peer

  @Test func aSessionThatIsHeldUpIsHeardOf() throws {
    let side = DeadlineTests.greeted()
    for second in 0...600 {
      side.session.heldUp(now: Fixture.start + .seconds(second))
      side.drain()
    }
    let pings = try frames(side).count { if case .ping = $0 { true } else { false } }
    // A peer that cannot send its pongs holds no more of them.
    #expect(pings == SessionLimits().pongs)
    #expect(side.session.nextHeldUpDeadline == nil && side.closing == nil)
  }

  @Test func heldUpPingsKeepTheirDistance() throws {
    let side = DeadlineTests.greeted()
    #expect(side.session.nextHeldUpDeadline == Fixture.start + Limits.pingAfterIdle)
    side.session.heldUp(now: Fixture.start + .seconds(14))
    side.drain()
    #expect(side.sent.isEmpty)
    side.session.heldUp(now: Fixture.start + .seconds(15))
    side.drain()
    #expect(side.sent.count == 1)
    #expect(side.session.nextHeldUpDeadline == Fixture.start + .seconds(30))
  }

  @Test func ourOwnSlownessIsNotThePeers() throws {
    let side = DeadlineTests.greeted()
    side.command(
      .fetchDelta(JobID(1), library: library, from: .none, to: HeadOrder(epoch: 1, sequence: 1)),
      now: Fixture.start)
    for second in 10...200 { side.session.heldUp(now: Fixture.start + .seconds(second)) }
    side.drain()
    let after = Fixture.start + .seconds(201)
    side.session.received(.pong(1), now: after)
    side.session.handleDeadline(now: after)
    side.drain()
    #expect(side.closing == nil && side.tally.jobEnds.isEmpty)
    // From here on it is the peer's again.
    pass(side, seconds: 210...310) { _ in .ping(0) }
    #expect(side.closing == nil && side.tally.jobEnds.isEmpty)
    pass(side, seconds: 320...320) { _ in .ping(0) }
    #expect(side.closing?.0 == .timeout)
  }
}
