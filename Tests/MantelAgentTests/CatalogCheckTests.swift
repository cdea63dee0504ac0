import Foundation
import MantelCatalog
import MantelCore
import Testing

@testable import MantelAgent

/// When the catalog is looked through for damage, and what comes of it.
@Suite struct CatalogCheckTests {
  private let ben: InstalledHome

  init() async throws { ben = try await InstalledHome() }

  /// One run of the agent on the catalog.
  private func run<Value>(_ body: (CatalogCheck) throws -> Value) throws -> Value {
    try ben.withCatalog { catalog in
      let check = CatalogCheck(catalog: catalog, logger: InstalledHome.logger)
      try check.begin()
      return try body(check)
    }
  }

  private func time(days: Int) -> AgentTime { AgentTime.zero + .agentDay * days }

  @Test func itIsDueOnceAWeek() throws {
    try run { check in
      #expect(try check.isDue(at: .zero))
      try check.look(at: time(days: 1))
      #expect(try !check.isDue(at: time(days: 7)) && check.isDue(at: time(days: 8)))
      #expect(check.damage == nil)
      try check.end()
    }
    try run { check throws in #expect(try !check.isDue(at: time(days: 7)) && check.isDue(at: time(days: 8))) }
  }

  @Test func aRunThatWasCutOffIsFollowedByALook() throws {
    try run { try $0.look(at: .zero) }
    try run { check in
      #expect(try check.isDue(at: .zero))
      try check.look(at: .zero)
      #expect(try !check.isDue(at: .zero))
      try check.end()
    }
    try run { check throws in #expect(try !check.isDue(at: .zero)) }
  }

  /// The end of the agent waits for no look.
  @Test func aLookThatIsStoppedStaysDue() throws {
    try run { check in
      check.stop()
      #expect(throws: StoreError.self) { try check.look(at: time(days: 1)) }
      #expect(check.damage == nil)
      try check.end()
    }
    try run { check throws in #expect(try check.isDue(at: time(days: 1))) }
  }

  @Test func damageIsToldAgainAfterEachStart() throws {
    // A row that nothing else reads, with most of the file's pages.
    let large = [UInt8](repeating: 7, count: 8 << 20)
    try ben.withCatalog { try $0.addStatements([(StatementID(Digest256(1, 2, 3, 4)), large)]) }
    try run { check in
      try check.look(at: .zero)
      #expect(check.damage == nil)
      try check.end()
    }
    let handle = try #require(FileHandle(forUpdatingAtPath: ben.home.catalogPath))
    let size = try handle.seekToEnd()
    try handle.seek(toOffset: size / 2)
    try handle.write(contentsOf: Data(repeating: 0xa5, count: Int(size / 4)))
    try handle.close()
    try run { check in
      // It was looked at a moment ago, and nothing was cut off.
      #expect(try !check.isDue(at: .zero))
      try check.look(at: .zero)
      #expect(check.damage != nil)
      try check.end()
    }
    try run { check throws in #expect(try check.isDue(at: .zero)) }
  }
}
