import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
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
  @Test func adoptionKeepsWhatWasRefused() async throws {
    let ben = try await InstalledHome()
    let (refused, dropped) = (try trash("refused", of: ben), try trash("dropped", of: ben))
    try loseCatalog(of: ben, refused: RefusedDrops([refused]).bytes)

    let summary = try adopt(ben)
    #expect(summary.isRebuilt && summary.unreadable.isEmpty && summary.files == 2)
    let kept = try ben.withCatalog { try $0.refusedDrops() }
    #expect(kept == [refused])
    let marks = try ben.withCatalog { catalog in
      try [refused, dropped].map { try catalog.replicaFiles(of: $0).map { $0.mark != nil } }
    }
    #expect(marks == [[false], [true]])
  }

  /// The catalog is there, from before the refusal. Fails where only a rebuilt one is told.
  @Test func adoptionTellsASoundCatalogToo() async throws {
    let ben = try await InstalledHome()
    let (refused, dropped) = (try trash("refused", of: ben), try trash("dropped", of: ben))
    #expect(try !adopt(ben).isRebuilt)
    try replica(of: ben).keep(.refused, RefusedDrops([refused]).bytes)
    let summary = try adopt(ben)
    #expect(!summary.isRebuilt && summary.unreadable.isEmpty)
    let marks = try ben.withCatalog { catalog in
      try [refused, dropped].map { try catalog.replicaFiles(of: $0).map { $0.mark != nil } }
    }
    #expect(marks == [[false], [true]])
    #expect(try ben.withCatalog { try $0.refusedDrops() } == [refused])
  }

  @Test func adoptionTellsOfRefusalsThatItCannotRead() async throws {
    let ben = try await InstalledHome()
    _ = try trash("refused", of: ben)
    try loseCatalog(of: ben, refused: [7])
    let summary = try adopt(ben)
    #expect(summary.isRebuilt)
    #expect(summary.unreadable.map(\.path) == [Array(".mantel/refused".utf8)])
  }

  private func replica(of ben: InstalledHome) throws -> Replica {
    try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
  }

  /// Puts a file into the trash.
  private func trash(_ name: String, of ben: InstalledHome) throws -> ContentID {
    let path = Replica.trashPath + Array("/\(name).jpg".utf8)
    try ben.write("\(ben.replica)/\(String(decoding: path, as: UTF8.self))", Array(name.utf8))
    return try replica(of: ben).hash(path: path).content
  }

  private func loseCatalog(of ben: InstalledHome, refused: [UInt8]) throws {
    let copy = try ben.withCatalog { try HouseholdCopy($0) }
    try replica(of: ben).keep(.household, copy.bytes)
    try replica(of: ben).keep(.refused, refused)
    try FileManager.default.removeItem(atPath: ben.home.catalogPath)
  }

  private func adopt(_ ben: InstalledHome) throws -> ReplicaAdoption.Summary {
    try ReplicaAdoption(home: ben.home, directory: ben.replica).run { _, _ in true }
  }
}
