import MantelCore
import Testing

@testable import MantelAgent

@Suite struct DialPlanTests {
  private let start = Instant(nanoseconds: 0)
  private let anna = MachineID(Digest256(1, 0, 0, 0))
  private let ben = MachineID(Digest256(2, 0, 0, 0))
  private let cleo = MachineID(Digest256(3, 0, 0, 0))
  private let address = NetworkAddress(host: "10.0.0.2", port: 62_683)
  private let other = NetworkAddress(host: "fe80::2%eth0", port: 62_683)

  private func due(
    _ plan: DialPlan, wanted: Set<MachineID>, remembered: [MachineID: [NetworkAddress]] = [:],
    after: Duration = .zero
  ) -> [DialPlan.Candidate] {
    plan.due(wanted: wanted, remembered: remembered, own: [], now: start + after)
  }

  /// Ben is connected, Cleo is away: Ben's other addresses are found out once each, and then left alone.
  @Test func whoIsConnectedIsNotDialledForTheSakeOfWhoIsAway() {
    var plan = DialPlan()
    plan.discovered("ben", [address, other], now: start)
    #expect(due(plan, wanted: [cleo]).map(\.address) == [address, other])
    for known in [address, other] {
      plan.began(known, now: start)
      plan.answered(known, by: ben, now: start)
    }
    #expect(due(plan, wanted: [cleo], after: .seconds(300)).isEmpty)
    #expect(
      Set(due(plan, wanted: [ben, cleo], after: .seconds(300)))
        == [.init(address: address, machine: ben), .init(address: other, machine: ben)])
  }

  /// After the router has given Ben's address to Cleo.
  @Test func anAddressBelongsToWhoAnsweredLast() {
    var plan = DialPlan()
    plan.discovered("ben", [address], now: start)
    plan.answered(address, by: ben, now: start)
    #expect(due(plan, wanted: [ben], after: .seconds(2)) == [.init(address: address, machine: ben)])
    plan.answered(address, by: cleo, now: start + .seconds(2))
    let remembered = [ben: [address]]
    #expect(due(plan, wanted: [ben], remembered: remembered, after: .seconds(10)).isEmpty)
    #expect(
      due(plan, wanted: [ben, cleo], remembered: remembered, after: .seconds(10))
        == [.init(address: address, machine: cleo)])
  }

  /// Else an address that changed hands twice would be passed over for the rest of the run.
  @Test func whatIsKnownOfAnAddressGrowsOld() {
    var plan = DialPlan()
    plan.discovered("ben", [address], now: start)
    plan.answered(address, by: cleo, now: start)
    #expect(due(plan, wanted: [ben], after: DialPlan.answerLife - .seconds(1)).isEmpty)
    #expect(due(plan, wanted: [ben], after: DialPlan.answerLife) == [.init(address: address, machine: nil)])
  }

  /// Nobody is woken to find that there is nothing to do: not while all are connected, not before a wait is over.
  @Test func thePlanSaysWhenToLookAgain() {
    var plan = DialPlan()
    func next(wanted: Set<MachineID>, after: Duration = .zero) -> Instant? {
      plan.nextLook(wanted: wanted, remembered: [ben: [address]], own: [], now: start + after)
    }
    #expect(next(wanted: []) == nil)
    #expect(next(wanted: [ben]) == start + DialPlan.longestLook)
    plan.failed(address, isStranger: false, now: start)
    #expect(next(wanted: [ben]) == start + DialPlan.shortestWait)
    #expect(due(plan, wanted: [ben], remembered: [ben: [address]], after: DialPlan.shortestWait).count == 1)
    // While it is dialled, its end is the news.
    plan.began(address, now: start + .seconds(1))
    #expect(next(wanted: [ben], after: .seconds(1)) == start + .seconds(1) + DialPlan.longestLook)
    // An address that another machine answered at is worth a try again when that is long ago.
    plan.answered(address, by: cleo, now: start + .seconds(2))
    let old = DialPlan.answerLife - .seconds(1)
    #expect(next(wanted: [ben], after: .seconds(2) + old) == start + .seconds(2) + DialPlan.answerLife)
  }

  private let cable = NetworkAddress(host: "192.168.7.2", port: 62_683)
  private let air = NetworkAddress(host: "10.0.0.9", port: 62_683)

  @Test func aCableIsTriedBeforeTheAir() {
    var plan = DialPlan()
    plan.discovered("ben", [cable, air], wired: [cable], wireless: [air], now: start)
    #expect(due(plan, wanted: [ben]).map(\.address) == [cable])
    plan.began(cable, now: start)
    #expect(due(plan, wanted: [ben]).isEmpty)
    // It does not answer for a while: both are tried, and whoever is looked for is found.
    #expect(
      plan.nextLook(wanted: [ben], remembered: [:], own: [], now: start) == start + DialPlan.cableLead)
    #expect(due(plan, wanted: [ben], after: DialPlan.cableLead).map(\.address) == [air])
    // What led there once is waited for again; what does not, is not.
    plan.answered(cable, by: ben, now: start)
    #expect(due(plan, wanted: [ben], after: .milliseconds(1)).isEmpty)
    #expect(due(plan, wanted: [ben], after: DialPlan.shortestWait).map(\.address) == [cable])
    plan.failed(cable, isStranger: false, now: start + .seconds(2))
    #expect(due(plan, wanted: [ben], after: .seconds(2)).map(\.address) == [air])
    plan.began(cable, now: start + .seconds(3))
    #expect(due(plan, wanted: [ben], after: .seconds(3)).map(\.address) == [air])
  }

  /// Nothing is held back for a cable that nobody dials, or that leads to somebody else.
  @Test func theAirWaitsForNoOtherCable() {
    var plan = DialPlan()
    plan.discovered("ben", [cable, air], wired: [cable], wireless: [air], now: start)
    #expect(plan.due(wanted: [ben], remembered: [:], own: [cable], now: start).map(\.address) == [air])
    plan.answered(cable, by: cleo, now: start)
    #expect(due(plan, wanted: [ben]).map(\.address) == [air])
    // A tunnel may lead over the same air.
    plan.discovered("ben", [other, air], wireless: [air], now: start)
    #expect(Set(due(plan, wanted: [ben, cleo]).map(\.address)) == [other, air])
    plan.discovered("ben", [air], wireless: [air], now: start)
    #expect(due(plan, wanted: [ben, cleo]).map(\.address) == [air])
    plan.discovered("ben", [cable, air], wired: [cable], wireless: [air], now: start)
    plan.lost("ben")
    #expect(due(plan, wanted: [ben, cleo]).isEmpty)
  }

  @Test func failuresWaitLongerEachTimeAndStrangersLongest() {
    var plan = DialPlan()
    plan.discovered("ben", [address], now: start)
    plan.failed(address, isStranger: false, now: start)
    #expect(due(plan, wanted: [ben]).isEmpty)
    #expect(due(plan, wanted: [ben], after: .seconds(1)).count == 1)
    plan.failed(address, isStranger: false, now: start)
    #expect(due(plan, wanted: [ben], after: .seconds(1)).isEmpty)
    plan.failed(address, isStranger: true, now: start)
    #expect(due(plan, wanted: [ben], after: .seconds(59)).isEmpty)
    #expect(due(plan, wanted: [ben], after: .seconds(60)).count == 1)
  }
}
