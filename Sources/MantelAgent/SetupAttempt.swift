import Foundation
import Glibc
import MantelCatalog
import MantelHousehold

/// One attempt to found or join: the lock of the state directory, and a key and a catalog that are made for it.
///
/// What others have made there is never removed; what an attempt made goes when it fails.
struct SetupAttempt: Sendable {
  let key: DeviceKey
  private let home: Home
  private let lock: StateLock

  /// Throws `.locked`, or `.conflict` when there is a household here already, or the catalog of one without its key.
  init(_ home: Home) throws {
    try home.create()
    lock = try StateLock(home)
    self.home = home
    // Judged again, now that nobody else can be at it.
    try Self.check(home)
    try Self.setAside(home.keyPath)
    key = try DeviceKey.create(at: home.keyPath)
  }

  /// Throws `.conflict` when nothing may be founded here.
  static func check(_ home: Home) throws {
    guard !home.isInitialised else {
      throw AgentError(
        .conflict,
        "this machine is a member of a household already (\(home.state)); `mantel status` shows it")
    }
    guard !FileManager.default.fileExists(atPath: home.catalogPath) else {
      throw AgentError.keyLost(home)
    }
  }

  /// A key without a catalog is mostly the rest of an attempt that ended early; but it may be all that is left of a
  /// member, so it is kept.
  private static func setAside(_ path: String) throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    try FileManager.default.moveItem(
      atPath: path, toPath: "\(path).before-\(AgentClock.wall.seconds)-\(getpid())")
  }

  /// Makes the catalog, filled by `fill`; durable when this returns.
  func makeCatalog(_ fill: (Catalog) throws -> Void) throws { try draft.make(fill) }

  /// Takes back what this attempt made, its catalog too: there was none when it took the lock.
  func undo() {
    // The catalog first: a key alone is what a later attempt takes for the rest of this one.
    let catalog = ["", "-wal", "-shm"].map { home.catalogPath + $0 }
    let files = FileManager.default
    for path in catalog + [home.keyPath] where files.fileExists(atPath: path) {
      do { try files.removeItem(atPath: path) } catch { return }
    }
    // What stays of the draft is taken for what it is by the next attempt.
    try? draft.remove()
  }

  private var draft: CatalogDraft { CatalogDraft(home: home, machine: key.machine) }
}

extension AgentError {
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
