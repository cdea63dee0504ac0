import MantelCore
import Testing

@Suite struct BackoffTests {
  /// The next waits, in seconds.
  private func waits(_ backoff: inout Backoff, _ count: Int) -> [Double] {
    var waits: [Double] = []
    for _ in 0..<count { waits.append(backoff.next().inSeconds) }
    return waits
  }

  @Test func waitsDoubleUpToTheLongest() {
    var backoff = Backoff(first: .seconds(1), longest: .seconds(60))
    let all = waits(&backoff, 8)
    #expect(all == [1, 2, 4, 8, 16, 32, 60, 60])
  }

  @Test func afterAResetTheFirstComesAgain() {
    var backoff = Backoff(first: .seconds(3), longest: .seconds(10))
    let before = waits(&backoff, 2)
    #expect(before == [3, 6])
    backoff.reset()
    let after = waits(&backoff, 3)
    #expect(after == [3, 6, 10])
  }

  @Test func theFirstIsNoLongerThanTheLongest() {
    var backoff = Backoff(first: .seconds(9), longest: .seconds(5))
    let before = waits(&backoff, 2)
    #expect(before == [5, 5])
    backoff.reset()
    let after = waits(&backoff, 1)
    #expect(after == [5])
  }
}
