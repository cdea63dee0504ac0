import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore
import Testing

@Suite struct ServingTests {
  /// Bob, greeted, asked by hand.
  static func server(_ limits: SessionLimits = SessionLimits()) -> SessionSide {
    let side = SessionSide(Fixture.configuration(Fixture.bob, peer: Fixture.alice, limits: limits))
    side.session.received(.hello(Fixture.hello(nonce: 1)), now: Fixture.start)
    side.drain()
    side.sent = []
    return side
  }

  /// Answers and sends until all is quiet; the frames in the order in which they went out.
  static func serve(_ side: SessionSide) throws -> [Frame] {
    repeat {
      while !side.queries.isEmpty { side.answer(at: 0, now: Fixture.start) }
    } while side.drain(1) > 0
    return try side.sent.map { buffer in
      var buffer = buffer
      var decoder = FrameDecoder()
      return try #require(try decoder.decode(&buffer))
    }
  }

  @Test func aSmallRequestIsNotStarvedByAHugeOne() throws {
    let side = Self.server()
    let blocks = (0..<200 as Range<UInt32>).map { Fixture.unit(1, .block($0)) }
    for block in blocks { side.store.units[block] = TransferTests.block }
    side.store.units[Fixture.unit(2)] = ByteBuffer(bytes: [1])
    side.store.units[Fixture.unit(3)] = ByteBuffer(bytes: [2])
    side.session.received(.get(RequestID(1), blocks), now: Fixture.start)
    side.session.received(.get(RequestID(2), [Fixture.unit(2), Fixture.unit(3)]), now: Fixture.start)
    let frames = try Self.serve(side)
    let end = try #require(frames.firstIndex(of: .done(RequestID(2), .complete)))
    let blocksBefore = frames[..<end].count {
      if case .unitEnd(RequestID(1), _, _) = $0 { true } else { false }
    }
    #expect(blocksBefore <= 3)
    #expect(frames.last == .done(RequestID(1), .complete))
    #expect(side.mostReadAhead <= SessionLimits().readAheadBytes)
  }

  @Test func nothingIsReadFurtherThanTheBudget() throws {
    let side = Self.server()
    for get in 0..<60 as Range<UInt32> {
      let units = (0..<4 as Range<UInt32>).map { Fixture.unit(UInt64(get), .block($0)) }
      for unit in units { side.store.units[unit] = TransferTests.block }
      side.session.received(.get(RequestID(get), units), now: Fixture.start)
      side.drain(control: true)
      while !side.queries.isEmpty {
        side.answer(at: 0, now: Fixture.start)
        side.drain(control: true)
      }
    }
    #expect(side.askedQueries.count == 4 && side.sent.isEmpty, "an unwritable channel is not read for")
    #expect(side.session.snapshot.readAheadBytes == 4 << 20)
    let frames = try Self.serve(side)
    #expect(frames.count { if case .done(_, .complete) = $0 { true } else { false } } == 60)
    #expect(side.mostReadAhead <= 4 << 20)
  }

  @Test func sixteenSmallReadsRunAhead() {
    let side = Self.server()
    side.session.received(
      .get(RequestID(1), (0..<100 as Range<UInt64>).map { Fixture.unit($0) }), now: Fixture.start)
    side.drain()
    // Three quarters of the budget are for units that are not next, and an unknown length counts as a first read.
    #expect(side.queries.count == 13)
  }

  @Test func controlOvertakesData() throws {
    let side = Self.server()
    side.store.units[Fixture.unit(1, .block(0))] = TransferTests.block
    side.session.received(.get(RequestID(1), [Fixture.unit(1, .block(0))]), now: Fixture.start)
    side.drain(1)
    side.answer(at: 0, now: Fixture.start)
    side.drain(2)
    side.session.received(.ping(9), now: Fixture.start)
    side.command(.announceHead(Fixture.head(Fixture.bob, 1)), now: Fixture.start)
    let frames = try Self.serve(side)
    #expect(frames[2] == .pong(9) && frames[3] == .head(Fixture.head(Fixture.bob, 1)))
  }

