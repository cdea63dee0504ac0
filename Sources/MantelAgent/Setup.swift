import Foundation
package import Logging
import MantelCatalog
import MantelCore
import MantelWire
import MantelDiscovery
import MantelDisk
import MantelHousehold
import MantelReplication
import MantelSession
import MantelTransport

/// Founding and joining: what happens before an agent runs here, under the lock of the state directory.
package enum Setup {
  package struct Request: Sendable {
    package var home: Home
    package var name: String?
    package var replica: String?
    /// Absolute paths, bytes: a name need not be UTF-8.
    package var directories: [[UInt8]]
    package var role: String

    package init(home: Home, name: String?, replica: String?, directories: [[UInt8]], role: String = "full") {
      self.home = home
      self.name = name
      self.replica = replica
      self.directories = directories
      self.role = role
    }
  }

  package struct Result: Sendable {
    package var machine: String
    package var machineID: String
    package var household: String
    package var householdID: String
    package var replica: String
    package var folders: [(name: String, directory: [UInt8])]
    package var members: [String]
    /// The replica has copies of a household that this machine has left: they stay, and are no part of this one until
    /// `replica adopt`.
    package var hasFormerCopies = false
  }

  // MARK: Founding

  package static func initialise(_ request: Request) throws -> Result {
    let (name, replica) = try check(request)
    let attempt = try SetupAttempt(request.home)
    defer { withExtendedLifetime(attempt) {} }
    let stored: Result
    do {
      let statements = try Roster.found(
        name: "\(name)'s household", machineName: name, key: attempt.key,
        random: Greeting.random() + Greeting.random(), now: AgentClock.wall)
      stored = try store(
        request, attempt, name: name, replica: replica, statements: statements, record: nil)
    } catch {
      attempt.undo()
      throw error
    }
    return try takeReplica(stored, attempt.key)
  }

  // MARK: Joining

  /// Finds the inviter (at `peer`, else through discovery), proves the code, and stores the household once `confirm`
  /// has said yes to its name and members. On any failure nothing stays behind, on either side.
  package static func join(
    _ request: Request, code text: String, peer: NetworkAddressText?, replaces: String?,
    timeout: Duration, logger: Logger, progress: @Sendable (String) -> Void,
    confirm: @Sendable (String, [String]) async -> Bool
  ) async throws -> Result {
    let code: InviteCode
    do {
      code = try InviteCode(parsing: text)
    } catch {
      throw AgentError(.usage, JoinMessages.text(error))
    }
    let (name, replica) = try check(request)
    let attempt = try SetupAttempt(request.home)
    defer { withExtendedLifetime(attempt) {} }
    let joining = Joining(
      code: code, key: attempt.key, name: name, replaces: replaces, logger: logger)
    let stored: Result
    do {
      let proved = try await reach(
        joining, peer: peer, timeout: timeout, logger: logger, progress: progress)
      stored = try await joining.settle(proved, confirm: confirm) { statements in
        try store(
          request, attempt, name: name, replica: replica, statements: statements,
          record: (proved.household.inviterRecord, proved.pipe.remote))
      }
    } catch {
      attempt.undo()
      throw JoinMessages.agentError(error)
    }
    return try takeReplica(stored, attempt.key)
  }

  static func reach(
    _ joining: Joining, peer: NetworkAddressText?, timeout: Duration, logger: Logger,
    progress: @Sendable (String) -> Void
  ) async throws -> Joining.Proved {
    let transport = try Transport(
      TransportConfiguration(
        key: joining.key, listen: .none, now: { AgentClock.instant }, logger: logger),
      environment: NewcomerEnvironment())
    @Sendable func attempt(_ address: NetworkAddress) async throws -> Joining.Proved {
      try await joining.prove(on: try await transport.dialJoin(address))
    }
    if let peer { return try await attempt(peer.address) }
    progress("looking for the machine that invites ...")
    let discovery = Discovery(
      configuration: DiscoveryConfiguration(rename: { $0 }), logger: logger)
    defer { discovery.close() }
    return try await Joining.search(timeout: timeout) { [events = discovery.events] in
      for await case .found(let service) in events where service.isJoin {
        return (service.instance, service.addresses)
      }
      return nil
    } attempt: {
      try await attempt($0)
    }
  }

  // MARK: Parts

  private static func check(_ request: Request) throws -> (name: String, replica: String) {
    try SetupAttempt.check(request.home)
    guard ["full", "source"].contains(request.role) else {
      throw AgentError(.usage, "a role is full or source, not \(request.role)")
    }
    let name =
      request.name ?? ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init)
      ?? "machine"
    try check(name: name)
    let replica = Home.absolute(request.replica ?? request.home.defaultReplica)
    return (name, replica)
  }

  /// What a machine may be called.
  static func check(name: String) throws {
    guard !name.isEmpty, name.utf8.count <= 100,
      !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 || $0 == "/" })
    else {
      throw AgentError(.usage, "a machine's name has 1 to 100 bytes, no slash and no control characters")
    }
  }

  private static func store(
    _ request: Request, _ attempt: SetupAttempt, name: String, replica: String,
    statements: [SignedStatement], record: (Signed<MachineRecord>, NetworkAddress)?
  ) throws -> Result {
    let key = attempt.key
    var folders: [Folder] = []
    for directory in request.directories {
      folders.append(
        try FolderRules.folder(
          directory: directory, name: nil, excludes: [],
          existing: folders, ownPaths: request.home.ownPaths(replica: replica)))
    }
    let roster = Roster(statements)
    let hasFormerCopies = try openReplica(replica, attempt)
    try attempt.makeCatalog { catalog in
      try catalog.setValue(.household, roster.household.bytes)
      try catalog.setValue(.machineName, Array(name.utf8))
      try catalog.setValue(.role, Array(request.role.utf8))
      try catalog.setValue(.replicaRoot, Array(replica.utf8))
      try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
      for folder in folders { try catalog.putFolder(folder) }
      if let (signed, address) = record {
        try catalog.putRecord(signed)
        try catalog.recordDial(
          signed.record.machine, address, succeeded: true, at: AgentClock.wall)
      }
    }
    return Result(
      machine: name, machineID: key.machine.hex, household: roster.name,
      householdID: roster.household.hex, replica: replica,
      folders: folders.map { ($0.name, $0.root) },
      members: roster.members.map(\.name), hasFormerCopies: hasFormerCopies)
  }

  /// Makes the replica, or finds this installation's own of before, whose marker stays until nothing can fail any more.
  private static func openReplica(_ replica: String, _ attempt: SetupAttempt) throws -> Bool {
    let root = Array(replica.utf8)
    let owner = FileManager.default.fileExists(atPath: replica) ? try Replica.marker(in: root)?.machine : nil
    if attempt.hasLeft, let owner, attempt.formerMachines.contains(owner) {
      _ = try AgentError.explainingPlace(of: replica) {
        try Replica.open(root: root, machine: owner, create: false)
      }
      return true
    }
    _ = try AgentError.explainingPlace(of: replica) {
      try Replica.open(root: root, machine: attempt.key.machine, create: true)
    }
    return false
  }

  /// The last step, which takes nothing back when it fails: this machine is a member already.
  private static func takeReplica(_ stored: Result, _ key: DeviceKey) throws -> Result {
    guard stored.hasFormerCopies else { return stored }
    do { _ = try Replica.adopt(root: Array(stored.replica.utf8), machine: key.machine) } catch {
      throw AgentError(
        .internalError,
        "this machine belongs to \(stored.household) now, but \(stored.replica) could not be made its replica (\(error)): "
          + "`mantel replica adopt \(stored.replica)` before `mantel run`")
    }
    return stored
  }

  static func replicaRoot(_ catalog: Catalog, _ home: Home) throws -> String {
    try catalog.value(.replicaRoot).map { String(decoding: $0, as: UTF8.self) } ?? home.defaultReplica
  }

  /// The decisions, loaded from the catalog; `guarded` is what the replica's guard file says.
  static func replicator(
    catalog: Catalog, key: DeviceKey, filesystem: FolderID, guarded: Signed<Head>? = nil,
    configuration: AgentConfiguration = AgentConfiguration(), now: Now = AgentClock.now
  ) throws -> Replicator {
    var settings = ReplicationSettings()
    settings.keep = configuration.keep
    let statements = try catalog.statements().map { try SignedStatement(bytes: $0) }
    guard try catalog.value(.household) != nil else {
      throw AgentError(.internalError, "the catalog names no household: restore it, or start anew")
    }
    let role = try catalog.value(.role).map { String(decoding: $0, as: UTF8.self) }
    return try Replicator(
      machine: key.machine, roster: Roster(stored: statements),
      role: role == "source" ? .source : .full, filesystem: filesystem, guarded: guarded,
      store: catalog, key: key, settings: settings, now: now)
  }
}

/// A newcomer has no sessions: nobody may open one.
private struct NewcomerEnvironment: SessionEnvironment {
  func authorises(_ peer: MachineID) -> Bool { false }
  var answersNewcomers: Bool { false }
  func configuration(
    for peer: MachineID, isDialer: Bool, session: SessionID
  ) async -> SessionConfiguration? { nil }
  func answer(_ queries: [StoreQuery], for session: SessionID) async -> [StoreAnswer] {
    queries.map { _ in .refused(.notHeld) }
  }
  func received(_ event: SessionEvent, on session: SessionID) async {}
  func ended(_ session: SessionID, peer: MachineID) async {}
  func join(_ connection: JoinConnection) async {}
}

/// `HOST:PORT` as a user gives it.
package struct NetworkAddressText: Sendable {
  let address: NetworkAddress

  package init(_ text: String) throws {
    guard let address = NetworkAddress(text) ?? NetworkAddress("\(text):\(Agent.standardPort)") else {
      throw AgentError(.usage, "\(text) is not HOST:PORT")
    }
    self.address = address
  }
}
