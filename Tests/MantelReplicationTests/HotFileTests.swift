import MantelCatalog
import MantelCore
import Testing

@testable import MantelReplication

/// A path that changes again and again does not make a version of each change.
@Suite struct HotFileTests {
  private func fresh(_ desk: SingleMachine, _ size: UInt64) -> FileStamp {
    desk.stamp(size, mtime: desk.now.wall.nanoseconds, inode: 7)
  }

  @Test(
    arguments: [
      (0, nil), (2, nil), (3, 120), (4, 240), (5, 480), (12, 61_440), (13, 80_000), (5_000, 80_000),
    ] as [(Int, Int64?)])
  func theKthChangeAfterTheThirdWaitsTwoToTheKMinutes(changes: Int, seconds: Int64?) {
    let delay = ReplicationSettings().delay(afterChanges: changes, dayLeft: .seconds(80_000))
    #expect(delay == seconds.map { .seconds($0) })
    #expect(ReplicationSettings().delay(afterChanges: changes, dayLeft: .zero) == nil)
  }

  /// Returns what was published of the file after each of its changes, three seconds later.
  private func change(_ desk: SingleMachine, _ numbers: Range<Int>) throws -> [Bool] {
    try numbers.map { number in
      let stamp = fresh(desk, UInt64(10 + number))
      try desk.sight("a", .file(stamp, isClosed: true))
      if desk.take().hashes.contains(bytes("a")) { try desk.finishHash("a", content("\(number)"), stamp) }
      try desk.pass(.seconds(3))
      return try desk.ownEntries(of: content("\(number)")).contains { $0.state.isLive }
    }
  }

  @Test func theFirstBytesAndThreeChangesGoOutAtOnce() throws {
    let desk = try SingleMachine()
    #expect(try change(desk, 0..<6) == [true, true, true, true, false, false])
    #expect(try desk.status("a") == .pending(.changesOften))
    #expect(!desk.isHeld(content("3")), "its bytes are gone")
    // However often it changes meanwhile, it is looked at two minutes after the first of these changes.
    try desk.pass(.seconds(113))
    #expect(desk.take().looks.isEmpty)
    try desk.pass(.seconds(3))
    #expect(desk.take().looks == [bytes("a")])
    let stamp = fresh(desk, 99)
    try desk.sight("a", .file(stamp, isClosed: true))
    try desk.finishHash("a", content("late"), stamp)
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: content("late")).map(\.state.isLive) == [true])
    // The next waits longer.
    _ = try change(desk, 7..<8)
    try desk.pass(.seconds(230))
    #expect(desk.take().looks.isEmpty)
    try desk.pass(.seconds(10))
    #expect(desk.take().looks == [bytes("a")])
  }

  @Test func aNewDayCountsAnew() throws {
    let desk = try SingleMachine()
    _ = try change(desk, 0..<4)
    try desk.pass(.seconds(86_400))
    #expect(try change(desk, 4..<8) == [true, true, true, false])
  }

  @Test func touchesAreNoChanges() throws {
    let desk = try SingleMachine()
    for _ in 0..<8 { try desk.publish("a", content("a"), fresh(desk, 10)) }
    #expect(try change(desk, 1..<4) == [true, true, true])
  }

  @Test func theCountSurvivesARestart() throws {
    let desk = try SingleMachine()
    _ = try change(desk, 0..<4)
    try desk.restart()
    let stamp = fresh(desk, 50)
    try desk.scan(["a": stamp])
    try desk.pass(.seconds(60))
    let actions = desk.take()
    #expect(actions.looks.isEmpty && actions.hashes.isEmpty)
    #expect(try desk.status("a") == .pending(.changesOften))
    try desk.pass(.seconds(61))
    #expect(desk.take().looks == [bytes("a")])
  }

  @Test func aFileThatGoesWhileItWaitsIsForgotten() throws {
    let desk = try SingleMachine()
    try desk.connect(has: (0..<4).map { content("\($0)") })
    _ = try change(desk, 0..<5)
    try desk.delete("a")
    #expect(try desk.ownEntries(of: content("3")).map(\.state.isRetired) == [true])
    try desk.pass(.seconds(200))
    #expect(desk.take().looks.isEmpty)
  }
}
