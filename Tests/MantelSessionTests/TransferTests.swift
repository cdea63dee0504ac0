import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Testing

@Suite struct TransferTests {
  static let whole = Fixture.unit(1)
  static let block = ByteBuffer(repeating: 3, count: Limits.blockBytes)

  /// Units of all sorts and their bytes: empty, small, larger than a read, blocks, a manifest.
  static func units(_ random: inout SeededRandom) -> [UnitID: ByteBuffer] {
    var units: [UnitID: ByteBuffer] = [:]
    for number in 0..<300 as Range<UInt64> {
      units[Fixture.unit(number)] = random.bytes(Int(random.next() % 3_000))
    }
    units[Fixture.unit(400)] = ByteBuffer()
    units[Fixture.unit(401)] = random.bytes(1)
    units[Fixture.unit(402)] = random.bytes(Limits.wholeUnitBytes)
    units[Fixture.unit(403)] = random.bytes(700_001)
    for block in 0..<5 as Range<UInt32> {
      units[Fixture.unit(500, .block(block))] = random.bytes(block == 4 ? 17 : Limits.blockBytes)
    }
    units[Fixture.unit(500, .manifest)] = random.bytes(8 + 32 * 5)
    return units
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>) func allUnitsArriveWhole(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let units = Self.units(&random)
    let pair = SessionPair(seed: seed)
    pair.bob.store.units = units
    pair.bob.store.longestRead = seed % 2 == 0 ? .max : 100_000
    // Both directions at once: what Alice serves must not get in the way of what she fetches.
    pair.alice.store.units = units
    let fetches = units.map { UnitFetch(unit: $0.key, bytes: UInt64($0.value.readableBytes)) }.shuffled(
      using: &random)
    pair.alice.command(.fetch(fetches), now: pair.now)
    pair.bob.command(.fetch(fetches), now: pair.now)
    try pair.run()
    for tally in [pair.alice.tally, pair.bob.tally] {
      #expect(tally.ends.count == units.count && tally.ends.values.allSatisfy { $0 == .complete })
      #expect(tally.received == units)
    }
    #expect(pair.bob.mostReadAhead <= SessionLimits().readAheadBytes)
    let snapshot = pair.bob.session.snapshot
    #expect(snapshot.readAheadBytes == 0 && snapshot.readsInFlight == 0 && snapshot.openQueries == 0)
    #expect(snapshot.bytesInFlight == 0 && snapshot.openPeerRequests == 0 && snapshot.openRequests == 0)
  }

