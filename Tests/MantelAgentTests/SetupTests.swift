import Foundation
import MantelCore
import MantelDisk
import MantelHousehold
import Testing

@testable import MantelAgent

/// Founding anew where a household was.
@Suite struct SetupTests {
  private let household: MemoryHousehold
  private let ben: InstalledHome

  init() async throws {
    household = try MemoryHousehold()
    ben = try await InstalledHome(memberOf: household)
  }

  private var request: Setup.Request {
    Setup.Request(home: ben.home, name: "ben", replica: nil, directories: [])
  }

  private func leave(by key: DeviceKey) throws {
    let statement = try household.roster.removing(
      ben.key.machine, lastHead: .none, lastRoot: .zero, by: key, now: WallTime(nanoseconds: 9))
    try ben.withCatalog { try $0.addStatements([(statement.id, statement.bytes)]) }
  }

  /// But for what SQLite and the lock need.
  private var files: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: ben.home.state).sorted()
        .filter { $0 != "lock" && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
    }
  }

  @Test func whereNoReplicaMayLieIsSaidWithAWayOut() {
    let error = #expect(throws: AgentError.self) {
      try AgentError.explainingPlace(of: "/mnt/nas/copies") { () throws -> Void in
        throw DiskError(.remote, path: [], operation: "a test")
      }
    }
    #expect(error?.message.hasPrefix("/mnt/nas/copies is on a network filesystem") == true)
    #expect(error?.message.contains("--replica") == true)
    #expect(throws: DiskError.self) {
      try AgentError.explainingPlace(of: "/mnt/nas/copies") { () throws -> Void in
        throw DiskError(.notMounted, path: [], operation: "a test")
      }
    }
  }

  @Test func aMemberIsToldToLeaveFirst() throws {
    let error = #expect(throws: AgentError.self) { try Setup.initialise(request) }
    #expect(error?.code == .conflict && error?.message.contains("mantel leave") == true)
    #expect(try ben.machine == ben.key.machine)
    #expect(try ben.text(.machineName) == "ben")
  }

  @Test(arguments: [true, false]) func whoIsNoMemberAnyMoreBeginsAnew(byItself: Bool) throws {
    try leave(by: byItself ? ben.key : household.key)
    try ben.write("\(ben.replica)/anna/Photos/a.jpg", [1, 2, 3])
    let result = try Setup.initialise(request)
    let machine = try ben.machine
    #expect(machine != ben.key.machine && result.machineID == machine.hex && result.hasFormerCopies)
    #expect(try ben.withCatalog { try $0.value(.household) } != household.roster.household.bytes)
    #expect(try ben.withCatalog { try $0.statements() }.count == 1)
    // Nothing of before is gone.
    #expect(ben.home.formerMachines == [ben.key.machine])
    #expect(try files.contains { $0.hasPrefix("catalog.sqlite.left-") })
    #expect(ben.exists("\(ben.replica)/anna/Photos/a.jpg"))
    #expect(try ben.owner(of: ben.replica) == machine)
    let adopted = try ReplicaAdoption(home: ben.home, directory: ben.replica).run { _, _ in true }
    #expect(adopted.files == 1)
  }

  @Test func whatFailsLeavesTheFormerHouseholdAsItWas() throws {
    try leave(by: ben.key)
    let before = try files
    var request = request
    request.directories = [Array("\(ben.directory)/nothing".utf8)]
    #expect(throws: AgentError.self) { try Setup.initialise(request) }
    #expect(try files == before)
    #expect(try ben.machine == ben.key.machine)
    #expect(try ben.text(.machineName) == "ben")
    #expect(try ben.owner(of: ben.replica) == ben.key.machine)
  }

  @Test func aReplicaOfAnotherMachineIsNotTaken() throws {
    try leave(by: ben.key)
    let marker = ben.replica + "/.mantel/marker"
    let text = try String(contentsOfFile: marker, encoding: .utf8)
    try text.replacing(ben.key.machine.hex, with: household.key.machine.hex)
      .write(toFile: marker, atomically: true, encoding: .utf8)
    #expect(throws: (any Error).self) { try Setup.initialise(request) }
    #expect(try ben.machine == ben.key.machine)
    #expect(try ben.owner(of: ben.replica) == household.key.machine)
  }

  private func loseCatalog() throws {
    for file in try files where file.hasPrefix("catalog.sqlite") {
      try FileManager.default.removeItem(atPath: "\(ben.home.state)/\(file)")
    }
  }

  @Test func aKeyWithoutACatalogIsKept() throws {
    try loseCatalog()
    try FileManager.default.removeItem(atPath: ben.replica)
    _ = try Setup.initialise(request)
    #expect(try ben.machine != ben.key.machine && ben.home.formerMachines == [ben.key.machine])
  }

  /// With its key `replica adopt` makes it again what it was, whatever was tried before.
  @Test func whatFailsLeavesAKeyWithoutACatalogInItsPlace() throws {
    try loseCatalog()
    let before = try files
    // The replica is the one of that key.
    #expect(throws: (any Error).self) { try Setup.initialise(request) }
    #expect(try ben.machine == ben.key.machine)
    #expect(try files == before)
    // No key can be made while this is where it is written.
    let obstacle = ben.home.keyPath + ".new"
    try FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: false)
    #expect(throws: KeyFileError.self) { try Setup.initialise(request) }
    #expect(try ben.machine == ben.key.machine)
    try FileManager.default.removeItem(atPath: obstacle)
    #expect(try files == before)
  }

  @Test func aCatalogWithoutItsKeyIsNotTouched() throws {
    try FileManager.default.removeItem(atPath: ben.home.keyPath)
    let before = try files
    let error = #expect(throws: AgentError.self) { try Setup.initialise(request) }
    #expect(error?.message.contains("key") == true)
    #expect(try files == before)
  }

  @Test func anAgentThatRunsIsStoppedFirst() throws {
    try leave(by: ben.key)
    let lock = try StateLock(ben.home)
    let error = #expect(throws: AgentError.self) { try Setup.initialise(request) }
    #expect(error?.code == .conflict && error?.message.contains("stop the agent") == true)
    withExtendedLifetime(lock) {}
    #expect(try ben.machine == ben.key.machine)
  }

  @Test func aFolderTakesNoPatternThatCouldNotBeKept() throws {
    func folder(_ excludes: [String]) throws -> Folder {
      try FolderRules.folder(
        directory: Array(ben.home.config.utf8), name: nil, excludes: excludes, existing: [], ownPaths: [])
    }
    let longest = String(repeating: "x", count: Limits.pathBytes)
    #expect(try folder([longest]).excludes == [longest])
    #expect(throws: AgentError.self) { try folder([longest + "x"]) }
    let most = [String](repeating: "x", count: HouseholdCopy.excludeLimit)
    #expect(try folder(most).excludes.count == most.count)
    #expect(throws: AgentError.self) { try folder(most + ["x"]) }
  }
}
