import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Testing

/// What is left to the holder's choice.
@Suite struct PullTests {
  private static let job = JobID(7)

  private func pair(seed: UInt64 = 1, features: UInt64 = Feature.lateBinding) -> SessionPair {
    var (alice, bob) = (
      Fixture.configuration(Fixture.alice, peer: Fixture.bob),
      Fixture.configuration(Fixture.bob, peer: Fixture.alice)
    )
    alice.hello.features = Feature.lateBinding
    bob.hello.features = features
    return SessionPair(alice, bob, seed: seed)
  }

  private func request(
    _ units: [UnitID: ByteBuffer], count: Int = 256, bytes: Int = Limits.bytesPerGet
  ) -> PullRequest {
    PullRequest(
      units: units.sorted { $0.key < $1.key }.map {
        UnitFetch(unit: $0.key, bytes: UInt64($0.value.readableBytes))
      }, count: count, bytes: bytes)
  }

  private func units(_ sizes: [Int], from first: UInt64 = 1) -> [UnitID: ByteBuffer] {
    var random = SeededRandom(seed: 3)
    let pairs = sizes.enumerated().map { (Fixture.unit(first + UInt64($0)), random.bytes($1)) }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  private func chosen(_ side: SessionSide) -> [UnitID] {
    side.events.compactMap { if case .unitChosen(Self.job, let unit) = $0 { unit } else { nil } }
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>) func whatTheHolderHasComesOnce(seed: UInt64) throws {
    let pair = pair(seed: seed)
    let there = units([0, 10, 3_000, 700_000, Limits.wholeUnitBytes] + Array(repeating: 500, count: 90))
    let lacking = units([10, 20], from: 1_000)
    pair.bob.store.units = there
    pair.alice.command(.pull(Self.job, request(there.merging(lacking) { $1 })), now: pair.now)
    try pair.run()
    let tally = pair.alice.tally
    #expect(tally.received == there)
    #expect(Set(chosen(pair.alice)) == Set(there.keys) && chosen(pair.alice).count == there.count)
    #expect(tally.ends.values.allSatisfy { $0 == .complete } && tally.jobEnds == [Self.job: .complete])
    let snapshot = pair.bob.session.snapshot
    #expect(snapshot.readAheadBytes == 0 && snapshot.openQueries == 0 && snapshot.openPeerRequests == 0)
    let own = pair.alice.session.snapshot
    #expect(own.bytesInFlight == 0 && own.openRequests == 0 && own.jobs == 0)
  }

  @Test func thereIsNoMoreThanWasAskedFor() throws {
    let units = units(Array(repeating: 300_000, count: 20))
    for (count, bytes, expected) in [(3, Limits.bytesPerGet, 3), (256, 700_000, 3), (256, 1, 1)] {
      let pair = pair()
      pair.bob.store.units = units
      pair.alice.command(.pull(Self.job, request(units, count: count, bytes: bytes)), now: pair.now)
      try pair.run()
      #expect(pair.alice.tally.received.count == expected)
      #expect(pair.alice.tally.jobEnds == [Self.job: .complete])
      #expect(pair.alice.closing == nil && pair.alice.session.snapshot.bytesInFlight == 0)
    }
  }

  /// Chosen too early, a unit may be one that another has sent meanwhile.
  @Test func theNextUnitIsChosenWhenTheLastIsNearlySent() throws {
    let pair = pair()
    let units = units([3 << 20, 3 << 20])
    pair.bob.store.units = units
    pair.alice.command(.pull(Self.job, request(units)), now: pair.now)
    func choices() -> Int {
      pair.bob.askedQueries.count { if case .choose = $0 { true } else { false } }
    }
    while choices() < 2 { try pair.run(steps: 1) }
    let left = (3 << 20) - Int(pair.bob.session.snapshot.counters.dataBytesSent)
    #expect(left <= SessionLimits().lateBytes)
  }

  @Test func aUnitThatIsOnItsWayIsNotReportedTwice() throws {
    let pair = pair()
    let units = units([2_000_000])
    let unit = try #require(units.keys.first)
    pair.bob.store.units = units
    pair.alice.command(.fetch([UnitFetch(unit: unit, bytes: 2_000_000)]), now: pair.now)
    pair.alice.command(.pull(Self.job, request(units)), now: pair.now)
    try pair.run()
    #expect(chosen(pair.alice).isEmpty && pair.alice.tally.ends == [unit: .complete])
    #expect(pair.alice.session.snapshot.bytesInFlight == 0)
  }

  @Test func aChoiceThatIsDeclinedEndsThePull() throws {
    let pair = pair()
    let units = units(Array(repeating: 4_000_000, count: 3))
    pair.bob.store.units = units
    pair.alice.command(.pull(Self.job, request(units)), now: pair.now)
    while chosen(pair.alice).isEmpty { try pair.run(steps: 1) }
    let unit = try #require(chosen(pair.alice).first)
    pair.alice.command(.cancelFetch([unit]), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.ends == [unit: .cancelled] && pair.alice.tally.jobEnds == [Self.job: .cancelled])
    #expect(pair.bob.session.snapshot.counters.dataBytesSent < 4_000_000)
    #expect(pair.alice.session.snapshot.bytesInFlight == 0)
  }

  @Test func whatCannotBeReadEndsWithItsReason() throws {
    let pair = pair()
    let units = units([1_000, 2_000])
    pair.bob.store.units = units
    pair.bob.store.refusals[Fixture.unit(1)] = (0, .changed)
    pair.alice.command(.pull(Self.job, request(units)), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.ends == [Fixture.unit(1): .changed, Fixture.unit(2): .complete])
  }

  @Test func whoDoesNotKnowItIsNotAsked() throws {
    let pair = pair(features: 0)
    pair.alice.command(.pull(Self.job, request(units([10]))), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.jobEnds == [Self.job: .unsupported])
    #expect(pair.bob.session.snapshot.counters.framesReceived == 1, "a hello, and nothing else")
  }

  @Test func aConnectionThatEndsEndsPulls() throws {
    let pair = pair()
    for number in 0..<4 as Range<UInt64> {
      let units = units(Array(repeating: 4_000_000, count: 3), from: 1 + 10 * number)
      pair.bob.store.units.merge(units) { $1 }
      pair.alice.command(.pull(JobID(number), request(units)), now: pair.now)
    }
    try pair.run(steps: 60)
    pair.cut()
    #expect(pair.alice.tally.jobEnds == [0, 1, 2, 3].reduce(into: [:]) { $0[JobID($1)] = .cancelled })
  }

  // MARK: A peer that breaks the rules

  private func asker(_ request: PullRequest) throws -> (side: SessionSide, id: RequestID) {
    let side = SessionSide(
      Fixture.configuration(
        Fixture.alice, peer: Fixture.bob, hello: Fixture.hello(nonce: 1, features: Feature.lateBinding)))
    side.session.received(.hello(Fixture.hello(nonce: 2, features: Feature.lateBinding)), now: Fixture.start)
    side.command(.pull(Self.job, request), now: Fixture.start)
    side.drain()
    var decoder = FrameDecoder()
    for var buffer in side.sent {
      if case .pullAny(let id, _, _, _)? = try decoder.decode(&buffer) { return (side, id) }
    }
    throw WireError.malformed(.pullAny, field: "not sent")
  }

  @Test func choicesThatWereNotLeftToThePeerEndTheConnection() throws {
    let units = units([10, 20])
    let (first, second) = (Fixture.unit(1), Fixture.unit(2))
    let broken: [(RequestID) -> [Frame]] = [
      { [.chosenUnit($0, index: 0, Fixture.unit(3))] },
      { [.chosenUnit($0, index: 1, first)] },
      { [.chosenUnit($0, index: 0, first), .chosenUnit($0, index: 1, second)] },
      {
        [
          .chosenUnit($0, index: 0, first), .unitEnd($0, index: 0, .changed),
          .chosenUnit($0, index: 1, first),
        ]
      },
      { [.unitBegin($0, index: 0, bytes: 10)] },
      { [.chosenUnit($0, index: 0, first), .done($0, .complete)] },
      {
        [
          .chosenUnit($0, index: 0, first), .unitBegin($0, index: 0, bytes: 10),
          .data($0, index: 0, ByteBuffer(repeating: 0, count: 10)), .unitEnd($0, index: 0, .complete),
          .chosenUnit($0, index: 1, second),
        ]
      },
    ]
    for frames in broken {
      let (side, id) = try asker(request(units, bytes: 10))
      for frame in frames(id) { side.session.received(frame, now: Fixture.start) }
      side.drain()
      #expect(side.closing?.0 == .protocolError)
      #expect(side.tally.jobEnds.count == 1, "the pull ends once")
    }
  }
}
