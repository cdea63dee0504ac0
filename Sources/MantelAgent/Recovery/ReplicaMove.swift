import Foundation
import Glibc
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold

/// `mantel replica move`: another place on the same filesystem, by one rename. Under the lock of the state directory,
/// without an agent. Cut off between the rename and the catalog, it is finished by running it again.
package struct ReplicaMove: Sendable {
  private let home: Home
  private let lock: StateLock
  private let key: DeviceKey
  private let catalog: Catalog

  /// Throws `AgentError`: not initialised, locked, damaged.
  package init(home: Home) throws {
    try home.requireInitialised()
    self.home = home
    lock = try StateLock(home)
    key = try DeviceKey.load(from: home.keyPath)
    catalog = try Catalog.open(home, machine: key.machine)
  }

  package func run(to directory: String) throws -> (from: String, to: String) {
    defer { withExtendedLifetime(lock) {} }
    let old = try Setup.replicaRoot(catalog, home)
    let new = Home.absolute(directory)
    return try AgentError.explainingPlace(of: old) { try run(from: old, to: new) }
  }

  private func run(from old: String, to new: String) throws -> (from: String, to: String) {
    let folders = try catalog.folders().filter { !$0.isRemoved }
    if let folder = folders.first(where: { FolderRules.overlaps($0.root, Array(new.utf8)) }) {
      throw AgentError(
        .conflict, "\(new) overlaps the folder \(folder.name): a replica lies outside of all folders")
    }
    let isThere = FileManager.default.fileExists(atPath: new)
    if !FileManager.default.fileExists(atPath: old), isThere {
      // Renamed already; it must be this machine's.
      _ = try Replica.open(root: Array(new.utf8), machine: key.machine, create: false)
    } else {
      guard !isThere else {
        throw AgentError(.conflict, "\(new) is there already: name a place where nothing is")
      }
      _ = try Replica.open(root: Array(old.utf8), machine: key.machine, create: false)
      try move(old, new)
    }
    try catalog.setValue(.replicaRoot, Array(new.utf8))
    try catalog.close()
    return (old, new)
  }

  private func move(_ old: String, _ new: String) throws {
    guard rename(old, new) == 0 else {
      throw errno == EXDEV
        ? AgentError(
          .conflict,
          "\(new) lies on another filesystem: copy the replica (`cp -a \(old) \(new)`), then `mantel replica adopt \(new)`"
        )
        : AgentError(.usage, "\(old) cannot become \(new): \(String(cString: strerror(errno)))")
    }
    for path in Set([old, new].map { ($0 as NSString).deletingLastPathComponent }) {
      let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard directory >= 0 else { continue }
      defer { close(directory) }
      guard fsync(directory) == 0 else {
        throw AgentError(.internalError, "fsync \(path): \(String(cString: strerror(errno)))")
      }
    }
  }
}
