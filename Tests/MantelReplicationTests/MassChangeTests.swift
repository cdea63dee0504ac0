import MantelCatalog
import MantelCore
import Testing

@testable import MantelReplication

/// What happens when too much of a folder goes or changes within a day.
@Suite struct MassChangeTests {
  private let limit = ReplicationSettings().massChange

  // MARK: The rule

  @Test(
    arguments: [
      (50, 60, false), (51, 60, true),
      // Exactly a fifth is not more than a fifth.
      (200, 1_000, false), (201, 1_000, true),
      (60, 100_000, false), (1, 1, false),
    ])
  func bothLimitsHaveToBePassed(lost: Int, files: Int, trips: Bool) {
    #expect((FolderLosses().massChange(adding: lost, files: files, limit) != nil) == trips)
  }

  @Test func theWindowAddsUpAndForgets() {
    var losses = FolderLosses()
    losses.add(contents: 30, deletions: 30, at: .zero + .seconds(3_000))
    losses.add(contents: 10, deletions: 0, at: .zero + .seconds(3_500))
    losses.add(contents: 5, deletions: 5, at: .zero + .seconds(7_300))
    #expect(losses.hours.map(\.contents) == [40, 5])
    #expect(
      losses.massChange(adding: 6, files: 65, limit) == FolderLosses.MassChange(contents: 51, files: 100))
    #expect(losses.massChange(adding: 5, files: 65, limit) == nil)
    losses.forget(before: .zero + .seconds(86_400 + 3_599), limit)
    #expect(losses.hours.map(\.contents) == [40, 5], "a day after the start of the hour it still counts")
    losses.forget(before: .zero + .seconds(86_400 + 3_600), limit)
    #expect(losses.hours.map(\.contents) == [5])
  }

  // MARK: Deletions

  /// `rm -rf DIR/*`: the events come as they come, and none of it gets out.
  @Test(arguments: [true, false]) func aFolderEmptiedInPlaceIsHeldAsAWhole(byEvents: Bool) throws {
    let folder = try FullFolder(files: 120)
    let link = folder.link
    let order = folder.desk.head?.order
    try folder.deleteAll(byEvents: byEvents)
    #expect(folder.desk.head?.order == order)
    #expect(try folder.live() == 120)
    #expect(folder.desk.take().warnings.count == 1)
    for number in 0..<120 {
      #expect(try folder.desk.status(folder.path(number)) == .pending(.massChange))
    }
    // The entries stay, the bytes are not here.
    #expect(!folder.desk.isHeld(folder.content(0)))
    #expect(!folder.desk.isAvailable(folder.content(0)))
    let report = try folder.desk.report(tally: LedgerCounts(seen: 120, pending: 120))
    #expect(report.state == .attention)
    #expect(
      report.reasons.first
        == .massChange(
          SingleMachine.folderID, FolderLosses.MassChange(contents: 120, files: 120), held: 120))
    #expect(!report.reasons.contains { if case .pending = $0 { true } else { false } })
    // Additions are published all the same.
    try folder.desk.publish("new", content("new"), folder.stamp(900))
    #expect(try folder.desk.ownEntries(of: content("new")).map(\.state.isLive) == [true])
    #expect(folder.desk.take().told(link, of: content("new")) == true)
    #expect(try folder.live() == 121)
  }

  /// A disk that was away for a while, and has other bytes under the old times when it is back.
  @Test func whatComesBackRottenIsNotPublished() throws {
    let folder = try FullFolder(files: 120)
    try folder.deleteAll(byEvents: false)
    try folder.desk.write(folder.path(3), content("rotten"), folder.stamp(3))
    try folder.desk.write(folder.path(4), folder.content(4), folder.stamp(4))
    try folder.desk.pass(.seconds(60))
    #expect(try folder.desk.status(folder.path(3)) == .pending(.suspectedRot))
    #expect(try folder.desk.status(folder.path(4)) == .published)
    #expect(try folder.desk.ownEntries(of: content("rotten")).isEmpty)
    #expect(try folder.desk.ownEntries(of: folder.content(3)).map(\.state.isLive) == [true])
    // What somebody wrote is a change like all others, and held with them.
    try folder.desk.write(folder.path(5), content("edited"), folder.stamp(5, again: true))
    try folder.desk.pass(.seconds(60))
    #expect(try folder.desk.status(folder.path(5)) == .pending(.massChange))
  }

  /// A laptop that is alone: nothing is published, what is too much is told all the same, and does not pile up in memory.
  @Test func aFolderEmptiedWhileNobodyIsHeardIsHeldAtOnce() throws {
    let folder = try FullFolder(files: 120)
    let order = folder.desk.head?.order
    try folder.desk.restart(hasHeard: false)
    try folder.deleteAll(byEvents: true)
    #expect(folder.desk.replicator.publication.deletions.count == 0)
    #expect(try folder.desk.status(folder.path(7)) == .pending(.massChange))
    #expect(try folder.desk.report().state == .attention)
    try folder.desk.connect()
    try folder.desk.pass(.seconds(120))
    #expect(folder.desk.head?.order == order)
    #expect(try folder.live() == 120)
  }

  @Test func fewDeletionsWaitUntilSomebodyIsHeard() throws {
    let folder = try FullFolder(files: 120)
    try folder.desk.restart(hasHeard: false)
    try folder.delete(0..<40)
    try folder.desk.pass(.seconds(300))
    #expect(folder.desk.replicator.publication.deletions.count == 40)
    #expect(try folder.live() == 120)
    try folder.desk.connect()
    try folder.desk.pass(.seconds(3))
    #expect(try folder.live() == 80)
  }

  @Test func fiftyAreNotTooManyAndTheNextOneIs() throws {
    let folder = try FullFolder(files: 120)
    try folder.delete(0..<50)
    #expect(try folder.live() == 70)
    try folder.delete(50..<51)
    #expect(try folder.live() == 70)
    // From then on each waits, replaced ones too.
    try folder.replace(60)
    #expect(try folder.live() == 70)
    #expect(try folder.desk.status(folder.path(60)) == .pending(.massChange))
  }

  @Test func aDayLaterAsManyMayGoAgain() throws {
    let folder = try FullFolder(files: 200)
    try folder.delete(0..<50)
    try folder.desk.pass(.seconds(90_000))
    try folder.delete(50..<100)
    #expect(try folder.live() == 100)
  }

  @Test func aSmallPartOfALargeFolderIsNoMassChange() throws {
    let folder = try FullFolder(files: 400)
    try folder.delete(0..<80)
    #expect(try folder.live() == 320)
    try folder.delete(80..<81)
    #expect(try folder.live() == 320)
  }

  @Test func movesDoNotCount() throws {
    let folder = try FullFolder(files: 120)
    for number in 0..<120 {
      try folder.desk.sight(folder.path(number), .gone)
      try folder.desk.write("moved/\(number)", folder.content(number), folder.stamp(number))
    }
    try folder.desk.pass(.seconds(5))
    #expect(try folder.live() == 120)
    #expect(try folder.desk.catalog.losses().isEmpty)
    try folder.desk.delete("moved/3")
    #expect(try folder.live() == 119)
  }

  /// `mv` between disks copies first: what a slow copy made of a move is no loss once the files are seen.
  @Test func heldDeletionsThatTurnOutToBeMovesGoWithTheNextScan() throws {
    let folder = try FullFolder(files: 60)
    try folder.delete(0..<60)
    #expect(try folder.live() == 60)
    var moved: [String: FileStamp] = [:]
    for number in 0..<60 {
      moved["moved/\(number)"] = folder.stamp(1_000 + number)
      try folder.desk.write("moved/\(number)", folder.content(number), folder.stamp(1_000 + number))
    }
    try folder.desk.pass(.seconds(3))
    #expect(try folder.live() == 120)
    try folder.desk.scan(moved)
    try folder.desk.pass(.seconds(3))
    #expect(try folder.live() == 60)
    #expect(try folder.desk.report().state != .attention)
    #expect(try folder.desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
  }

  @Test func aRemovedFolderNeedsNoSecondWord() throws {
    let folder = try FullFolder(files: 120)
    try folder.delete(0..<120)
    try folder.desk.send(.folderRemoved(SingleMachine.folderID))
    try folder.desk.pass(.seconds(3))
    #expect(try folder.live() == 0)
    #expect(try folder.desk.report().state != .attention)
    #expect(try folder.desk.catalog.losses().isEmpty)
  }

  // MARK: Replacements

  /// Encryption in place: what gets out before it trips is retired, and nothing after it.
  @Test func replacementsAreHeldFromTheBatchThatPassesTheLimit() throws {
    let folder = try FullFolder(files: 120)
    for number in 0..<120 {
      try folder.overwrite(number)
      try folder.desk.pass(.milliseconds(33))
    }
    try folder.desk.pass(.seconds(5))
    let retired = try (0..<120).filter { number in
      try folder.desk.ownEntries(of: folder.content(number)).contains { $0.state.isRetired }
    }
    #expect(retired.count <= 50)
    #expect(try folder.live() == 120)
    for number in 0..<120 where !retired.contains(number) {
      #expect(try folder.desk.ownEntries(of: folder.content(number)).map(\.state.isLive) == [true])
      #expect(!folder.desk.isHeld(folder.content(number)))
      #expect(try folder.desk.ownEntries(of: content("encrypted \(number)")).isEmpty)
      #expect(!folder.desk.isAvailable(content("encrypted \(number)")))
    }
  }

  /// Held changes are found by each scan and cost no second hash, until something changes again.
  @Test func aHeldReplacementIsNotHashedAgain() throws {
    let folder = try FullFolder(files: 60)
    for number in 0..<60 { try folder.overwrite(number) }
    try folder.desk.pass(.seconds(3))
    _ = folder.desk.take()
    try folder.scan(encrypted: 0..<60)
    try folder.desk.pass(.seconds(10))
    let actions = folder.desk.take()
    #expect(actions.looks.isEmpty && actions.hashes.isEmpty && actions.published.isEmpty)
  }

  // MARK: Put back

  @Test(arguments: [true, false]) func filesThatArePutBackAreHeldNoMore(restarts: Bool) throws {
    let folder = try FullFolder(files: 120)
    try folder.delete(0..<60)
    for number in 60..<120 { try folder.overwrite(number) }
    try folder.desk.pass(.seconds(3))
    #expect(try folder.desk.catalog.heldFiles(SingleMachine.folderID) == 120)
    if restarts { try folder.restart() }
    let order = folder.desk.head?.order
    for number in 0..<120 {
      try folder.desk.write(folder.path(number), folder.content(number), folder.stamp(number, again: true))
    }
    try folder.desk.pass(.seconds(3))
    #expect(try folder.live() == 120)
    #expect(try folder.desk.catalog.heldFiles(SingleMachine.folderID) == 0)
    #expect(folder.desk.isHeld(folder.content(0)) && folder.desk.isHeld(folder.content(100)))
    #expect(folder.desk.head?.order != order, "their times changed")
    #expect(try folder.desk.report().state != .attention)
    // Nothing of it counts: as much may go as ever.
    try folder.delete(0..<50)
    #expect(try folder.live() == 70)
  }

  /// A file that came back rotten waits for its user, one that changes often for up to a day: neither keeps what is over.
  @Test(arguments: [true, false]) func whatWaitsByItselfKeepsNoMassChange(isRotten: Bool) throws {
    let folder = try FullFolder(files: 120)
    let desk = folder.desk
    if !isRotten {
      for number in 0..<6 {
        let stamp = desk.stamp(UInt64(10 + number), mtime: desk.now.wall.nanoseconds, inode: 7_777)
        try desk.publish("hot", content("hot \(number)"), stamp)
      }
      #expect(try desk.status("hot") == .pending(.changesOften))
    }
    try folder.delete(0..<60)
    try desk.pass(.seconds(10))
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 60)
    for number in 0..<60 {
      if isRotten, number == 0 {
        try desk.write(folder.path(0), content("rotten"), folder.stamp(0))
      } else {
        try desk.write(folder.path(number), folder.content(number), folder.stamp(number, again: true))
      }
    }
    try desk.pass(.seconds(30))
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 0)
    let reason: PendingReason = isRotten ? .suspectedRot : .changesOften
    #expect(try desk.status(isRotten ? folder.path(0) : "hot") == .pending(reason))
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
    // An edit of weeks later is judged by itself.
    try folder.replace(100)
    try desk.pass(.seconds(10))
    #expect(try desk.status(folder.path(100)) == .published)
  }

  /// A held file that is written over and over, as by the passes of an encryption, is held as before: that it changes often
  /// does not free it.
  @Test(arguments: [true, false]) func whatIsHeldStaysSoHoweverOftenItChanges(isDeletion: Bool) throws {
    let folder = try FullFolder(files: 120)
    let (desk, path) = (folder.desk, folder.path(0))
    var original = folder.content(0)
    if isDeletion {
      for number in 0..<3 {
        original = content("edit \(number)")
        try desk.publish(path, original, desk.stamp(UInt64(20 + number), inode: 100))
      }
      #expect(try desk.status(path) == .published)
      try folder.delete(0..<60)
    } else {
      for number in 0..<60 { try folder.overwrite(number) }
    }
    try desk.pass(.seconds(10))
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 60)
    for number in 0..<6 {
      let stamp = desk.stamp(UInt64(30 + number), inode: 100)
      try desk.sight(path, .file(stamp, isClosed: false))
      try desk.write(path, content("pass \(number)"), stamp)
    }
    for number in 1..<60 {
      try desk.write(folder.path(number), folder.content(number), folder.stamp(number, again: true))
    }
    try desk.pass(.seconds(30))
    #expect(try desk.status(path) == .pending(.massChange))
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 1)
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange != nil)
    #expect(try desk.ownEntries(of: original).map(\.state) == [.live])
    #expect(try desk.report().state == .attention)
    // Nor does it wait when it is put back.
    try desk.write(path, original, folder.stamp(0, again: true))
    try desk.pass(.seconds(10))
    #expect(try desk.status(path) == .published)
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
  }

  // MARK: Restarts

  @Test func whatIsHeldSurvivesRestarts() throws {
    let folder = try FullFolder(files: 120)
    try folder.delete(0..<50)
    try folder.restart()
    try folder.scan(50..<120)
    try folder.delete(50..<60)
    #expect(try folder.live() == 70, "the window is as it was")
    try folder.restart()
    try folder.scan(60..<120)
    try folder.desk.pass(.seconds(70))
    #expect(try folder.live() == 70)
    #expect(try folder.desk.report().state == .attention)
    try folder.delete(60..<61)
    #expect(try folder.live() == 70)
  }

  // MARK: Accepting

  @Test(arguments: [0, 1, 2]) func acceptedChangesArePublished(restart: Int) throws {
    let folder = try FullFolder(files: 120)
    try folder.delete(0..<60)
    for number in 60..<115 { try folder.overwrite(number) }
    try folder.desk.pass(.seconds(3))
    #expect(try folder.desk.catalog.heldFiles(SingleMachine.folderID) == 115)
    if restart == 1 {
      // Without an agent.
      #expect(try folder.desk.catalog.acceptHeldFiles(SingleMachine.folderID) == 115)
      try folder.restart()
    } else {
      try folder.desk.send(.folderAccepted(SingleMachine.folderID))
      if restart == 2 { try folder.restart() }
    }
    try folder.finishScan(encrypted: 60..<115, plain: 115..<120)
    #expect(try folder.live() == 60)
    for number in 0..<115 {
      #expect(
        try folder.desk.ownEntries(of: folder.content(number)).map(\.state.isRetired) == [true], "\(number)")
    }
    #expect(try folder.desk.ownEntries(of: content("encrypted 60")).map(\.state.isLive) == [true])
    #expect(try folder.desk.report().state != .attention)
    #expect(try folder.desk.catalog.losses().isEmpty, "a new window has begun")
    // Only what was accepted: the next mass change is held again.
    try folder.delete(60..<120)
    #expect(try folder.live() == 60)
  }

  @Test func acceptingNothingChangesNothing() throws {
    let folder = try FullFolder(files: 60)
    try folder.desk.send(.folderAccepted(SingleMachine.folderID))
    try folder.delete(0..<60)
    #expect(try folder.live() == 60)
  }
}

