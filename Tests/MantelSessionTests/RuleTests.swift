import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore
import Testing

/// What a peer may not do, and what it costs it.
@Suite struct RuleTests {
  struct Rule: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var code: CloseCode
    var frames: @Sendable (Requests) -> [Frame]

    init(
      _ name: String, _ code: CloseCode = .protocolError, _ frames: @escaping @Sendable (Requests) -> [Frame]
    ) {
      testDescription = name
      self.code = code
      self.frames = frames
    }
  }

  /// Our open requests, as the peer saw them: a GET of a 10-byte and a 5-byte unit, a delta, entries, a reconciliation.
  struct Requests: Sendable {
    var get = RequestID(0)
    var delta = RequestID(0)
    var entries = RequestID(0)
    var reconcile = RequestID(0)
  }

  static let some = RequestID(900)
  static func data(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

  static let rules: [Rule] = [
    Rule("a second hello") { _ in [.hello(Fixture.hello(nonce: 3))] },
    Rule("a pong without a ping") { _ in [.pong(5)] },
    Rule("pings without pause", .overLimit) { _ in (0..<17).map { .ping($0) } },
    Rule("an attestation from its middle") { _ in [.attestation(part: 1, isLast: true, [1])] },
    Rule("an attestation of nothing sensible") { _ in [.attestation(part: 0, isLast: true, [1, 2])] },

    Rule("entries for nothing") { _ in [.entries(some, [])] },
    Rule("entries for a GET") { [.entries($0.get, [])] },
    Rule("a malformed entry") { [.entries($0.delta, [[1, 2, 3]])] },
    Rule("more entries than asked for") { requests in
      let entry = Fixture.entry(1).canonicalBytes
      return [.entries(requests.entries, [entry, entry]), .entries(requests.entries, [entry])]
    },
    Rule("removals where entries were asked for") { [.removedEntries($0.entries, [])] },

    Rule("a unit out of order") { [.unitBegin($0.get, index: 1, bytes: 5)] },
    Rule("a unit that was not asked for") {
      [
        .unitEnd($0.get, index: 0, .notHeld), .unitEnd($0.get, index: 1, .notHeld),
        .unitBegin($0.get, index: 2, bytes: 5),
      ]
    },
    Rule("a unit that begins twice") {
      [.unitBegin($0.get, index: 0, bytes: 10), .unitBegin($0.get, index: 0, bytes: 10)]
    },
    Rule("data before its unit") { [.data($0.get, index: 0, data(1))] },
    Rule("data beyond the length") {
      [
        .unitBegin($0.get, index: 0, bytes: 10), .data($0.get, index: 0, data(6)),
        .data($0.get, index: 0, data(5)),
      ]
    },
    Rule("a unit that is complete too early") {
      [
        .unitBegin($0.get, index: 0, bytes: 10), .data($0.get, index: 0, data(9)),
        .unitEnd($0.get, index: 0, .complete),
      ]
    },
    Rule("a unit that is complete without a beginning") { [.unitEnd($0.get, index: 0, .complete)] },
    Rule("data for a delta") { [.data($0.delta, index: 0, data(1))] },
    Rule("a GET that is complete without its units") { [.done($0.get, .complete)] },
    Rule("a request that ends twice") { [.done($0.delta, .complete), .done($0.delta, .complete)] },
    Rule("an end of nothing") { _ in [.done(some, .complete)] },
    Rule("a choice that was not left to it") { [.chosenUnit($0.get, index: 0, Fixture.unit(1))] },
    Rule("an answer to no challenge") { _ in [.challengeAnswer(some, .zero)] },

    Rule("a turn for a GET") { [.turn($0.get, isReply: true, isLast: true, data(1))] },
    Rule("a malformed turn") { [.turn($0.reconcile, isReply: true, isLast: true, data(60))] },
    Rule("a reconciliation that is complete early") { requests in
      // A set of two ids: count, root, "all of them", and one of the two.
      var opening = ByteBuffer(integer: UInt64(2))
      opening.writeRepeatingByte(9, count: 32)
      opening.writeBytes([2, 2])
      opening.writeRepeatingByte(1, count: 32)
      return [
        .turn(requests.reconcile, isReply: true, isLast: false, opening),
        .done(requests.reconcile, .complete),
      ]
    },
    Rule("a turn before its time") { _ in
      [
        .reconcile(some, .holdings, count: 0, root: .zero),
        .turn(some, isReply: false, isLast: true, data(1)),
      ]
    },

    Rule("a request number in use") { _ in [.get(some, [Fixture.unit(1)]), .get(some, [Fixture.unit(1)])] },
    Rule("a GET of nothing") { _ in [.get(some, [])] },
    Rule("a GET of too much") { _ in [.get(some, Array(repeating: Fixture.unit(1), count: 257))] },
    Rule("entries by no id") { _ in [.getEntries(some, library: Fixture.alice, [])] },
    Rule("a delta that goes back") { _ in
      [.getDelta(some, library: Fixture.alice, from: Fixture.order(2), to: Fixture.order(2))]
    },
    Rule("more requests than may be open", .overLimit) { _ in
      (0...UInt32(Limits.openRequests)).map { .get(RequestID(1_000 + $0), [Fixture.unit(1)]) }
    },
    Rule("more unsupported requests than may be open", .overLimit) { _ in
      (0...UInt32(Limits.openRequests)).map {
        .pullAny(RequestID(1_000 + $0), count: 1, bytes: 1, [Fixture.unit(1)])
      }
    },
    Rule("more reconciliations than may be open", .overLimit) { _ in
      (0...UInt32(Limits.openReconciliations)).map {
        .reconcile(RequestID(1_000 + $0), .holdings, count: 0, root: .zero)
      }
    },
  ]

  /// Greeted, with one request of each kind open.
  static func busySide() throws -> (side: SessionSide, requests: Requests) {
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob))
    side.session.received(.hello(Fixture.hello(nonce: 2)), now: Fixture.start)
    side.command(
      .fetch([UnitFetch(unit: Fixture.unit(1), bytes: 10), UnitFetch(unit: Fixture.unit(2), bytes: 5)]),
      now: Fixture.start)
    side.command(
      .fetchDelta(JobID(1), library: Fixture.bob, from: .none, to: Fixture.order(1)), now: Fixture.start)
    side.command(
      .fetchEntries(JobID(2), library: Fixture.bob, [Fixture.entryID(1), Fixture.entryID(2)]),
      now: Fixture.start)
    side.command(
      .reconcile(JobID(3), .holdings, mine: SetSnapshot(sorted: [], tag: .holdings(Fixture.household))),
      now: Fixture.start)
    side.drain()
    var requests = Requests()
    for var buffer in side.sent {
      var decoder = FrameDecoder()
      switch try decoder.decode(&buffer) {
      case .get(let id, _): requests.get = id
      case .getDelta(let id, _, _, _): requests.delta = id
      case .getEntries(let id, _, _): requests.entries = id
      case .reconcile(let id, _, _, _): requests.reconcile = id
      default: break
      }
    }
    return (side, requests)
  }

  @Test(arguments: rules) func breakingARuleCloses(_ rule: Rule) throws {
    let (side, requests) = try Self.busySide()
    for frame in rule.frames(requests) {
      #expect(side.closing == nil, "only the last frame breaks the rule")
      side.session.received(frame, now: Fixture.start)
      side.drain(control: true)
    }
    #expect(side.closing?.0 == rule.code)
    #expect(side.isClosed)
    // Whatever happened, each unit and job has its one end.
    #expect(Set(side.tally.ends.keys) == [Fixture.unit(1), Fixture.unit(2)])
    #expect(Set(side.tally.jobEnds.keys) == [JobID(1), JobID(2), JobID(3)])
    // And the session is deaf from now on.
    let events = side.events.count
    side.session.received(.get(RequestID(5), [Fixture.unit(1)]), now: Fixture.start)
    side.command(.fetch([UnitFetch(unit: Fixture.unit(9), bytes: 1)]), now: Fixture.start)
    side.session.transportClosed(now: Fixture.start)
    #expect(side.drain() == 0 && side.events.count == events)
    #expect(side.session.nextDeadline == nil)
  }

  @Test(arguments: [Frame.ping(1), .get(RequestID(1), [Fixture.unit(1)]), .roster([[1]])])
  func nothingMayComeBeforeTheHello(_ frame: Frame) {
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob))
    side.session.received(frame, now: Fixture.start)
    side.drain()
    #expect(side.closing?.0 == .protocolError)
  }

  @Test func tooMuchDataFailsItsUnitAndNoOther() throws {
    let (side, requests) = try Self.busySide()
    side.session.received(.unitBegin(requests.get, index: 0, bytes: 10), now: Fixture.start)
    side.session.received(.data(requests.get, index: 0, Self.data(11)), now: Fixture.start)
    side.drain()
    #expect(side.tally.ends == [Fixture.unit(1): .failed, Fixture.unit(2): .cancelled])
  }

  @Test func thePeersCloseIsNotAnswered() throws {
    let (side, _) = try Self.busySide()
    side.sent = []
    side.session.received(.close(.shuttingDown, message: "good night"), now: Fixture.start)
    side.drain()
    #expect(side.sent.isEmpty && side.isClosed)
    #expect(side.closing?.0 == .shuttingDown && side.closing?.1 == "good night")
  }

  @Test func ourCloseIsSaidAndWhatWaitsIsNot() throws {
    let (side, _) = try Self.busySide()
    side.sent = []
    side.command(.fetch([UnitFetch(unit: Fixture.unit(3), bytes: 1)]), now: Fixture.start)
    side.command(.close(.normal, message: "enough"), now: Fixture.start)
    side.command(.fetch([UnitFetch(unit: Fixture.unit(4), bytes: 1)]), now: Fixture.start)
    side.drain()
    #expect(side.sent.count == 1)
    #expect(side.tally.ends[Fixture.unit(3)] == .cancelled)
    #expect(side.tally.ends[Fixture.unit(4)] == .cancelled, "asked for before the end was handed out")
  }

  /// A peer with the same limits never refuses what this side opens.
  @Test func allKindsOfOwnRequestsTogetherAreNoMoreThanThePeerAllows() {
    let limits = SessionLimits()
    let own = [
      limits.openGets, limits.openPulls, limits.openDeltas, limits.openEntryRequests,
      limits.openReconciliations, limits.openChallenges,
    ]
    #expect(own.reduce(0, +) <= limits.openRequests)
  }
}
