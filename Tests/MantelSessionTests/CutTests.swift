import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore
import Testing

/// Everything at once, in both directions, and then the connection breaks after any number of steps.
@Suite struct CutTests {
  static func loaded(seed: UInt64) -> SessionPair {
    var random = SeededRandom(seed: seed)
    let pair = SessionPair(seed: seed)
    let ids = (0..<400).map { _ in random.digest() }
    for (side, offset) in [(pair.alice, 0), (pair.bob, 200)] {
      let mine = SetSnapshot(
        sorted: Array(ids[offset..<offset + 200]).sorted(), tag: .holdings(Fixture.household))
      side.store.sets[.holdings] = mine
      side.store.libraries[Fixture.carol] = [Fixture.order(1): Fixture.library(0..<120)]
      for number in 0..<60 as Range<UInt64> {
        side.store.units[Fixture.unit(number)] = random.bytes(
          Int(random.next() % (number < 5 ? 300_000 : 5_000)))
      }
      side.command(.announceHead(Fixture.head(Fixture.carol, 1)), now: pair.now)
      side.command(.reconcile(JobID(1), .holdings, mine: mine), now: pair.now)
      side.command(
        .fetchDelta(JobID(2), library: Fixture.carol, from: .none, to: Fixture.order(1)), now: pair.now)
      side.command(
        .fetchEntries(JobID(3), library: Fixture.carol, (0..<120).map { Fixture.entryID($0) }), now: pair.now)
    }
    for (side, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
      let units = other.store.units.map { UnitFetch(unit: $0.key, bytes: UInt64($0.value.readableBytes)) }
      side.command(.fetch(units.sorted { $0.unit < $1.unit }), now: pair.now)
      side.command(.fetch([UnitFetch(unit: Fixture.unit(999), bytes: 5)]), now: pair.now)
    }
    return pair
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>) func everythingEndsOnceWhereverTheConnectionBreaks(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed &* 7_919)
    let pair = Self.loaded(seed: seed)
    try pair.run(steps: Int(random.next() % 800))
    if random.next() % 4 == 0 { pair.alice.command(.close(.shuttingDown, message: ""), now: pair.now) }
    pair.cut()
    for side in [pair.alice, pair.bob] {
      let tally = side.tally
      #expect(tally.ends.count == 61)
      #expect(tally.jobEnds.count == 3)
      #expect(side.closing != nil && side.isClosed)
      #expect(side.session.snapshot.openQueries == 0 && side.session.snapshot.bytesInFlight == 0)
      // Answers that come late are nobody's.
      while !side.queries.isEmpty { side.answer(at: 0, now: pair.now) }
      #expect(side.drain() == 0)
    }
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>) func everythingSucceedsWithoutACut(seed: UInt64) throws {
    let pair = Self.loaded(seed: seed)
    try pair.run()
    for (side, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
      let tally = side.tally
      #expect(tally.received == other.store.units)
      #expect(tally.ends[Fixture.unit(999)] == .notHeld)
      #expect(tally.jobEnds == [JobID(1): .complete, JobID(2): .complete, JobID(3): .complete])
      #expect(
        tally.differences[JobID(1)]?.theirs.count == 200 && tally.differences[JobID(1)]?.mine.count == 200)
      #expect(side.closing == nil)
    }
  }

  /// The same seed must do the same: nothing in a session depends on the order of a hash table.
  @Test func aSeedRepeatsItself() throws {
    let (first, second) = (Self.loaded(seed: 3), Self.loaded(seed: 3))
    try first.run()
    try second.run()
    #expect(first.alice.events == second.alice.events)
    #expect(first.bob.askedQueries == second.bob.askedQueries)
  }
}