/// A desk with a folder of so many published photos, all of which a connected peer has.
private final class FullFolder {
  let desk: SingleMachine
  let count: Int
  private(set) var link: LinkID

  init(files count: Int) throws {
    self.count = count
    desk = try SingleMachine()
    link = LinkID(0)
    link = try desk.connect(has: (0..<count).map(content(_:)))
    for number in 0..<count { try desk.write(path(number), content(number), stamp(number)) }
    try desk.pass(.seconds(3))
    _ = desk.take()
  }

  func path(_ number: Int) -> String { "album/\(number)" }
  func content(_ number: Int) -> ContentID { MantelReplicationTests.content("photo \(number)") }

  func stamp(_ number: Int, again: Bool = false) -> FileStamp {
    desk.stamp(
      10, ctime: SingleMachine.oldTime + (again ? 9 : 0), inode: UInt64(number) + (again ? 5_000 : 100)
    )
    .with(mtime: again ? SingleMachine.oldTime + 9 : SingleMachine.oldTime)
  }

  private func encrypted(_ number: Int) -> FileStamp { desk.stamp(11, inode: UInt64(number) + 100) }

  /// Live entries of the own library.
  func live() throws -> Int { Int(desk.head?.counts.live ?? 0) }

  func delete(_ numbers: Range<Int>) throws {
    for number in numbers { try desk.sight(path(number), .gone) }
    try desk.pass(.seconds(3))
  }

