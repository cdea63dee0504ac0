import MantelCatalog
import MantelCore
import Testing

/// What `HouseholdStore` promises, in memory and in a file that is opened again before it is asked.
@Suite struct CatalogContractTests {
  @Test(arguments: Home.allCases)
  func keepsValuesAndRecords(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let (anna, bert) = (Fixture.anna, Fixture.bert)
    var record = MachineRecord(
      machine: anna, number: .max - 1, name: "anna", role: .full, program: "mantel 1",
      addresses: [], folders: [])
    let attestation = Attestation(
      holder: bert, number: 3, time: WallTime(nanoseconds: 1), filesystem: Fixture.folder,
      oldestReread: WallTime(nanoseconds: 2), libraries: [])
    let request = ForgetRequest(
      requester: bert, number: 8, time: WallTime(nanoseconds: 1), isWithdrawn: false,
      contents: [Fixture.content(1)])
    let statement = (id: StatementID(Fixture.digest(9, 1)), bytes: [UInt8](1...9))

    let catalog = fixture.catalog
    try catalog.setValue(.agentDay, [1, 2])
    try catalog.setValue(.role, [])
    try catalog.setValue(.machineName, [7])
    try catalog.setValue(.machineName, nil)
    try catalog.addStatements([statement, statement])
    try catalog.putRecord(Fixture.signed(record))
    record.number = .max
    try catalog.putRecord(Fixture.signed(record))
    try catalog.putAttestation(Fixture.signed(attestation), received: AgentTime(nanoseconds: 77))
    #expect(try catalog.addForgetRequest(Fixture.signed(request), keeping: 9))
    try catalog.decideForgetRequest(bert, number: 8, .granted)
    #expect(try !catalog.addForgetRequest(Fixture.signed(request), keeping: 9))
    try fixture.reopen()

    #expect(try fixture.catalog.value(.agentDay) == [1, 2])
    #expect(try fixture.catalog.value(.role) == [])
    #expect(try fixture.catalog.value(.machineName) == nil)
    #expect(try fixture.catalog.statements() == [statement.bytes])
    #expect(try fixture.catalog.records() == [Fixture.signed(record)])
    #expect(
      try fixture.catalog.attestations() == [
        ReceivedAttestation(Fixture.signed(attestation), received: AgentTime(nanoseconds: 77))
      ])
    #expect(
      try fixture.catalog.forgetRequests(of: nil)
        == [StoredForgetRequest(request: Fixture.signed(request), decision: .granted)])
  }

  @Test(arguments: Home.allCases)
  func pagesLedgerFilesByDirectory(home: Home) throws {
    let fixture = try CatalogFixture(home)
    var folder = Fixture.ownFolder()
    try fixture.catalog.putFolder(folder)
    folder.excludes = ["b"]
    try fixture.catalog.putFolder(folder)
    // '-' sorts before the slash and '0' after it: names that a prefix search gets wrong.
    let paths = ["a", "a-b/x", "a/1", "a/2/x", "a/2/y/z", "a/3", "a0", "a0/x", "b/x"]
    try fixture.catalog.putFiles(paths.map { Fixture.file($0, .pending(.settling)) })
    try fixture.reopen()
    let catalog = fixture.catalog
    func names(_ files: [LedgerFile]) -> [String] {
      files.map { String(decoding: $0.path, as: UTF8.self) }
    }
    func inside(_ directory: String) throws -> [String] {
      names(try catalog.files(Fixture.folder, in: Array(directory.utf8)))
    }

    #expect(try catalog.folders() == [folder])
    #expect(try inside("") == ["a", "a0"])
    #expect(try inside("a") == ["a/1", "a/3"])
    #expect(try inside("a/2") == ["a/2/x"])
    #expect(try inside("none") == [])
    #expect(
      names(try catalog.files(Fixture.folder, below: Array("a".utf8), after: nil, limit: 9))
        == ["a/1", "a/2/x", "a/2/y/z", "a/3"])
    #expect(
      names(
        try catalog.files(
          Fixture.folder, below: Array("a".utf8), after: Array("a/2/x".utf8), limit: 1))
        == ["a/2/y/z"])
    #expect(
      names(try catalog.files(Fixture.folder, after: Array("a0".utf8), limit: 9)) == ["a0/x", "b/x"])
    for (after, limit) in [(nil, 9), ("a0", 9), ("b", 1), ("b/x", 9)] as [(String?, Int)] {
      let after = after.map { Array($0.utf8) }
      #expect(
        try catalog.filePaths(Fixture.folder, after: after, limit: limit)
          == (try catalog.files(Fixture.folder, after: after, limit: limit).map(\.path)))
    }
    try catalog.removeFiles([(Fixture.folder, Array("a/1".utf8))])
    #expect(try catalog.file(Fixture.folder, Array("a/1".utf8)) == nil)
    #expect(
      try catalog.file(Fixture.folder, Array("a/3".utf8)) == Fixture.file("a/3", .pending(.settling)))
  }

  @Test(arguments: [
    FileStatus.published, .pending(.settling), .pending(.hashing), .pending(.changesOften),
    .pending(.changedWhileRead), .pending(.publishing), .pending(.copying), .pending(.massChange),
    .pending(.suspectedRot), .pending(.notDurable), .skipped(.junk), .skipped(.excluded), .skipped(.symlink),
    .skipped(.special), .skipped(.unreadable(errno: 13)), .skipped(.tooLarge),
    .skipped(.pathTooLong), .skipped(.mantel), .skipped(.forgotten),
  ])
  func keepsEveryStatus(status: FileStatus) throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.putFolder(Fixture.ownFolder())
    var file = Fixture.file("x", status, content: 1)
    file.manifest = Fixture.digest(5, 5)
    file.changesSince = AgentTime(nanoseconds: 1 << 40)
    file.isAccepted = true
    try catalog.putFiles([file])
    #expect(try catalog.file(Fixture.folder, file.path) == file)
  }

  @Test func findsTheNamesOfAnInode() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.putFolder(Fixture.ownFolder())
    var files = ["a", "b", "c", "d"].map { Fixture.file($0, .published, content: 1) }
    for (index, (inode, links)) in [(5, 2), (5, 2), (5, 1), (6, 2)].enumerated() {
      files[index].stamp.inode = UInt64(inode)
      files[index].stamp.linkCount = UInt64(links)
    }
    try catalog.putFiles(files)
    let found = try catalog.linkedFiles(inode: 5)
    #expect(found == Array(files[..<2]))
    #expect(found.map(\.stamp.linkCount) == [2, 2])
  }

  @Test(arguments: Home.allCases)
  func keepsMassChangesUntilTheyAreAccepted(home: Home) throws {
    let fixture = try CatalogFixture(home)
    try fixture.catalog.putFolder(Fixture.ownFolder())
    let other = FolderID(high: 17, low: 17)
    try fixture.catalog.putFolder(Fixture.ownFolder(other, name: "Other"))
    try fixture.catalog.putFiles([
      Fixture.file("a"), Fixture.file("b"), Fixture.file("c", .pending(.hashing)),
      Fixture.file("d", .skipped(.junk)),
    ])
    let losses = FolderLosses(
      hours: [
        FolderLosses.Hour(number: 3, contents: 40, deletions: 41),
        FolderLosses.Hour(number: 5, contents: 1, deletions: 0),
      ],
      massChange: FolderLosses.MassChange(contents: 70, files: 80))
    try fixture.catalog.setLosses(FolderLosses(hours: [losses.hours[0]]), of: Fixture.folder, held: [])
    try fixture.catalog.setLosses(
      losses, of: Fixture.folder, held: [Fixture.file("a", .pending(.massChange), content: 9)])
    try fixture.catalog.setLosses(FolderLosses(hours: [losses.hours[1]]), of: other, held: [])
    try fixture.reopen()

    let catalog = fixture.catalog
    #expect(try catalog.losses() == [Fixture.folder: losses, other: FolderLosses(hours: [losses.hours[1]])])
    #expect(try catalog.heldFiles(Fixture.folder) == 1)
    #expect(try catalog.heldFiles(other) == 0)
    let counts = try catalog.fileCounts(Fixture.folder)
    #expect(counts.published == 1 && counts.pending == 2)
    #expect(try catalog.fileCounts(other) == (0, 0))

    #expect(try catalog.acceptHeldFiles(Fixture.folder) == 1)
    var accepted = Fixture.file("a", .pending(.settling), content: 9)
    accepted.isAccepted = true
    #expect(try catalog.file(Fixture.folder, accepted.path) == accepted)
    #expect(try catalog.file(Fixture.folder, Array("c".utf8))?.isAccepted == false)
    #expect(try catalog.losses() == [other: FolderLosses(hours: [losses.hours[1]])])
    #expect(try catalog.acceptHeldFiles(Fixture.folder) == 0)
  }

  @Test(arguments: Home.allCases)
  func knowsWhichFoldersAwaitChanges(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let catalog = fixture.catalog
    let other = FolderID(high: 17, low: 17)
    try catalog.putFolder(Fixture.ownFolder())
    try catalog.putFolder(Fixture.ownFolder(other, name: "Other"))
    try catalog.putFiles([
      Fixture.file("a"), Fixture.file("b", .skipped(.junk)), Fixture.file("c", .pending(.suspectedRot)),
      Fixture.file("d", .pending(.changesOften)),
    ])
    #expect(try !catalog.awaitsChanges(Fixture.folder))
    let reasons: [PendingReason] = [
      .settling, .hashing, .changedWhileRead, .publishing, .copying, .massChange, .notDurable,
    ]
    for reason in reasons {
      try catalog.putFiles([Fixture.file("e", .pending(reason))])
      #expect(try catalog.awaitsChanges(Fixture.folder), "\(reason)")
    }
    #expect(try !catalog.awaitsChanges(other))
  }

  @Test(arguments: Home.allCases)
  func findsStagedEntriesAfterARestart(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let (kept, gone, new) = (Fixture.entry("a", 1), Fixture.entry("b", 2), Fixture.entry("c", 3))
    try fixture.catalog.follow(Fixture.anna, 1, add: [kept, gone])
    let order = Fixture.order(2)
    try fixture.catalog.stage(Fixture.anna, order, Fixture.identified([kept, new]))
    try fixture.catalog.stageRemoval(Fixture.anna, order, [Fixture.id(gone)])
    try fixture.reopen()

    let catalog = fixture.catalog
    #expect(try catalog.libraries().map(\.staging) == [order])
    #expect(try catalog.libraries().map(\.installed?.record.order) == [Fixture.order(1)])
    let staged = try catalog.staged(Fixture.anna)
    #expect(staged.added == [Fixture.id(new)])
    #expect(staged.removed == [Fixture.id(gone)])
    #expect(try catalog.wanted(Fixture.anna) == [kept.content, gone.content].sorted())
    #expect(try catalog.entryBytes(Fixture.anna, [Fixture.id(new)]) == [new.canonicalBytes])

    try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, order))
    #expect(try catalog.libraries().map(\.staging) == [nil])
    #expect(try catalog.wanted(Fixture.anna) == [kept.content, new.content].sorted())
    #expect(Set(try catalog.changedContents(Fixture.anna)) == [gone.content, new.content])
  }

  @Test(arguments: Home.allCases)
  func refusesTwoLiveEntriesOfOnePath(home: Home) throws {
    let fixture = try CatalogFixture(home)
    // Enough entries that the second head is looked up row by row and the first is walked over.
    let filler = (0..<20).map { Fixture.entry("filler \($0)", 100 + $0) }
    let (old, new) = (Fixture.entry("a", 1), Fixture.entry("a", 2))
    let catalog = fixture.catalog
    var error = #expect(throws: StoreError.self) {
      try catalog.follow(Fixture.anna, 1, add: filler + [old, new])
    }
    #expect(error?.code == .constraint)
    #expect(try catalog.wanted(Fixture.anna) == [])
    try catalog.unstage(Fixture.anna, added: [Fixture.id(new)], removed: [])
    try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Fixture.order(1)))

    error = #expect(throws: StoreError.self) { try catalog.follow(Fixture.anna, 2, add: [new]) }
    #expect(error?.code == .constraint)
    try fixture.reopen()
    // The old one's removal, and its return as retired, make room.
    try fixture.catalog.follow(
      Fixture.anna, 2,
      add: [Fixture.entry("a", 1, state: .retired(.replaced, at: WallTime(nanoseconds: 1)))],
      remove: [old])
    #expect(
      try fixture.catalog.liveEntry(Fixture.anna, Fixture.folder, Array("a".utf8))?.entry == new)
  }

  @Test func refusesHeadsThatAreNotNewer() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    let entry = Fixture.entry("a", 1)
    try catalog.follow(Fixture.anna, 3, add: [entry])
    for sequence in [2, 3] as [UInt64] {
      let error = #expect(throws: StoreError.self) { try catalog.follow(Fixture.anna, sequence) }
      #expect(error?.code == .constraint)
    }
    try catalog.publish(
      LibraryChange(added: Fixture.identified([entry])),
      head: Fixture.head(Fixture.own, Fixture.order(1), root: 1), files: [])
    #expect(throws: StoreError.self) {
      try catalog.publish(
        LibraryChange(), head: Fixture.head(Fixture.own, Fixture.order(1), root: 2), files: [])
    }
    #expect(
      try catalog.publishedRoot(Fixture.own, Fixture.order(1)) == Fixture.digest(3, 1))
  }

  @Test(arguments: Home.allCases)
  func publishesWithTheLedgerOrNotAtAll(home: Home) throws {
    let fixture = try CatalogFixture(home)
    try fixture.catalog.putFolder(Fixture.ownFolder())
    let (first, second) = (Fixture.entry("a", 1), Fixture.entry("b", 2))
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([first])),
      head: Fixture.head(Fixture.own, Fixture.order(1)), files: [Fixture.file("a", content: 1)])
    // The ledger row names a folder that is not there: nothing of the call may stay.
    var stray = Fixture.file("b", content: 2)
    stray.folder = FolderID(high: 0, low: 1)
    let error = #expect(throws: StoreError.self) {
      try fixture.catalog.publish(
        LibraryChange(added: Fixture.identified([second])),
        head: Fixture.head(Fixture.own, Fixture.order(2)), files: [stray])
    }
    #expect(error?.code == .constraint)
    try fixture.reopen()

    let catalog = fixture.catalog
    #expect(try catalog.wanted(Fixture.own, liveOnly: true) == [first.content])
    #expect(try catalog.held() == [first.content])
    #expect(try catalog.publishedHeads(of: Fixture.own, limit: 9).map(\.order) == [Fixture.order(1)])
    #expect(try catalog.allMissing(pageSize: 5).isEmpty)
    #expect(try catalog.unfiled(limit: 5).isEmpty)
    // What an own folder on a network filesystem has is served, but not held.
    #expect(try catalog.heldOwnFiles(of: first.content).count == 1)
    try catalog.setFolder(Fixture.folder, isLocal: false)
    #expect(try catalog.held() == [])
    #expect(try catalog.heldOwnFiles(of: first.content).isEmpty)
    #expect(try catalog.missing(in: Fixture.own, limit: 5).contents == [first.content])
    #expect(try catalog.ownFiles(of: first.content).count == 1)
  }

  /// A camera set to another century, or a member that names millions, must not come before all that others have.
  @Test(arguments: Home.allCases)
  func eachLibraryHasItsPartOfAPageOfWhatIsMissing(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let many: [Entry] = (0..<40).map { Fixture.entry("m\($0)", $0, mtime: 1_000 + Int64($0)) }
    // Both name two of them: one comes in the other's turn, and one has come when it is its turn.
    var few: [Entry] = (100..<103).map { Fixture.entry("f\($0)", $0, mtime: Int64($0)) }
    few += [Fixture.entry("early", 10, mtime: 2), Fixture.entry("late", 39, mtime: 1)]
    try fixture.catalog.follow(Fixture.anna, 1, add: many)
    try fixture.catalog.follow(Fixture.bert, 1, add: few)
    try fixture.reopen()

    let catalog = fixture.catalog
    var position: MissingPosition?
    for expected in [[39, 38, 102, 101], [37, 36, 100, 10], [35, 34, 33, 32]] as [[UInt64]] {
      let page = try catalog.missing(after: position, limit: 4)
      #expect(page.contents.map(\.content) == expected.map(Fixture.content))
      position = page.next
    }
    let all = try catalog.allMissing(pageSize: 4).map(\.content)
    #expect(all.count == 43 && Set(all).count == 43)
    // A page that is too small for all has one of each.
    let smallest = try catalog.missing(after: nil, limit: 1).contents
    #expect(smallest.map(\.content) == [39, 102].map(Fixture.content))
    #expect(try catalog.allMissing(pageSize: 1).count == 43)
  }

  @Test func keepsOldHeadsReadableUntilPurged() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    // A photo that is moved: what leaves no name behind would be an orphan, and stays.
    let entries = (0..<6).map { Fixture.entry("p\($0)", 0) }
    try catalog.follow(Fixture.anna, 1, add: [entries[0]])
    for index in 1..<6 {
      try catalog.follow(
        Fixture.anna, UInt64(index) + 1, add: [entries[index]], remove: [entries[index - 1]])
    }
    func delta(_ from: UInt64, _ to: UInt64) throws -> (added: [[UInt8]], removed: [EntryID])? {
      try catalog.wholeDelta(
        Fixture.anna, Fixture.order(from), Fixture.order(to), maximumBytes: 1)
    }
    #expect(try delta(2, 4)?.added == [entries[3].canonicalBytes])
    #expect(try delta(4, 2) == nil)
    #expect(try delta(2, 9) == nil)
    #expect(try delta(6, 6)?.added == [])

    // Rows that filing has not looked at must outlive the purge.
    #expect(try catalog.purgeSuperseded(keeping: 2, since: [:], limit: 100) == false)
    #expect(Set(try catalog.unfiled(limit: 9)) == Set(entries.map(\.content)))
    try catalog.commitFiling(put: [], removed: [], filed: entries.map(\.content))
    #expect(try catalog.purgeSuperseded(keeping: 2, since: [:], limit: 100) == false)
    #expect(try catalog.entryBytes(Fixture.anna, entries.map(Fixture.id)).count == 3)
    #expect(try delta(3, 6) == nil)
    #expect(try delta(4, 6)?.removed == [Fixture.id(entries[3])])
    #expect(
      try catalog.wholeDelta(Fixture.anna, .none, Fixture.order(5), maximumBytes: 1)?.added
        == [entries[4].canonicalBytes])
  }

  /// What somebody's word is about stays readable, but not without end.
  @Test(arguments: [(100, 3), (4, 5), (2, 7)]) func keepsHeadsThatAreNeeded(limit: Int, first: UInt64) throws
  {
    let catalog = try Catalog(inMemory: Fixture.own)
    // One photo under ever new names.
    let entries = (0..<9).map { Fixture.entry("p\($0)", 7) }
    for index in 0..<9 {
      try catalog.follow(
        Fixture.anna, UInt64(index) + 1, add: [entries[index]], remove: index == 0 ? [] : [entries[index - 1]]
      )
    }
    try catalog.commitFiling(put: [], removed: [], filed: entries.map(\.content))
    let needed = [Fixture.anna: Fixture.order(3), Fixture.own: Fixture.order(1)]
    while try catalog.purgeSuperseded(keeping: 1, since: needed, limit: limit) {}
    let known = try (1..<9).filter {
      try catalog.wantedChanges(Fixture.anna, since: Fixture.order($0)) != nil
    }
    #expect(known.first == first)
    #expect(known == Array(first..<9))
  }

  /// What was wanted at a purged head is told only where the kept rows prove it.
  @Test func tellsNothingOfPurgedHeadsThatItCannotKnow() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    let entries = (0..<4).map { Fixture.entry("p\($0)", $0) }
    for (index, entry) in entries.enumerated() {
      try catalog.follow(Fixture.anna, UInt64(index) + 1, add: [entry])
    }
    try catalog.commitFiling(put: [], removed: [], filed: entries.map(\.content))
    _ = try catalog.purgeSuperseded(keeping: 1, since: [:], limit: 100)
    func wasWanted(_ number: UInt64, _ order: HeadOrder) throws -> Bool? {
      try catalog.wasWanted(Fixture.content(number), in: Fixture.anna, at: order)
    }
    #expect(try catalog.wantedChanges(Fixture.anna, since: Fixture.order(2)) == nil)
    #expect(try catalog.wantedChanges(Fixture.anna, since: Fixture.order(3))?.came == [Fixture.content(3)])
    #expect(try wasWanted(0, Fixture.order(2)) == nil, "it may have come before that head, or after it")
    #expect(try wasWanted(2, Fixture.order(2)) == false, "it came with the oldest head that is kept")
    #expect(try wasWanted(2, Fixture.order(3)) == true)
    #expect(try wasWanted(0, Fixture.order(9)) == nil, "a head that is not here")
    #expect(try wasWanted(0, .none) == false)
  }

  @Test(arguments: Home.allCases)
  func remembersDirectoryNamesAndPartials(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let manifest = Manifest(
      size: 5 << 20, blocks: (0..<5).map { Fixture.digest(6, $0) })
    var partial = PartialContent(content: Fixture.content(1), manifest: manifest, blocks: [])
    try fixture.catalog.putPartial(partial)
    partial.blocks = [0b101]
    try fixture.catalog.putPartial(partial)
    try fixture.catalog.setDirectoryName(Fixture.anna, nil, "anna")
    try fixture.catalog.setDirectoryName(Fixture.anna, Fixture.folder, "anna")
    try fixture.catalog.setDirectoryName(Fixture.anna, Fixture.folder, "anna")
    try fixture.reopen()

    let catalog = fixture.catalog
    #expect(try catalog.partials() == [partial])
    #expect(try catalog.partial(partial.content) == partial)
    try catalog.removePartial(partial.content)
    #expect(try catalog.partial(partial.content) == nil)
    #expect(try catalog.directoryName(Fixture.anna, nil) == "anna")
    #expect(try catalog.directoryName(Fixture.bert, nil) == nil)
    #expect(try catalog.directoryNames(nil) == ["anna"])
    #expect(try catalog.directoryNames(Fixture.anna) == ["anna"])
    #expect(throws: StoreError.self) { try catalog.setDirectoryName(Fixture.bert, nil, "anna") }
    #expect(throws: StoreError.self) { try catalog.setDirectoryName(Fixture.anna, nil, "other") }
  }

  @Test func turnsTheOldLibraryIntoAnotherMachinesAfterARekey() throws {
    let fixture = try CatalogFixture(.file)
    let entry = Fixture.entry("a", 1)
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([entry])),
      head: Fixture.head(Fixture.own, Fixture.order(1)), files: [])
    try fixture.catalog.follow(Fixture.bert, 1, add: [Fixture.entry("b", 2)])
    try fixture.reopen(as: Fixture.bert)
    #expect(try fixture.catalog.allMissing(pageSize: 5).map(\.content) == [entry.content])
    #expect(try fixture.catalog.unfiled(limit: 5) == [entry.content])
  }
}
