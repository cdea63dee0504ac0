import MantelCore
import Testing

@testable import MantelReplication

/// What is known of a replica since it was mounted, and for how long its judgement is waited for.
@Suite struct ReplicaSightTests {
  private let settings = ReplicationSettings()
  private let start = Instant(nanoseconds: 1_000_000_000)

  private func at(_ seconds: Int) -> Instant { start + .seconds(seconds) }

  private func sight() -> ReplicaSight { ReplicaSight(now: start, settings) }

  private func end(
    _ id: ComparisonID, of sight: inout ReplicaSight, isComplete: Bool = true, isAwaited: Bool = true,
    at now: Instant
  ) {
    let isTaken = sight.comparisonEnded(id, isComplete: isComplete, now: now, settings)
    #expect(isTaken == isAwaited)
  }

  @Test func aComparisonIsDueAtOnceAndThenDailyOrSoonIfItFailed() {
    var sight = sight()
    #expect(sight.nextComparison(patience: .zero) == start && !sight.isSeen)
    let first = sight.comparisonBegan(isAnew: false)
    #expect(sight.nextComparison(patience: .zero) == nil, "an event ends it")
    end(first, of: &sight, isComplete: false, at: at(5))
    #expect(sight.isSeen && sight.hasFailed && !sight.isComplete)
    #expect(sight.nextComparison(patience: .seconds(1)) == at(6) + settings.compareAgain)
    let second = sight.comparisonBegan(isAnew: false)
    end(first, of: &sight, isAwaited: false, at: at(70))
    end(second, of: &sight, at: at(71))
    #expect(sight.isSeen && sight.isComplete && !sight.hasFailed)
    #expect(sight.nextComparison(patience: .zero) == at(71) + settings.compareInterval)
    sight.compareBy(at(80))
    #expect(sight.nextComparison(patience: .zero) == at(80))
  }

  @Test func onlyWhatWasSeenWholeIsJudged() {
    var sight = sight()
    sight.doubtsEnded()
    #expect(!sight.isJudged(at: start))
    let first = sight.comparisonBegan(isAnew: false)
    end(first, of: &sight, isComplete: false, at: at(1))
    sight.doubtsEnded()
    #expect(!sight.isJudged(at: at(1)) && !sight.isLookedAt(at: at(1)))
    let second = sight.comparisonBegan(isAnew: false)
    end(second, of: &sight, at: at(2))
    #expect(!sight.isJudged(at: at(2)))
    sight.doubtsEnded()
    #expect(sight.isJudged(at: at(2)) && sight.isLookedAt(at: at(2)))
  }

  /// Of more doubts than are kept the rest is found by a comparison that counts as the first.
  @Test func aComparisonForForgottenDoubtsBeginsAnew() {
    var sight = sight()
    let begun = sight.comparisonBegan(isAnew: false)
    end(begun, of: &sight, at: at(1))
    let again = sight.comparisonBegan(isAnew: true)
    sight.doubtsEnded()
    #expect(!sight.isSeen && !sight.isJudged(at: at(1)))
    end(again, of: &sight, at: at(2))
    #expect(sight.isSeen)
  }

  @Test func patienceEndsTheWait() {
    var sight = sight()
    let due = start + settings.judgePatience
    let last = Instant(nanoseconds: due.nanoseconds - 1)
    #expect(!sight.isJudged(at: last) && sight.isJudged(at: due))
    #expect(!sight.isLookedAt(at: due), "nothing was looked at")
    let begun = sight.comparisonBegan(isAnew: false)
    end(begun, of: &sight, at: last)
    #expect(!sight.isLookedAt(at: due), "what is in doubt is read")
    #expect(sight.isLookedAt(at: last + settings.judgePatience))
  }

  @Test func whatAComparisonSeesProlongsTheWaitUpToALimit() {
    var sight = sight()
    let id = sight.comparisonBegan(isAnew: false)
    var now = start
    let step = Duration.seconds(600)
    while now + step < start + settings.judgeLimit {
      now = now + step
      sight.partAnswered(id, now: now, settings)
      #expect(sight.judgeBy == min(now + settings.judgePatience, start + settings.judgeLimit))
      #expect(!sight.isJudged(at: now))
    }
    #expect(sight.isJudged(at: start + settings.judgeLimit))
  }

  /// A disk that fails at the same place again and again.
  @Test func whatIsOnlySeenAgainIsNoProgress() {
    var sight = sight()
    let first = sight.comparisonBegan(isAnew: false)
    sight.partAnswered(first, now: at(100), settings)
    end(first, of: &sight, isComplete: false, at: at(101))
    let second = sight.comparisonBegan(isAnew: false)
    sight.partAnswered(first, now: at(150), settings)
    sight.partAnswered(second, now: at(200), settings)
    #expect(sight.judgeBy == at(100) + settings.judgePatience)
    sight.partAnswered(second, now: at(201), settings)
    #expect(sight.judgeBy == at(201) + settings.judgePatience)
  }

  @Test func whoHasWaitedLongEnoughWaitsNoMore() {
    var sight = sight()
    let id = sight.comparisonBegan(isAnew: false)
    sight.partAnswered(id, now: start + settings.judgePatience, settings)
    #expect(sight.isJudged(at: start + settings.judgePatience))
  }

  @Test func aMountBeginsAllAnew() {
    var sight = sight()
    let begun = sight.comparisonBegan(isAnew: false)
    end(begun, of: &sight, at: at(1))
    sight.doubtsEnded()
    let early = sight.comparisonBegan(isAnew: false)
    sight.unmounted()
    #expect(sight.isAway && !sight.isSeen && sight.nextComparison(patience: .zero) == nil)
    #expect(sight.isJudged(at: at(2)), "nothing is said of it")
    sight.mounted(now: at(3), settings)
    #expect(!sight.isAway && !sight.isSeen && !sight.isJudged(at: at(3)))
    #expect(sight.isCatalogProven, "it is another disk, and the same catalog")
    #expect(sight.nextComparison(patience: .zero) == at(3))
    #expect(sight.judgeBy == at(3) + settings.judgePatience)
    end(early, of: &sight, isAwaited: false, at: at(4))
    let late = sight.comparisonBegan(isAnew: false)
    #expect(late != early)
  }
}
