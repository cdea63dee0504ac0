import Foundation
import Logging
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold
import MantelReplication
import Testing

@testable import MantelAgent

/// An installation in a temporary directory, without an agent: a member of somebody's household, with a replica. Goes with
/// its last owner.
final class InstalledHome: Sendable {
  static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  let directory: String
  let home: Home
  /// The key that it was made with.
  let key: DeviceKey

  /// Joins the household as "ben", or founds one of its own.
  init(memberOf household: MemoryHousehold? = nil) async throws {
    directory = try Self.makeDirectory()
    home = Home(directory: directory)
    try home.create()
    let key = try DeviceKey.create(at: home.keyPath)
    self.key = key
    let statements: [SignedStatement]
    if let household {
      let now = WallTime(nanoseconds: 1)
      let admission = try household.roster.admitting(
        subject: key.machine, publicKey: key.publicKey, name: "ben", replaces: nil, by: household.key,
        now: now
      )
      #expect(await household.learn(admission))
      #expect(await household.learn(try household.roster.accepting(by: key, now: now)))
      statements = household.roster.statements
    } else {
      statements = try Roster.found(
        name: "home", machineName: "ben", key: key, random: [UInt8](repeating: 3, count: 32),
        now: WallTime(nanoseconds: 1))
    }
    let root = home.defaultReplica
    _ = try Replica.open(root: Array(root.utf8), machine: key.machine, create: true)
    try CatalogDraft(home: home, machine: key.machine).make { catalog in
      try catalog.setValue(.household, Roster(statements).household.bytes)
      try catalog.setValue(.machineName, Array("ben".utf8))
      try catalog.setValue(.role, Array("full".utf8))
      try catalog.setValue(.replicaRoot, Array(root.utf8))
      try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  private static func makeDirectory() throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "mantel-home-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  var replica: String { home.defaultReplica }

  /// The machine that it is now, by its key.
  var machine: MachineID { get throws { try DeviceKey.load(from: home.keyPath).machine } }

  /// Whose replica the directory is; nil for nobody's.
  func owner(of directory: String) throws -> MachineID? {
    try Replica.marker(in: Array(directory.utf8))?.machine
  }

  func withCatalog<Value>(_ body: (Catalog) throws -> Value) throws -> Value {
    let catalog = try Catalog(path: home.catalogPath, machine: machine)
    let value = try body(catalog)
    try catalog.close()
    return value
  }

  /// An engine with its effects, without transport; ends with all that `body` has begun done.
  func withEngine(
    over replica: Replica, _ body: (Engine, Effects) async throws -> Void
  ) async throws {
    let effects = Effects(
      replica: replica, stateDirectory: Array(home.state.utf8), cores: 1, logger: Self.logger)
    let catalog = try Catalog(path: home.catalogPath, machine: key.machine)
    let engine = try Engine(
      catalog: catalog, members: MemberList(), effects: effects, logger: Self.logger
    ) { [key] now in
      try Setup.replicator(
        catalog: catalog, key: key, filesystem: FolderID(high: 1, low: 1), guarded: effects.guardedHead(),
        now: now)
    }
    let running = Task { await effects.run() }
    do { try await body(engine, effects) } catch {
      effects.stop()
      await running.value
      throw error
    }
    effects.stop()
    await running.value
    await effects.close()
    try catalog.close()
  }

  func text(_ key: StoreKey) throws -> String? {
    try withCatalog { try $0.value(key).map { String(decoding: $0, as: UTF8.self) } }
  }

  func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  func write(_ path: String, _ bytes: [UInt8]) throws {
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: path))
  }

  /// A folder of the user's, in the catalog.
  func addFolder(_ name: String) throws -> Folder {
    let path = "\(directory)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let folder = try FolderRules.folder(
      directory: Array(path.utf8), name: nil, excludes: ["*.tmp", "cache/**"], existing: [], ownPaths: [])
    try withCatalog { try $0.putFolder(folder) }
    return folder
  }
}
