import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary
import Testing

@testable import MantelReplication

/// When heads go out.
@Suite struct PublicationTests {
  private func fresh(_ desk: SingleMachine, _ inode: UInt64) -> FileStamp {
    desk.stamp(10, mtime: desk.now.wall.nanoseconds, inode: inode)
  }

  private func write(_ desk: SingleMachine, _ name: String) throws {
    try desk.write(name, content(name), fresh(desk, content(name).digest.word0 >> 1))
  }

  private func quiet(_ desk: SingleMachine) throws {
    try desk.pass(.seconds(10))
    _ = desk.take()
  }

  @Test func anEmptyLibraryIsPublishedOnceItsFoldersAreScanned() throws {
    let desk = try SingleMachine(hasFolder: false)
    try desk.send(.folderAdded(desk.folder))
    #expect(desk.head == nil)
    #expect(try desk.report().reasons.contains(.scanning))
    try desk.scan([:])
    #expect(desk.head?.order.sequence == 1)
    #expect(desk.head?.counts == LibraryCounts())
    try desk.pass(.seconds(100))
    #expect(desk.head?.order.sequence == 1)
  }

  @Test func oneChangeIsPublishedAfter50Milliseconds() throws {
    let desk = try SingleMachine()
    try quiet(desk)
    try write(desk, "a")
    try desk.pass(.milliseconds(49))
    #expect(desk.take().published.isEmpty)
    try desk.pass(.milliseconds(1))
    #expect(desk.take().published.count == 1)
    #expect(desk.head?.counts.live == 1)
  }

  @Test func aStreamOfChangesIsPublished200MillisecondsAfterItsFirst() throws {
    let desk = try SingleMachine()
    try quiet(desk)
    for number in 0..<5 {
      try write(desk, "\(number)")
      try desk.pass(.milliseconds(40))
    }
    #expect(desk.take().published.count == 1)
    #expect(desk.head?.counts.live == 5)
  }

  @Test func sustainedLoadIsPublishedEveryTwoSeconds() throws {
    let desk = try SingleMachine()
    try quiet(desk)
    var heads = 0
    for number in 0..<200 {
      try write(desk, "\(number)")
      try desk.pass(.milliseconds(100))
      heads += desk.take().published.count
    }
    // 20 s: a short burst, then one head in two seconds.
    #expect((10...13).contains(heads), "\(heads) heads")
    try desk.pass(.seconds(3))
    #expect(desk.head?.counts.live == 200)
  }