  func deleteAll(byEvents: Bool) throws {
    if byEvents {
      // As fast as a disk deletes: a tick falls in between now and then.
      for number in 0..<count {
        try desk.sight(path(number), .gone)
        if number % 10 == 0 { try desk.pass(.milliseconds(30)) }
      }
      try desk.send(.directoryGone(SingleMachine.folderID, bytes("album")))
    } else {
      try desk.scan([:])
    }
    try desk.pass(.seconds(5))
  }

  func overwrite(_ number: Int) throws {
    try desk.write(path(number), MantelReplicationTests.content("encrypted \(number)"), encrypted(number))
  }

  func replace(_ number: Int) throws {
    try overwrite(number)
    try desk.pass(.seconds(3))
  }

  func restart() throws {
    try desk.restart()
    link = try desk.connect(has: (0..<count).map(content(_:)))
  }

  func scan(_ plain: Range<Int> = 0..<0, encrypted: Range<Int> = 0..<0) throws {
    var files: [String: FileStamp] = [:]
    for number in plain { files[path(number)] = stamp(number) }
    for number in encrypted { files[path(number)] = self.encrypted(number) }
    try desk.scan(files)
  }

  /// A scan, and all looks and hashes that it asks for.
  func finishScan(encrypted: Range<Int>, plain: Range<Int>) throws {
    try scan(plain, encrypted: encrypted)
    try desk.pass(.seconds(2))
    for number in encrypted { try desk.sight(path(number), .file(self.encrypted(number), isClosed: false)) }
    for number in encrypted {
      try desk.finishHash(
        path(number), MantelReplicationTests.content("encrypted \(number)"), self.encrypted(number))
    }
    try desk.pass(.seconds(5))
  }
}

extension FileStamp {
  fileprivate func with(mtime: Int64) -> FileStamp {
    var stamp = self
    stamp.mtime = mtime
    return stamp
  }
}
