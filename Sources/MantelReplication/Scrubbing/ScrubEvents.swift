package import MantelCore

/// A file whose bytes are to be read again and hashed.
package enum RereadTarget: Hashable, Sendable {
  /// A replica file: its path below the root.
  case replica([UInt8])
  /// A published file of a folder of this machine.
  case own(FolderID, [UInt8])
}

/// What reading a file again gave.
package enum RereadOutcome: Hashable, Sendable {
  /// The bytes come from the disk, not from the cache, and the file did not change meanwhile.
  case read(ContentID, FileStamp)
  case unreadable(errno: Int32)
  case gone
  /// It changed while it was read, or is no regular file.
  case unsettled
  /// Nothing can be said: the disk is not mounted, or the agent stops.
  case unavailable
}

/// A file of the replica that is in the way of its own copy.
package struct SetAsideOrder: Hashable, Sendable {
  package var path: [UInt8]
  /// Only the file of this number is to be moved: anything else there is newer than the order.
  package var inode: UInt64
  /// Where to, below the replica root; suffixed if that is taken by another file.
  package var target: [UInt8]

  init(_ file: BadFile) {
    path = file.path
    inode = file.inode
    let name = file.path.lastIndex(of: UInt8(ascii: "/")).map { file.path[($0 + 1)...] } ?? file.path[...]
    // The same in every attempt: one that was cut off is found done.
    let prefix = "\(file.content.hex.prefix(16))-\(file.inode) "
    target = Array(".mantel/quarantine/\(prefix)".utf8) + name.suffix(Limits.pathComponentBytes - 64)
  }
}

package enum SetAsideOutcome: Hashable, Sendable {
  /// Durable; where the file lies now.
  case done([UInt8])
  /// No such file is there (any more).
  case gone
  case failed
}

/// What `mantel verify` asks for.
package struct VerifyRequest: Hashable, Sendable {
  /// Also what was re-read lately.
  package var isAll: Bool
  /// Only files of this library; the own machine's are its folders.
  package var library: MachineID?

  package init(isAll: Bool, library: MachineID?) {
    self.isAll = isAll
    self.library = library
  }
}

/// How far a verification has come, and what it found.
package struct VerifyReport: Hashable, Sendable {
  package enum Phase: String, Sendable {
    case reading
    /// Everything was read; bad files are on their way from peers.
    case healing
    case done
    /// By request, or because nobody asked for it any more.
    case stopped
    /// The replica is not mounted.
    case unavailable
  }

  package var number: UInt64
  package var phase: Phase
  package var files: Int
  package var bytes: UInt64
  /// What there was to read when it began.
  package var totalFiles: Int
  package var totalBytes: UInt64
  /// Replica files found bad, and those of them that are healed.
  package var bad: Int
  package var healed: Int
  /// Own files of suspected rot, over all.
  package var suspected: Int

  package var stillBad: Int { max(0, bad - healed) }
  package var isRunning: Bool { phase == .reading || phase == .healing }
}