  @Test func aDeletionIsPublishedTwoSecondsAfterItWasSeen() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [content("a"), content("b")])
    try write(desk, "a")
    try write(desk, "b")
    try quiet(desk)
    try desk.sight("a", .gone)
    try desk.pass(.milliseconds(1_500))
    try desk.sight("b", .gone)
    try desk.pass(.milliseconds(499))
    #expect(desk.take().published.isEmpty)
    try desk.pass(.milliseconds(1))
    #expect(desk.head?.counts.retired == 1)
    try desk.pass(.milliseconds(1_500))
    #expect(desk.head?.counts.retired == 2, "the second does not wait for another round")
  }

  @Test func manyDeletionsOneByOneAreFewHeads() throws {
    var settings = ReplicationSettings()
    settings.massChange.contents = 1_000
    let desk = try SingleMachine(settings: settings)
    for number in 0..<100 { try write(desk, "\(number)") }
    try quiet(desk)
    for number in 0..<100 {
      try desk.sight("\(number)", .gone)
      try desk.pass(.milliseconds(50))
    }
    try desk.pass(.seconds(5))
    #expect(desk.take().published.count <= 6)
    #expect(desk.head?.counts.live == 0)
  }

  /// The file may come up under another name: what is still to be hashed is waited for, but for ever only if it looks
  /// like the same file.
  @Test func aDeletionDoesNotWaitForEverForOtherFiles() throws {
    let desk = try SingleMachine()
    try write(desk, "a")
    try quiet(desk)
    try desk.sight("b", .file(fresh(desk, 9), isClosed: true))
    try desk.sight("a", .gone)
    try desk.pass(.seconds(58))
    #expect(desk.take().published.isEmpty)
    try desk.pass(.seconds(4))
    #expect(desk.take().published.count == 1)
    #expect(desk.head?.counts.live == 0)
  }

  /// A folder of many gigabytes is renamed: hashing it again takes longer than any patience. A move to another
  /// filesystem has other inodes, but size and times.
  @Test(arguments: [true, false]) func aDeletionWaitsForWhatMayBeTheSameFile(hasSameInode: Bool) throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk, 5)
    try desk.publish("old/a", content("a"), stamp)
    try quiet(desk)
    let moved = hasSameInode ? fresh(desk, 5) : desk.stamp(10, mtime: stamp.mtime, inode: 6)
    try desk.send(.directoryGone(SingleMachine.folderID, bytes("old")))
    try desk.sight("new/a", .file(moved, isClosed: true))
    for _ in 0..<10 {
      try desk.pass(.seconds(60), limit: 100)
      #expect(desk.take().published.isEmpty)
    }
    try desk.finishHash("new/a", content("a"), moved)
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: content("a")).map(\.path) == [bytes("new/a")])
    #expect(desk.head?.counts.entries == 1, "a move retires nothing")
  }

  /// The new name comes to light when the old one is retired already: the directory was found late.
  @Test(arguments: [true, false]) func aMoveThatIsFoundLateTakesTheOldNameBack(isHeld: Bool) throws {
    let desk = try SingleMachine()
    if isHeld { try desk.connect(has: [content("a")]) }
    let stamp = fresh(desk, 5)
    try desk.publish("old/a", content("a"), stamp)
    try desk.delete("old/a")
    #expect(desk.head?.counts.live == 0 && desk.head?.counts.entries == 1)
    try desk.pass(.seconds(3_600))
    try desk.publish("new/a", content("a"), stamp)
    #expect(try desk.ownEntries(of: content("a")).map(\.path) == [bytes("new/a")])
    #expect(desk.head?.counts.entries == 1)
  }

  /// What was deleted long ago, or replaced, is history of its own.
  @Test func whatIsNoMoveStaysRetired() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [content("a"), content("b")])
    try desk.publish("p", content("a"), fresh(desk, 5))
    try desk.publish("p", content("b"), fresh(desk, 5))
    try desk.publish("copy of p", content("a"), fresh(desk, 6))
    #expect(desk.head?.counts.retired == 1, "p was replaced")
    try desk.delete("p")
    try desk.pass(.seconds(2 * 86_400))
    try desk.publish("later", content("b"), fresh(desk, 7))
    #expect(desk.head?.counts.retired == 2)
  }

  /// A scan goes directory by directory: the new name may lie in one that comes minutes later.
  @Test func aDeletionWaitsForTheScanThatFoundIt() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk, 5)
    try desk.write("d/a", content("a"), stamp)
    try quiet(desk)
    try desk.send(.scanBegan(SingleMachine.folderID))
    for directory in ["", "d"] {
      try desk.send(
        .directoryScanned(
          SingleMachine.folderID, DirectorySight(directory: bytes(directory), files: [], skipped: [])))
    }
    try desk.pass(.seconds(20))
    #expect(desk.take().published.isEmpty)
    try desk.send(
      .directoryScanned(
        SingleMachine.folderID,
        DirectorySight(directory: bytes("z"), files: [(bytes("z/a"), stamp)], skipped: [])))
    try desk.finishHash("z/a", content("a"), stamp)
    try desk.send(.scanEnded(SingleMachine.folderID, isComplete: true))
    try desk.pass(.seconds(10))
    let entries = try desk.ownEntries(of: content("a"))
    #expect(entries.map(\.path) == [bytes("z/a")], "a move retires nothing")
  }

  @Test func aFileThatComesBackInTimeWasNeverGone() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk, 5)
    try desk.publish("a", content("a"), stamp)
    try quiet(desk)
    try desk.sight("a", .gone)
    try desk.pass(.seconds(1))
    try desk.sight("a", .file(stamp, isClosed: true))
    try desk.pass(.seconds(10))
    #expect(desk.take().published.isEmpty)
    #expect(desk.head?.counts.live == 1)
  }

  /// A restored catalog, or a clone: publishing stops until somebody decides.
  @Test func aNewerHeadOfOurOwnStopsPublishing() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    var record = try #require(desk.head)
    record.order.sequence += 5
    try desk.send(.headReceived(link, try desk.key.sign(record, in: desk.household)))
    #expect(desk.take().warnings == [.ownHeadAhead(record.order)])
    try write(desk, "a")
    let ticks = try desk.pass(.seconds(10))
    #expect(desk.take().published.isEmpty)
    #expect(ticks < 20)
    let report = try desk.report()
    // On its way: the peer that showed it is asked for it.
    #expect(report.state == .copying)
    #expect(report.reasons.contains(.restored(waitingFor: [])))
  }

  @Test func aHeadCoversExactlyItsEntries() throws {
    let desk = try SingleMachine()
    for name in ["a", "b"] { try write(desk, name) }
    try quiet(desk)
    try desk.delete("a")
    var ids: [Digest256] = []
    try desk.catalog.forEachEntryID(desk.machine) { ids.append($0.digest) }
    let tag = SetTag.entries(desk.household, library: desk.machine)
    #expect(desk.head?.root == SetSnapshot(sorted: ids, tag: tag).root)
    #expect(try desk.catalog.staged(desk.machine).counts == desk.head?.counts)
  }
}
