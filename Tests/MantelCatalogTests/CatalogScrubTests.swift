import MantelCore
import Testing

@testable import MantelCatalog

/// What the scrub asks and records.
@Suite(.serialized) struct CatalogScrubTests {
  private let fixture: CatalogFixture
  private var catalog: Catalog { fixture.catalog }

  init() throws {
    fixture = try CatalogFixture(.memory)
    try fixture.catalog.putFolder(Fixture.ownFolder())
  }

  private func time(_ nanoseconds: Int64) -> WallTime { WallTime(nanoseconds: nanoseconds) }

  private func bad(_ file: ReplicaFile, _ fault: FileFault = .rotten) -> BadFile {
    BadFile(file, fault, found: time(1_000))
  }

  @Test func pagesFilesByTheirLastRead() throws {
    let files = (1...9).map {
      Fixture.replicaFile("f\($0)", UInt64($0), verified: Int64(100 - 10 * ($0 / 2)))
    }
    try catalog.commitFiling(put: files, removed: [], filed: [])
    var found: [ReplicaFile] = []
    var position: RereadPosition?
    repeat {
      let page = try catalog.replicaFiles(of: nil, verifiedBefore: time(95), after: position, limit: 2)
      found += page.files
      position = page.last
    } while position != nil
    #expect(found.count == 8 && Set(found.map(\.path)).count == 8)
    #expect(found.map(\.verified) == found.map(\.verified).sorted())
    let backlog = try catalog.replicaBacklog(of: nil, before: time(95))
    #expect(backlog.files == 8 && backlog.oldest == time(60))
    #expect(backlog.bytes == found.reduce(0) { $0 + $1.stamp.size })
    #expect(try catalog.replicaBacklog(of: Fixture.bert, before: time(95)) == RereadBacklog())
    #expect(try catalog.replicaBacklog(of: Fixture.anna, before: time(95)) == backlog)
  }

  @Test func recordsWhatWasReadUnlessItIsAnotherFileNow() throws {
    let (file, other) = (Fixture.replicaFile("a", 1), Fixture.replicaFile("b", 2))
    try catalog.commitFiling(put: [file, other], removed: [], filed: [])
    try catalog.putFiles([Fixture.file("mine", content: 3)])
    var stale = VerifiedFile(other)
    stale.content = Fixture.content(9)
    try catalog.setVerified(
      [VerifiedFile(file), stale],
      own: [(Fixture.folder, Array("mine".utf8), Fixture.content(3))], at: time(50))
    #expect(try catalog.replicaFile(at: file.path)?.verified == time(50))
    #expect(try catalog.replicaFile(at: other.path)?.verified == time(10))
    #expect(try catalog.ownBacklog(before: time(50)).files == 0)
    #expect(try catalog.ownFiles(verifiedBefore: time(51), after: nil, limit: 9).files.count == 1)
    // Written anew by a head: read when it was hashed for that.
    try catalog.forgetVerifications(after: time(40))
    #expect(try catalog.oldestVerification() == time(0))
    #expect(try catalog.ownBacklog(before: time(1)).files == 1)
  }

  @Test func aCondemnedFileIsNoCopyAnyMoreAndTheReportStays() throws {
    let file = Fixture.replicaFile("a", 1)
    try catalog.follow(Fixture.anna, 1, add: [Fixture.entry("a", 1)])
    try catalog.commitFiling(put: [file], removed: [], filed: [file.content])
    #expect(try catalog.missingContent(file.content) == nil)
    try catalog.condemn([bad(file, .unreadable(errno: 5))])
    #expect(try catalog.replicaFiles(of: file.content).isEmpty)
    #expect(try catalog.missingContent(file.content) != nil)
    #expect(try catalog.held().contains(file.content) == false)
    #expect(try catalog.openBadFiles(after: nil, limit: 9).map(\.file) == [bad(file, .unreadable(errno: 5))])
    try catalog.settleBadFile(at: file.path, aside: Array("aside".utf8))
    #expect(try catalog.badFileCounts(healedSince: time(0)) == BadFileCounts(unhealed: 1, healed: 0))
    try catalog.markHealed([file.content], at: time(2_000))
    #expect(try catalog.badFileCounts(healedSince: time(0)) == BadFileCounts(unhealed: 0, healed: 1))
    #expect(try catalog.badFileCounts(healedSince: time(2_001)) == BadFileCounts())
    #expect(try catalog.openBadFiles(after: nil, limit: 9).isEmpty)
    let reports = try catalog.badFiles(after: nil, limit: 9)
    #expect(reports.first?.file.aside == Array("aside".utf8) && reports.first?.file.healed == time(2_000))
    try catalog.acknowledgeBadFiles()
    #expect(try catalog.badFileCounts(healedSince: time(0)) == BadFileCounts())
  }

