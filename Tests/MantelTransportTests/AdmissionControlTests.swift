import MantelCore
import Testing

@testable import MantelTransport

@Suite struct AdmissionControlTests {
  private let start = Instant(nanoseconds: 0)

  private func source(_ number: Int) -> SourceKey {
    SourceKey(bytes: [UInt8(number >> 8), UInt8(number & 255)])
  }

  private func ticket(_ decision: AdmissionControl.Decision) -> AdmissionControl.Ticket? {
    if case .admitted(let ticket, _) = decision { ticket } else { nil }
  }

  @Test func oneAddressHoldsNoMoreThanItsShare() throws {
    var control = AdmissionControl(limits: TransportLimits())
    var tickets: [AdmissionControl.Ticket] = []
    for _ in 0..<Limits.unauthenticatedPerAddress {
      tickets.append(try #require(ticket(control.admit(source(1), now: start))))
    }
    // One more takes the place of the oldest: who is slow makes room for whoever shares the address.
    guard case .admitted(let last, let evicted) = control.admit(source(1), now: start) else {
      Issue.record("refused")
      return
    }
    #expect(evicted == tickets[0])
    #expect(control.pendingCount == Limits.unauthenticatedPerAddress)
    control.settle(last, authorised: true, now: start)
    guard case .admitted(_, evicting: nil) = control.admit(source(1), now: start) else {
      Issue.record("no place was free")
      return
    }
  }

  @Test func aCrowdLosesItsOldestPlaceToANewcomer() throws {
    var control = AdmissionControl(limits: TransportLimits())
    var oldest: [Int: AdmissionControl.Ticket] = [:]
    // One lonely connection first, then three addresses with four, and one with three.
    let lonely = try #require(ticket(control.admit(source(9), now: start)))
    for address in 1...3 {
      for place in 0..<4 {
        let taken = try #require(ticket(control.admit(source(address), now: start)))
        if place == 0 { oldest[address] = taken }
      }
    }
    for _ in 0..<3 { #expect(ticket(control.admit(source(4), now: start)) != nil) }
    #expect(control.pendingCount == Limits.unauthenticatedConnections)
    guard case .admitted(_, let evicted) = control.admit(source(5), now: start) else {
      Issue.record("a newcomer was refused")
      return
    }
    #expect(evicted == oldest[1])
    #expect(evicted != lonely)
    #expect(control.pendingCount == Limits.unauthenticatedConnections)
  }

  @Test func evictingOneOfTheOwnAddressKeepsCount() throws {
    var limits = TransportLimits()
    limits.unauthenticatedConnections = 2
    var control = AdmissionControl(limits: limits)
    let first = try #require(ticket(control.admit(source(1), now: start)))
    _ = control.admit(source(1), now: start)
    guard case .admitted(let third, let evicted) = control.admit(source(1), now: start) else {
      Issue.record("refused")
      return
    }
    #expect(evicted == first)
    #expect(control.pendingCount == 2)
    control.settle(first, authorised: false, now: start)
    #expect(control.pendingCount == 2)
    control.settle(third, authorised: false, now: start)
    #expect(control.pendingCount == 1)
  }

  @Test func failuresBlockAnAddressForAMinuteAndSuccessesDoNot() throws {
    let limits = TransportLimits()
    var control = AdmissionControl(limits: limits)
    for _ in 0..<limits.failuresPerMinute * 3 {
      let taken = try #require(ticket(control.admit(source(1), now: start)))
      control.settle(taken, authorised: true, now: start)
    }
    for _ in 0..<limits.failuresPerMinute {
      let taken = try #require(ticket(control.admit(source(1), now: start)))
      control.settle(taken, authorised: false, now: start)
    }
    #expect(control.admit(source(1), now: start) == .refused(.tooManyFailures))
    #expect(control.admit(source(1), now: start + .seconds(59)) == .refused(.tooManyFailures))
    #expect(ticket(control.admit(source(2), now: start)) != nil)
    #expect(ticket(control.admit(source(1), now: start + .seconds(60))) != nil)
  }

  @Test func addressesAreForgottenOldestFirst() throws {
    var limits = TransportLimits()
    limits.trackedAddresses = 2
    limits.failuresPerMinute = 1
    var control = AdmissionControl(limits: limits)
    for number in 1...2 {
      let taken = try #require(ticket(control.admit(source(number), now: start + .seconds(number))))
      control.settle(taken, authorised: false, now: start + .seconds(number))
    }
    #expect(control.admit(source(2), now: start + .seconds(3)) == .refused(.tooManyFailures))
    #expect(ticket(control.admit(source(3), now: start + .seconds(3))) != nil)
    // 1 was forgotten for 3, so it starts anew in the place of 2, the only one without an open connection.
    #expect(ticket(control.admit(source(1), now: start + .seconds(3))) != nil)
    #expect(control.admit(source(4), now: start + .seconds(3)) == .refused(.tooManyAddresses))
  }

  @Test func theLogGetsOneLineAMinuteForEachAddress() {
    var log = RefusalLog<SourceKey>()
    #expect(log.admit(source(1), now: start) == 0)
    #expect(log.admit(source(1), now: start + .seconds(1)) == nil)
    #expect(log.admit(source(2), now: start + .seconds(1)) == 0)
    #expect(log.admit(source(1), now: start + .seconds(2)) == nil)
    #expect(log.admit(source(1), now: start + .seconds(60)) == 2)
  }
}
