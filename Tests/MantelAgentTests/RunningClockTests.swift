import MantelCore
import Testing

@testable import MantelAgent

@Suite struct RunningClockTests {
  private func at(_ seconds: Int64, slept: Int64 = 0) -> Now {
    Now(
      instant: Instant(nanoseconds: seconds * 1_000_000_000),
      wall: WallTime(nanoseconds: seconds * 1_000_000_000),
      slept: .seconds(slept))
  }

  @Test func readingsHalfAMinuteApartAreRunningTime() {
    var clock = RunningClock()
    for seconds in stride(from: Int64(0), to: 86_400, by: 30) {
      #expect(clock.reading(at(seconds)) == at(seconds))
    }
  }

  /// For good: what is told as sleep is never taken back.
  @Test func aGapIsSleep() {
    var clock = RunningClock()
    _ = clock.reading(at(0))
    let month: Int64 = 40 * 86_400
    #expect(clock.reading(at(month)) == at(month, slept: month))
    #expect(clock.reading(at(month + 30)) == at(month + 30, slept: month))
  }

  /// The clocks tell of it already.
  @Test func aSuspendIsCountedOnce() {
    var clock = RunningClock()
    _ = clock.reading(at(0))
    #expect(clock.reading(at(86_400, slept: 86_390)) == at(86_400, slept: 86_390))
    #expect(clock.reading(at(90_000, slept: 86_390)) == at(90_000, slept: 86_390 + 3_600))
  }
}
