import MantelCore
import MantelSession
import MantelWire
import Testing

@Suite struct NewsTests {
  @Test func onlyWhatThePeerLacksIsSent() throws {
    let theirs = [
      MemberState(machine: Fixture.alice, head: Fixture.order(3), record: 2, attestation: 9),
      MemberState(machine: Fixture.bob, head: Fixture.order(7), record: 1, attestation: 3),
    ]
    var alice = Fixture.configuration(
      Fixture.alice, peer: Fixture.bob, hello: Fixture.hello(nonce: 1, roster: Digest256(1, 0, 0, 0)))
    // Statements that do not fit one frame together.
    alice.roster = (0..<100).map { Array(repeating: UInt8($0), count: 1_000) }
    alice.records = [Fixture.record(Fixture.alice, 3), Fixture.record(Fixture.bob, 1)]
    alice.heads = [
      Fixture.head(Fixture.alice, 4), Fixture.head(Fixture.bob, 7), Fixture.head(Fixture.carol, 1),
    ]
    alice.attestations = [
      Fixture.attestation(Fixture.alice, 10, missing: 1_000), Fixture.attestation(Fixture.bob, 3),
    ]
    let pair = SessionPair(
      alice,
      Fixture.configuration(Fixture.bob, peer: Fixture.alice, hello: Fixture.hello(nonce: 2, members: theirs))
    )
    try pair.run()
    var statements: [[UInt8]] = []
    var news: [SessionEvent] = []
    for event in pair.bob.events.dropFirst() {
      if case .roster(let some) = event { statements += some } else { news.append(event) }
    }
    #expect(statements == alice.roster)
    #expect(
      news == [
        .record(alice.records[0]), .head(alice.heads[0]), .head(alice.heads[2]),
        .attestation(alice.attestations[0]),
      ])
    #expect(pair.alice.events.count == 1, "Bob has nothing new, so he says nothing")
  }

  @Test func whatIsAnnouncedBeforeTheHelloFollowsIt() throws {
    let pair = SessionPair()
    pair.alice.command(.announceHead(Fixture.head(Fixture.alice, 1)), now: pair.now)
    pair.alice.command(.announceHead(Fixture.head(Fixture.alice, 2)), now: pair.now)
    pair.alice.command(
      .available(added: [Fixture.unit(1).content], removed: [Fixture.unit(2).content]), now: pair.now)
    try pair.run()
    #expect(
      pair.bob.events.dropFirst() == [
        .head(Fixture.head(Fixture.alice, 2)),
        .available(added: [], removed: [Fixture.unit(2).content]),
        .available(added: [Fixture.unit(1).content], removed: []),
      ], "the older of two heads of a library gives way")
  }

  /// An owner is shown what it once had, and its newest head first: else it would go on from where it is.
  @Test func aFormerHeadTakesNoNewestOnesPlace() throws {
    let pair = SessionPair()
    for sequence in [4, 5, 2, 3] as [UInt64] {
      pair.alice.command(.announceHead(Fixture.head(Fixture.bob, sequence)), now: pair.now)
    }
    try pair.run()
    #expect(
      pair.bob.events.dropFirst() == [
        .head(Fixture.head(Fixture.bob, 5)), .head(Fixture.head(Fixture.bob, 3)),
      ])
  }

  /// The newest one was known before the hello.
  @Test func aFormerHeadThatIsAnnouncedBeforeTheHelloFollowsTheNewestOne() throws {
    var alice = Fixture.configuration(Fixture.alice, peer: Fixture.bob)
    alice.heads = [Fixture.head(Fixture.bob, 5)]
    let pair = SessionPair(alice, Fixture.configuration(Fixture.bob, peer: Fixture.alice))
    pair.alice.command(.announceHead(Fixture.head(Fixture.bob, 3)), now: pair.now)
    try pair.run()
    #expect(
      pair.bob.events.dropFirst() == [
        .head(Fixture.head(Fixture.bob, 5)), .head(Fixture.head(Fixture.bob, 3)),
      ])
  }

  @Test func manyIdsAreCut() throws {
    var random = SeededRandom(seed: 3)
    let ids = (0..<2_500).map { _ in ContentID(random.digest()) }
    let ranges = (0..<5_000).map { BlockRange(first: UInt32($0 * 2), count: 1) }
    let pair = SessionPair()
    try pair.run()
    pair.alice.command(.available(added: ids, removed: []), now: pair.now)
    pair.alice.command(.availableBlocks(ids[0], ranges), now: pair.now)
    try pair.run()
    var added: [ContentID] = []
    var blocks: [BlockRange] = []
    for event in pair.bob.events {
      if case .available(let some, _) = event { added += some }
      if case .availableBlocks(_, let some) = event { blocks += some }
    }
    #expect(added == ids)
    #expect(blocks == ranges)
  }

  @Test func aPeerThatDoesNotReadDoesNotMakeNewsPileUp() throws {
    var limits = SessionLimits()
    limits.announcedIDs = 10
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits))
    side.session.received(.hello(Fixture.hello(nonce: 2)), now: Fixture.start)
    for number in 0..<11 {
      side.command(.available(added: [Fixture.unit(UInt64(number)).content], removed: []), now: Fixture.start)
      side.drain(control: true)
      #expect((side.closing != nil) == (number == 10))
    }
    #expect(side.closing?.0 == .overLimit)
  }

  /// What is counted is what waits: a peer that takes its news slowly, but takes it, hears of any number.
  @Test func announcementsThatWereSentDoNotCount() {
    var limits = SessionLimits()
    limits.announcedIDs = 10
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob, limits: limits))
    side.session.received(.hello(Fixture.hello(nonce: 2)), now: Fixture.start)
    side.drain()
    // The queue is never empty, and never long.
    for number in 0..<100 {
      side.command(.available(added: [Fixture.unit(UInt64(number)).content], removed: []), now: Fixture.start)
      if number > 4 { side.drain(1) }
    }
    #expect(side.closing == nil)
  }

  /// A member's flood, which others pass on, ends no connection and takes nobody else's place.
  @Test func tooManyRequestsOfOneMachineGiveWay() throws {
    func request(_ requester: MachineID, _ number: UInt64) -> Signed<ForgetRequest> {
      Fixture.signed(
        ForgetRequest(
          requester: requester, number: number, time: WallTime(nanoseconds: 1), isWithdrawn: false,
          contents: [Fixture.unit(1).content]))
    }
    var limits = SessionLimits()
    limits.forgetRequests = 4
    let hello = Fixture.hello(nonce: 1, features: Feature.forgetRequests)
    let pair = SessionPair(
      Fixture.configuration(Fixture.alice, peer: Fixture.bob, hello: hello, limits: limits),
      Fixture.configuration(
        Fixture.bob, peer: Fixture.alice, hello: Fixture.hello(nonce: 2, features: Feature.forgetRequests)))
    pair.alice.command(.announceForgetRequest(request(Fixture.alice, 1)), now: pair.now)
    for number in UInt64(1)...9 {
      pair.alice.command(.announceForgetRequest(request(Fixture.bob, number)), now: pair.now)
    }
    try pair.run()
    #expect(pair.alice.closing == nil)
    let told = pair.bob.events.compactMap { event in
      if case .forgetRequest(let request) = event {
        (request.record.requester, request.record.number)
      } else {
        nil
      }
    }
    #expect(told.filter { $0.0 == Fixture.alice }.map(\.1) == [1])
    #expect(told.filter { $0.0 == Fixture.bob }.map(\.1) == [7, 8, 9])
  }

  @Test func forgetRequestsGoToThoseWhoTakeThem() throws {
    let request = Fixture.signed(
      ForgetRequest(
        requester: Fixture.alice, number: 1, time: WallTime(nanoseconds: 1), isWithdrawn: false,
        contents: [Fixture.unit(1).content]))
    for features in [0, Feature.forgetRequests] {
      let pair = SessionPair(
        Fixture.configuration(
          Fixture.alice, peer: Fixture.bob, hello: Fixture.hello(nonce: 1, features: Feature.forgetRequests)),
        Fixture.configuration(
          Fixture.bob, peer: Fixture.alice, hello: Fixture.hello(nonce: 2, features: features)))
      // Once before the hello tells whether it is taken, once after.
      pair.alice.command(.announceForgetRequest(request), now: pair.now)
      try pair.run()
      pair.alice.command(.announceForgetRequest(request), now: pair.now)
      try pair.run()
      #expect(pair.bob.events.count { $0 == .forgetRequest(request) } == (features != 0 ? 2 : 0))
    }
  }
}

/// What is said of the roster, and when.
@Suite struct RosterNewsTests {
  private func statements(_ side: SessionSide) -> [[UInt8]] {
    side.events.flatMap { if case .roster(let some) = $0 { some } else { [[UInt8]]() } }
  }

  @Test func statementsThatWaitDoNotGiveWayToOthers() throws {
    let pair = SessionPair()
    pair.alice.command(.announceRoster([[1], [2]]), now: pair.now)
    pair.alice.command(.announceRoster([[2], [3]]), now: pair.now)
    try pair.run()
    #expect(statements(pair.bob) == [[1], [2], [3]])
  }

  @Test func aMachineThatIsNoMemberAnyMoreIsToldWhy() throws {
    let pair = SessionPair()
    try pair.run()
    pair.alice.command(.announceRoster([[7]]), now: pair.now)
    pair.alice.command(.close(.notMember, message: ""), now: pair.now)
    try pair.run()
    #expect(statements(pair.bob) == [[7]])
    guard case .closing(.notMember, _, _)? = pair.bob.events.last else {
      Issue.record("not closed: \(pair.bob.events)")
      return
    }
  }
}
