import MantelCore
import Testing

@testable import MantelReplication

@Suite struct ScrubPaceTests {
  private let settings = ReplicationSettings()
  private let now = WallTime(nanoseconds: 1_700_000_000_000_000_000)

  private func daysAgo(_ days: Double) -> WallTime {
    WallTime(nanoseconds: now.nanoseconds - Int64(days * 86_400e9))
  }

  private func pace(_ bytes: UInt64, oldest days: Double, files: Int = 10) -> ScrubPace {
    ScrubPace(RereadBacklog(files: files, bytes: bytes, oldest: daysAgo(days)), now: now, settings)
  }

  @Test func whatWasReadInTheFirstHalfOfThePeriodIsLeftAlone() {
    #expect(pace(0, oldest: 0, files: 0).threshold == daysAgo(15))
    #expect(pace(0, oldest: 0, files: 0).isIdle)
    #expect(!pace(0, oldest: 20).isIdle, "empty files are files")
  }

  @Test func theBacklogIsDoneBeforeItsOldestFileIsDue() {
    // 2 TB, and 10 days until the oldest file has waited for 30.
    let rate = pace(2_000_000_000_000, oldest: 20).bytesPerSecond
    #expect(rate == UInt64((2e12 / 864_000).rounded(.up)))
    #expect(Double(rate) * 10 * 86_400 >= 2e12)
  }

  @Test func littleIsReadAtATrickleAndMuchWithinTheLimit() {
    #expect(pace(10_000, oldest: 16).bytesPerSecond == settings.scrubTrickle)
    #expect(pace(500_000_000_000_000, oldest: 29).bytesPerSecond == settings.scrubLimit)
  }

  @Test(arguments: [31.0, 400, 19_000]) func whatIsLateIsCaughtUpWithinADay(days: Double) {
    #expect(pace(864_000_000_000, oldest: days).bytesPerSecond == 10_000_000)
  }

  @Test func neverReadFilesAreLateAndNothingOverflows() {
    let never = RereadBacklog(files: 1, bytes: .max, oldest: WallTime(nanoseconds: 0))
    #expect(ScrubPace(never, now: now, settings).bytesPerSecond == settings.scrubLimit)
    let before = RereadBacklog(files: 1, bytes: 1, oldest: WallTime(nanoseconds: .min))
    #expect(ScrubPace(before, now: now, settings).bytesPerSecond == settings.scrubTrickle)
  }

  @Test func aFileTakesItsTime() {
    #expect(pace(10_000, oldest: 16).time(for: 5_000_000) == .seconds(5))
    #expect(pace(10_000, oldest: 16).time(for: 0) > .zero, "many empty files are no tight loop")
  }
}
