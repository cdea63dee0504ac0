@testable import MantelCatalog
import MantelCore
import Testing

/// Catalogs as each earlier version left them, with rows of then, opened by this one. Statements of that time are written out:
/// today's calls would write today's columns.
@Suite struct CatalogMigrationTests {
  /// What a catalog has after its first `count` migrations.
  struct Earlier: Sendable, CustomTestStringConvertible {
    var count: Int

    static var all: [Earlier] { (1...Catalog.migrations.count).map(Earlier.init(count:)) }

    var testDescription: String { "up to \(Catalog.migrations[count - 1])" }

    func has(_ migration: String) -> Bool {
      guard let place = Catalog.migrations.firstIndex(of: migration) else {
        preconditionFailure("no migration is called \(migration)")
      }
      return place < count
    }

    var hasLedger: Bool { has("1 ledger") }
    var hasLibraries: Bool { has("1 libraries") }
    var hasReplica: Bool { has("1 replica") }
  }

  private static let own = Fixture.entry("own.jpg", 9)
  private static let theirs = [Fixture.entry("a.jpg", 1), Fixture.entry("b.jpg", 2)]
  private static let attestation = Fixture.signed(
    Attestation(
      holder: Fixture.anna, number: 3, time: WallTime(nanoseconds: 5), filesystem: Fixture.folder,
      oldestReread: WallTime(nanoseconds: 4), libraries: []))

  @Test(arguments: Earlier.all) func isReadRightAndGoesOn(_ earlier: Earlier) throws {
    let fixture = try CatalogFixture(.memory)
    // The file goes with it.
    defer { withExtendedLifetime(fixture) {} }
    try Catalog.makeEarlier(at: fixture.path, migrations: earlier.count, Self.statements(earlier))
    let catalog = try Catalog(path: fixture.path, machine: Fixture.own)
    #expect(try catalog.damage() == [] && catalog.inspect("PRAGMA foreign_key_check") == [])
    #expect(try catalog.inspect("SELECT identifier FROM grdb_migrations").count == Catalog.migrations.count)
    #expect(try catalog.value(.machineName) == [0x61])
    let received = try catalog.attestations()
    #expect(received.map(\.attestation) == [Self.attestation])
    #expect(received.first?.received.nanoseconds == (earlier.has("2 agent time") ? 7 : 0))
    if earlier.hasLedger { try expectLedger(catalog, earlier) }
    if earlier.hasLibraries { try expectLibraries(catalog, earlier) }
    try catalog.close()
  }

  private func expectLedger(_ catalog: Catalog, _ earlier: Earlier) throws {
    let file = try #require(try catalog.file(Fixture.folder, Array("own.jpg".utf8)))
    #expect(file.status == .published && file.content == Fixture.content(9))
    #expect(file.changes == (earlier.has("2 agent time") ? 2 : 0))
    #expect(try catalog.file(Fixture.folder, Array("new.jpg".utf8))?.status == .pending(.settling))
    #expect(try catalog.linkedFiles(inode: 7).count == (earlier.has("2 hard links") ? 1 : 0))
    #expect(try catalog.fileCounts(Fixture.folder) == (published: 1, pending: 1))
    // Numbers of before are added to, once.
    try catalog.putFiles([Fixture.file("new.jpg", .published, content: 8)])
    #expect(try catalog.fileCounts(Fixture.folder) == (published: 2, pending: 0))
    #expect(try catalog.held().contains(Fixture.content(8)))
  }

