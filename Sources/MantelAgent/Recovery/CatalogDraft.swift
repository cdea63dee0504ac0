import Foundation
import Glibc
import MantelCatalog
import MantelCore

/// A catalog that is filled under another name and then appears whole: a state directory has no catalog, or one that names
/// its household. Needs the lock of the state directory.
struct CatalogDraft: Sendable {
  let home: Home
  let machine: MachineID

  /// Makes the catalog, filled by `fill`; durable when this returns.
  func make(_ fill: (Catalog) throws -> Void) throws {
    try remove()
    do {
      let catalog = try Catalog(path: path, machine: machine)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      try fill(catalog)
      // Its log goes into the file, which can then have another name.
      try catalog.close()
    }
    guard rename(path, home.catalogPath) == 0 else { throw Self.failure("rename", home.catalogPath) }
    try Self.sync(home.state)
  }

  /// What an attempt that ended early left.
  func remove() throws {
    for path in Self.files(path) where FileManager.default.fileExists(atPath: path) {
      try FileManager.default.removeItem(atPath: path)
    }
  }

  /// Gives a catalog that is not used any more another name, with its log; `why` is part of it. Nil when there is none.
  static func setAside(_ home: Home, _ why: String) throws -> String? {
    let target = "\(home.catalogPath).\(why)-\(AgentClock.wall.seconds)-\(getpid())"
    return try move(home.catalogPath, to: target) ? target : nil
  }

  /// Takes that back.
  static func bringBack(_ path: String, _ home: Home) throws { _ = try move(path, to: home.catalogPath) }

  /// Whether there was anything to move.
  private static func move(_ path: String, to target: String) throws -> Bool {
    var hasMoved = false
    // The log last: a database without its log is older, a log without its database is nothing.
    for (from, to) in zip(files(path), files(target)) where FileManager.default.fileExists(atPath: from) {
      guard rename(from, to) == 0 else { throw failure("rename", from) }
      hasMoved = true
    }
    if hasMoved { try sync((path as NSString).deletingLastPathComponent) }
    return hasMoved
  }

  private var path: String { home.catalogPath + ".new" }

  private static func files(_ path: String) -> [String] { ["", "-wal", "-shm"].map { path + $0 } }

  /// Makes the names in a directory durable.
  static func sync(_ path: String) throws {
    let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open", path) }
    defer { Glibc.close(directory) }
    guard fsync(directory) == 0 else { throw failure("fsync", path) }
  }

  private static func failure(_ operation: String, _ path: String) -> AgentError {
    AgentError(.internalError, "\(operation) \(path): \(String(cString: strerror(errno)))")
  }
}
