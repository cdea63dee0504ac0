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
    let expected = try single.catalog.staged(Fixture.anna).added
    #expect(expected.count == 39)
    #expect(try many.catalog.staged(Fixture.anna).added == expected)
    #expect(try many.catalog.stagedCounts(Fixture.anna) == (try single.catalog.stagedCounts(Fixture.anna)))

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
    #expect(try catalog.stagedCounts(Fixture.anna) == LibraryCounts())
    #expect(try catalog.staged(Fixture.bert).added.count == 20)
    #expect(try waiting(catalog) == ["20"])
    #expect(try catalog.inspect(Self.indexes) == before)
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
