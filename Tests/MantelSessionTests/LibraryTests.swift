import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import Testing

@Suite struct LibraryTests {
  static let job = JobID(7)

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func aDeltaComesInPages(seed: UInt64) throws {
    let pair = SessionPair(seed: seed)
    pair.bob.store.libraries[Fixture.bob] = [
      Fixture.order(1): Fixture.library(0..<300), Fixture.order(2): Fixture.library(150..<900),
    ]
    pair.alice.command(
      .fetchDelta(Self.job, library: Fixture.bob, from: Fixture.order(1), to: Fixture.order(2)), now: pair.now
    )
    pair.alice.command(
      .fetchDelta(JobID(8), library: Fixture.bob, from: .none, to: Fixture.order(1)), now: pair.now)
    pair.alice.command(
      .fetchDelta(JobID(9), library: Fixture.carol, from: .none, to: Fixture.order(1)), now: pair.now)
    try pair.run()
    let tally = pair.alice.tally
    #expect(tally.jobEnds == [Self.job: .complete, JobID(8): .complete, JobID(9): .unknownHead])
    #expect(Set(tally.entries[Self.job]?.added ?? []) == Set((300..<900).map { Fixture.entry($0) }))
    #expect(Set(tally.entries[Self.job]?.removed ?? []) == Set((0..<150).map { Fixture.entryID($0) }))
    #expect(tally.entries[JobID(8)]?.added.count == 300)
    #expect(pair.alice.session.snapshot.openRequests == 0)
    #expect(pair.bob.session.snapshot.openPeerRequests == 0)
  }

  @Test func theNextPageIsAskedForWhenTheLastHasGoneOut() throws {
    let pair = SessionPair()
    pair.bob.store.libraries[Fixture.bob] = [Fixture.order(1): Fixture.library(0..<200)]
    pair.alice.command(
      .fetchDelta(Self.job, library: Fixture.bob, from: .none, to: Fixture.order(1)), now: pair.now)
    pair.alice.drain()
    while !pair.alice.sent.isEmpty { try pair.bob.receive(pair.alice.sent.removeFirst(), now: pair.now) }
    pair.bob.drain()
    while !pair.bob.sent.isEmpty { try pair.alice.receive(pair.bob.sent.removeFirst(), now: pair.now) }
    pair.alice.drain()
    while !pair.alice.sent.isEmpty { try pair.bob.receive(pair.alice.sent.removeFirst(), now: pair.now) }
    pair.bob.drain(control: true)
    pair.bob.answer(at: 0, now: pair.now)
    pair.bob.drain(control: true)
    #expect(
      pair.bob.queries.isEmpty && pair.bob.sent.isEmpty, "the channel takes nothing, so nothing is read")
    pair.bob.drain()
    #expect(pair.bob.queries.count == 1 && pair.bob.sent.count == 1)
    try pair.run()
    #expect(pair.alice.tally.jobEnds == [Self.job: .complete])
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func entriesAreAskedForByThousands(seed: UInt64) throws {
    let pair = SessionPair(seed: seed)
    pair.bob.store.libraries[Fixture.bob] = [Fixture.order(1): Fixture.library(0..<3_000)]
    pair.alice.command(
      .fetchEntries(Self.job, library: Fixture.bob, (0..<3_000).map { Fixture.entryID($0) }), now: pair.now)
    pair.alice.command(
      .fetchEntries(JobID(8), library: Fixture.bob, (2_990..<3_010).map { Fixture.entryID($0) }),
      now: pair.now)
    pair.alice.command(.fetchEntries(JobID(9), library: Fixture.bob, []), now: pair.now)
    try pair.run()
    let tally = pair.alice.tally
    #expect(tally.jobEnds == [Self.job: .complete, JobID(8): .notHeld, JobID(9): .complete])
    #expect(tally.entries[Self.job]?.added.count == 3_000)
    #expect(tally.entries[JobID(8)]?.added.count == 10)
  }

  @Test func longPathsStillFitTheirFrames() throws {
    let pair = SessionPair()
    pair.bob.store.libraries[Fixture.bob] = [
      Fixture.order(1): Fixture.library(0..<30, pathBytes: Limits.pathBytes)
    ]
    pair.alice.command(
      .fetchDelta(Self.job, library: Fixture.bob, from: .none, to: Fixture.order(1)), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.entries[Self.job]?.added.count == 30)
  }

