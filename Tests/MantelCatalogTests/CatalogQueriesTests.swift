@testable import MantelCatalog
import MantelCore
import Testing

/// The command line's questions.
@Suite struct CatalogQueriesTests {
  private let catalog: Catalog

  init() throws {
    catalog = try Catalog(inMemory: Fixture.own)
    try catalog.putFolder(Fixture.ownFolder())
  }

  @Test func countsTheLedgerThroughEveryChange() throws {
    try catalog.putFiles([
      Fixture.file("a", content: 1), Fixture.file("b", content: 1),
      Fixture.file("c", .pending(.hashing)), Fixture.file("d", .skipped(.junk)),
      Fixture.file("e", .skipped(.unreadable(errno: 13))),
    ])
    try catalog.putFiles([Fixture.file("c", content: 2), Fixture.file("a", content: 3)])
    try catalog.removeFiles([(Fixture.folder, Array("d".utf8)), (Fixture.folder, Array("d".utf8))])
    #expect(
      try catalog.folderCounts() == [
        FolderCounts(folder: Fixture.folder, published: 3, pending: 0, skipped: 1)
      ])
    #expect(
      try catalog.skippedFiles(limit: 9) == [Fixture.file("e", .skipped(.unreadable(errno: 13)))])
    #expect(try catalog.pendingFiles(limit: 9).isEmpty)
    var published: [ContentID] = []
    try catalog.forEachPublishedOwnFile { _, _, content, _ in
      published.append(content)
      return true
    }
    #expect(published == [1, 2, 3].map(Fixture.content).sorted())
    #expect(try catalog.publishedFiles() == 3)
    #expect(try catalog.publishedFileCount(of: [1, 2, 9].map(Fixture.content)) == 2)
  }

  /// What is asked of many contents at once comes back in their order, and each has its own files, by path.
  @Test func sourcesOfManyContentsKeepTheirOrder() throws {
    try catalog.putFiles([
      Fixture.file("z", content: 1), Fixture.file("b", content: 1), Fixture.file("c", content: 2),
      Fixture.file("d", .pending(.hashing), content: 2), Fixture.file("e", .skipped(.junk)),
    ])
    try catalog.commitFiling(
      put: [
        Fixture.replicaFile("m/y", 3), Fixture.replicaFile("m/x", 3), Fixture.replicaFile("m/w", 1),
      ], removed: [], filed: [])
    let asked: [UInt64] = [3, 1, 9, 2, 1]
    let sources = try catalog.sources(of: asked.map(Fixture.content))
    func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
    #expect(
      sources.map { $0.own.map { text($0.file.path) } } == [[], ["b", "z"], [], ["c", "d"], ["b", "z"]])
    #expect(sources.map { $0.replica.map { text($0.path) } } == [["m/x", "m/y"], ["m/w"], [], [], ["m/w"]])
    #expect(sources.flatMap { $0.own.map { text($0.root) } }.allSatisfy { $0 == "/home/anna/Photos" })
    for (content, files) in zip(asked, sources) {
      #expect(try catalog.sources(of: [Fixture.content(content)]) == [files])
    }
  }

  /// The counts are kept beside the rows, by every statement that brings, changes or takes one.
  @Test func theCountsAreThoseOfTheRows() throws {
    var random = SplitMix(seed: 11)
    let statuses: [FileStatus] = [.published, .pending(.hashing), .pending(.massChange), .skipped(.junk)]
    for round in 0..<60 {
      let names = (0..<8).map { _ in "f\(random.next() % 20)" }
      let files = names.map { name in
        let status = statuses[Int(random.next() % 4)]
        return status == .published
          ? Fixture.file(name, content: random.next() % 5) : Fixture.file(name, status)
      }
      switch round % 4 {
      case 0: try catalog.removeFiles(names.prefix(3).map { (Fixture.folder, Array($0.utf8)) })
      case 1: try catalog.setLosses(FolderLosses(), of: Fixture.folder, held: files)
      default: try catalog.putFiles(files)
      }
      let rows = try catalog.inspect(
        "SELECT status || ' ' || count(*) FROM file GROUP BY status ORDER BY status")
      #expect(
        try catalog.inspect("SELECT status || ' ' || files FROM file_count WHERE files > 0 ORDER BY status")
          == rows)
    }
  }

  @Test func pagesSkippedFiles() throws {
    let files = (0..<7).map { Fixture.file("s\($0)", .skipped(.junk)) }
    try catalog.putFiles(files)
    var all: [LedgerFile] = []
    while true {
      let after = all.last.map { FilePosition(folder: $0.folder, path: $0.path) }
      let page = try catalog.skippedFiles(after: after, limit: 3)
      all += page
      if page.count < 3 { break }
    }
    #expect(all == files)
  }

  @Test func listsEntriesOfEveryStateInPages() throws {
    let at = WallTime(nanoseconds: 1)
    let live = (0..<5).map { Fixture.entry("p\($0)", $0) }
    let retired = (5..<8).map { Fixture.entry("p1", $0, state: .retired(.replaced, at: at)) }
    let dropped = (8..<11).map { Fixture.entry("", $0, state: .dropped(at: at)) }
    try catalog.follow(Fixture.anna, 1, add: live + retired + dropped)
    try catalog.follow(Fixture.bert, 1, add: [live[0]])
    try catalog.stage(Fixture.bert, Fixture.order(2), Fixture.identified([live[1]]))
    func list(_ states: EntryStates, _ library: MachineID? = nil, limit: Int) throws -> [Entry] {
      var all: [Entry] = []
      var after: EntryPosition?
      repeat {
        let page = try catalog.entries(of: library, states: states, after: after, limit: limit)
        all += page.entries.map(\.entry)
        after = page.next
      } while after != nil
      return all
    }
    for limit in 1...4 {
      #expect(try list(.live, limit: limit).map(\.path) == (live + [live[0]]).map(\.path))
      #expect(Set(try list(.retired, limit: limit)) == Set(retired))
      #expect(Set(try list(.dropped, Fixture.anna, limit: limit)) == Set(dropped))
      #expect(try list(.all, Fixture.anna, limit: limit).count == 11)
      #expect(try list(.all, Fixture.bert, limit: limit) == [live[0]])
    }
    let totals = try catalog.libraryTotals()
    #expect(totals.first { $0.library == Fixture.anna }?.counts.entries == 11)
    #expect(totals.first { $0.library == Fixture.bert }?.counts.entries == 1)
  }

  @Test func tellsWhereAContentIs() throws {
    let entry = Fixture.entry("x/y", 1)
    try catalog.follow(Fixture.anna, 1, add: [entry])
    let own = Fixture.file("z", content: 1)
    let copy = Fixture.replicaFile("anna/x/y", 1)
    try catalog.putFiles([own])
    try catalog.commitFiling(put: [copy], removed: [], filed: [])
    let whereabouts = try catalog.whereabouts(of: entry.content)
    #expect(whereabouts.entries.map(\.library) == [Fixture.anna])
    #expect(whereabouts.ownFiles == [own])
    #expect(whereabouts.replicaFiles == [copy])
    #expect(try catalog.ownFile(atAbsolutePath: Array("/home/anna/Photos/z".utf8)) == own)
    #expect(try catalog.ownFile(atAbsolutePath: Array("/home/anna/Photosz".utf8)) == nil)
    let content = entry.content.digest
    let digits = content.word0 & 0xffff_ffff_0000_0000
    #expect(
      try catalog.contents(
        from: ContentID(Digest256(digits, 0, 0, 0)),
        through: ContentID(Digest256(digits | 0xffff_ffff, .max, .max, .max)), limit: 2)
        == [entry.content])
  }

  @Test func ordersReplicaFilesForSumsAndScrub() throws {
    let files = [
      Fixture.replicaFile("a", 1, verified: 30), Fixture.replicaFile("b", 2, of: Fixture.bert),
      Fixture.replicaFile("c", 3, verified: 20),
    ]
    try catalog.commitFiling(put: files, removed: [], filed: [])
    #expect(try catalog.replicaFiles(of: Fixture.anna, limit: 1) == [files[0]])
    #expect(
      try catalog.replicaFiles(of: Fixture.anna, after: files[0].path, limit: 9) == [files[2]])
    #expect(try catalog.replicaFiles(of: nil, limit: 9) == files)
    #expect(
      try catalog.replicaFiles(of: nil, verifiedBefore: WallTime(nanoseconds: 30), after: nil, limit: 9).files
        == [files[1], files[2]])
    #expect(try catalog.oldestVerification() == WallTime(nanoseconds: 10))
  }

  @Test func dialsWhatWorkedLastFirst() throws {
    func address(_ number: Int) -> NetworkAddress { NetworkAddress(host: "10.0.0.\(number)", port: 62683) }
    func time(_ seconds: Int64) -> WallTime { WallTime(nanoseconds: seconds) }
    try catalog.learnAddresses(Fixture.anna, (1...3).map(address), at: time(1))
    try catalog.recordDial(Fixture.anna, address(2), succeeded: true, at: time(2))
    try catalog.recordDial(Fixture.anna, address(3), succeeded: true, at: time(3))
    try catalog.recordDial(Fixture.anna, address(3), succeeded: false, at: time(4))
    try catalog.recordDial(Fixture.anna, address(3), succeeded: false, at: time(5))
    let known = try catalog.peerAddresses(Fixture.anna)
    #expect(known.map(\.address) == [address(3), address(2), address(1)])
    #expect(known.map(\.failures) == [2, 0, 0])
    #expect(known.first?.lastFailure == time(5))
    // A peer that tells of ever new addresses does not push out those that worked.
    for round in 10..<60 {
      try catalog.learnAddresses(Fixture.anna, [address(round)], at: time(Int64(round)))
    }
    let kept = try catalog.peerAddresses()
    #expect(kept.count == Catalog.addressesPerMachine)
    #expect(kept.prefix(2).map(\.address) == [address(3), address(2)])

    try catalog.addFixedAddress(address(1))
    try catalog.addFixedAddress(address(1))
    #expect(try catalog.fixedAddresses() == [address(1)])
    #expect(try catalog.removeFixedAddress(address(1)))
    #expect(try catalog.removeFixedAddress(address(1)) == false)
  }

  /// A first install names a library of which nothing is here: that needs no plan for each content.
  @Test func filesAtOnceWhatNothingIsHereOf() throws {
    let entries = (1...5).map { Fixture.entry("x/\($0)", UInt64($0)) }
    try catalog.follow(Fixture.anna, 1, add: entries)
    try catalog.putFiles([Fixture.file("z", content: 1)])
    try catalog.commitFiling(put: [Fixture.replicaFile("anna/x/2", 2)], removed: [], filed: [])
    #expect(try catalog.fileAbsent(limit: 2) == 2)
    #expect(try catalog.unfiled(limit: 9).count == 3)
    #expect(try catalog.fileAbsent(limit: 2) == 1)
    #expect(Set(try catalog.unfiled(limit: 9)) == [entries[0].content, entries[1].content])
    #expect(try catalog.missing(after: nil, limit: 9).contents.count == 4, "they are missing all the same")
    // What leaves again, and was never here, too.
    try catalog.follow(Fixture.anna, 2, remove: [entries[4]])
    #expect(try catalog.fileAbsent(limit: 9) == 1)
    #expect(Set(try catalog.unfiled(limit: 9)) == [entries[0].content, entries[1].content])
  }

  @Test func whatEachLibrarySaysOfAContentIsToldOnce() throws {
    let names = (1...3).map { Fixture.entry("x/\($0)", 7) }
    try catalog.follow(Fixture.anna, 1, add: names)
    var lie = names[0]
    lie.size += 1
    try catalog.follow(Fixture.bert, 1, add: [lie, Fixture.entry("other", 8)])
    let claims = try catalog.claims(of: names[0].content)
    #expect(claims.map(\.library) == [Fixture.anna, Fixture.bert])
    #expect(claims.map(\.size) == [names[0].size, lie.size])
    try catalog.follow(Fixture.bert, 2, remove: [lie])
    #expect(try catalog.claims(of: names[0].content).map(\.library) == [Fixture.anna])
  }

  @Test func theJournalEndsWithTheBatch() throws {
    let copy = Fixture.replicaFile("anna/x/y", 1)
    try catalog.setValue(.filingJournal, [1, 2])
    try catalog.commitFiling(put: [copy], removed: [], filed: [])
    #expect(try catalog.value(.filingJournal) == [1, 2])
    try catalog.commitFiling(put: [], removed: [copy.path], filed: [], journal: [3])
    #expect(try catalog.value(.filingJournal) == [3])
    try catalog.commitFiling(put: [copy], removed: [], filed: [], journal: nil)
    #expect(try catalog.value(.filingJournal) == nil)
    #expect(try catalog.replicaFiles(of: copy.content) == [copy])
  }
}
