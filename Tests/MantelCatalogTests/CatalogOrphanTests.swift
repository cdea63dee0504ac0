import MantelCatalog
import MantelCore
import Testing

/// Contents that fall out of a library without a word.
@Suite struct CatalogOrphanTests {
  private let live = (0..<4).map { Fixture.entry("p\($0)", $0) }

  private func retired(_ entry: Entry) -> Entry {
    var entry = entry
    entry.state = .retired(.missing, at: WallTime(nanoseconds: 5))
    return entry
  }

  @Test(arguments: Home.allCases) func whatLosesItsLastNameIsAnOrphanUntilItIsNamedAgain(home: Home) throws {
    let fixture = try CatalogFixture(home)
    try fixture.catalog.follow(Fixture.anna, 1, add: [live[0], retired(live[1]), live[2]])
    #expect(try fixture.catalog.orphans() == [:])
    #expect(try fixture.catalog.lastHead(orphanedIn: Fixture.anna) == nil)
    try fixture.catalog.follow(Fixture.anna, 2, add: [live[3]], remove: [live[0], retired(live[1])])

    try fixture.reopen()
    #expect(try fixture.catalog.orphans() == [Fixture.anna: OrphanedContents(files: 2, open: 2)])
    let last = try fixture.catalog.lastHead(orphanedIn: Fixture.anna)
    #expect(last?.record.order == Fixture.order(1))
    #expect(Set(try fixture.catalog.orphanedEntries(Fixture.anna)) == [live[0], retired(live[1])])

    // Another leaves later: its head is the one to be shown, until its content has a name again.
    try fixture.catalog.follow(Fixture.anna, 3, remove: [live[3]])
    #expect(try fixture.catalog.orphans() == [Fixture.anna: OrphanedContents(files: 3, open: 3)])
    #expect(try fixture.catalog.lastHead(orphanedIn: Fixture.anna)?.record.order == Fixture.order(2))
    try fixture.catalog.follow(Fixture.anna, 4, add: [retired(live[3])])
    #expect(try fixture.catalog.lastHead(orphanedIn: Fixture.anna)?.record.order == Fixture.order(1))
    try fixture.catalog.follow(Fixture.anna, 5, add: [retired(live[0]), live[1]])
    #expect(try fixture.catalog.orphans() == [:])
    #expect(try fixture.catalog.orphanedEntries(Fixture.anna) == [])
  }

  @Test(arguments: [
    EntryState.unheld(at: WallTime(nanoseconds: 5)), .dropped(at: WallTime(nanoseconds: 5)),
    .retired(.deleted, at: WallTime(nanoseconds: 5)),
  ]) func whatItsOwnerHasAWordForIsNone(state: EntryState) throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(Fixture.anna, 1, add: [live[0]])
    try catalog.follow(Fixture.anna, 2, add: [Fixture.entry("p0", 0, state: state)], remove: [live[0]])
    #expect(try catalog.orphans() == [:])
    // Nor what nobody wanted any more.
    guard !Fixture.entry("p0", 0, state: state).state.isWanted else { return }
    try catalog.follow(Fixture.anna, 3, remove: [Fixture.entry("p0", 0, state: state)])
    #expect(try catalog.orphans() == [:])
  }

  @Test func aClosedLibraryHasNone() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(Fixture.anna, 1, add: [live[0]])
    try catalog.follow(Fixture.anna, 2, remove: [live[0]])
    try catalog.setClosed(Fixture.anna, true)
    #expect(try catalog.orphans() == [:])
    try catalog.setClosed(Fixture.anna, false)
    #expect(try catalog.orphans() == [Fixture.anna: OrphanedContents(files: 1, open: 1)])
  }

  /// The owner checks the delta from the former head against that head's root: nothing of it may lack.
  @Test func historySinceTheFirstOrphanOutlivesThePurge() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(Fixture.anna, 1, add: [live[0]])
    try catalog.follow(Fixture.anna, 2, add: [live[1]])
    try catalog.follow(Fixture.anna, 3, remove: [live[0]])
    // Live, replaced, and so on: history that would be purged.
    for sequence in UInt64(4)..<9 {
      try catalog.follow(
        Fixture.anna, sequence, add: [Fixture.entry("q\(sequence)", 9)],
        remove: sequence == 4 ? [] : [Fixture.entry("q\(sequence - 1)", 9)])
    }
    try catalog.commitFiling(put: [], removed: [], filed: [0, 1, 9].map(Fixture.content))
    while try catalog.purgeSuperseded(keeping: 1, since: [:], limit: 100) {}
    let delta = try catalog.wholeDelta(Fixture.anna, Fixture.order(2), Fixture.order(8), maximumBytes: 1)
    #expect(delta?.removed == [Fixture.id(live[0])])
    #expect(delta?.added == [Fixture.entry("q8", 9).canonicalBytes])
    #expect(try catalog.wholeDelta(Fixture.anna, Fixture.order(1), Fixture.order(8), maximumBytes: 1) == nil)

    try catalog.follow(Fixture.anna, 9, add: [retired(live[0])])
    while try catalog.purgeSuperseded(keeping: 1, since: [:], limit: 100) {}
    #expect(try catalog.wholeDelta(Fixture.anna, Fixture.order(2), Fixture.order(9), maximumBytes: 1) == nil)
  }

  /// An owner that never comes back for them would make the catalog grow by all that it publishes.
  @Test func historySinceAnOrphanIsBounded() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.follow(Fixture.anna, 1, add: [live[0]])
    try catalog.follow(Fixture.anna, 2, remove: [live[0]])
    for sequence in UInt64(3)..<9 {
      try catalog.follow(Fixture.anna, sequence, add: [Fixture.entry("q\(sequence)", 9)], remove: [])
    }
    try catalog.commitFiling(put: [], removed: [], filed: [0, 9].map(Fixture.content))
    while try catalog.purgeSuperseded(keeping: 1, since: [:], limit: 8) {}
    #expect(try catalog.lastHead(orphanedIn: Fixture.anna)?.record.order == Fixture.order(1))
    while try catalog.purgeSuperseded(keeping: 1, since: [:], limit: 4) {}
    #expect(try catalog.lastHead(orphanedIn: Fixture.anna) == nil)
    #expect(try catalog.orphans(in: Fixture.anna) == OrphanedContents(files: 1, open: 1))
  }

  @Test func theOwnLibraryKnowsWhatItPublished() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    let head = Fixture.head(Fixture.own, Fixture.order(1), root: 4)
    try catalog.publish(
      LibraryChange(added: Fixture.identified([live[0]]), removed: []), head: head, files: [])
    #expect(try catalog.publishedRoot(Fixture.own, Fixture.order(1)) == head.record.root)
    #expect(try catalog.publishedRoot(Fixture.own, Fixture.order(2)) == nil)
  }
}
