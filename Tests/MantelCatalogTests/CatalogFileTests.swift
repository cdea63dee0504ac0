import Foundation
@testable import MantelCatalog
import MantelCore
import Testing

/// What only a file can show: damage, other versions, other programs, threads, size.
@Suite struct CatalogFileTests {
  @Test func refusesGarbage() throws {
    let fixture = try CatalogFixture(.memory)
    let garbage = Data((0..<9_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    try garbage.write(to: URL(fileURLWithPath: fixture.path))
    let error = #expect(throws: CatalogOpenError.self) {
      try Catalog(path: fixture.path, machine: Fixture.own)
    }
    guard case .corrupt = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: fixture.path)) == garbage)
  }

  @Test func refusesANewerSchema() throws {
    let fixture = try CatalogFixture(.file)
    try fixture.catalog.inspect("INSERT INTO grdb_migrations (identifier) VALUES ('9 albums')")
    let error = #expect(throws: CatalogOpenError.self) { try fixture.reopen() }
    guard case .newerSchema(["9 albums"]) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func refusesAnotherProgramsDatabase() throws {
    let fixture = try CatalogFixture(.file)
    try fixture.catalog.inspect("PRAGMA application_id = 1")
    let error = #expect(throws: CatalogOpenError.self) { try fixture.reopen() }
    guard case .notACatalog = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func tellsOfDamageInUse() throws {
    let fixture = try CatalogFixture(.file)
    try fixture.catalog.follow(
      Fixture.anna, 1, add: (0..<2_000).map { Fixture.entry("p\($0)", $0) })
    try fixture.catalog.inspect("PRAGMA wal_checkpoint(TRUNCATE)")
    let handle = try #require(FileHandle(forUpdatingAtPath: fixture.path))
    let size = try handle.seekToEnd()
    try handle.seek(toOffset: size / 2)
    try handle.write(contentsOf: Data(repeating: 0xa5, count: Int(size / 2)))
    try handle.close()
    try fixture.reopen()
    let error = #expect(throws: StoreError.self) {
      _ = try fixture.catalog.entries(of: Fixture.anna, states: .all, limit: 3_000)
      _ = try fixture.catalog.damage()
    }
    #expect(error?.code == .corrupt)
  }

  /// SQLite has the whole file to look at by then, in one statement.
  @Test func aSearchForDamageIsInterrupted() throws {
    let fixture = try CatalogFixture(.file)
    let search = DamageSearch()
    let error = #expect(throws: (any Error).self) {
      try search.run(at: fixture.path) { search.stop() }
    }
    #expect(String(describing: error).contains("interrupted"))
    #expect(try fixture.catalog.damage() == [])
  }

  @Test func keepsNothingOfACallThatFoundTheDiskFull() throws {
    let fixture = try CatalogFixture(.file)
    let (order, kept) = (Fixture.order(1), Fixture.entry("kept", 1))
    try fixture.catalog.stage(Fixture.anna, order, Fixture.identified([kept]))
    let pages = try #require(try fixture.catalog.inspect("PRAGMA page_count").first)
    try fixture.catalog.inspect("PRAGMA max_page_count = \(pages)")
    let error = #expect(throws: StoreError.self) {
      try fixture.catalog.stage(
        Fixture.anna, order,
        Fixture.identified((0..<2_000).map { Fixture.entry("p\($0)", $0) }))
    }
    #expect(error?.code == .diskFull)
    try fixture.reopen()
    #expect(try fixture.catalog.staged(Fixture.anna).added == [Fixture.id(kept)])
    #expect(try fixture.catalog.staged(Fixture.anna).counts.entries == 1)
  }

  @Test func writesDurably() throws {
    let fixture = try CatalogFixture(.file)
    // FULL is 2: with NORMAL a power cut takes back a head that was announced.
    #expect(try fixture.catalog.inspect("PRAGMA journal_mode") == ["wal"])
    #expect(try fixture.catalog.inspect("PRAGMA synchronous") == ["2"])
    #expect(try fixture.catalog.inspect("PRAGMA foreign_keys") == ["1"])
    #expect(try fixture.catalog.inspect("PRAGMA journal_size_limit") == ["\(128 << 20)"])
    #expect(try fixture.catalog.damage() == [])
  }

  @Test func showsWholeHeadsToReadersWhileWriting() async throws {
    let fixture = try CatalogFixture(.file)
    let catalog = fixture.catalog
    // Every head has the same number of entries: a reader that sees another number saw half of an install.
    func view(_ generation: UInt64) -> [Entry] {
      (0..<20).map { Fixture.entry("p\($0)", generation * 100 + $0) }
    }
    try catalog.follow(Fixture.anna, 1, add: view(1))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          for _ in 0..<60 {
            let page = try catalog.entries(of: Fixture.anna, states: .all, limit: 1_000)
            #expect(page.entries.count == 20)
            #expect(Set(page.entries.map { $0.entry.size / 100 }).count <= 2)
            let delta = try catalog.wholeDelta(
              Fixture.anna, .none, Fixture.order(1), maximumBytes: 300)
            #expect(delta?.added.count == 20)
          }
        }
      }
      for generation in 2...25 as ClosedRange<UInt64> {
        try catalog.follow(
          Fixture.anna, generation, add: view(generation), remove: view(generation - 1))
      }
      try await group.waitForAll()
    }
  }

  @Test func takesInABigLibraryQuickly() throws {
    let fixture = try CatalogFixture(.file)
    let catalog = fixture.catalog
    let entries = Fixture.identified(
      (0..<20_000).map { Fixture.entry("2024/\($0 / 500)/IMG_\($0).jpg", $0, mtime: Int64($0)) })
    let order = Fixture.order(1)
    // Time of this thread on a processor: a busy machine does not make the catalog slow.
    let staging = try processorSeconds {
      for start in stride(from: 0, to: entries.count, by: 1_000) {
        try catalog.stage(Fixture.anna, order, Array(entries[start..<start + 1_000]))
      }
    }
    let installing = try processorSeconds {
      try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, order))
    }
    var missing: [MissingContent] = []
    let paging = try processorSeconds { missing = try catalog.allMissing(pageSize: 1_000) }
    #expect(missing.count == 20_000)
    #expect(staging < 10)
    #expect(installing < 1)
    #expect(paging < 3)
    #expect(try catalog.entryIDs(Fixture.anna).count == 20_000)
    print("20,000 entries: stage \(staging) s, install \(installing) s, page \(paging) s")
  }

  /// The rows that sort behind a directory cost a look into it nothing: a rescan pays for each directory once.
  @Test func aDirectoryCostsItsOwnRowsOnly() throws {
    let catalog = try Catalog(inMemory: Fixture.own)
    try catalog.putFolder(Fixture.ownFolder())
    let early = [Fixture.file("a/1/x", .published), Fixture.file("a/2", .published)]
    try catalog.putFiles(early)
    func looks() throws -> Double {
      var found = 0
      let spent = try processorSeconds {
        for _ in 0..<200 {
          found += try catalog.files(Fixture.folder, in: Array("a".utf8)).count
          found += try catalog.files(Fixture.folder, below: Array("a".utf8), after: nil, limit: 9).count
        }
      }
      #expect(found == 600)
      return spent
    }
    let alone = try looks()
    try catalog.putFiles((0..<40_000).map { Fixture.file("b/\($0)", .published) })
    let among = try looks()
    // Stepping over the later rows takes a hundred times as long.
    #expect(among < 10 * alone + 0.1, "\(alone) s alone, \(among) s among others")
  }

  private func processorSeconds(_ body: () throws -> Void) rethrows -> Double {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    try body()
    return now() - start
  }
}
