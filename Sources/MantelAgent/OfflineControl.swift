import Foundation
import MantelCatalog
package import MantelControl
import MantelCore
import MantelHousehold
import MantelReplication

/// What a command can do while no agent runs: folders, fixed addresses and removals, on the catalog itself, under the
/// lock of the state directory. Everything else answers that the agent is not running.
///
/// The agent takes the changes in when it starts: it retires the photos of folders that were removed, and spreads
/// removals of machines.
package struct OfflineControl: ControlService {
  private let home: Home
  private let lock: StateLock
  private let key: DeviceKey
  private let catalog: Catalog

  /// A folder that nobody watches at the moment.
  static let folderState = "stopped"

  /// Throws `AgentError`: not initialised, or locked by an agent or another command.
  package init(home: Home) throws {
    try home.requireInitialised()
    self.home = home
    lock = try StateLock(home)
    key = try DeviceKey.load(from: home.keyPath)
    catalog = try Catalog.open(home, machine: key.machine)
  }

  // MARK: Folders

  package func folders() async throws(ControlError) -> [FolderAnswer] {
    try answering { try answers(try present()) }
  }

  package func addFolder(_ request: FolderRequest) async throws(ControlError) -> FolderAnswer {
    try answering {
      guard let directory = Data(base64Encoded: request.directoryBase64) else {
        throw ControlError(code: .usage, message: "the directory is not base64")
      }
      let existing = try present()
      let folder = try FolderRules.folder(
        directory: Array(directory), name: request.name, excludes: request.excludes,
        existing: existing, ownPaths: home.ownPaths(replica: try Setup.replicaRoot(catalog, home)))
      try catalog.putFolder(folder)
      return try answer(folder)
    }
  }

  package func removeFolder(name: String) async throws(ControlError) -> FolderAnswer {
    try answering {
      guard var folder = try present().first(where: { $0.name == name }) else {
        throw ControlError.noFolder(name)
      }
      let answer = try answer(folder)
      folder.isRemoved = true
      try catalog.putFolder(folder)
      return answer
    }
  }

  /// The agent finds the changes when it starts, and publishes them.
  package func acceptFolder(name: String) async throws(ControlError) -> AcceptAnswer {
    try answering {
      guard let folder = try present().first(where: { $0.name == name }) else {
        throw ControlError.noFolder(name)
      }
      return AcceptAnswer(name: folder.name, accepted: try catalog.acceptHeldFiles(folder.id))
    }
  }

  private func present() throws -> [Folder] {
    try catalog.folders().filter { !$0.isRemoved }.sorted { $0.name < $1.name }
  }

  private func answer(_ folder: Folder) throws -> FolderAnswer {
    guard let answer = try answers([folder]).first else {
      throw ControlError(code: .internalError, message: "the folder \(folder.name) has no answer")
    }
    return answer
  }

  private func answers(_ folders: [Folder]) throws -> [FolderAnswer] {
    let counts = try catalog.folderCounts()
    let safe = try safeFiles()
    return try folders.map { folder in
      let count = counts.first { $0.folder == folder.id }
      let safeFiles = safe[folder.id] ?? 0
      return FolderAnswer(
        name: folder.name, id: folder.id.description, directory: PathText(bytes: folder.root),
        excludes: folder.excludes, state: Self.folderState,
        ledger: LedgerAnswer(
          seen: count?.seen ?? 0, safe: safeFiles,
          pending: (count?.pending ?? 0) + (count?.published ?? 0) - safeFiles,
          skipped: count?.skipped ?? 0), held: try catalog.heldFiles(folder.id))
    }
  }

  private func safeFiles() throws -> [FolderID: Int] {
    let replicator = try replicator()
    var safe: [FolderID: Int] = [:]
    var published: [(FolderID, ContentID)] = []
    try catalog.forEachPublishedOwnFile { folder, _, content, _ in
      published.append((folder, content))
      return true
    }
    for (folder, content) in published where replicator.isSafe(content) {
      safe[folder, default: 0] += 1
    }
    return safe
  }

  // MARK: Peers

  package func addPeer(address text: String) async throws(ControlError) {
    try answering {
      guard let address = NetworkAddress(text) else {
        throw ControlError(code: .usage, message: "\(text) is not HOST:PORT")
      }
      try catalog.addFixedAddress(address)
    }
  }

  package func removePeer(name: String) async throws(ControlError) -> RemovalAnswer {
    try answering {
      if let address = NetworkAddress(name), try catalog.removeFixedAddress(address) {
        return RemovalAnswer(kind: "address", name: name, admitted: [])
      }
      var replicator = try replicator()
      let removal = try PeerRemoval.statement(name: name, replicator: &replicator, key: key)
      try catalog.addStatements([(removal.statement.id, removal.statement.bytes)])
      return RemovalAnswer(kind: "machine", name: removal.name, admitted: removal.admitted)
    }
  }

  /// The decisions as the agent would load them; attests nothing, so it needs no filesystem.
  private func replicator() throws -> Replicator {
    try Setup.replicator(catalog: catalog, key: key, filesystem: FolderID(high: 0, low: 0))
  }

  // MARK: What needs the agent

  package func status(wait: Int?) async throws(ControlError) -> StatusAnswer { throw .notRunning }
  package func peers(isPinging: Bool) async throws(ControlError) -> PeersAnswer { throw .notRunning }
  package func acceptPeer(name: String) async throws(ControlError) -> AcceptAnswer { throw .notRunning }
  package func invite(seconds: Int) async throws(ControlError) -> InviteAnswer { throw .notRunning }
  package func files(_ query: FilesQuery) async throws(ControlError) -> Page<FileAnswer> {
    throw .notRunning
  }
  package func locate(_ query: WhereQuery) async throws(ControlError) -> WhereAnswer {
    throw .notRunning
  }
  package func skipped(after: String?) async throws(ControlError) -> Page<SkippedAnswer> {
    throw .notRunning
  }
  package func sums(machine: String?, after: String?) async throws(ControlError) -> Page<SumAnswer> {
    throw .notRunning
  }
  package func atRisk(machine: String?, after: String?) async throws(ControlError) -> Page<FileAnswer> {
    throw .notRunning
  }
  package func startJob(_ request: JobRequest) async throws(ControlError) -> JobStart { throw .notRunning }
  package func job(id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer {
    throw .notRunning
  }
  package func cancelJob(id: String) async throws(ControlError) -> JobAnswer { throw .notRunning }

  package func startVerify(_ query: VerifyQuery) async throws(ControlError) -> VerifyAnswer {
    throw .notRunning
  }
  package func verifyProgress() async throws(ControlError) -> VerifyAnswer { throw .notRunning }
  package func stopVerify() async throws(ControlError) -> VerifyAnswer { throw .notRunning }
  package func badFiles(after: String?) async throws(ControlError) -> Page<BadFileAnswer> {
    throw .notRunning
  }
  package func forget(_ query: ForgetQuery) async throws(ControlError) -> ForgetAnswer { throw .notRunning }
  package func forgetRequests() async throws(ControlError) -> [ForgetRequestAnswer] { throw .notRunning }
  package func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer {
    throw .notRunning
  }
  package func drops() async throws(ControlError) -> [DropsAnswer] { throw .notRunning }
  package func decide(_ decision: DropDecision) async throws(ControlError) -> AcceptAnswer {
    throw .notRunning
  }
  package func changeRole(_ query: RoleQuery) async throws(ControlError) -> RoleAnswer { throw .notRunning }
  package func leave(_ query: LeaveQuery) async throws(ControlError) -> LeaveAnswer { throw .notRunning }
  package func releasePreview() async throws(ControlError) -> ReleasePreviewAnswer { throw .notRunning }
  package func startRelease() async throws(ControlError) -> ReleaseAnswer { throw .notRunning }
  package func releaseProgress() async throws(ControlError) -> ReleaseAnswer { throw .notRunning }
  package func stopRelease() async throws(ControlError) -> ReleaseAnswer { throw .notRunning }
  package func acknowledgeBadFiles() async throws(ControlError) { throw .notRunning }

  // MARK: Errors

  private func answering<Answer>(_ body: () throws -> Answer) throws(ControlError) -> Answer {
    do {
      return try withExtendedLifetime(lock) { try body() }
    } catch let error as ControlError {
      throw error
    } catch let error as AgentError {
      let isUsage = error.code == .usage
      let isConflict = error.code == .conflict || error.code == .locked
      throw ControlError(
        code: isUsage ? .usage : isConflict ? .conflict : .internalError, message: error.message)
    } catch {
      throw ControlError(code: .internalError, message: "\(error)")
    }
  }
}

extension AgentError {
  /// What everything says that needs a household first.
  package static let notInitialised = AgentError(
    .notInitialised,
    "this machine belongs to no household yet: `mantel init [DIR...]` founds one, "
      + "`mantel join CODE` joins one (get the code with `mantel invite` on a member)")
}