  @Test func eachUnitThatCannotBeServedEndsWithItsReason() throws {
    var random = SeededRandom(seed: 8)
    let pair = SessionPair()
    let sizes: [UInt64: Int] = [1: 1_000, 2: 600_000, 3: 600_000, 4: 10]
    for (number, size) in sizes { pair.bob.store.units[Fixture.unit(number)] = random.bytes(size) }
    pair.bob.store.refusals[Fixture.unit(2)] = (1, .changed)
    pair.bob.store.refusals[Fixture.unit(3)] = (0, .failed)
    let fetches = (1...5 as ClosedRange<UInt64>).map {
      UnitFetch(unit: Fixture.unit($0), bytes: UInt64(sizes[$0] ?? 9))
    }
    pair.alice.command(.fetch(fetches), now: pair.now)
    try pair.run()
    #expect(
      pair.alice.tally.ends == [
        Fixture.unit(1): .complete, Fixture.unit(2): .changed, Fixture.unit(3): .failed,
        Fixture.unit(4): .complete, Fixture.unit(5): .notHeld,
      ])
    #expect(pair.alice.session.snapshot.bytesInFlight == 0)
    #expect(pair.alice.closing == nil)
  }

  /// What an entry says of a content's length may be a lie of whoever named it: the rest of the request comes all the same.
  @Test(arguments: [999, 1_001]) func aUnitOfAnotherLengthIsAsIfItWereNotHeld(asked: UInt64) throws {
    let pair = SessionPair()
    for number in 1...3 as ClosedRange<UInt64> {
      pair.bob.store.units[Fixture.unit(number)] = ByteBuffer(repeating: 7, count: 1_000)
    }
    pair.alice.command(
      .fetch([(1, 1_000), (2, asked), (3, 1_000)].map { UnitFetch(unit: Fixture.unit($0), bytes: $1) }),
      now: pair.now)
    try pair.run()
    let tally = pair.alice.tally
    #expect(
      tally.ends == [
        Fixture.unit(1): .complete, Fixture.unit(2): .notHeld, Fixture.unit(3): .complete,
      ])
    #expect(tally.received[Fixture.unit(2)] == nil)
    #expect(pair.alice.closing == nil && pair.alice.session.snapshot.bytesInFlight == 0)
    pair.alice.events = []
    pair.alice.command(.fetch([UnitFetch(unit: Fixture.unit(2), bytes: 1_000)]), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.ends == [Fixture.unit(2): .complete])
  }

  @Test func aFileThatGrowsWhileItIsReadHasChanged() throws {
    let pair = SessionPair()
    pair.bob.store.units[Self.whole] = ByteBuffer(repeating: 1, count: 600_000)
    pair.alice.command(.fetch([UnitFetch(unit: Self.whole, bytes: 600_000)]), now: pair.now)
    while pair.bob.askedQueries.isEmpty { try pair.run(steps: 1) }
    pair.bob.answer(at: 0, now: pair.now)
    pair.bob.store.units[Self.whole] = ByteBuffer(repeating: 1, count: 700_000)
    try pair.run()
    #expect(pair.alice.tally.ends == [Self.whole: .changed])
    #expect(pair.alice.closing == nil)
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>) func cancelledUnitsEndAtOnceAndOnce(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var units: [UnitID: ByteBuffer] = [:]
    for number in 0..<400 as Range<UInt64> {
      units[Fixture.unit(number)] = random.bytes(Int(random.next() % 2_000))
    }
    for block in 0..<20 as Range<UInt32> {
      units[Fixture.unit(900, .block(block))] = TransferTests.block
    }
    var limits = SessionLimits()
    limits.openGets = 3
    let pair = SessionPair(
      Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits),
      Fixture.configuration(Fixture.bob, peer: Fixture.alice), seed: seed)
    pair.bob.store.units = units
    let fetches = units.map { UnitFetch(unit: $0.key, bytes: UInt64($0.value.readableBytes)) }.shuffled(
      using: &random)
    pair.alice.command(.fetch(fetches), now: pair.now)
    try pair.run(steps: Int(random.next() % 300))
    pair.alice.drain()
    let ended = Set(pair.alice.tally.ends.keys)
    // Every block, so that whole GETs lose their last wanted unit, and half of the rest.
    let cancelled = fetches.map(\.unit).filter { unit in
      if case .block = unit.part { true } else { random.next() % 2 == 0 }
    }
    pair.alice.command(.cancelFetch(cancelled + cancelled), now: pair.now)
    pair.alice.drain()
    #expect(Set(cancelled).subtracting(pair.alice.tally.ends.keys).isEmpty)
    try pair.run()
    let tally = pair.alice.tally
    for (unit, outcome) in tally.ends {
      #expect(outcome == (cancelled.contains(unit) && !ended.contains(unit) ? .cancelled : .complete))
    }
    #expect(tally.ends.count == units.count)
    let snapshot = pair.alice.session.snapshot
    #expect(snapshot.bytesInFlight == 0 && snapshot.unitsInFlight == 0 && snapshot.openRequests == 0)
    #expect(pair.bob.session.snapshot.readAheadBytes == 0)
    #expect(pair.alice.closing == nil)
  }

  @Test func aCancelledUnitCanBeFetchedAgain() throws {
    let pair = SessionPair()
    pair.bob.store.units[Self.whole] = ByteBuffer(bytes: [1, 2, 3])
    try pair.run()
    pair.alice.command(.fetch([UnitFetch(unit: Self.whole, bytes: 3)]), now: pair.now)
    pair.alice.command(.cancelFetch([Self.whole]), now: pair.now)
    pair.alice.drain()
    #expect(pair.alice.tally.ends == [Self.whole: .cancelled])
    pair.alice.events = []
    pair.alice.command(.fetch([UnitFetch(unit: Self.whole, bytes: 3)]), now: pair.now)
    pair.alice.command(.fetch([UnitFetch(unit: Self.whole, bytes: 3)]), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.ends == [Self.whole: .complete], "asked for twice, it comes once")
    #expect(pair.alice.tally.received == [Self.whole: ByteBuffer(bytes: [1, 2, 3])])
  }

  @Test func theWindowIsKeptAndThePipeDoesNotRunDry() throws {
    var limits = SessionLimits()
    limits.windowBytes = 40_000
    limits.bytesPerGet = 10_000
    let pair = SessionPair(
      Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits),
      Fixture.configuration(Fixture.bob, peer: Fixture.alice), seed: 4)
    let count: UInt64 = 200
    for number in 0..<count {
      pair.bob.store.units[Fixture.unit(number)] = ByteBuffer(repeating: 1, count: 1_000)
    }
    try pair.run()
    pair.alice.command(
      .fetch((0..<count).map { UnitFetch(unit: Fixture.unit($0), bytes: 1_000) }), now: pair.now)
    while pair.alice.session.snapshot.queuedUnits > 0 {
      #expect(pair.alice.session.snapshot.bytesInFlight >= 20_000)
      try pair.run(steps: 1)
    }
    try pair.run()
    #expect(pair.alice.mostBytesInFlight <= 40_000)
    #expect(pair.alice.tally.ends.count == Int(count))
  }

  @Test func unitsBeyondTheQueueAreBusy() {
    var limits = SessionLimits()
    limits.queuedFetches = 2
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits))
    side.command(
      .fetch((1...3 as ClosedRange<UInt64>).map { UnitFetch(unit: Fixture.unit($0), bytes: 1) }),
      now: Fixture.start)
    side.drain()
    #expect(side.tally.ends == [Fixture.unit(3): .busy])
  }
}