  private func expectLibraries(_ catalog: Catalog, _ earlier: Earlier) throws {
    let order = Fixture.order(1)
    #expect(try catalog.libraries().map(\.installed?.record.order) == [order, order])
    #expect(try Set(catalog.entryIDs(Fixture.anna)) == Set(Self.theirs.map(Fixture.id)))
    #expect(try catalog.entryIDs(Fixture.own) == [Fixture.id(Self.own)])
    #expect(try catalog.entries(Fixture.anna, of: Fixture.content(2)).map(\.entry) == [Self.theirs[1]])
    #expect(try catalog.publishedRoot(Fixture.own, order) == Fixture.digest(3, 0))
    let held: Set<ContentID> = earlier.hasReplica ? [Fixture.content(1)] : []
    #expect(try Set(catalog.held()).subtracting([Fixture.content(8)]) == held.union([Fixture.content(9)]))
    #expect(
      try catalog.replicaFile(at: Array("anna/a.jpg".utf8))
        == (earlier.hasReplica ? Fixture.replicaFile("anna/a.jpg", 1) : nil))
    let lacking = Set([Fixture.content(1), Fixture.content(2)]).subtracting(held)
    #expect(try Set(catalog.allMissing(pageSize: 1).map(\.content)) == lacking)
    #expect(try catalog.missing(in: Fixture.anna, limit: 9).count == lacking.count)
    // The next head goes upon it, and its photo is filed.
    try catalog.follow(Fixture.anna, 2, add: [Fixture.entry("c.jpg", 3)], remove: [Self.theirs[1]])
    try catalog.commitFiling(
      put: [Fixture.replicaFile("anna/c.jpg", 3)], removed: [], filed: [Fixture.content(3)])
    #expect(try catalog.held().contains(Fixture.content(3)))
    #expect(
      try Set(catalog.allMissing(pageSize: 9).map(\.content)) == lacking.subtracting([Fixture.content(2)]))
    let delta = try catalog.wholeDelta(Fixture.anna, order, Fixture.order(2), maximumBytes: 10_000)
    #expect(delta?.removed == [Fixture.id(Self.theirs[1])] && delta?.added.count == 1)
  }

  // MARK: Rows of then

  private static func statements(_ earlier: Earlier) -> String {
    var all = """
      PRAGMA application_id = \(CatalogSchema.applicationID);
      INSERT INTO machine (ref, id) VALUES (1, \(blob(Fixture.own.bytes))), (2, \(blob(Fixture.anna.bytes)));
      INSERT INTO identity (only, machine) VALUES (1, 1);
      INSERT INTO setting (key, value) VALUES ('machineName', x'61');
      INSERT INTO attestation (holder, number, bytes)
        VALUES (\(blob(Fixture.anna.bytes)), 3, \(blob(attestation.bytes)));
      """
    if earlier.has("2 agent time") { all += "UPDATE attestation SET received = 7;" }
    if earlier.hasLedger { all += ledger(earlier) }
    if earlier.hasLibraries { all += libraries(earlier) }
    if earlier.hasReplica { all += replica }
    return all
  }

  private static func ledger(_ earlier: Earlier) -> String {
    let folder = blob(Fixture.folder.bytes)
    var all = """
      INSERT INTO folder (id, name, root, filesystem, is_removed) VALUES (\(folder), 'Photos', x'2f70', x'', 0);
      INSERT INTO file (folder, path, size, mtime, ctime, inode, device, status, reason, errno, content, changes) VALUES
        (\(folder), \(blob("own.jpg")), 109, 5, 6, 7, 8, 1, 0, 0, \(blob(Fixture.content(9).bytes)), 2),
        (\(folder), \(blob("new.jpg")), 1, 5, 6, 9, 8, 0, 0, 0, NULL, 0);
      """
    if earlier.has("2 hard links") { all += "UPDATE file SET links = 2 WHERE inode = 7;" }
    // The triggers had counted them until then.
    if earlier.has("7 counts without triggers") {
      all += "INSERT INTO file_count (folder, status, files) VALUES (\(folder), 1, 1), (\(folder), 0, 1);"
    }
    return all
  }

  private static func libraries(_ earlier: Earlier) -> String {
    let (ownHead, head) = (
      Fixture.head(Fixture.own, Fixture.order(1)), Fixture.head(Fixture.anna, Fixture.order(1))
    )
    return """
      INSERT INTO library (machine, installed, live, bytes, staged_live, staged_bytes)
        VALUES (1, 1, 1, 109, 1, 109), (2, 1, 2, 203, 2, 203);
      INSERT INTO head (library, generation, epoch, sequence, bytes)
        VALUES (1, 1, 1, 1, \(blob(ownHead.bytes))), (2, 1, 1, 1, \(blob(head.bytes)));
      INSERT INTO published (library, epoch, sequence, root) VALUES (1, 1, 1, \(blob(Fixture.digest(3, 0).bytes)));
      INSERT INTO entry (library, id, since, folder, path, content, size, mtime, kind, state, reason, state_time, came,
        lacking)
      VALUES \(row(own, of: 1, isLacking: false)),
        \(row(theirs[0], of: 2, isLacking: !earlier.hasReplica)), \(row(theirs[1], of: 2, isLacking: true));
      """
  }

  private static func row(_ entry: Entry, of library: Int, isLacking: Bool) -> String {
    """
    (\(library), \(blob(Fixture.id(entry).bytes)), 1, \(blob(entry.folder.bytes)), \(blob(entry.path)),
      \(blob(entry.content.bytes)), \(entry.size), \(entry.mtime), 0, 0, 0, 0, 0, \(isLacking ? 1 : 0))
    """
  }

  private static var replica: String {
    let file = Fixture.replicaFile("anna/a.jpg", 1)
    return """
      INSERT INTO replica_file (path, library, entry, content, size, mtime, ctime, inode, device, verified)
        VALUES (\(blob(file.path)), 2, \(blob(file.entry.bytes)), \(blob(file.content.bytes)), \(file.stamp.size),
          \(file.stamp.mtime), \(file.stamp.ctime), \(Int64(bitPattern: file.stamp.inode)), \(file.stamp.device), 10);
      """
  }

  private static func blob(_ text: String) -> String { blob(Array(text.utf8)) }

  private static func blob(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return "x'\(String(decoding: hex, as: UTF8.self))'"
  }
}
