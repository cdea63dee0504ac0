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

  /// Fails where the queue keeps at its head what was forgotten (`dropForgotten`).
  @Test func nobodyIsWokenForWhatIsForgotten() {
    var delays = Delays<Int>()
    for number in 1...4 { delays.wait(number, until: instant(Int64(number))) }
    delays.forget(2)
    #expect(delays.nextDeadline == instant(1))
    delays.forget(1)
    #expect(delays.nextDeadline == instant(3))
    delays.wait(3, until: instant(9))
    #expect(delays.nextDeadline == instant(4))
    delays.forget { $0 == 4 }
    #expect(delays.popOver(now: instant(8)) == nil)
    #expect(delays.popOver(now: instant(9)) == 3)
    #expect(delays.nextDeadline == nil)
  }

  /// A peer may refuse a content, take it back and offer it again for ever. Fails where the queue keeps what was forgotten behind
  /// its head (`wait`).
  @Test func whatIsForgottenBehindTheFirstTakesNoRoom() {
    var delays = Delays<Int>()
    delays.wait(1, until: instant(1))
    for second in 2...2_000 {
      delays.wait(2, until: instant(Int64(second)))
      delays.forget(2)
    }
    #expect(delays.count == 1 && delays.queued < 100)
    for _ in 1...200 { delays.wait(3, until: instant(3)) }
    #expect(delays.queued < 100)
    #expect(delays.popOver(now: instant(9)) == 1)
    #expect(delays.popOver(now: instant(9)) == 3)
    #expect(delays.popOver(now: instant(9)) == nil)
  }
}
