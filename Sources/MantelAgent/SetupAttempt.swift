import Foundation
import Glibc
import MantelCatalog
import MantelHousehold

/// One attempt to found or join: the lock of the state directory, and a key and a catalog that are made for it.
///
/// The catalog is filled under another name and appears whole: a state directory has no catalog, or one that names its
/// household. What others have made there is never removed; what an attempt made goes when it fails.
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
  func makeCatalog(_ fill: (Catalog) throws -> Void) throws {
    try removeDraft()
    do {
      let catalog = try Catalog(path: draft, machine: key.machine)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: draft)
      try fill(catalog)
      // Its log goes into the file, which can then have another name.
      try catalog.close()
    }
    guard rename(draft, home.catalogPath) == 0 else { throw Self.failure("rename", home.catalogPath) }
    let directory = open(home.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Self.failure("open", home.state) }
    defer { Glibc.close(directory) }
    guard fsync(directory) == 0 else { throw Self.failure("fsync", home.state) }
  }

  /// Takes back what this attempt made, its catalog too: there was none when it took the lock.
  func undo() {
    // The catalog first: a key alone is what a later attempt takes for the rest of this one.
    let catalog = ["", "-wal", "-shm"].map { home.catalogPath + $0 }
    let files = FileManager.default
    for path in catalog + [home.keyPath] where files.fileExists(atPath: path) {
      do { try files.removeItem(atPath: path) } catch { return }
    }
    // What stays of the draft is taken for what it is by the next attempt.
    try? removeDraft()
  }

  private var draft: String { home.catalogPath + ".new" }

  private func removeDraft() throws {
    for path in [draft, draft + "-wal", draft + "-shm"] where FileManager.default.fileExists(atPath: path) {
      try FileManager.default.removeItem(atPath: path)
    }
  }

  private static func failure(_ operation: String, _ path: String) -> AgentError {
    AgentError(.internalError, "\(operation) \(path): \(String(cString: strerror(errno)))")
  }
}

extension AgentError {
  /// The key of the household's member is gone, and its catalog is not.
  static func keyLost(_ home: Home) -> AgentError {
    AgentError(
      .conflict,
      "\(home.catalogPath) belongs to a household, and its key \(home.keyPath) is gone: put the key back from a "
        + "backup, or move the catalog away to start anew")
  }
}
