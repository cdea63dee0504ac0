import MantelCore
import MantelSession
import Testing

@testable import MantelTransport

@Suite struct WaitingQueriesTests {
  private let start = Instant(nanoseconds: 0)

  private func read(
    _ number: UInt64, _ part: UnitID.Part = .whole, bytes: Int = WaitingQueries.smallReadBytes
  ) -> StoreQuery {
    .read(
      UnitID(content: ContentID(Digest256(number, 0, 0, 0)), part: part), offset: 0, maximumBytes: bytes)
  }

  private func add(_ numbers: ClosedRange<UInt64>, to waiting: inout WaitingQueries) {
    for number in numbers { waiting.add(QueryID(number), read(number)) }
  }

  private func take(_ waiting: inout WaitingQueries, after time: Duration = .zero) -> [UInt64] {
    waiting.take(16, now: start + time).map(\.0.number)
  }

  @Test func smallReadsWaitUntilAsManyWaitAsAreOut() {
    var waiting = WaitingQueries()
    add(1...4, to: &waiting)
    #expect(take(&waiting) == [1, 2, 3, 4])
    add(5...7, to: &waiting)
    #expect(take(&waiting).isEmpty)
    #expect(waiting.nextDeadline == start + WaitingQueries.patience)
    add(8...8, to: &waiting)
    #expect(take(&waiting) == [5, 6, 7, 8])
    #expect(waiting.nextDeadline == nil)
  }

  @Test func anAnswerLetsWaitingReadsGo() {
    var waiting = WaitingQueries()
    add(1...4, to: &waiting)
    _ = take(&waiting)
    add(5...6, to: &waiting)
    waiting.answered(QueryID(1))
    #expect(take(&waiting).isEmpty)
    waiting.answered(QueryID(2))
    #expect(take(&waiting) == [5, 6])
  }

  @Test func readsThatHangHoldOthersUpForAMoment() {
    var waiting = WaitingQueries()
    add(1...4, to: &waiting)
    _ = take(&waiting)
    add(5...5, to: &waiting)
    #expect(take(&waiting).isEmpty)
    // The patience is that of the first that waits.
    add(6...6, to: &waiting)
    #expect(take(&waiting, after: .milliseconds(49)).isEmpty)
    #expect(take(&waiting, after: WaitingQueries.patience) == [5, 6])
    #expect(waiting.nextDeadline == nil)
  }

  @Test func nothingElseWaitsForSmallReads() {
    var waiting = WaitingQueries()
    add(1...4, to: &waiting)
    _ = take(&waiting)
    add(5...5, to: &waiting)
    waiting.add(QueryID(6), read(6, .manifest))
    waiting.add(QueryID(7), read(7, .block(0), bytes: 1 << 20))
    waiting.add(QueryID(8), .entries(library: MachineID(Digest256(1, 0, 0, 0)), []))
    #expect(take(&waiting) == [6, 7, 8])
    for number in 1...4 { waiting.answered(QueryID(UInt64(number))) }
    #expect(take(&waiting) == [5])
  }

  /// Else a timer that is due would be set again and again while nothing may be asked.
  @Test func aFullSessionHasNoDeadline() {
    var waiting = WaitingQueries()
    add(1...4, to: &waiting)
    _ = take(&waiting)
    add(5...5, to: &waiting)
    _ = take(&waiting)
    #expect(waiting.take(0, now: start).isEmpty)
    #expect(waiting.nextDeadline == nil)
    for number in 1...4 { waiting.answered(QueryID(UInt64(number))) }
    add(6...9, to: &waiting)
    #expect(waiting.take(2, now: start).map(\.0.number) == [5, 6])
  }
}