  @Test func jobsBeyondTheQueueAreBusy() throws {
    var limits = SessionLimits()
    limits.queuedJobs = 2
    limits.openDeltas = 1
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits))
    for number in 1...3 {
      side.command(
        .fetchDelta(JobID(UInt64(number)), library: Fixture.bob, from: .none, to: Fixture.order(1)),
        now: Fixture.start)
    }
    side.drain()
    #expect(side.tally.jobEnds == [JobID(3): .busy])
  }
}

@Suite struct ReconciliationTests {
  static let tag = SetTag.holdings(Fixture.household)

  static func snapshot(_ numbers: [Digest256]) -> SetSnapshot {
    SetSnapshot(sorted: numbers.sorted(), tag: tag)
  }

  struct Sizes: Sendable { var common: Int, alice: Int, bob: Int }

  @Test(arguments: [
    Sizes(common: 0, alice: 0, bob: 0), Sizes(common: 300, alice: 0, bob: 0),
    Sizes(common: 0, alice: 400, bob: 0),
    Sizes(common: 0, alice: 0, bob: 5_000), Sizes(common: 2_000, alice: 1, bob: 0),
    Sizes(common: 2_000, alice: 30, bob: 50), Sizes(common: 100, alice: 2_000, bob: 3),
  ])
  func bothSidesLearnTheWholeDifference(_ sizes: Sizes) throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var random = SeededRandom(seed: seed)
      let common = (0..<sizes.common).map { _ in random.digest() }
      let mine = (0..<sizes.alice).map { _ in random.digest() }
      let theirs = (0..<sizes.bob).map { _ in random.digest() }
      let pair = SessionPair(seed: seed)
      let library = SetReference.library(Fixture.bob, Fixture.order(3))
      pair.bob.store.sets[.holdings] = Self.snapshot(common + theirs)
      pair.bob.store.sets[library] = Self.snapshot(common + theirs)
      pair.alice.command(.reconcile(JobID(1), .holdings, mine: Self.snapshot(common + mine)), now: pair.now)
      pair.alice.command(.reconcile(JobID(2), library, mine: Self.snapshot(common + mine)), now: pair.now)
      try pair.run()
      let tally = pair.alice.tally
      #expect(tally.jobEnds == [JobID(1): .complete, JobID(2): .complete])
      for job in [JobID(1), JobID(2)] {
        #expect((tally.differences[job]?.theirs ?? []).sorted() == theirs.sorted())
        #expect((tally.differences[job]?.mine ?? []).sorted() == mine.sorted())
      }
      let reported = pair.bob.tally
      #expect((reported.differences[nil]?.theirs ?? []).sorted() == mine.sorted(), "of the holdings alone")
      #expect((reported.differences[nil]?.mine ?? []).sorted() == theirs.sorted())
      #expect(Set(reported.others.dropFirst().map { "\($0)" }).count == 2)
      #expect(reported.others.contains(.reconciledByPeer(.holdings)))
      #expect(reported.others.contains(.reconciledByPeer(library)))
      #expect(pair.bob.session.snapshot.openPeerRequests == 0)
    }
  }

  @Test func anUnknownHeadIsSaid() throws {
    let pair = SessionPair()
    pair.alice.command(
      .reconcile(JobID(1), .library(Fixture.carol, Fixture.order(1)), mine: Self.snapshot([])), now: pair.now)
    try pair.run()
    #expect(pair.alice.tally.jobEnds == [JobID(1): .unknownHead])
    #expect(pair.bob.events.count == 1, "nothing is reconciled")
  }

  @Test func moreThanMayBeOpenWaitTheirTurn() throws {
    var random = SeededRandom(seed: 5)
    let ids = (0..<50).map { _ in random.digest() }
    let pair = SessionPair(seed: 5)
    pair.bob.store.sets[.holdings] = Self.snapshot(ids)
    pair.alice.store.sets[.holdings] = Self.snapshot([])
    for number in 1...30 as ClosedRange<UInt64> {
      pair.alice.command(.reconcile(JobID(number), .holdings, mine: Self.snapshot([])), now: pair.now)
      pair.bob.command(.reconcile(JobID(number), .holdings, mine: Self.snapshot(ids)), now: pair.now)
    }
    try pair.run()
    #expect(pair.alice.tally.jobEnds.count == 30 && pair.bob.tally.jobEnds.count == 30)
    #expect(pair.alice.tally.jobEnds.values.allSatisfy { $0 == .complete })
    #expect(pair.alice.closing == nil && pair.bob.closing == nil)
  }
}
