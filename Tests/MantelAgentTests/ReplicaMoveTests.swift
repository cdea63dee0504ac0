import Foundation
import MantelCore
import MantelDisk
import MantelHousehold
import Testing

@testable import MantelAgent

@Suite struct ReplicaMoveTests {
  private let ben: InstalledHome
  private let target: String

  init() async throws {
    ben = try await InstalledHome()
    target = "\(ben.directory)/elsewhere"
    try ben.write("\(ben.replica)/anna/Photos/a.jpg", [1, 2, 3])
  }

  @discardableResult private func move(to directory: String) throws -> (from: String, to: String) {
    try ReplicaMove(home: ben.home).run(to: directory)
  }

  private func expectUnmoved(_ why: Comment) throws {
    #expect(ben.exists("\(ben.replica)/anna/Photos/a.jpg"), why)
    #expect(try ben.text(.replicaRoot) == ben.replica, why)
  }

  @Test func theReplicaLiesElsewhereWithAllThatIsInIt() throws {
    let moved = try move(to: target)
    #expect(moved.from == ben.replica && moved.to == target)
    #expect(!ben.exists(ben.replica) && ben.exists("\(target)/anna/Photos/a.jpg"))
    #expect(try ben.text(.replicaRoot) == target)
    #expect(try ben.owner(of: target) == ben.key.machine)
    // And back.
    try move(to: ben.replica)
    try expectUnmoved("moved back")
  }

  /// The rename was made, and the catalog does not know it yet.
  @Test func whatWasCutOffIsFinishedByRunningItAgain() throws {
    try FileManager.default.moveItem(atPath: ben.replica, toPath: target)
    try move(to: target)
    #expect(try ben.text(.replicaRoot) == target)
  }

  @Test func nothingIsReplaced() throws {
    try ben.write("\(target)/b.jpg", [4])
    let error = #expect(throws: AgentError.self) { try move(to: target) }
    #expect(error?.code == .conflict)
    #expect(ben.exists("\(target)/b.jpg"))
    try expectUnmoved("something is there")
  }

  @Test func whatAnotherMachineKeepsThereIsNotTaken() throws {
    _ = try Replica.open(root: Array(target.utf8), machine: DeviceKey().machine, create: true)
    try FileManager.default.moveItem(atPath: ben.replica, toPath: ben.replica + " away")
    #expect(throws: DiskError.self) { try move(to: target) }
    try FileManager.default.moveItem(atPath: ben.replica + " away", toPath: ben.replica)
    try expectUnmoved("another machine's")
  }

  @Test func anEmptyDirectoryInItsPlaceIsNotMoved() throws {
    try FileManager.default.moveItem(atPath: ben.replica, toPath: ben.replica + " away")
    try FileManager.default.createDirectory(atPath: ben.replica, withIntermediateDirectories: false)
    #expect(throws: DiskError.self) { try move(to: target) }
    #expect(!ben.exists(target))
  }

  @Test func aReplicaLiesOutsideOfFolders() throws {
    let folder = try ben.addFolder("Photos")
    let inside = String(decoding: folder.root, as: UTF8.self) + "/copies"
    let error = #expect(throws: AgentError.self) { try move(to: inside) }
    #expect(error?.code == .conflict && error?.message.contains("folder Photos") == true)
    #expect(throws: AgentError.self) { try move(to: ben.directory) }
    try expectUnmoved("in a folder")
  }

  @Test func aPlaceThatCannotBeSaysWhy() throws {
    for place in ["\(ben.directory)/nothing/there", "\(ben.replica)/in itself"] {
      let error = #expect(throws: AgentError.self) { try move(to: place) }
      #expect(error?.code == .usage && error?.message.contains(place) == true, "\(place)")
    }
    try expectUnmoved("no such place")
  }

  private static let otherFilesystem = "/dev/shm"

  private static func device(_ path: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: path))?[.systemNumber] as? Int
  }

  @Test(
    .enabled(
      if: device(otherFilesystem) != nil
        && device(otherFilesystem) != device(FileManager.default.temporaryDirectory.path),
      "/dev/shm is a filesystem of its own"))
  func anotherFilesystemIsForAdopting() throws {
    let place = "\(Self.otherFilesystem)/mantel-\(UUID().uuidString)"
    let error = #expect(throws: AgentError.self) { try move(to: place) }
    #expect(error?.message.contains("mantel replica adopt \(place)") == true)
    try expectUnmoved("another filesystem")
  }

  @Test func anAgentThatRunsKeepsIt() throws {
    let lock = try StateLock(ben.home)
    let error = #expect(throws: AgentError.self) { try move(to: target) }
    #expect(error?.code == .locked)
    withExtendedLifetime(lock) {}
    try expectUnmoved("locked")
  }
}