  @Test func whatIsNotSupportedIsRefused() throws {
    let side = Self.server()
    side.session.received(.pullAny(RequestID(4), count: 1, bytes: 1, [Fixture.unit(1)]), now: Fixture.start)
    side.session.received(
      .challenge(
        RequestID(5), Fixture.unit(1).content, offset: 0, count: 1, nonce: Array(repeating: 0, count: 16)),
      now: Fixture.start)
    #expect(
      try Self.serve(side) == [.done(RequestID(4), .unsupported), .done(RequestID(5), .unsupported)])
  }

  @Test func aCancelledRequestEndsOnceWhateverTheStoreSays() throws {
    let side = Self.server()
    side.store.units[Fixture.unit(1)] = ByteBuffer(bytes: [1, 2, 3])
    side.session.received(.get(RequestID(1), [Fixture.unit(1)]), now: Fixture.start)
    side.drain()
    side.session.received(.cancel(RequestID(1)), now: Fixture.start)
    side.session.received(.cancel(RequestID(1)), now: Fixture.start)
    side.session.received(.cancel(RequestID(99)), now: Fixture.start)
    side.drain()
    // The number is free again; the late read of the first request must not end up in the second.
    side.session.received(.get(RequestID(1), [Fixture.unit(2)]), now: Fixture.start)
    #expect(
      try Self.serve(side) == [
        .done(RequestID(1), .cancelled), .unitEnd(RequestID(1), index: 0, .notHeld),
        .done(RequestID(1), .complete),
      ])
    #expect(side.session.snapshot.readAheadBytes == 0)
  }

  @Test func cancelledRequestsGiveTheirBudgetBack() throws {
    let side = Self.server()
    let units = (0..<4 as Range<UInt32>).map { Fixture.unit(1, .block($0)) }
    for unit in units { side.store.units[unit] = TransferTests.block }
    for answered in [0, 1, 2, 4, 4, 3] {
      side.session.received(.get(RequestID(1), units), now: Fixture.start)
      side.drain(control: true)
      #expect(side.queries.count == 4, "one to be sent and three ahead")
      for _ in 0..<answered { side.answer(at: 0, now: Fixture.start) }
      side.session.received(.cancel(RequestID(1)), now: Fixture.start)
      #expect(side.session.snapshot.readAheadBytes == (4 - answered) << 20, "what the store still reads")
      side.drain()
      while !side.queries.isEmpty { side.answer(at: 0, now: Fixture.start) }
      #expect(side.session.snapshot.readAheadBytes == 0)
    }
  }

  @Test func otherCancelledRequestsEndOnceToo() throws {
    let side = Self.server()
    side.store.libraries[Fixture.bob] = [Fixture.order(1): Fixture.library(0..<100)]
    side.store.sets[.holdings] = ReconciliationTests.snapshot([])
    let delta = Frame.getDelta(RequestID(1), library: Fixture.bob, from: .none, to: Fixture.order(1))
    let reconcile = Frame.reconcile(RequestID(2), .holdings, count: 1, root: Digest256(1, 2, 3, 4))
    for frame in [delta, reconcile, .cancel(RequestID(1)), .cancel(RequestID(2)), .cancel(RequestID(2))] {
      side.session.received(frame, now: Fixture.start)
      side.drain(control: true)
    }
    // A turn that crosses the end of its request is nobody's fault.
    side.session.received(
      .turn(RequestID(2), isReply: false, isLast: true, ByteBuffer(bytes: [1])), now: Fixture.start)
    #expect(
      try Self.serve(side) == [.done(RequestID(2), .cancelled), .done(RequestID(1), .cancelled)])
    #expect(side.session.snapshot.openPeerRequests == 0 && side.closing == nil)
  }
}