  @Test func aFileThatGoesBadTwiceIsReportedTwice() throws {
    let file = Fixture.replicaFile("a", 1)
    for _ in 0..<2 {
      try catalog.commitFiling(put: [file], removed: [], filed: [])
      try catalog.condemn([bad(file, .vanished)])
      try catalog.markHealed([file.content], at: time(2_000))
    }
    let first = try catalog.badFiles(after: nil, limit: 1)
    #expect(try catalog.badFiles(after: first.last?.number, limit: 9).count == 1)
  }

  /// Only what was seen healed long ago, known, out of the way, and nowhere else. Fails where the wall clock's time counts
  /// (`purgeBadFiles`).
  @Test func reportsOfWhichNothingIsLeftAreForgotten() throws {
    func report(
      _ path: String, _ content: UInt64, aside: String? = nil, isSettled: Bool = true, healed: Int64? = 1
    ) -> BadFile {
      var file = bad(Fixture.replicaFile(path, content))
      file.aside = aside.map { Array($0.utf8) }
      file.isSettled = isSettled
      file.healed = healed.map(time)
      return file
    }
    func purge(seenBefore moment: Int64, now: Int64) throws -> Int {
      var after: Int64?
      var slices = 0
      repeat {
        after = try catalog.purgeBadFiles(
          seenHealedBefore: AgentTime(nanoseconds: moment), now: AgentTime(nanoseconds: now), after: after,
          limit: 3)
        slices += 1
      } while after != nil
      return slices
    }
    let known = [
      report("over", 1), report("aside", 2, aside: "a"), report("unsettled", 3, isSettled: false),
      report("unhealed", 4, healed: nil), report("lately", 5, healed: nil), report("over too", 6),
    ]
    let unknown = report("unknown", 7)
    try catalog.condemn(known)
    try catalog.acknowledgeBadFiles()
    try catalog.condemn([unknown])
    #expect(try purge(seenBefore: 100, now: 100) == 3)
    #expect(try catalog.badFiles(after: nil, limit: 9).map(\.file) == known + [unknown], "first seen now")

    try catalog.endReports(of: [known[4].content], at: time(1))
    var lately = known[4]
    lately.healed = time(1)
    #expect(try purge(seenBefore: 101, now: 200) == 3)
    #expect(
      try catalog.badFiles(after: nil, limit: 9).map(\.file) == Array(known[1...3]) + [lately, unknown])
    _ = try purge(seenBefore: 201, now: 300)
    #expect(try catalog.badFiles(after: nil, limit: 9).map(\.file) == Array(known[1...3]) + [unknown])
  }

  @Test func suspectedFilesAreNeitherHeldNorReadAgain() throws {
    try catalog.putFiles([
      Fixture.file("good", content: 1), Fixture.file("rot", .pending(.suspectedRot), content: 2),
      Fixture.file("new", .pending(.hashing), content: 3),
    ])
    #expect(try catalog.suspectedFiles(limit: 9).map(\.path) == [Array("rot".utf8)])
    #expect(try catalog.suspectedCount() == 1)
    #expect(try catalog.held() == [Fixture.content(1)])
    #expect(try catalog.ownFiles(verifiedBefore: time(1), after: nil, limit: 9).files.count == 1)
  }
}
