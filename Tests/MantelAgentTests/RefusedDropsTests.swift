import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold
import Testing

@testable import MantelAgent

/// What the user of a machine refused to let go outlives its catalog.
@Suite struct RefusedDropsTests {
  private let contents = (1...5).map { ContentID(Digest256(UInt64($0), 0, 0, 0)) }

  @Test func bytesTellTheList() throws {
    for list in [[], contents] {
      let bytes = RefusedDrops(list).bytes
      #expect(bytes.count == 5 + 32 * list.count)
      #expect(try RefusedDrops(bytes: bytes).contents == list)
    }
  }

  @Test func whatIsDamagedIsRefused() {
    let bytes = RefusedDrops(contents).bytes
    for length in bytes.indices {
      #expect(throws: RecordError.self) { try RefusedDrops(bytes: Array(bytes[..<length])) }
    }
    #expect(throws: RecordError.self) { try RefusedDrops(bytes: bytes + [0]) }
    #expect(throws: RecordError.self) { try RefusedDrops(bytes: RefusedDrops(contents.reversed()).bytes) }
    // A count that nothing follows allocates nothing.
    #expect(throws: RecordError.self) { try RefusedDrops(bytes: [1, 0xFF, 0xFF, 0xFF, 0xFF]) }
    #expect(throws: RecordError.self) { try RefusedDrops(bytes: [2, 0, 0, 0, 0]) }
  }

  /// The catalog is lost: of two photos in the trash, the one that was refused has no time that runs out.
  @Test func adoptionKeepsWhatWasRefused() throws {
    let desk = try Desk()
    defer { desk.remove() }
    let refused = try desk.trash("refused")
    let dropped = try desk.trash("dropped")
    try desk.keep(RefusedDrops([refused]).bytes)
    try desk.loseCatalog()

    let summary = try desk.adopt()
    #expect(summary.isRebuilt && summary.unreadable.isEmpty && summary.files == 2)
    let catalog = try desk.catalog()
    defer { try? catalog.close() }
    #expect(try catalog.refusedDrops() == [refused])
    #expect(try catalog.replicaFiles(of: refused).map(\.mark) == [nil])
    #expect(try catalog.replicaFiles(of: dropped).map { $0.mark != nil } == [true])
  }

  @Test func adoptionTellsOfRefusalsThatItCannotRead() throws {
    let desk = try Desk()
    defer { desk.remove() }
    _ = try desk.trash("refused")
    try desk.keep([7])
    try desk.loseCatalog()
    let summary = try desk.adopt()
    #expect(summary.isRebuilt)
    #expect(summary.unreadable.map(\.path) == [Array(".mantel/refused".utf8)])
  }
}

/// An installation that never ran, and its replica.
private struct Desk {
  private let root = FileManager.default.temporaryDirectory
    .appendingPathComponent("mantel-refused-\(UUID().uuidString)")
  private let home: Home
  private let replica: Replica

  init() throws {
    home = Home(directory: root.appendingPathComponent("home").path)
    let result = try Setup.initialise(
      Setup.Request(
        home: home, name: "desk", replica: root.appendingPathComponent("copies").path, directories: []))
    let machine = try DeviceKey.load(from: home.keyPath).machine
    replica = try Replica.open(root: Array(result.replica.utf8), machine: machine, create: true)
    let catalog = try Catalog(path: home.catalogPath, machine: machine)
    try replica.keep(.household, try HouseholdCopy(catalog).bytes)
    try catalog.close()
  }

  func remove() { try? FileManager.default.removeItem(at: root) }

  func keep(_ bytes: [UInt8]) throws { try replica.keep(.refused, bytes) }

  /// Puts a file into the trash.
  func trash(_ text: String) throws -> ContentID {
    let path = Replica.trashPath + Array("/\(text).jpg".utf8)
    let file = URL(fileURLWithPath: String(decoding: replica.root + Array("/".utf8) + path, as: UTF8.self))
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
    return try replica.hash(path: path).content
  }

  func loseCatalog() throws { try FileManager.default.removeItem(atPath: home.catalogPath) }

  func adopt() throws -> ReplicaAdoption.Summary {
    try ReplicaAdoption(home: home, directory: String(decoding: replica.root, as: UTF8.self)).run { _, _ in
      true
    }
  }

  func catalog() throws -> Catalog {
    try Catalog(path: home.catalogPath, machine: try DeviceKey.load(from: home.keyPath).machine)
  }
}
