@testable import MantelCatalog
import MantelCore
import Testing

/// Heads of which many entries come at once: they wait beside the others, and installing moves them.
@Suite struct CatalogBulkTests {
  private static let entries = (0..<40).map { Fixture.entry("\($0).jpg", UInt64($0 % 30), mtime: Int64($0)) }
  private static let order = Fixture.order(1)
  private static let indexes =
    "SELECT name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE tbl_name = 'entry' ORDER BY name"

  private func waiting(_ catalog: Catalog) throws -> [String] {
    try catalog.inspect("SELECT count(*) FROM staged_entry")
  }

  private func stage(_ catalog: Catalog, _ entries: ArraySlice<Entry>) throws {
    try catalog.stage(Fixture.anna, Self.order, Fixture.identified(Array(entries)))
  }

  @Test(arguments: Home.allCases)
  func givesWhatStagingOneByOneGives(home: Home) throws {
    let (single, many) = (try CatalogFixture(home), try CatalogFixture(home, bulk: 10))
    for fixture in [single, many] {
      try fixture.catalog.commitFiling(
        put: [Fixture.replicaFile("anna/3.jpg", 3)], removed: [], filed: [])
      try stage(fixture.catalog, Self.entries[..<25])
      try fixture.reopen()
      // Some of them once more, as a page that is fetched again, and less than is many.
      try stage(fixture.catalog, Self.entries[20..<36])
      try stage(fixture.catalog, Self.entries[35...])
      try fixture.catalog.unstage(Fixture.anna, added: [Fixture.id(Self.entries[7])], removed: [])
    }
    #expect(try waiting(single.catalog) == ["0"])
    #expect(try waiting(many.catalog) == ["45"])
    let expected = try single.catalog.staged(Fixture.anna)
    #expect(expected.added.count == 39 && expected.counts.entries == 39)
    #expect(try many.catalog.staged(Fixture.anna).added == expected.added)
    #expect(try many.catalog.staged(Fixture.anna).counts == expected.counts)
    #expect(expected.bulkRows == 0 && expected.repeats == 0)
    #expect(try many.catalog.staged(Fixture.anna).bulkRows == 45)
    #expect(try many.catalog.staged(Fixture.anna).repeats == 6)

    let before = try many.catalog.inspect(Self.indexes)
    for fixture in [single, many] {
      try fixture.catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Self.order))
      try fixture.reopen()
    }
    #expect(try waiting(many.catalog) == ["0"])
    #expect(try many.catalog.inspect(Self.indexes) == before)
    #expect(try many.catalog.damage().isEmpty)
    let rows = """
      SELECT hex(id) || since || until || hex(path) || hex(content) || size || mtime || state || came || went || lacking
      FROM entry ORDER BY id
      """
    #expect(try many.catalog.inspect(rows) == (try single.catalog.inspect(rows)))
    #expect(try many.catalog.libraryTotals() == (try single.catalog.libraryTotals()))
    #expect(try many.catalog.allMissing(pageSize: 7) == (try single.catalog.allMissing(pageSize: 7)))
    #expect(try many.catalog.missingContent(Fixture.content(3)) == nil)
  }

  /// With the rows of all libraries where the indexes are made again: from a sixteenth of them on.
  @Test(arguments: Home.allCases)
  func tellsHowManyRowsAnInstallWrites(home: Home) throws {
    let fixture = try CatalogFixture(home, bulk: 10)
    try fixture.catalog.follow(Fixture.bert, 1, add: Self.entries)
    func rows() throws -> UInt64 { try fixture.catalog.staged(Fixture.anna).bulkRows }
    #expect(try rows() == 0)
    try stage(fixture.catalog, Self.entries[..<10])
    try fixture.reopen()
    #expect(try rows() == 50)
    func takeBack(_ entries: ArraySlice<Entry>) throws {
      try fixture.catalog.unstage(Fixture.anna, added: entries.map(Fixture.id), removed: [])
    }
    try takeBack(Self.entries[..<8])
    #expect(try rows() == 42)
    try takeBack(Self.entries[8..<9])
    #expect(try rows() == 1)
    try takeBack(Self.entries[9..<10])
    #expect(try rows() == 0)
  }

  /// Everything else goes on while much of another library is waiting.
  @Test(arguments: Home.allCases)
  func publishesAndAnswersMeanwhile(home: Home) throws {
    let fixture = try CatalogFixture(home, bulk: 10)
    let catalog = fixture.catalog
    try catalog.putFolder(Fixture.ownFolder())
    try stage(catalog, Self.entries[...])
    try catalog.publish(
      LibraryChange(added: Fixture.identified([Fixture.entry("own.jpg", 9)])),
      head: Fixture.head(Fixture.own, Self.order), files: [Fixture.file("own.jpg", content: 9)])
    #expect(try catalog.entries(states: .all, limit: 100).entries.count == 1)
    #expect(try catalog.whereabouts(of: Fixture.content(9)).entries.count == 1)
    #expect(try catalog.missing(after: nil, limit: 9).contents.isEmpty)
    #expect(try catalog.wholeDelta(Fixture.own, .none, Self.order, maximumBytes: 99)?.added.count == 1)
    try catalog.follow(Fixture.bert, 1, add: [Fixture.entry("b.jpg", 1)])
    #expect(try waiting(catalog) == ["40"], "another library's head leaves them")
    // It was filed for Bert before it is installed for Anna: no longer missing of either.
    try catalog.commitFiling(
      put: [Fixture.replicaFile("bert/b.jpg", 1, of: Fixture.bert)], removed: [], filed: [Fixture.content(1)])
    try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Self.order))
    #expect(try catalog.missing(in: Fixture.anna, limit: 0).count == 28)
    #expect(try catalog.entryIDs(Fixture.anna).count == 40)
  }

  @Test(arguments: Home.allCases)
  func discardsOneLibraryAlone(home: Home) throws {
    let fixture = try CatalogFixture(home, bulk: 10)
    let catalog = fixture.catalog
    let before = try catalog.inspect(Self.indexes)
    try stage(catalog, Self.entries[...])
    try catalog.stage(Fixture.bert, Self.order, Fixture.identified(Array(Self.entries[..<20])))
    try catalog.discardStaged(Fixture.anna)
    #expect(try catalog.staged(Fixture.anna).added.isEmpty)
    #expect(try catalog.staged(Fixture.anna).counts == LibraryCounts())
    #expect(try catalog.staged(Fixture.bert).added.count == 20)
    #expect(try waiting(catalog) == ["20"])
    #expect(try catalog.inspect(Self.indexes) == before)
  }

  /// A newer head has less than what waits since before a restart: a comparison says so piece by piece.
  @Test(arguments: Home.allCases)
  func takesBackWhatANewerHeadDoesNotHave(home: Home) throws {
    let fixture = try CatalogFixture(home, bulk: 10)
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'staged_entry'"
    try stage(fixture.catalog, Self.entries[...])
    try stage(fixture.catalog, Self.entries[..<20])
    try fixture.reopen()
    let catalog = fixture.catalog
    for entry in Self.entries[..<15] {
      try catalog.unstage(Fixture.anna, added: [Fixture.id(entry)], removed: [])
    }
    #expect(try waiting(catalog) == ["30"], "both of each")
    let kept = Self.entries[15...].map(Fixture.id)
    #expect(try catalog.staged(Fixture.anna).added == kept.sorted())
    #expect(try catalog.staged(Fixture.anna).counts.entries == 25)
    #expect(try catalog.inspect(indexes) == ["staged_entry_by_id"])
    // One of them comes back.
    try catalog.stage(Fixture.anna, Fixture.order(2), Fixture.identified([Self.entries[0]]))
    try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Fixture.order(2)))
    #expect(try catalog.entryIDs(Fixture.anna) == (kept + [Fixture.id(Self.entries[0])]).sorted())
    #expect(try catalog.libraryTotals().map(\.counts.entries) == [26])
    #expect(try catalog.inspect(indexes).isEmpty)
  }

  /// Pages of a walk end between the rows of a content, and one content has more rows than a page.
  @Test func namesEachWantedContentOnce() throws {
    let fixture = try CatalogFixture(.memory, bulk: 10)
    let retired = EntryState.retired(.replaced, at: WallTime(nanoseconds: 1))
    var entries = (0..<6_000 as Range<UInt64>).map { number in
      let isLive = number >= 4_000 && number.isMultiple(of: 2)
      return Fixture.entry("\(number).jpg", number % 2_000, state: isLive ? .live : retired)
    }
    entries += (0..<5_000).map { Fixture.entry("more \($0).jpg", 9_999, state: retired) }
    try fixture.catalog.follow(Fixture.anna, 1, add: entries)
    let contents = (0..<2_000 as Range<UInt64>).map(Fixture.content)
    let wanted = (contents + [Fixture.content(9_999)]).sorted()
    #expect(try fixture.catalog.wanted(Fixture.anna) == wanted)
    #expect(try fixture.catalog.changedContents(Fixture.anna) == wanted)
    let live = contents.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
    #expect(try fixture.catalog.wanted(Fixture.anna, liveOnly: true) == live.sorted())
  }

  /// An install that is refused keeps both what waits and the indexes.
  @Test(arguments: Home.allCases)
  func aRefusedHeadLeavesAllAsItWas(home: Home) throws {
    let fixture = try CatalogFixture(home, bulk: 10)
    let catalog = fixture.catalog
    let before = try catalog.inspect(Self.indexes)
    try stage(catalog, Self.entries[...] + [Fixture.entry("0.jpg", 99)])
    #expect(throws: StoreError.self) {
      try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Self.order))
    }
    #expect(try waiting(catalog) == ["41"])
    #expect(try catalog.inspect(Self.indexes) == before)
    #expect(try catalog.staged(Fixture.anna).added.count == 41)
    #expect(try catalog.entryIDs(Fixture.anna).isEmpty)
  }
}
