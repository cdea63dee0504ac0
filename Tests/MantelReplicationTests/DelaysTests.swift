import MantelCore
import Testing

@testable import MantelReplication

@Suite struct DelaysTests {
  private func instant(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  @Test func eachComesOnceWhenItsLastWaitIsOver() {
    var delays = Delays<Int>()
    delays.wait(2, until: instant(2))
    delays.wait(1, until: instant(1))
    delays.wait(2, until: instant(3))
    #expect(delays.nextOver(now: instant(0)) == nil)
    #expect(delays.nextOver(now: instant(2)) == 1)
    #expect(delays.nextOver(now: instant(2)) == nil, "it waits anew")
    #expect(delays.contains(1), "over, and not forgotten")
    #expect(delays.popOver(now: instant(3)) == 2)
    #expect(!delays.contains(2))
    #expect(delays.nextDeadline == nil)
  }

  @Test func whatIsForgottenDoesNotCome() {
    var delays = Delays<Int>()
    for number in 1...3 { delays.wait(number, until: instant(1)) }
    delays.forget(1)
    delays.forget { $0 == 2 }
    #expect(delays.count == 1)
    #expect(delays.nextOver(now: instant(1)) == 3)
    #expect(delays.nextOver(now: instant(1)) == nil)
  }
}
