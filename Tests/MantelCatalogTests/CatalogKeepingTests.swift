import MantelCore
import Testing

@testable import MantelCatalog

/// What forgetting, dropping and keeping ask and record; in memory and in a file that is opened again before it is asked.
@Suite(.serialized) struct CatalogKeepingTests {
  private func time(_ nanoseconds: Int64) -> AgentTime { AgentTime(nanoseconds: nanoseconds) }

  private func dropped(_ content: UInt64) -> Entry {
    Fixture.entry("-", content, state: .dropped(at: WallTime(nanoseconds: 7)))
  }

  private func marked(_ path: String, _ content: UInt64, _ mark: DropMark?) -> ReplicaFile {
    var file = Fixture.replicaFile(path, content)
    file.mark = mark
    return file
  }

  private func forgotten(_ path: String, _ content: UInt64, at: Int64) -> ForgottenEntry {
    let entry = Fixture.entry(path, content)
    return ForgottenEntry(id: Fixture.id(entry), entry: entry, forgotten: time(at))
  }

  @Test(arguments: Home.allCases) func whatWasForgottenIsKeptWithItsName(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let all = [forgotten("a", 1, at: 5), forgotten("b", 1, at: 9), forgotten("c", 2, at: 7)]
    try fixture.catalog.putForgotten(all)
    try fixture.reopen()
    let ordered = all.sorted { $0.id < $1.id }
    #expect(try fixture.catalog.forgotten(after: nil, limit: 9) == ordered)
    #expect(try fixture.catalog.forgotten(after: ordered[0].id, limit: 1) == [ordered[1]])
    #expect(try fixture.catalog.forgotten(all[2].id) == all[2])
    #expect(try fixture.catalog.forgottenContents(since: nil, limit: 9) == [1, 2].map(Fixture.content))
    #expect(
      try fixture.catalog.forgotten(of: Fixture.content(1)) == all.prefix(2).sorted { $0.id < $1.id })
    #expect(try fixture.catalog.forgottenContents(since: time(8), limit: 9) == [Fixture.content(1)])
    try fixture.catalog.removeForgotten([all[0].id, all[2].id])
    #expect(try fixture.catalog.isForgotten(Fixture.content(1)))
    #expect(try !fixture.catalog.isForgotten(Fixture.content(2)))
    #expect(try fixture.catalog.forgotten(all[0].id) == nil)
  }

  /// Later words of the former library, and those of others, change nothing of it.
  @Test func whatWasForgottenAndLiveIsKnownAfterARekey() throws {
    let fixture = try CatalogFixture(.file)
    func known() throws -> [UInt64] {
      try (1...4).filter { try fixture.catalog.wasLiveBeforeRekey(Fixture.content($0)) }
    }
    let second = Fixture.entry("second", 1)
    let retired = Fixture.entry("b", 2, state: .retired(.deleted, at: WallTime(nanoseconds: 1)))
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([second, retired, Fixture.entry("d", 4)])),
      head: Fixture.head(Fixture.own, Fixture.order(1)), files: [])
    try fixture.catalog.follow(Fixture.anna, 1, add: [Fixture.entry("third", 3)])
    try fixture.catalog.putForgotten((1...3).map { forgotten("forgotten", $0, at: 5) })
    #expect(try known().isEmpty)
    try fixture.reopen(as: Fixture.bert)
    #expect(try known() == [1])
    try fixture.catalog.follow(Fixture.own, 2, add: [Fixture.entry("third", 3)], remove: [second])
    try fixture.reopen(as: Fixture.bert)
    #expect(try known() == [1])
    // Another rekey, before the library had anything; and one after it has dropped this.
    let next = MachineID(Fixture.digest(1, 3))
    try fixture.reopen(as: next)
    #expect(try known() == [1])
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([dropped(1)])),
      head: Fixture.head(next, Fixture.order(1)), files: [])
    try fixture.reopen(as: MachineID(Fixture.digest(1, 4)))
    #expect(try known().isEmpty)
  }

  @Test(arguments: Home.allCases) func whatIsForgottenOfAKeptLibraryIsCountedApart(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let (catalog, anna, bert) = (fixture.catalog, Fixture.anna, Fixture.bert)
    let all = [forgotten("a", 1, at: 5), forgotten("b", 1, at: 9), forgotten("c", 2, at: 7)]
    try catalog.putForgotten(all, in: anna)
    try catalog.putForgotten([forgotten("d", 3, at: 8)], in: bert)
    try fixture.reopen()
    func contents(since: AgentTime? = nil, limit: Int = 9) throws -> [ContentID] {
      try fixture.catalog.forgottenContents(in: anna, since: since, limit: limit)
    }
    #expect(try contents() == [1, 2].map(Fixture.content))
    #expect(
      try contents(since: time(8)) == [Fixture.content(1)] && contents(limit: 1) == [Fixture.content(1)])
    #expect(try fixture.catalog.forgottenContents(since: nil, limit: 9).isEmpty)
    try fixture.catalog.removeForgotten([all[1].id], in: anna)
    #expect(try contents() == [2, 1].map(Fixture.content))
  }

  @Test(arguments: Home.allCases) func onlyWhatNoLibraryNamesIsDropped(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let (anna, bert) = (Fixture.anna, Fixture.bert)
    let content = Fixture.content(1)
    let before = Fixture.entry("a", 1)
    try fixture.catalog.follow(anna, 1, add: [before])
    #expect(try fixture.catalog.droppers(of: content).isEmpty)
    try fixture.catalog.follow(anna, 2, add: [dropped(1)], remove: [before])
    #expect(try fixture.catalog.droppers(of: content) == [anna])
    #expect(try fixture.catalog.droppedEntries(anna, of: content).map(\.entry) == [dropped(1)])
    for state in [
      EntryState.live, .retired(.deleted, at: WallTime(nanoseconds: 1)),
      .unheld(at: WallTime(nanoseconds: 1)),
    ] {
      let other = try CatalogFixture(home)
      let catalog = other.catalog
      try catalog.follow(anna, 1, add: [dropped(1)])
      try catalog.follow(bert, 1, add: [Fixture.entry("b", 1, state: state)])
      #expect(try catalog.droppers(of: content).isEmpty)
      // Of another household that this machine left: kept.
      try catalog.setClosed(bert, true)
      #expect(try catalog.droppers(of: content).isEmpty)
    }
    // What is only staged is not known yet, and what the own library has live is the ledger's to judge.
    try fixture.catalog.stage(bert, Fixture.order(1), Fixture.identified([Fixture.entry("b", 1)]))
    #expect(try fixture.catalog.droppers(of: content) == [anna])
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([Fixture.entry("mine", 1)])),
      head: Fixture.head(Fixture.own, Fixture.order(1)), files: [])
    #expect(try fixture.catalog.droppers(of: content) == [anna])
    // What it keeps of a deleted photo lies in the replica.
    let deleted = Fixture.entry("gone", 1, state: .retired(.deleted, at: WallTime(nanoseconds: 1)))
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified([deleted])),
      head: Fixture.head(Fixture.own, Fixture.order(2)), files: [])
    #expect(try fixture.catalog.droppers(of: content).isEmpty)
  }

  /// Three contents that a library has dropped: the first is held, the others lie in the trash.
  private func threeDropped(
    of library: MachineID, lastIsConfirmed: Bool, _ home: Home
  ) throws -> CatalogFixture {
    let fixture = try CatalogFixture(home)
    try fixture.catalog.follow(library, 1, add: [dropped(1), dropped(2), dropped(3)])
    try fixture.catalog.commitFiling(
      put: [
        marked("a", 1, .held), marked("b", 2, .trashed(since: time(4), isConfirmed: false)),
        marked("c", 3, .trashed(since: time(4), isConfirmed: lastIsConfirmed)),
      ], removed: [], filed: [])
    return fixture
  }

  @Test(arguments: Home.allCases) func whatIsRefusedIsDroppedByNobody(home: Home) throws {
    let anna = Fixture.anna
    let fixture = try threeDropped(of: anna, lastIsConfirmed: true, home)
    #expect(try fixture.catalog.unconfirmedTrash()[anna]?.files == 1)
    #expect(try fixture.catalog.refuseDrops(of: Fixture.bert) == 0)
    #expect(try fixture.catalog.refuseDrops(of: anna) == 2)
    try fixture.reopen()
    for content in [1, 2].map(Fixture.content) { #expect(try fixture.catalog.droppers(of: content).isEmpty) }
    #expect(try fixture.catalog.droppers(of: Fixture.content(3)) == [anna])
    #expect(try fixture.catalog.heldDrops().isEmpty && fixture.catalog.trash()[anna]?.files == 1)
    #expect(try fixture.catalog.replicaFile(at: Array("b".utf8))?.mark == nil)
  }

  @Test(arguments: Home.allCases) func whatWasRefusedBeforeHasNoMark(home: Home) throws {
    let anna = Fixture.anna
    let fixture = try threeDropped(of: anna, lastIsConfirmed: false, home)
    try fixture.catalog.addRefusedDrops([2, 1, 2].map(Fixture.content))
    try fixture.reopen()
    for content in [1, 2].map(Fixture.content) { #expect(try fixture.catalog.droppers(of: content).isEmpty) }
    #expect(try fixture.catalog.droppers(of: Fixture.content(3)) == [anna])
    #expect(try fixture.catalog.heldDrops().isEmpty && fixture.catalog.trash()[anna]?.files == 1)
    #expect(try fixture.catalog.refusedDropCount() == 2)
  }

  @Test(arguments: Home.allCases) func theNewestRequestsOfEachMachineAreKept(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let signature = try #require(Signature([UInt8](repeating: 7, count: Signature.byteCount)))
    func request(_ requester: MachineID, _ number: UInt64) -> Signed<ForgetRequest> {
      Signed(
        record: ForgetRequest(
          requester: requester, number: number, time: WallTime(nanoseconds: 1), isWithdrawn: false,
          contents: [Fixture.content(1)]), signature: signature)
    }
    func add(_ requester: MachineID, _ number: UInt64) throws -> Bool {
      try fixture.catalog.addForgetRequest(request(requester, number), keeping: 2)
    }
    #expect(
      try add(Fixture.anna, 5) && add(Fixture.anna, 7) && !add(Fixture.anna, 7) && !add(Fixture.anna, 4))
    #expect(try add(Fixture.anna, 6) && add(Fixture.bert, 1))
    try fixture.reopen()
    #expect(
      try fixture.catalog.forgetRequests(of: Fixture.anna).map(\.request.record.number) == [6, 7])
    #expect(try fixture.catalog.forgetRequests(of: nil).count == 3)
  }

  @Test(arguments: Home.allCases) func marksAreKeptAndCounted(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let files = [
      marked("a", 1, nil), marked("b", 2, .held), marked("c", 3, .confirmed),
      marked("d", 4, .trashed(since: time(40), isConfirmed: false)),
      marked("e", 5, .trashed(since: time(30), isConfirmed: true)),
      marked("f", 6, .trashed(since: time(50), isConfirmed: false)),
    ]
    try fixture.catalog.commitFiling(put: files, removed: [], filed: [])
    try fixture.reopen()
    for file in files { #expect(try fixture.catalog.replicaFile(at: file.path) == file) }
    #expect(
      try fixture.catalog.trash() == [
        Fixture.anna: DroppedFiles(files: 3, bytes: 104 + 105 + 106, oldest: time(30))
      ])
    #expect(
      try fixture.catalog.confirmedTrash() == [
        Fixture.anna: DroppedFiles(files: 1, bytes: 105, oldest: time(30))
      ])
    #expect(try fixture.catalog.heldDrops() == [Fixture.anna: DroppedFiles(files: 1, bytes: 102)])
    #expect(try fixture.catalog.oldestTrashed(after: nil) == time(30))
    #expect(try fixture.catalog.oldestTrashed(after: time(30)) == time(40))
    #expect(try fixture.catalog.oldestTrashed(after: time(50)) == nil)
    let page = try fixture.catalog.trashed(until: time(40), after: nil, limit: 9)
    #expect(page.map(\.content) == [5, 4].map(Fixture.content) && page.map(\.since) == [time(30), time(40)])
    #expect(
      try fixture.catalog.trashed(until: time(50), after: page[0], limit: 1).map(\.content)
        == [Fixture.content(4)])
    #expect(try fixture.catalog.countedDrops(of: Fixture.anna, since: time(40), withConfirmed: false) == 1)
    #expect(try fixture.catalog.countedDrops(of: Fixture.anna, since: time(39), withConfirmed: false) == 2)
    #expect(
      try fixture.catalog.countedDrops(of: Fixture.anna, since: time(29), withConfirmed: true) == 3)
    #expect(try fixture.catalog.countedDrops(of: Fixture.bert, since: time(0), withConfirmed: false) == 0)
  }

  @Test(arguments: Home.allCases) func theTimeInTheTrashBeginsAnew(home: Home) throws {
    let fixture = try CatalogFixture(home)
    func trashed(_ since: Int64, isConfirmed: Bool = false) -> DropMark {
      .trashed(since: time(since), isConfirmed: isConfirmed)
    }
    let before: [DropMark?] = [nil, .held, trashed(4), trashed(40, isConfirmed: true), trashed(4)]
    let files = zip(["a", "b", "c", "d", "e"], before).map { path, mark in
      marked(path, path == "e" ? 2 : 1, mark)
    }
    try fixture.catalog.commitFiling(put: files, removed: [], filed: [])
    try fixture.catalog.restartTrash(of: [Fixture.content(1)], at: time(20))
    try fixture.reopen()
    let after: [DropMark?] = [nil, .held, trashed(20), trashed(40, isConfirmed: true), trashed(4)]
    for (file, mark) in zip(files, after) {
      #expect(try fixture.catalog.replicaFile(at: file.path)?.mark == mark)
    }
  }

  @Test(arguments: Home.allCases) func aConfirmationPutsWhatWasHeldIntoTheQueue(home: Home) throws {
    let fixture = try CatalogFixture(home)
    try fixture.catalog.follow(Fixture.anna, 1, add: [dropped(1), dropped(2)])
    try fixture.catalog.commitFiling(
      put: [marked("a", 1, .held), marked("b", 2, nil)], removed: [],
      filed: [Fixture.content(1), Fixture.content(2)])
    #expect(try fixture.catalog.unfiled(limit: 9).isEmpty)
    #expect(try fixture.catalog.confirmDrops(of: Fixture.bert) == 0)
    #expect(try fixture.catalog.confirmDrops(of: Fixture.anna) == 1)
    try fixture.reopen()
    #expect(try fixture.catalog.unfiled(limit: 9) == [Fixture.content(1)])
    #expect(try fixture.catalog.replicaFile(at: Array("a".utf8))?.mark == .confirmed)
    #expect(try fixture.catalog.confirmDrops(of: Fixture.anna) == 0)
  }

  @Test(arguments: Home.allCases) func replacedEntriesComeWithTheTimeAtWhichTheyWereNoted(home: Home) throws {
    let fixture = try CatalogFixture(home)
    func entry(_ path: String, _ content: UInt64, _ kind: EntryKind, _ state: EntryState) -> Entry {
      var entry = Fixture.entry(path, content, state: state)
      entry.kind = kind
      return entry
    }
    func replaced(_ at: Int64) -> EntryState { .retired(.replaced, at: WallTime(nanoseconds: at)) }
    let wanted = [
      entry("a", 2, .sidecar, replaced(1)), entry("a", 1, .sidecar, replaced(2)),
      entry("b", 3, .other, replaced(1)),
    ]
    let others = [
      entry("a", 4, .sidecar, .live), entry("c", 5, .photo, replaced(1)),
      entry("d", 6, .other, .retired(.deleted, at: WallTime(nanoseconds: 1))),
    ]
    try fixture.catalog.publish(
      LibraryChange(added: Fixture.identified(wanted + others)),
      head: Fixture.head(Fixture.own, Fixture.order(1)), files: [])
    try fixture.catalog.noteRetired([Fixture.id(wanted[0])], at: time(5))
    try fixture.catalog.noteRetired(wanted.prefix(2).map(Fixture.id), at: time(6))
    try fixture.reopen()
    let page = try fixture.catalog.replacedEntries(kinds: [.sidecar, .other], after: nil, limit: 9)
    #expect(page.map(\.entry) == wanted)
    #expect(page.map(\.noted) == [time(5), time(6), nil])
    let next = try fixture.catalog.replacedEntries(
      kinds: [.sidecar, .other], after: page[1].entry.key, limit: 9)
    #expect(next.map(\.entry) == [wanted[2]])
    try fixture.catalog.addExpired([1, 2, 3].map(Fixture.content), day: 7)
    try fixture.catalog.addExpired([1, 4].map(Fixture.content), day: 7)
    try fixture.catalog.addExpired([Fixture.content(5)], day: 9)
    try fixture.reopen()
    #expect(
      try fixture.catalog.hasExpired(Fixture.content(4)) && !fixture.catalog.hasExpired(Fixture.content(6)))
    #expect(try fixture.catalog.expired(since: 7) == 6 && fixture.catalog.expired(since: 8) == 1)
  }

  /// One that comes back counts from then.
  @Test(arguments: Home.allCases) func whatTheLibraryNamesNoMoreIsNotedNoMore(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let entries = (1...3).map {
      Fixture.entry("p\($0)", $0, state: .retired(.replaced, at: WallTime(nanoseconds: 1)))
    }
    let ids = entries.map(Fixture.id)
    func publish(_ sequence: UInt64, _ added: [Entry], removed: [EntryID] = []) throws {
      try fixture.catalog.publish(
        LibraryChange(added: Fixture.identified(added), removed: removed),
        head: Fixture.head(Fixture.own, Fixture.order(sequence)), files: [])
    }
    func noted() throws -> [AgentTime?] {
      try fixture.catalog.replacedEntries(kinds: [entries[0].kind], after: nil, limit: 9).map(\.noted)
    }
    try publish(1, entries)
    try fixture.catalog.noteRetired(ids, at: time(5))
    try publish(2, [], removed: [ids[1]])
    try fixture.reopen()
    let last = try fixture.catalog.purgeRetirements(after: nil, limit: 2)
    #expect(last == ids.sorted()[1])
    #expect(try fixture.catalog.purgeRetirements(after: last, limit: 2) == nil)
    try publish(3, [entries[1]])
    #expect(try noted() == [time(5), nil, time(5)])
    try fixture.catalog.noteRetired(ids, at: time(9))
    #expect(try noted() == [time(5), time(9), time(5)])
  }

  @Test(arguments: Home.allCases) func absencesAndLossesAreKept(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let (a, b) = (Fixture.content(1), Fixture.content(2))
    try fixture.catalog.setAbsences([a: time(3), b: time(4)], ended: [])
    // The first word counts.
    try fixture.catalog.setAbsences([a: time(9)], ended: [b])
    try fixture.catalog.putLost([a, b])
    try fixture.reopen()
    #expect(try fixture.catalog.absences() == [a: time(3)])
    #expect(try fixture.catalog.lostCounts() == LostContents(all: 2, open: 2))
    try fixture.catalog.acknowledgeLost()
    try fixture.catalog.putLost([a])
    #expect(try fixture.catalog.lostCounts() == LostContents(all: 2, open: 0))
    try fixture.catalog.removeLost([a])
    #expect(try !fixture.catalog.isLost(a) && fixture.catalog.isLost(b))
    #expect(try fixture.catalog.lostContents(limit: 9) == [b])
  }

  @Test func copiesAreListedByContentWithoutTheTrash() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    var trashed = Fixture.replicaFile(".mantel/trash/x", 3)
    trashed.mark = .trashed(since: .zero, isConfirmed: false)
    try catalog.commitFiling(
      put: [
        Fixture.replicaFile("anna/a", 1), Fixture.replicaFile("anna/b", 1), Fixture.replicaFile("anna/c", 2),
        trashed,
      ], removed: [], filed: [])
    let all = try catalog.replicaContents(after: nil, limit: 9)
    #expect(all.map(\.content) == [1, 2].map(Fixture.content).sorted())
    #expect(
      all.first { $0.content == Fixture.content(1) }
        == ReplicaContent(
          content: Fixture.content(1), files: 2, bytes: 101))
    #expect(try catalog.replicaContents(after: nil, limit: 1) == Array(all.prefix(1)))
    #expect(try catalog.replicaContents(after: all[0].content, limit: 9) == [all[1]])
  }

  @Test func othersLibrariesAreUnfiledAsAWhole() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(Fixture.anna, 1, add: [Fixture.entry("p", 1)])
    try catalog.commitFiling(put: [], removed: [], filed: [Fixture.content(1)])
    #expect(try catalog.unfiled(limit: 9) == [])
    try catalog.markUnfiled()
    #expect(try catalog.unfiled(limit: 9) == [Fixture.content(1)])
    #expect(try catalog.allMissing(pageSize: 5).map(\.content) == [Fixture.content(1)])
  }

  /// Neither what is missing nor what a closed library names.
  @Test func contentsWithFilesHereAreUnfiledOneByOne() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(
      Fixture.anna, 1, add: [("p", 1), ("q", 1), ("r", 2), ("s", 3)].map { Fixture.entry($0, $1) })
    try catalog.follow(Fixture.bert, 1, add: [Fixture.entry("t", 4)])
    try catalog.setClosed(Fixture.bert, true)
    #expect(try catalog.fileAbsent(limit: 9) == 4)
    let files = [("anna/p", 1), ("anna/r", 2), ("bert/t", 4)].map { Fixture.replicaFile($0, $1) }
    try catalog.commitFiling(put: files, removed: [], filed: [])
    #expect(try catalog.unfiled(limit: 9) == [])
    try catalog.markUnfiled([1, 3, 4].map(Fixture.content))
    #expect(try catalog.unfiled(limit: 9) == [Fixture.content(1)])
    #expect(try catalog.allMissing(pageSize: 5).map(\.content) == [Fixture.content(3)])
    try catalog.commitFiling(put: [], removed: [], filed: [Fixture.content(1)])
    #expect(try catalog.unfiled(limit: 9) == [])
  }
}
