import MantelCatalog
import MantelCore
import Testing

@testable import MantelReplication

/// How files get from a folder into the library.
@Suite struct LedgerTests {
  private let a = content("a")
  private let b = content("b")

  private func fresh(_ desk: SingleMachine, size: UInt64 = 10, inode: UInt64 = 7) -> FileStamp {
    desk.stamp(size, mtime: desk.now.wall.nanoseconds, inode: inode)
  }

  @Test func aClosedFileIsHashedAtOnce() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    #expect(
      try desk.send(.sighted(SingleMachine.folderID, bytes("a"), .file(stamp, isClosed: true))).hashes == [
        bytes("a")
      ])
  }

  @Test func anOpenFileIsHashedAfterTwoEqualLooksTwoSecondsApart() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    let sight = ReplicationEvent.sighted(SingleMachine.folderID, bytes("a"), .file(stamp, isClosed: false))
    try desk.send(sight)
    // Events of one write burst show the same stamp, because clocks tick coarsely: they are no second look.
    try desk.pass(.milliseconds(3))
    #expect(try desk.send(sight).hashes.isEmpty)
    _ = desk.take()
    try desk.pass(.milliseconds(1_990))
    #expect(desk.take().looks.isEmpty)
    try desk.pass(.milliseconds(20))
    #expect(desk.take().looks == [bytes("a")])
    #expect(try desk.send(sight).hashes == [bytes("a")])
  }

  @Test func aFileThatGrowsIsLookedAtUntilItRests() throws {
    let desk = try SingleMachine()
    for size in 1...5 {
      let sight = FileSight.file(fresh(desk, size: UInt64(size)), isClosed: false)
      #expect(try desk.send(.sighted(SingleMachine.folderID, bytes("a"), sight)).hashes.isEmpty)
      _ = desk.take()
      try desk.pass(.seconds(2))
      #expect(desk.take().looks == [bytes("a")], "after change \(size)")
    }
  }

  @Test func anOldFileOfTheFirstScanNeedNotSettle() throws {
    let desk = try SingleMachine()
    try desk.scan(["old": desk.stamp(1), "new": fresh(desk, inode: 8)])
    #expect(desk.take().hashes == [bytes("old")])
  }

  @Test func bytesThatChangeWhileTheyAreHashedAreNotTaken() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.sight("a", .file(stamp, isClosed: true))
    let changed = fresh(desk, size: 11)
    try desk.finishHash("a", a, changed, before: stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).isEmpty)
    _ = desk.take()
    try desk.pass(.seconds(1))
    #expect(desk.take().looks == [bytes("a")])
    #expect(
      try desk.send(.sighted(SingleMachine.folderID, bytes("a"), .file(changed, isClosed: false))).hashes
        == [bytes("a")])
  }

  /// The hash was done just before the change: both stamps agree, and the event tells better.
  @Test(arguments: [true, false]) func anEventDuringHashingMakesTheHashWorthless(isGone: Bool) throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.sight("a", .file(stamp, isClosed: true))
    try desk.sight("a", isGone ? .gone : .file(fresh(desk, size: 11), isClosed: true))
    try desk.finishHash("a", a, stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).isEmpty)
    _ = desk.take()
    try desk.pass(.seconds(2))
    #expect(desk.take().looks == [bytes("a")])
  }

  @Test func aDirectoryThatGoesTakesItsUnwrittenFilesAlong() throws {
    let desk = try SingleMachine()
    try desk.sight("d/hashing", .file(fresh(desk), isClosed: true))
    let hashing = fresh(desk)
    try desk.write("d/hashed", b, fresh(desk, inode: 8))
    try desk.send(.directoryGone(SingleMachine.folderID, bytes("d")))
    try desk.finishHash("d/hashing", a, hashing)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).isEmpty)
    #expect(try desk.ownEntries(of: b).isEmpty)
  }

  @Test func anUnreadableFileIsSkippedWithItsReasonAndTriedAgain() throws {
    let desk = try SingleMachine()
    let stamp = desk.stamp(10)
    try desk.scan(["a": stamp])
    try desk.send(.hashed(SingleMachine.folderID, [FileHash(bytes("a"), .unreadable(errno: 13))]))
    #expect(
      try desk.status("a")
        == .skipped(.unreadable(errno: 13)))
    _ = desk.take()
    try desk.scan(["a": stamp])
    try desk.pass(.seconds(2))
    #expect(desk.take().looks == [bytes("a")])
    try desk.sight("a", .file(stamp, isClosed: false))
    try desk.finishHash("a", a, stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).count == 1)
  }

  /// A failed fsync: neither published nor held, before and after a restart, and what was published stays.
  @Test(arguments: [false, true]) func aFileThatCannotBeSyncedIsNotPublished(isKnown: Bool) throws {
    let desk = try SingleMachine()
    if isKnown { try desk.publish("a", b, desk.stamp(9)) }
    let order = desk.head?.order
    let stamp = desk.stamp(10)
    try desk.sight("a", .file(stamp, isClosed: true))
    try desk.send(.hashed(SingleMachine.folderID, [FileHash(bytes("a"), .notDurable)]))
    try desk.pass(.seconds(30))
    #expect(desk.head?.order == order)
    #expect(try desk.ownEntries(of: b).map(\.state.isLive) == (isKnown ? [true] : []))
    #expect(try desk.report().reasons.contains(.pending(files: 1)))
    _ = desk.take()
    try desk.pass(desk.settings.syncRetry)
    #expect(desk.take().looks == [bytes("a")])
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    #expect(!desk.isHeld(a))
    try desk.scan(["a": stamp])
    try desk.pass(.seconds(3))
    // One of which nothing was published is hashed at once.
    if desk.take().hashes.isEmpty { try desk.sight("a", .file(stamp, isClosed: false)) }
    try desk.finishHash("a", a, stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).map(\.state.isLive) == [true])
    #expect(desk.isHeld(a))
  }

  /// Retired once the deletion delay is over, and listed as skipped from then on.
  @Test(arguments: [true, false]) func aPublishedFileThatBecomesSkippedKeepsItsReason(restarts: Bool) throws {
    let desk = try SingleMachine()
    let link = try desk.connect(has: [a])
    try desk.publish("a", a, fresh(desk))
    let reason = SkipReason.unreadable(errno: 13)
    try desk.sight("a", .skipped(reason, nil))
    if restarts {
      try desk.restart()
      try desk.send(.linkClosed(link))
      try desk.connect(has: [a])
      try desk.send(.scanBegan(SingleMachine.folderID))
      try desk.send(
        .directoryScanned(
          SingleMachine.folderID,
          DirectorySight(directory: [], files: [], skipped: [(bytes("a"), reason)])))
      try desk.send(.scanEnded(SingleMachine.folderID, isComplete: true))
    }
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).map(\.state.isRetired) == [true])
    #expect(try desk.status("a") == .skipped(reason))
  }

  @Test func aScanThatEndedEarlyDeletesNothing() throws {
    let desk = try SingleMachine()
    try desk.publish("d/a", a, fresh(desk))
    try desk.scan([:], isComplete: false)
    try desk.pass(.seconds(70))
    #expect(try desk.ownEntries(of: a).map(\.state.isLive) == [true])
    try desk.scan([:])
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).allSatisfy { !$0.state.isLive })
  }

  /// A scan that finds some files, and a directory that it may not look into.
  private func scan(
    _ desk: SingleMachine, _ files: [String: FileStamp], unreadable: String
  ) throws {
    let id = SingleMachine.folderID
    try desk.send(.scanBegan(id))
    let found = files.sorted { $0.key < $1.key }.map { (path: bytes($0.key), stamp: $0.value) }
    try desk.send(
      .directoryScanned(
        id, DirectorySight(directory: [], files: found, skipped: [], subdirectories: [bytes(unreadable)])))
    try desk.send(.directoryUnreadable(id, bytes(unreadable), errno: 13))
    try desk.send(.scanEnded(id, isComplete: true))
  }

  /// chmod 000: one skipped item with its reason, and the scan counts. What was there is not taken for gone.
  @Test func anUnreadableDirectoryIsSkippedAndHoldsUpNothing() throws {
    let desk = try SingleMachine(hasFolder: false)
    try desk.send(.folderAdded(desk.folder))
    let stamp = fresh(desk)
    try desk.publish("closed/deep/a", a, stamp)
    try desk.publish("gone/b", b, fresh(desk, inode: 8))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    for _ in 0..<2 {
      try scan(desk, [:], unreadable: "closed")
      try desk.pass(.seconds(70))
      #expect(try !desk.report().reasons.contains(.scanning))
      #expect(try desk.status("closed") == .skipped(.unreadable(errno: 13)))
      #expect(try desk.ownEntries(of: a).map(\.state.isLive) == [true])
      #expect(try desk.ownEntries(of: b).allSatisfy { !$0.state.isLive }, "its directory was removed")
    }
    try desk.scan(["closed/deep/a": stamp])
    try desk.pass(.seconds(3))
    #expect(try desk.status("closed") == nil)
    #expect(try desk.status("closed/deep/a") == .published)
  }

  @Test func anUnreadableDirectoryThatGoesTakesItsFilesAlong() throws {
    let desk = try SingleMachine()
    try desk.publish("closed/a", a, fresh(desk))
    try scan(desk, [:], unreadable: "closed")
    try desk.send(.directoryGone(SingleMachine.folderID, bytes("closed")))
    try desk.pass(.seconds(3))
    #expect(try desk.status("closed") == nil)
    #expect(try desk.ownEntries(of: a).allSatisfy { !$0.state.isLive })
  }

  /// A large cold directory is listed for seconds; what was told of its files meanwhile is newer.
  @Test func aListingSaysNothingOfFilesThatAreTheNewer() throws {
    let desk = try SingleMachine()
    let (id, old) = (SingleMachine.folderID, fresh(desk))
    try desk.publish("gone", a, old)
    try desk.send(.scanBegan(id))
    _ = desk.replicator.beginListing(id, [])
    let new = fresh(desk, inode: 8)
    try desk.publish("new", b, new)
    try desk.sight("gone", .gone)
    try desk.send(
      .directoryScanned(
        id, DirectorySight(directory: [], files: [(bytes("gone"), old)], skipped: [])))
    try desk.send(.scanEnded(id, isComplete: true))
    try desk.pass(.seconds(70))
    #expect(try desk.ownEntries(of: b).map(\.state.isLive) == [true])
    #expect(try desk.ownEntries(of: a).allSatisfy { !$0.state.isLive })
    // The next listing is the newer one again.
    _ = desk.replicator.beginListing(id, [])
    try desk.scan([:])
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: b).allSatisfy { !$0.state.isLive })
  }

  @Test func aListingOfADirectoryThatWentSaysNothing() throws {
    let desk = try SingleMachine()
    let (id, stamp) = (SingleMachine.folderID, fresh(desk))
    try desk.publish("up/d/a", a, stamp)
    _ = desk.replicator.beginListing(id, bytes("up/d"))
    try desk.send(.directoryGone(id, bytes("up")))
    try desk.send(
      .directoryScanned(
        id, DirectorySight(directory: bytes("up/d"), files: [(bytes("up/d/a"), stamp)], skipped: [])))
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).allSatisfy { !$0.state.isLive })
  }

  @Test func anOfflineFolderDeletesNothing() throws {
    let desk = try SingleMachine()
    try desk.publish("a", a, fresh(desk))
    try desk.send(.scanBegan(SingleMachine.folderID))
    try desk.send(.folderOffline(SingleMachine.folderID))
    try desk.send(.scanEnded(SingleMachine.folderID, isComplete: true))
    try desk.pass(.seconds(70))
    #expect(try desk.ownEntries(of: a).map(\.state.isLive) == [true])
  }

  /// A directory made while the scan runs is not walked by it, and its files are no less there.
  @Test func aScanDoesNotTakeForGoneWhatWasSeenWhileItRan() throws {
    let desk = try SingleMachine()
    try desk.send(.scanBegan(SingleMachine.folderID))
    try desk.send(
      .directoryScanned(
        SingleMachine.folderID, DirectorySight(directory: [], files: [], skipped: [])))
    try desk.publish("new/a", a, fresh(desk))
    try desk.send(.scanEnded(SingleMachine.folderID, isComplete: true))
    try desk.pass(.seconds(70))
    #expect(try desk.ownEntries(of: a).map(\.state.isLive) == [true])
  }

  @Test func aRemovedFolderRetiresAllAndLeavesNothingBehind() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [a])
    try desk.publish("a", a, fresh(desk))
    try desk.write("b", b, fresh(desk, inode: 8))
    try desk.send(.folderRemoved(SingleMachine.folderID))
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).map(\.state.isRetired) == [true])
    #expect(try desk.ownEntries(of: b).isEmpty)
    #expect(try desk.catalog.files(SingleMachine.folderID, after: nil, limit: 10).isEmpty)
  }

  @Test func aFolderRemovedJustBeforeACrashIsRetiredAfterIt() throws {
    let desk = try SingleMachine()
    try desk.publish("a", a, fresh(desk))
    try desk.send(.folderRemoved(SingleMachine.folderID))
    try desk.restart()
    try desk.connect(has: [a])
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).map(\.state.isRetired) == [true])
  }

  // MARK: Held

  /// chmod, or a new hard link: another ctime, the same bytes. Nothing is published, and the content is held again.
  @Test func aFileTouchedWithoutAChangeIsHeldAgain() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.publish("a", a, stamp)
    let touched = desk.stamp(10, mtime: stamp.mtime, ctime: stamp.ctime + 1)
    try desk.sight("a", .file(touched, isClosed: true))
    #expect(!desk.isHeld(a), "the first sign of a change clears the mark")
    let order = desk.head?.order
    try desk.finishHash("a", a, touched)
    try desk.pass(.seconds(1))
    #expect(desk.isHeld(a))
    #expect(desk.head?.order == order)
  }

  @Test func twoCopiesThatBothChangeHoldNothing() throws {
    let desk = try SingleMachine()
    try desk.write("1", a, fresh(desk, inode: 1))
    try desk.publish("2", a, fresh(desk, inode: 2))
    try desk.sight("1", .file(fresh(desk, size: 11, inode: 1), isClosed: false))
    #expect(desk.isHeld(a))
    try desk.sight("2", .file(fresh(desk, size: 11, inode: 2), isClosed: false))
    #expect(!desk.isHeld(a))
  }

  /// Hashed, and changed again before the head: the bytes of the hash are nowhere any more.
  @Test func aChangeBeforeTheHeadTakesTheHashBack() throws {
    let desk = try SingleMachine()
    try desk.write("a", a, fresh(desk))
    try desk.sight("a", .file(fresh(desk, size: 11), isClosed: false))
    try desk.pass(.seconds(1))
    #expect(!desk.isHeld(a))
    #expect(try desk.ownEntries(of: a).isEmpty)
  }

  /// Others must not be told for ever of bytes that came and went between two heads.
  @Test func bytesThatCameAndWentBetweenHeadsAreNotAvailable() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    try desk.write("a", a, fresh(desk))
    #expect(desk.take().told(link, of: a) == true)
    try desk.sight("a", .gone)
    try desk.pass(.seconds(3))
    #expect(desk.take().told(link, of: a) == false)
  }

  // MARK: Hard links

  private func linked(_ desk: SingleMachine, size: UInt64 = 10, links: UInt64 = 2) -> FileStamp {
    var stamp = fresh(desk, size: size)
    stamp.linkCount = links
    return stamp
  }

  /// The system tells of the name under which a file was written, and of no other.
  @Test func aChangeUnderOneNameIsLookedForUnderAll() throws {
    let desk = try SingleMachine()
    let stamp = linked(desk)
    for name in ["1", "2", "3"] { try desk.write(name, a, stamp) }
    try desk.pass(.seconds(3))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    _ = desk.take()
    let changed = linked(desk, size: 11)
    try desk.sight("1", .file(changed, isClosed: false))
    #expect(desk.take().looks.sorted { $0.lexicographicallyPrecedes($1) } == [bytes("2"), bytes("3")])
    for name in ["2", "3"] { try desk.sight(name, .file(changed, isClosed: false)) }
    #expect(!desk.isHeld(a), "its bytes are nowhere any more")
    #expect(desk.take().looks.isEmpty, "each is looked at once")
  }

  /// `ln old new` says nothing of `old`, whose row has one name still.
  @Test func aNewNameMakesTheOldOneKnowIt() throws {
    let desk = try SingleMachine()
    try desk.publish("old", a, linked(desk, links: 1))
    _ = desk.take()
    let both = linked(desk)
    try desk.write("new", a, both)
    #expect(desk.take().looks == [bytes("old")])
    try desk.write("old", a, both)
    try desk.pass(.seconds(3))
    #expect(desk.take().looks.isEmpty)
    try desk.sight("new", .file(linked(desk, size: 11), isClosed: false))
    #expect(desk.take().looks == [bytes("old")])
  }

  // MARK: Coarse clocks

  /// FAT: written, closed, hashed, and written again within two seconds. Times and size are the same.
  @Test func aCloseIsHashedAlsoWhenTheStampIsTheSame() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.publish("a", a, stamp)
    _ = desk.take()
    try desk.sight("a", .file(stamp, isClosed: true))
    #expect(desk.take().hashes == [bytes("a")])
    #expect(!desk.isHeld(a))
    try desk.finishHash("a", b, stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: b).count == 1)
  }

  /// And nobody told of the second write.
  @Test func aStampThatMayHideAWriteIsHashedOnceMore() throws {
    let desk = try SingleMachine()
    try desk.pass(.nanoseconds((2_000_000_000 - desk.now.wall.nanoseconds % 2_000_000_000) % 2_000_000_000))
    let time = desk.now.wall.nanoseconds
    let stamp = desk.stamp(10, mtime: time, ctime: time)
    try desk.write("a", a, stamp)
    try desk.pass(.seconds(1))
    #expect(try desk.ownEntries(of: a).count == 1, "published at once")
    #expect(try desk.report().reasons.contains(.pending(files: 1)), "and not yet done with")
    _ = desk.take()
    try desk.pass(.seconds(1))
    #expect(desk.take().looks == [bytes("a")])
    try desk.sight("a", .file(stamp, isClosed: false))
    #expect(desk.take().hashes == [bytes("a")])
    try desk.finishHash("a", b, stamp)
    try desk.pass(.seconds(5))
    #expect(try desk.ownEntries(of: b).count == 1)
    #expect(try !desk.report().reasons.contains(.pending(files: 1)), "once is enough")
    #expect(desk.take().looks.isEmpty)
  }

  @Test func onlyCoarseAndYoungStampsMayHideAWrite() {
    let now = WallTime(nanoseconds: 1_700_000_001_500_000_000)
    func mayHide(_ mtime: Int64, _ ctime: Int64? = nil) -> Bool {
      FileStamp(size: 1, mtime: mtime, ctime: ctime ?? mtime, inode: 1, device: 1).mayHideChange(at: now)
    }
    #expect(mayHide(1_700_000_000_000_000_000))
    #expect(mayHide(1_700_000_001_490_000_000))
    #expect(!mayHide(1_700_000_000_000_000_000, 1_700_000_000_000_000_001), "a fine clock")
    #expect(!mayHide(1_699_999_998_000_000_000), "the tick is over")
    #expect(!mayHide(4_000_000_000_000_000_000), "a camera's clock: it would be hashed for ever")
  }

  // MARK: Cost

  /// The deadline and the settling files are asked for with every event.
  @Test func manySettlingFilesCostNothingPerEvent() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    for number in 0..<4_000 {
      try desk.sight("file\(number)", .file(stamp, isClosed: false))
    }
    let settling = desk.replicator.ledger.settling.count
    #expect(settling == 4_000)
    let clock = ContinuousClock()
    let spent = try clock.measure {
      for _ in 0..<2_000 {
        try desk.send(.tick)
        _ = desk.replicator.nextDeadline
      }
    }
    // Each would cost milliseconds if it looked at all of them.
    #expect(spent < .seconds(2), "2,000 ticks took \(spent)")
  }

  @Test func manyQueuedFilesThatGoCostNothing() {
    var ledger = Ledger()
    let keys = (0..<20_000).map { FileKey(folder: SingleMachine.folderID, path: bytes("file\($0)")) }
    let spent = ContinuousClock().measure {
      for key in keys { ledger.enqueue(key) }
      for key in keys { ledger.forget(key) }
    }
    #expect(spent < .seconds(2), "took \(spent)")
    #expect(ledger.isIdle)
    #expect(ledger.dequeue() == nil)
  }

  /// A file that comes and goes takes one place in the queue, however often.
  @Test func aFileThatComesAndGoesIsHashedOnce() {
    var ledger = Ledger()
    let key = FileKey(folder: SingleMachine.folderID, path: bytes("a"))
    for _ in 0..<1_000 {
      ledger.enqueue(key)
      ledger.forget(key)
    }
    ledger.enqueue(key)
    #expect(ledger.dequeue() == key)
    #expect(ledger.dequeue() == nil)
  }
}
