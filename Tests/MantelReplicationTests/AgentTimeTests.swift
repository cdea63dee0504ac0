import MantelCore
import Testing

@testable import MantelReplication

/// A day counted by what both clocks agree on.
@Suite struct AgentTimeTests {
  private static let year: Int64 = 365 * 86_400 * 1_000_000_000
  private let start = Now(
    instant: Instant(nanoseconds: 5_000_000_000), wall: WallTime(nanoseconds: 1_700_000_000_000_000_000))

  private func later(_ boot: Duration, _ wall: Duration) -> Now {
    Now(
      instant: start.instant + boot,
      wall: WallTime(nanoseconds: start.wall.nanoseconds + wall.inNanoseconds))
  }

  @Test(
    arguments: [
      (.seconds(10), .seconds(10), .seconds(10)),
      // The wall clock is set: forward, back, by years.
      (.seconds(10), .seconds(315_360_000), .seconds(10)),
      (.seconds(10), .seconds(-315_360_000), .zero),
      (.seconds(10), .zero, .zero),
      // Boot time that nobody's wall clock knows of.
      (.seconds(86_400), .seconds(3), .seconds(3)),
      // Never back, whatever clocks do.
      (.seconds(-5), .seconds(10), .zero),
      (.seconds(-5), .seconds(-5), .zero),
    ] as [(Duration, Duration, Duration)])
  func itGrowsByTheSmaller(boot: Duration, wall: Duration, grown: Duration) {
    var counter = AgentTimeCounter(from: AgentTime(nanoseconds: 7), now: start)
    counter.count(to: later(boot, wall))
    #expect(counter.time - AgentTime(nanoseconds: 7) == grown)
  }

  @Test func aSuspendedMachineRunsNoAgent() {
    var counter = AgentTimeCounter(from: .zero, now: start)
    var woken = later(.seconds(86_400), .seconds(86_400))
    woken.slept = .seconds(86_000)
    counter.count(to: woken)
    #expect(counter.time == .zero + .seconds(400) && counter.awakeSince == woken.instant)
    // More sleep than time, from clocks that were not read at once: nothing, and never back.
    woken.slept += .seconds(5)
    woken.instant = woken.instant + .seconds(3)
    counter.count(to: woken)
    #expect(counter.time == .zero + .seconds(400))
    // Two clocks that were read one after the other.
    let awake = counter.awakeSince
    woken.slept += .nanoseconds(300)
    woken.instant = woken.instant + .seconds(10)
    woken.wall.nanoseconds += Duration.seconds(10).inNanoseconds
    counter.count(to: woken)
    #expect(counter.awakeSince == awake && counter.time - .zero > .seconds(409))
  }

  /// A clock that is wrong by years, and set right: only the step of the setting is lost.
  @Test(arguments: [-10, 10] as [Int64]) func aJumpCostsNoMoreThanItsStep(years: Int64) {
    var counter = AgentTimeCounter(from: .zero, now: start)
    for second in 1...100 {
      let jump = second >= 50 ? years * Self.year : 0
      var now = later(.seconds(second), .seconds(second))
      now.wall.nanoseconds += jump
      counter.count(to: now)
    }
    #expect(counter.time - .zero >= .seconds(99))
    #expect(counter.time - .zero <= .seconds(100))
  }

  @Test func clocksAtTheEndsOfTheirRangeDoNotTrap() {
    var counter = AgentTimeCounter(
      from: .zero, now: Now(instant: Instant(nanoseconds: 0), wall: WallTime(nanoseconds: .min)))
    counter.count(to: Now(instant: Instant(nanoseconds: .max), wall: WallTime(nanoseconds: .max)))
    #expect(counter.time == .zero)
  }

  @Test func aWallClockThatStandsStillMakesNobodySpin() {
    let counter = AgentTimeCounter(from: .zero, now: start)
    #expect(counter.soonest(AgentTime(nanoseconds: 1)) == start.instant + .seconds(1))
    #expect(counter.soonest(.zero + .seconds(60)) == start.instant + .seconds(60))
  }

  // MARK: Kept

  @Test func itIsKeptAtMostOnceAMinute() throws {
    let desk = try SingleMachine()
    try desk.pass(.seconds(59))
    try desk.send(.tick)
    #expect(try desk.catalog.value(.agentDay) == nil)
    try desk.pass(.seconds(1))
    try desk.send(.tick)
    let kept = try desk.catalog.value(.agentDay)
    #expect(kept != nil)
    try desk.pass(.seconds(30))
    try desk.send(.tick)
    #expect(try desk.catalog.value(.agentDay) == kept)
  }

  /// A crash loses less than a minute, a stop nothing; what passes while no agent runs does not count.
  @Test(arguments: [true, false]) func itGoesOnAfterARestart(stops: Bool) throws {
    let desk = try SingleMachine()
    try desk.pass(.seconds(90))
    try desk.send(.tick)
    try desk.pass(.seconds(20))
    let time = AgentTime.zero + .seconds(110)
    if stops { try desk.replicator.stop(now: desk.now) }
    desk.now.instant = desk.now.instant + .seconds(1_000_000)
    desk.now.wall.nanoseconds += Duration.seconds(1_000_000).inNanoseconds
    try desk.restart()
    try desk.send(.tick)
    let counted = desk.replicator.agentTime
    #expect(stops ? counted == time : counted <= time && counted - .zero >= .seconds(90))
  }

  @Test func aDamagedCounterIsAnError() throws {
    let desk = try SingleMachine()
    try desk.catalog.setValue(.agentDay, [1, 2])
    #expect(throws: StoreError.self) { try desk.restart() }
  }

  // MARK: Attestations

  /// The holder's clock may be years off: what counts is when its word came, and how long this machine ran since.
  @Test(arguments: [-10, 0, 10] as [Int64]) func anAttestationCountsFourteenAgentDaysFromItsReceipt(
    years: Int64
  ) throws {
    let a = content("a")
    let desk = try SingleMachine()
    try desk.send(.recovered)
    let link = try desk.connect()
    try desk.publish("a", a, desk.stamp(10, mtime: desk.now.wall.nanoseconds))
    let head = try #require(desk.head)
    let time = WallTime(nanoseconds: desk.now.wall.nanoseconds + years * Self.year)
    try desk.send(
      .attestationReceived(
        link,
        try desk.attestation(0, time: time, [desk.statement(desk.machine, head.order, held: [a])])))
    #expect(desk.isSafe(a))
    try desk.pass(.seconds(13 * 86_400))
    #expect(desk.isSafe(a))
    try desk.restart()
    #expect(desk.isSafe(a), "its age survives a restart")
    try desk.pass(.seconds(86_400 + 120))
    #expect(!desk.isSafe(a), "nobody has to send anything for it to end")
  }
}
