import CMantelSystem
import MantelCore

/// What is kept beside the copies, because it must outlive the state directory: small files in `<replica>/.mantel`.
package enum KeptFile: String, Sendable, CaseIterable {
  /// The last head that this machine published.
  case `guard`
  /// Who belongs to the household, and which folders this machine has: what a lost catalog begins with.
  case household
  /// Contents that other libraries dropped, and that the user of this machine keeps all the same.
  case refused

  /// Bytes; a larger file is not read.
  package var limit: Int {
    switch self {
    case .guard: 64 << 10
    case .household, .refused: 16 << 20
    }
  }

  var name: [UInt8] { Array(rawValue.utf8) }
}

extension Replica {
  /// The bytes that were last kept; nil if none were. Throws `.tooLarge` for more than the limit.
  package func kept(_ file: KeptFile) throws(DiskError) -> [UInt8]? {
    try Self.readSmall(mounted(), file.name, limit: file.limit)
  }

  /// What the marker in a directory says, wherever it lies now; nil if there is none. Throws `.foreign` for one that cannot be
  /// read as one, `.notFound` without the directory.
  package static func marker(in root: [UInt8]) throws(DiskError) -> ReplicaMarker? {
    try readMarker(Directory(root: root), path: root)
  }

  /// The same of a directory that need not be a mounted replica of anybody's: for adopting it.
  package static func kept(_ file: KeptFile, in root: [UInt8]) throws(DiskError) -> [UInt8]? {
    try readSmall(Directory(root: root), file.name, limit: file.limit)
  }

  /// Replaces what is kept, durably: after a crash it is the old bytes or the new ones.
  package func keep(_ file: KeptFile, _ bytes: [UInt8]) throws(DiskError) {
    try Self.writeSmall(mounted(), file.name, bytes, calls: calls)
  }

  /// Makes all that lies on the replica's filesystem durable, whoever wrote it.
  package func syncAll() throws(DiskError) {
    let directory = try mounted()
    let outcome = withExtendedLifetime(directory) { calls.syncfs(directory.descriptor) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: root, operation: "syncfs") }
  }
}
