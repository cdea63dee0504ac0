import CFaults
import Foundation
import Glibc
import MantelCatalog
import MantelCore
import Testing

/// Publishing, staging, installing and filing with the first, the second, ... call of SQLite failing that opens, reads,
/// writes, syncs or cuts a file, until a run passes. Opened again, the catalog has each transaction whole or not at all,
/// has all that was said to be done, and goes on.
@Suite struct CatalogFaultTests {
  private static let kinds = UInt32(
    MANTEL_FAULT_OPEN | MANTEL_FAULT_READ | MANTEL_FAULT_WRITE | MANTEL_FAULT_SYNC | MANTEL_FAULT_TRUNCATE)

  private static let changes = UInt32(MANTEL_FAULT_WRITE | MANTEL_FAULT_SYNC | MANTEL_FAULT_TRUNCATE)

  /// What an agent has its catalog do, one durable transaction each.
  private static let steps: [@Sendable (Catalog) throws -> Void] = [
    { try $0.stage(Fixture.anna, Fixture.order(1), Fixture.identified(Self.theirs)) },
    { try $0.install(Fixture.anna, head: Fixture.head(Fixture.anna, Fixture.order(1))) },
    {
      try $0.publish(
        LibraryChange(added: Fixture.identified([Fixture.entry("own.jpg", 9)])),
        head: Fixture.head(Fixture.own, Fixture.order(1)), files: [Fixture.file("own.jpg", content: 9)])
    },
    { try $0.setValue(.filingJournal, [1, 2, 3]) },
    {
      try $0.commitFiling(
        put: [Fixture.replicaFile("anna/a.jpg", 1)], removed: [], filed: [Fixture.content(1)], journal: nil)
    },
    { try $0.stage(Fixture.anna, Fixture.order(2), Fixture.identified([Fixture.entry("d.jpg", 4)])) },
  ]
  private static let theirs = (1...3).map { Fixture.entry("\($0).jpg", UInt64($0)) }

  /// What can be told of a catalog: differs after each step.
  private func state(_ catalog: Catalog) throws -> [String] {
    var held: [ContentID] = []
    try catalog.forEachHeld { held.append($0) }
    return [
      "\(try catalog.libraries().sorted { $0.machine < $1.machine }.map { $0.installed?.record.order })",
      "\(try catalog.staged(Fixture.anna).added.count) staged", "\(held.count) held",
      "\(try catalog.entryIDs(Fixture.anna).count) and \(try catalog.entryIDs(Fixture.own).count) entries",
      "journal \(try catalog.value(.filingJournal) ?? [])",
      "\(try catalog.missing(in: Fixture.anna, limit: 10).count) missing",
    ]
  }

  /// A catalog to begin with: its migrations are done.
  private func makeBase(_ directory: URL) throws -> URL {
    let base = directory.appending(path: "base")
    let catalog = try Catalog(path: base.path, machine: Fixture.own)
    try catalog.putFolder(Fixture.ownFolder())
    try catalog.close()
    return base
  }

  @Test(arguments: [(EIO, false), (ENOSPC, false), (EDQUOT, false), (EROFS, false), (EIO, true)])
  func everyCallMayFail(errno: Int32, andAfter: Bool) throws {
    try failEach(Self.kinds, errno, andAfter)
  }

  @Test func everyCallMayFailInBulk() throws {
    try failEach(Self.kinds, EIO, false, bulk: 1)
  }

  /// The filesystem was mounted anew for reading only, before any call that changes it, and can be written again later.
  @Test func aRemountForReadingOnlyLosesNothing() throws {
    try failEach(Self.changes, EROFS, true)
  }

  private func failEach(_ kinds: UInt32, _ errno: Int32, _ andAfter: Bool, bulk: Int = Catalog.bulk) throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "mantel-faults-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let base = try makeBase(directory)
    let states = try expectedStates(base, directory)
    var call = 0
    var made = 0
    var failed = 0
    repeat {
      call += 1
      let path = directory.appending(path: "\(call)").path
      try FileManager.default.copyItem(atPath: base.path, toPath: path)
      let done: Int
      (done, made) = try run(path, kinds, failing: call, errno, andAfter, bulk)
      failed += done < Self.steps.count ? 1 : 0
      // The old value's connections are closed; what they left beside the file is found.
      let catalog = try Catalog(path: path, machine: Fixture.own, bulk: bulk)
      #expect(try catalog.damage().isEmpty, "call \(call)")
      let found = try state(catalog)
      // A commit of which only the last sync failed may be there, though it was not said to be.
      let position = try #require(
        states.lastIndex(of: found).flatMap { done...(done + 1) ~= $0 ? $0 : nil },
        "call \(call): after \(done) transactions the catalog has \(found)")
      for step in Self.steps[position...] { try step(catalog) }
      #expect(try state(catalog) == states[Self.steps.count], "call \(call)")
      try catalog.close()
      for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    } while made >= call
    #expect(call > 20 && failed > 10, "\(call) calls were made to fail, \(failed) of them were told")
  }

  /// The states before the first and after each step, all different.
  private func expectedStates(_ base: URL, _ directory: URL) throws -> [[String]] {
    let path = directory.appending(path: "sound").path
    try FileManager.default.copyItem(atPath: base.path, toPath: path)
    let catalog = try Catalog(path: path, machine: Fixture.own)
    var states = [try state(catalog)]
    for step in Self.steps {
      try step(catalog)
      states.append(try state(catalog))
    }
    try catalog.close()
    #expect(Set(states).count == states.count)
    return states
  }

  /// Runs the steps until one fails; returns how many were done, and how many calls there were.
  private func run(
    _ path: String, _ kinds: UInt32, failing call: Int, _ errno: Int32, _ andAfter: Bool, _ bulk: Int
  ) throws -> (Int, Int) {
    let catalog = try Catalog(path: path, machine: Fixture.own, bulk: bulk)
    var done = 0
    mantel_faults_arm(kinds, call, errno, andAfter ? 1 : 0)
    do {
      for step in Self.steps {
        try step(catalog)
        done += 1
      }
    } catch {
      #expect(error is StoreError, "call \(call): \(error)")
    }
    let made = mantel_faults_disarm()
    // As when the process ends: whether closing can tidy up or not.
    try? catalog.close()
    return (done, made)
  }
}
