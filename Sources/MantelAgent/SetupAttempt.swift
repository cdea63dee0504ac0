import Foundation
import Glibc
import MantelCatalog
import MantelCore
import MantelHousehold

/// One attempt to found or join: the lock of the state directory, and a key and a catalog that are made for it.
///
/// What others have made there is never removed; what an attempt made goes when it fails. The key and the catalog of a
/// household that this machine is no member of any more get other names, and their own again when the attempt fails; so
/// does a key without a catalog.
struct SetupAttempt: Sendable {
  let key: DeviceKey
  private let home: Home
  private let lock: StateLock
  private let former: Former

  /// Whether there was a household here that this machine is no member of any more.
  var hasLeft: Bool { former.catalog != nil }
  var formerMachines: [MachineID] { home.formerMachines }

  /// What was set aside, and where it lies.
  private struct Former: Sendable {
    var catalog: String?
    var key: String?
  }

  /// Throws `.locked`, or `.conflict` when this machine is a member here, or there is the catalog of one without its key.
  init(_ home: Home) throws {
    try home.create()
    lock = try StateLock(home)
    self.home = home
    // Judged again, now that nobody else can be at it.
    try Self.check(home, lock)
    var former = Former()
    do {
      former.catalog = try CatalogDraft.setAside(home, "left")
      // A key alone is mostly the rest of an attempt that ended early; but it may be all that is left of a member.
      former.key = try Self.setAside(home.keyPath)
      if former.key != nil { try CatalogDraft.sync(home.state) }
      key = try DeviceKey.create(at: home.keyPath)
    } catch {
      Self.bringBack(former, home)
      throw error
    }
    self.former = former
  }

  /// Throws `.conflict` when nothing may be founded here.
  static func check(_ home: Home) throws {
    // An agent that runs has the lock: whoever has left stops it first.
    let lock = home.isInitialised ? try? StateLock(home) : nil
    try check(home, lock)
  }

  private static func check(_ home: Home, _ lock: StateLock?) throws {
    guard FileManager.default.fileExists(atPath: home.catalogPath) else { return }
    guard home.isInitialised else { throw AgentError.keyLost(home) }
    guard let lock else { throw AgentError.isMember(home) }
    guard try withExtendedLifetime(lock, { try isLeft(home) }) else { throw AgentError.isMember(home) }
  }

  /// Whether the household that the catalog knows has this machine as a member no more.
  private static func isLeft(_ home: Home) throws -> Bool {
    let key = try DeviceKey.load(from: home.keyPath)
    let catalog = try Catalog.open(home, machine: key.machine)
    let roster = Roster(stored: try catalog.statements().map { try SignedStatement(bytes: $0) })
    try catalog.close()
    switch roster.standing(of: key.machine) {
    case .removed, .turnedAway, .voided: return true
    case .member, .admitted, .stranger: return false
    }
  }

  private static func setAside(_ path: String) throws -> String? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let target = "\(path).before-\(AgentClock.wall.seconds)-\(getpid())"
    try FileManager.default.moveItem(atPath: path, toPath: target)
    return target
  }

  /// Makes the catalog, filled by `fill`; durable when this returns.
  func makeCatalog(_ fill: (Catalog) throws -> Void) throws {
    try CatalogDraft(home: home, machine: key.machine).make(fill)
  }

  /// Takes back what this attempt made, its catalog too: what there was when it took the lock is there again.
  func undo() {
    // The catalog first: a key alone is what a later attempt takes for the rest of this one.
    let catalog = ["", "-wal", "-shm"].map { home.catalogPath + $0 }
    let files = FileManager.default
    for path in catalog + [home.keyPath] where files.fileExists(atPath: path) {
      do { try files.removeItem(atPath: path) } catch { return }
    }
    // What stays of the draft is taken for what it is by the next attempt.
    try? CatalogDraft(home: home, machine: key.machine).remove()
    Self.bringBack(former, home)
  }

  /// What cannot be brought back lies under the name that it has: nothing of it is lost.
  private static func bringBack(_ former: Former, _ home: Home) {
    // Also a key that had no catalog: with it, what lies in a replica makes the machine again what it was.
    if let key = former.key { try? FileManager.default.moveItem(atPath: key, toPath: home.keyPath) }
    if let catalog = former.catalog { try? CatalogDraft.bringBack(catalog, home) }
    try? CatalogDraft.sync(home.state)
  }
}

extension AgentError {
  static func isMember(_ home: Home) -> AgentError {
    AgentError(
      .conflict,
      "this machine is a member of a household already (\(home.state)); `mantel status` shows it. To belong to another one, "
        + "`mantel leave` it, stop the agent, and repeat this")
  }

  /// A key without a catalog: the catalog was lost, or an attempt to found or join ended early.
  static func catalogLost(_ home: Home) -> AgentError {
    AgentError(
      .notInitialised,
      "the catalog of this machine (\(home.catalogPath)) is gone: `mantel replica adopt DIR`, with the directory of its "
        + "copies, rebuilds it; if this machine never belonged to a household, `mantel init` or `mantel join` begins anew"
    )
  }

  /// The key of the household's member is gone, and its catalog is not.
  static func keyLost(_ home: Home) -> AgentError {
    AgentError(
      .conflict,
      "\(home.catalogPath) belongs to a household, and its key \(home.keyPath) is gone: put the key back from a "
        + "backup, or move the catalog away to start anew")
  }
}
