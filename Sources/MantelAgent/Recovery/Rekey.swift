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

  /// What is done once the new key was taken, in this order; each may be repeated.
  enum Step: CaseIterable { case catalog, key, marker, journal }

  /// Under the lock of the state directory, without an agent. Until the inviter has taken the new key nothing changes here;
  /// what is cut off after that, the next run of the agent completes, or of this.
  package static func run(
    home: Home, name wish: String?, code text: String, peer: NetworkAddressText?, timeout: Duration,
    logger: Logger, progress: @Sendable (String) -> Void,
    confirm: @Sendable (String, [String]) async -> Bool
  ) async throws -> Result {
    try await run(home: home, name: wish, code: text, logger: logger, progress: progress, confirm: confirm) {
      try await Setup.reach($0, peer: peer, timeout: timeout, logger: logger, progress: progress)
    }
  }

  /// `reach` finds the inviter, and proves the code to it.
  static func run(
    home: Home, name wish: String?, code text: String, logger: Logger, progress: @Sendable (String) -> Void,
    confirm: @Sendable (String, [String]) async -> Bool, reach: (Joining) async throws -> Joining.Proved
  ) async throws -> Result {
    let code: InviteCode
    do { code = try InviteCode(parsing: text) } catch { throw AgentError(.usage, JoinMessages.text(error)) }
    try home.requireInitialised()
    let lock = try StateLock(home)
    defer { withExtendedLifetime(lock) {} }
    if let completed = try complete(home) {
      progress("an earlier rekey was cut off, and is complete now: the code was not needed")
      return completed
    }
    let former = try DeviceKey.load(from: home.keyPath)
    let catalog = try Catalog.open(home, machine: former.machine)
    let current = try catalog.value(.machineName).map { String(decoding: $0, as: UTF8.self) } ?? "machine"
    let name = wish ?? "\(current)-2"
    try Setup.check(name: name)
    // Its marker is to name the new machine: it has to be there.
    _ = try Replica.open(
      root: Array(try Setup.replicaRoot(catalog, home).utf8), machine: former.machine, create: false)
    let files = KeyFiles(home: home)
    let key = try files.makeNext()
    let joining = Joining(code: code, key: key, name: name, replaces: nil, logger: logger)
    do {
      let proved = try await reach(joining)
      guard try catalog.value(.household) == proved.household.roster.household.bytes else {
        await joining.decline(proved)
        throw AgentError(
          .usage,
          "this code is for \(proved.household.roster.name): rekey takes one of this machine's own household")
      }
      try catalog.close()
      // Written before the acceptance is sent: who sent it is a member, whatever becomes of this process.
      try await joining.settle(proved, confirm: confirm) { statements in
        try RekeyJournal(
          former: former.machine, machine: key.machine, name: name,
          formerKey: "\(home.keyPath).before-\(AgentClock.wall.seconds)-\(getpid())", statements: statements
        ).write(home)
      }
    } catch {
      // The journal first: a key without one was never taken by anybody.
      RekeyJournal.remove(home)
      files.removeNext()
      throw JoinMessages.agentError(error)
    }
    guard let result = try complete(home) else {
      throw AgentError(.internalError, "the journal of this rekey is gone (\(home.rekeyJournalPath))")
    }
    return result
  }

  /// Completes what the journal tells of, under the lock of the state directory; nil when there is none. What was cut off
  /// before its acceptance was heard ends as a machine that was admitted, or turned away, and says so in its status.
  ///
  /// `before` is told of each step: for tests that cut it off.
  @discardableResult static func complete(
    _ home: Home, before: (Step) throws -> Void = { _ in }
  ) throws -> Result? {
    guard let journal = try RekeyJournal.read(home) else { return nil }
    let files = KeyFiles(home: home)
    if try DeviceKey.load(from: home.keyPath).machine != journal.machine {
      guard files.hasNext else {
        // It was taken back, key first on the disk.
        RekeyJournal.remove(home)
        return nil
      }
      try before(.catalog)
      let catalog = try Catalog.open(home, machine: journal.former)
      try catalog.addStatements(journal.statements.map { ($0.id, $0.bytes) })
      try catalog.setValue(.machineName, Array(journal.name.utf8))
      // The new machine's history begins with files that the ledger takes for published.
      try catalog.setValue(.ownEpoch, [0, 0, 0, 0, 0, 0, 0, 1])
      try catalog.close()
      try before(.key)
      try files.swap(to: journal)
    }
    let catalog = try Catalog.open(home, machine: journal.machine)
    let root = Array(try Setup.replicaRoot(catalog, home).utf8)
    try catalog.close()
    try before(.marker)
    if try Replica.marker(in: root)?.machine != journal.machine {
      // An empty mount point is nobody's, and stays so.
      _ = try Replica.open(root: root, machine: journal.former, create: false)
      // What lies there is this machine's still: only the name on the marker changes.
      _ = try Replica.adopt(root: root, machine: journal.machine)
    }
    try before(.journal)
    RekeyJournal.remove(home)
    return Result(
      machine: journal.name, machineID: journal.machine.hex, formerID: journal.former.hex,
      household: Roster(journal.statements).name, formerKey: journal.formerKey)
  }
}

/// The key that is, and the one that is to be.
private struct KeyFiles {
  let home: Home
  private var next: String { home.keyPath + ".next" }

  func makeNext() throws -> DeviceKey {
    // An earlier attempt was cut off before anybody had heard of its acceptance.
    if hasNext { try FileManager.default.removeItem(atPath: next) }
    return try DeviceKey.create(at: next)
  }

  var hasNext: Bool { FileManager.default.fileExists(atPath: next) }

  /// The key was never taken by anybody.
  func removeNext() { unlink(next) }

  /// Puts the new key in the old one's place, which lies under another name then. There is a key at any moment.
  func swap(to journal: RekeyJournal) throws {
    guard try DeviceKey.load(from: next).machine == journal.machine else {
      throw AgentError(.internalError, "\(next) is not the key that was admitted")
    }
    // It has the other name already where this was cut off.
    guard link(home.keyPath, journal.formerKey) == 0 || errno == EEXIST, rename(next, home.keyPath) == 0
    else {
      throw AgentError(
        .internalError, "\(next) cannot become \(home.keyPath): \(String(cString: strerror(errno)))")
    }
    try CatalogDraft.sync(home.state)
  }
}
