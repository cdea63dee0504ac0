import MantelCore
import Testing

@testable import MantelReplication

/// Faults of the simulation itself: what they do, and that they do it.
@Suite struct SimulatedFaultsTests {
  private let time: Int64 = 1_600_000_000_000_000_000

  /// Each machine is connected with each, and all is at rest; the last one has a photo.
  private func settled(_ count: Int) throws -> SimulatedHousehold {
    let household = try SimulatedHousehold(machines: count, seed: 1)
    household.machines[count - 1].write("a.jpg", Array("a".utf8), mtime: time)
    for index in 0..<count { try household.scan(index) }
    for right in 0..<count {
      for left in 0..<right { household.connect(left, right) }
    }
    try household.settle()
    return household
  }

  private func hasCopy(_ household: SimulatedHousehold, _ index: Int, of owner: Int) -> Bool {
    household.machines[index].replica.files[Array("m\(owner)/Photos/a.jpg".utf8)] != nil
  }

  private func heads(_ household: SimulatedHousehold, of owner: Int) -> [HeadOrder?] {
    household.machines.map { $0.replicator.installedHead(of: household.machines[owner].machine)?.order }
  }

  @Test(arguments: [nil, .countsWallTime] as [Canary?]) func noClockMakesAgentTime(canary: Canary?) throws {
    let household = try SimulatedHousehold(machines: 2, seed: 1, canary: canary)
    defer { household.end() }
    var invariants = HouseholdInvariants(machines: 2)
    household.setClock(of: 0, aheadBy: .seconds(3_600))
    try household.handle(.tick, at: 0)
    let isFound = (try? invariants.check(household, at: 0)) == nil
    #expect(isFound == (canary != nil))
  }

  /// By this no catalog is lost in the microsecond in which its machine signs: the next one would give that number again.
  @Test func whatWasJustSignedIsNotLost() throws {
    let household = try settled(2)
    defer { household.end() }
    let machine = household.machines[1]
    #expect(!machine.hasJustSigned(household.clocks(of: 1)))
    try household.handle(.roleChanged(.source), at: 1)
    #expect(machine.hasJustSigned(household.clocks(of: 1)))
    try household.run(until: household.now.instant + .milliseconds(1))
    #expect(!machine.hasJustSigned(household.clocks(of: 1)))
  }

  @Test(arguments: [false, true]) func whatIsSaidOneWayComesLateOrNever(isCut: Bool) throws {
    let household = try settled(2)
    defer { household.end() }
    let ways = household.silence(0, to: 1)
    #expect(ways.count == 1)
    household.machines[0].write("b.jpg", Array("b".utf8), mtime: time)
    try household.scan(0)
    try household.settle()
    #expect(heads(household, of: 0)[0] != heads(household, of: 0)[1])
    try household.endSilence(ways, isCut: isCut)
    try household.settle()
    #expect((heads(household, of: 0)[0] == heads(household, of: 0)[1]) == !isCut)
    #expect(household.isConnected(0, 1) == !isCut)
  }

  @Test func whoJoinsIsAGuestBeforeItIsAMember() throws {
    let household = try settled(2)
    defer { household.end() }
    let number = try household.join(invitedBy: 0)
    let newcomer = household.machines[number]
    try household.scan(number)
    // Nobody but the inviter has heard of it.
    household.connect(number, 1)
    #expect(newcomer.links.isEmpty)
    household.connect(number, 0)
    try household.settle()
    #expect(newcomer.links.isEmpty, "a connection that has brought an acceptance ends")
    #expect(!hasCopy(household, number, of: 1))
    household.connect(number, 1)
    try household.settle()
    #expect(hasCopy(household, number, of: 1))
  }

  @Test func whoIsRemovedIsLetInNoMoreAndItsCopiesStay() throws {
    let household = try settled(3)
    defer { household.end() }
    try household.remove(2, by: 0)
    try household.settle()
    household.connect(1, 2)
    #expect(household.machines[1].links.values.map(\.peer) == [0])
    #expect(hasCopy(household, 1, of: 2))
  }

  /// m1 and m2 remove each other; m0, the founder, has heard of neither, and m1 is the senior of the two.
  @Test func ofTwoThatRemoveEachOtherOneStays() throws {
    let household = try settled(4)
    defer { household.end() }
    for other in [0, 2, 3] { household.cut(1, other) }
    for other in [0, 3] { household.cut(2, other) }
    try household.settle()
    try household.state(removalOf: 2, by: 1)
    try household.state(removalOf: 1, by: 2)
    #expect(household.removed.isEmpty)
    try household.judgeRemovals()
    #expect(household.removed == [2])
    for index in [0, 1, 3] {
      let roster = household.machines[index].replicator.roster
      #expect(roster.isMember(household.machines[1].machine))
      #expect(roster.removedMember(household.machines[2].machine)?.keeper == household.machines[1].machine)
    }
    household.connect(0, 1)
    household.connect(1, 2)
    try household.settle()
    #expect(household.machines[1].links.values.map(\.peer) == [0])
    #expect(hasCopy(household, 1, of: 3))
  }

  /// Fails where `clocks` says nothing of what it slept: agent time would have passed.
  @Test func whoIsSuspendedFallsSilentAndGoesOnLater() throws {
    let household = try settled(2)
    defer { household.end() }
    let sleeper = household.machines[0]
    household.suspend(0)
    let before = sleeper.replicator.agentTime
    household.machines[1].write("b.jpg", Array("b".utf8), mtime: time)
    try household.scan(1)
    try household.settle()
    #expect(household.machines[1].links.isEmpty && !sleeper.links.isEmpty)
    household.connect(0, 1)
    #expect(household.machines[1].links.isEmpty, "nobody answers")
    #expect(heads(household, of: 1)[0] != heads(household, of: 1)[1])

    try household.wake(0, after: .seconds(100 * 3_600))
    try household.settle()
    #expect(sleeper.links.isEmpty)
    // The others' time of its sleep, and what it is awake again.
    #expect(sleeper.replicator.agentTime - before <= .seconds(60))
    household.connect(0, 1)
    try household.settle()
    #expect(heads(household, of: 1)[0] == heads(household, of: 1)[1])
  }

  @Test func aCommitThatFailsLeavesNothing() throws {
    let household = try settled(2)
    defer { household.end() }
    let machine = household.machines[0]
    machine.eventsUntilFull = 0
    try household.handle(.roleChanged(.source), at: 0)
    #expect(machine.hasOutage && machine.replicator.role == .full)
    // Nothing is taken in meanwhile.
    try household.handle(.roleChanged(.source), at: 0)
    #expect(machine.replicator.role == .full)
    try household.settle()
    #expect(!machine.hasOutage && !household.isConnected(0, 1))
    try household.handle(.roleChanged(.source), at: 0)
    #expect(machine.replicator.role == .source)
  }
}
