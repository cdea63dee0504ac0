import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold
import MantelSummary
import Testing

@testable import MantelAgent

@Suite struct ReplicaAdoptionTests {
  private let ben: InstalledHome
  private let target: String

  init() async throws {
    ben = try await InstalledHome()
    target = "\(ben.directory)/elsewhere"
    try ben.write("\(ben.replica)/anna/Photos/a.jpg", [1, 2, 3])
    try ben.write("\(ben.replica)/anna/Photos/b.jpg", [4, 5])
  }

  private func adopt(
    _ directory: String? = nil, progress: @escaping (Int, UInt64) -> Bool = { _, _ in true }
  ) throws -> ReplicaAdoption.Summary {
    try ReplicaAdoption(home: ben.home, directory: directory ?? ben.replica).run(progress: progress)
  }

  private func rows() throws -> [String: ContentID] {
    let files = try ben.withCatalog { try $0.replicaFiles(of: nil, after: nil, limit: 100) }
    return Dictionary(
      uniqueKeysWithValues: files.map { (String(decoding: $0.path, as: UTF8.self), $0.content) })
  }

  private func content(_ bytes: [UInt8]) -> ContentID { ContentID(SummaryHash.sha256(bytes)) }

  /// What the agent keeps beside the copies now and then.
  private func keepHousehold() throws -> HouseholdCopy {
    let copy = try ben.withCatalog { try HouseholdCopy($0) }
    try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
      .keep(.household, copy.bytes)
    return copy
  }

  @Test func aCopyOnAnotherDiskBecomesTheReplica() throws {
    try FileManager.default.copyItem(atPath: ben.replica, toPath: target)
    let summary = try adopt(target)
    #expect(summary.files == 2 && summary.bytes == 5 && !summary.isRebuilt && summary.setAside == nil)
    #expect(try ben.text(.replicaRoot) == target)
    #expect(
      try rows() == ["anna/Photos/a.jpg": content([1, 2, 3]), "anna/Photos/b.jpg": content([4, 5])])
  }

  @Test func whatIsGoneOrOtherIsNotClaimed() throws {
    _ = try adopt()
    try FileManager.default.removeItem(atPath: "\(ben.replica)/anna/Photos/a.jpg")
    try ben.write("\(ben.replica)/anna/Photos/b.jpg", [6, 7, 8])
    _ = try adopt()
    #expect(try rows() == ["anna/Photos/b.jpg": content([6, 7, 8])])
  }

  /// As one with a bad block; here it goes after it was listed, and before it is opened.
  @Test func aDirectoryThatCannotBeReadIsToldAndStopsNothing() throws {
    try ben.write("\(ben.replica)/zoe/c.jpg", [9])
    #expect(try adopt().unreadable.isEmpty)
    #expect(try rows().count == 3)
    let directory = "\(ben.replica)/zoe"
    let summary = try adopt { [ben] _, _ in
      if ben.exists(directory) {
        #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: directory) }
      }
      return true
    }
    #expect(summary.unreadable.map { String(decoding: $0.path, as: UTF8.self) } == ["zoe"])
    #expect(summary.files == 2)
    #expect(try rows().keys.sorted() == ["anna/Photos/a.jpg", "anna/Photos/b.jpg"])
    #expect(try ben.text(.replicaRoot) == ben.replica)
  }

  @Test func whoStopsItGoesOnLater() throws {
    #expect(throws: CancellationError.self) { try adopt { files, _ in files < 1 } }
    #expect(try rows().count == 1)
    #expect(try adopt().files == 2)
    #expect(try rows().count == 2)
  }

  @Test func onlyAReplicaOfThisMachineIsAdopted() throws {
    try ben.write("\(target)/anna/a.jpg", [1])
    #expect(throws: AgentError.self) { try adopt(target) }
    #expect(throws: AgentError.self) { try adopt("\(ben.directory)/nothing") }
    let foreign = "\(ben.directory)/foreign"
    _ = try Replica.open(root: Array(foreign.utf8), machine: DeviceKey().machine, create: true)
    let error = #expect(throws: AgentError.self) { try adopt(foreign) }
    #expect(error?.code == .conflict)
    #expect(try ben.text(.replicaRoot) == ben.replica)
  }

  @Test func aFolderIsNoReplica() throws {
    let folder = try ben.addFolder("Photos")
    let inside = String(decoding: folder.root, as: UTF8.self) + "/copies"
    try FileManager.default.copyItem(atPath: ben.replica, toPath: inside)
    let error = #expect(throws: AgentError.self) { try adopt(inside) }
    #expect(error?.message.contains("folder Photos") == true)
  }

  // MARK: Without a catalog

  private func removeCatalog() throws {
    for file in try FileManager.default.contentsOfDirectory(atPath: ben.home.state)
    where file.hasPrefix("catalog.sqlite") {
      try FileManager.default.removeItem(atPath: "\(ben.home.state)/\(file)")
    }
  }

  @Test func aLostCatalogIsRebuiltFromWhatIsKept() throws {
    _ = try ben.addFolder("Photos")
    let copy = try keepHousehold()
    try removeCatalog()
    let summary = try adopt()
    #expect(summary.isRebuilt && summary.setAside == nil && summary.household == "home")
    #expect(summary.folders.map(\.name) == ["Photos"])
    #expect(try ben.withCatalog { try HouseholdCopy($0) } == copy)
    #expect(try rows().count == 2)
  }

  @Test func aDamagedCatalogIsSetAside() throws {
    let copy = try keepHousehold()
    try removeCatalog()
    try ben.write(
      ben.home.catalogPath, Array("SQLite format 3\0".utf8) + [UInt8](repeating: 0xA5, count: 8_176))
    let summary = try adopt()
    #expect(summary.isRebuilt)
    #expect(ben.exists(try #require(summary.setAside)))
    #expect(try ben.withCatalog { try HouseholdCopy($0) } == copy)
  }

  @Test func withoutAnythingKeptItSaysWhatElseThereIs() throws {
    try removeCatalog()
    let error = #expect(throws: AgentError.self) { try adopt() }
    #expect(error?.message.contains("--replaces") == true)
    #expect(!ben.exists(ben.home.catalogPath))
  }

  /// Whatever was kept there by another key is no beginning for this one.
  @Test func whatAnotherMachineKeptIsNotUsed() throws {
    var copy = try ben.withCatalog { try HouseholdCopy($0) }
    copy.machine = DeviceKey().machine
    try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
      .keep(.household, copy.bytes)
    try removeCatalog()
    #expect(throws: AgentError.self) { try adopt() }
    #expect(!ben.exists(ben.home.catalogPath))
  }

  @Test func withoutItsKeyAMachineIsNobody() throws {
    try FileManager.default.removeItem(atPath: ben.home.keyPath)
    let error = #expect(throws: AgentError.self) { try adopt() }
    #expect(error?.message.contains("put it back from a backup") == true)
  }
}
