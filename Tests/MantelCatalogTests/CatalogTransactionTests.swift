import MantelCatalog
import MantelCore
import Testing

/// `atomically`: all calls of one event are one transaction.
@Suite struct CatalogTransactionTests {
  @Test(arguments: Home.allCases)
  func writesAreSeenWithinAndKeptAtTheEnd(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let catalog = fixture.catalog
    let seen = try catalog.atomically { () throws(StoreError) in
      try catalog.setValue(.machineName, [1])
      try catalog.atomically { () throws(StoreError) in try catalog.setValue(.role, [2]) }
      return try catalog.value(.machineName)
    }
    #expect(seen == [1])
    try fixture.reopen()
    #expect(try fixture.catalog.value(.machineName) == [1])
    #expect(try fixture.catalog.value(.role) == [2])
  }

  @Test(arguments: Home.allCases)
  func nothingIsKeptOfWhatThrows(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let catalog = fixture.catalog
    try catalog.setValue(.machineName, [1])
    let failure = StoreError(code: .io, message: "a disk that is gone")
    #expect {
      try catalog.atomically { () throws(StoreError) in
        try catalog.setValue(.machineName, [2])
        try catalog.setValue(.role, [3])
        throw failure
      }
    } throws: {
      ($0 as? StoreError)?.message == failure.message
    }
    #expect(try catalog.value(.machineName) == [1])
    #expect(try catalog.value(.role) == nil)
    // And the next one is not hampered.
    try catalog.atomically { () throws(StoreError) in try catalog.setValue(.role, [4]) }
    try fixture.reopen()
    #expect(try fixture.catalog.value(.role) == [4])
  }

  /// A refused call is taken back as a whole, and whoever expected that goes on.
  @Test(arguments: Home.allCases)
  func aRefusedCallLeavesTheOthersAlone(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let catalog = fixture.catalog
    try catalog.setDirectoryName(Fixture.anna, nil, "anna")
    try catalog.atomically { () throws(StoreError) in
      try catalog.setValue(.role, [1])
      do throws(StoreError) {
        // Bert becomes known to the catalog before his name is refused.
        try catalog.setDirectoryName(Fixture.bert, nil, "anna")
        Issue.record("a name was given twice")
      } catch {
        guard error.code == .constraint else { throw error }
      }
      try catalog.setValue(.machineName, [2])
    }
    #expect(try catalog.value(.role) == [1])
    #expect(try catalog.value(.machineName) == [2])
    #expect(try catalog.directoryName(Fixture.bert, nil) == nil)
  }

  /// A head that its owner signed, and that is no library: the event that brought it goes on. Also when the head has moved much,
  /// without indexes, before that is found out.
  @Test(arguments: Home.allCases, [Catalog.bulk, 2])
  func aRefusedHeadLeavesTheOthersAlone(home: Home, bulk: Int) throws {
    let fixture = try CatalogFixture(home, bulk: bulk)
    let catalog = fixture.catalog
    let double = [Fixture.entry("a.jpg", 1), Fixture.entry("a.jpg", 2)]
    try catalog.stage(Fixture.anna, Fixture.order(1), Fixture.identified(double))
    try catalog.atomically { () throws(StoreError) in
      try catalog.setValue(.role, [1])
      do throws(StoreError) {
        try catalog.install(Fixture.anna, head: Fixture.head(Fixture.anna, Fixture.order(1)))
        Issue.record("two live entries of one path were installed")
      } catch {
        guard error.code == .constraint else { throw error }
      }
      try catalog.follow(Fixture.bert, 1, add: [Fixture.entry("b.jpg", 3)])
      try catalog.setValue(.machineName, [2])
    }
    try fixture.reopen()
    #expect(try fixture.catalog.value(.role) == [1])
    #expect(try fixture.catalog.value(.machineName) == [2])
    #expect(try fixture.catalog.staged(Fixture.anna).added.count == 2)
    #expect(try fixture.catalog.wanted(Fixture.bert) == [Fixture.content(3)])
    #expect(try fixture.catalog.damage().isEmpty)
  }

  /// Half of a write cannot be taken back alone: it fails the event, whoever catches that.
  @Test(arguments: Home.allCases)
  func nothingIsKeptAfterAWriteThatFailed(home: Home) throws {
    let fixture = try CatalogFixture(home)
    let catalog = fixture.catalog
    let entry = Fixture.entry("a.jpg", 1)
    #expect {
      try catalog.atomically { () throws(StoreError) in
        try catalog.setValue(.role, [1])
        do throws(StoreError) {
          // The first is written when the second is found to be there.
          try catalog.publish(
            LibraryChange(added: Fixture.identified([entry, entry])),
            head: Fixture.head(Fixture.own, Fixture.order(1)), files: [])
          Issue.record("an entry was published twice")
        } catch {
          guard error.code == .constraint else { throw error }
        }
        try catalog.setValue(.machineName, [2])
      }
    } throws: {
      ($0 as? StoreError)?.code == .constraint
    }
    try fixture.reopen()
    #expect(try fixture.catalog.value(.role) == nil)
    #expect(try fixture.catalog.value(.machineName) == nil)
    #expect(try fixture.catalog.entryIDs(Fixture.own).isEmpty)
    // And the next one is not hampered.
    try fixture.catalog.atomically { () throws(StoreError) in try fixture.catalog.setValue(.role, [4]) }
    #expect(try fixture.catalog.value(.role) == [4])
  }

  /// Peers are served, and status is told, from what was committed.
  @Test func othersSeeWhatWasCommitted() async throws {
    let fixture = try CatalogFixture(.file)
    let catalog = fixture.catalog
    try catalog.setValue(.role, [1])
    let read = AsyncStream.makeStream(of: [UInt8]?.self)
    let written = AsyncStream.makeStream(of: Void.self)
    let reader = Task.detached {
      for await _ in written.stream {
        read.continuation.yield(try catalog.value(.role))
        break
      }
    }
    try catalog.atomically { () throws(StoreError) in try catalog.setValue(.role, [2]) }
    written.continuation.yield()
    try await reader.value
    for await value in read.stream {
      #expect(value == [2])
      break
    }
  }
}
