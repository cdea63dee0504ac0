import Foundation
import Glibc
package import Logging
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold

/// `mantel rekey`: this installation becomes a machine of its own, with a new key, in the household that it is in.
///
/// The way out for a clone (two installations with one key), and for a key that somebody else may have. A member admits the
/// new key by an invite's code, as any newcomer: the old key is trusted with nothing any more. Folders, copies and catalog
/// stay; what the old key had published stays its library, and this machine's files are hashed and published anew.
package enum Rekey {
  package struct Result: Sendable {
    package var machine: String
    package var machineID: String
    package var formerID: String
    package var household: String
    /// Where the old key lies.
    package var formerKey: String
  }

  /// Under the lock of the state directory, without an agent. Until the inviter has taken the new key nothing changes here.
  /// Cut off after that, the new key lies beside the old one (`device.key.next`), or the replica's marker still names the
  /// former machine, which `replica adopt` mends.
  package static func run(
    home: Home, name wish: String?, code text: String, peer: NetworkAddressText?, timeout: Duration,
    logger: Logger, progress: @Sendable (String) -> Void,
    confirm: @Sendable (String, [String]) async -> Bool
  ) async throws -> Result {
    let code: InviteCode
    do { code = try InviteCode(parsing: text) } catch { throw AgentError(.usage, JoinMessages.text(error)) }
    try home.requireInitialised()
    let lock = try StateLock(home)
    defer { withExtendedLifetime(lock) {} }
    let former = try DeviceKey.load(from: home.keyPath)
    let catalog = try Catalog.open(home, machine: former.machine)
    let current = try catalog.value(.machineName).map { String(decoding: $0, as: UTF8.self) } ?? "machine"
    let name = wish ?? "\(current)-2"
    try Setup.check(name: name)
    let root = try Setup.replicaRoot(catalog, home)
    // Its marker is to name the new machine: it has to be there.
    _ = try Replica.open(root: Array(root.utf8), machine: former.machine, create: false)
    let files = KeyFiles(home: home)
    let key = try files.makeNext()
    let joining = Joining(code: code, key: key, name: name, replaces: nil, logger: logger)
    let household: Roster
    let admitted: [SignedStatement]
    do {
      let proved = try await Setup.reach(
        joining, peer: peer, timeout: timeout, logger: logger, progress: progress)
      household = proved.household.roster
      guard try catalog.value(.household) == household.household.bytes else { throw JoinError.tampered }
      admitted = try await joining.settle(proved, confirm: confirm) { $0 }
    } catch {
      files.removeNext()
      throw JoinMessages.agentError(error)
    }
    // Only now: until the acceptance was sent, this is the machine that it was.
    try catalog.addStatements(admitted.map { ($0.id, $0.bytes) })
    try catalog.setValue(.machineName, Array(name.utf8))
    // The new machine's history begins with files that the ledger takes for published.
    try catalog.setValue(.ownEpoch, [0, 0, 0, 0, 0, 0, 0, 1])
    try catalog.close()
    let formerKey = try files.swap()
    // What lies there is this machine's still: only the name on the marker changes.
    _ = try Replica.adopt(root: Array(root.utf8), machine: key.machine)
    return Result(
      machine: name, machineID: key.machine.hex, formerID: former.machine.hex, household: household.name,
      formerKey: formerKey)
  }
}

/// The key that is, and the one that is to be.
private struct KeyFiles {
  let home: Home
  private var next: String { home.keyPath + ".next" }

  func makeNext() throws -> DeviceKey {
    // An earlier attempt was cut off: a member may have admitted that key, so it is kept.
    if FileManager.default.fileExists(atPath: next) {
      try FileManager.default.moveItem(atPath: next, toPath: "\(next)-\(AgentClock.wall.seconds)-\(getpid())")
    }
    return try DeviceKey.create(at: next)
  }

  /// The key was never taken by anybody.
  func removeNext() { unlink(next) }

  /// Puts the new key in the old one's place, and returns where the old one lies. There is a key at any moment.
  func swap() throws -> String {
    let former = "\(home.keyPath).before-\(AgentClock.wall.seconds)-\(getpid())"
    guard link(home.keyPath, former) == 0, rename(next, home.keyPath) == 0 else {
      throw AgentError(
        .internalError, "\(next) cannot become \(home.keyPath): \(String(cString: strerror(errno)))")
    }
    try CatalogDraft.sync(home.state)
    return former
  }
}
