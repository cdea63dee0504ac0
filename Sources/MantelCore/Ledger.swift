/// Why a file of a folder is not backed up, though it is there.
package enum SkipReason: Hashable, Sendable {
  /// On the built-in junk list.
  case junk
  /// Matches an exclude of the user's.
  case excluded
  case symlink
  /// FIFO, socket or device.
  case special
  /// Could not be opened or read; errno of the failure.
  case unreadable(errno: Int32)
  /// Larger than `Limits.contentBytes`.
  case tooLarge
  /// The path is longer than `Limits.pathBytes`.
  case pathTooLong
  /// State, config or a replica of Mantel's own.
  case mantel
  /// Forgotten by the user; counts until `forget --undo` or new bytes.
  case forgotten
}

/// Why a file is not safe yet.
package enum PendingReason: Hashable, Sendable {
  /// Still changing, or not looked at twice.
  case settling
  case hashing
  /// Changed more than three times in a day; waits longer each time.
  case changesOften
  /// Changed while it was read.
  case changedWhileRead
  /// Hashed, waits for the next head.
  case publishing
  /// Published; no other machine is known to hold it.
  case copying
  /// Held back by a mass change until `folder accept`.
  case massChange
  /// The content changed though size and times did not.
  case suspectedRot
  /// The disk could not make it durable; tried again.
  case notDurable
}

/// What the ledger says of one file.
package enum FileStatus: Hashable, Sendable {
  case pending(PendingReason)
  /// In the library; safe or not is told by attestations.
  case published
  case skipped(SkipReason)
}

/// What `stat` says of a file, as far as a change shows in it.
package struct FileStamp: Hashable, Sendable {
  package var size: UInt64
  /// Nanoseconds since 1970.
  package var mtime: Int64
  package var ctime: Int64
  package var inode: UInt64
  package var device: UInt64
  /// Names that the file has. No part of what is compared: where it changes, ctime does.
  package var linkCount: UInt64

  package init(
    size: UInt64, mtime: Int64, ctime: Int64, inode: UInt64, device: UInt64, linkCount: UInt64 = 1
  ) {
    self.linkCount = linkCount
    self.size = size
    self.mtime = mtime
    self.ctime = ctime
    self.inode = inode
    self.device = device
  }

  package static func == (left: Self, right: Self) -> Bool {
    left.isSame(as: right) && left.device == right.device
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(size)
    hasher.combine(mtime)
    hasher.combine(ctime)
    hasher.combine(inode)
    hasher.combine(device)
  }

  /// Whether the file may be taken for unchanged since `other`. The device number is left out: it differs
  /// from mount to mount.
  package func isSame(as other: FileStamp) -> Bool {
    size == other.size && mtime == other.mtime && ctime == other.ctime && inode == other.inode
  }
}

/// A file of a folder of this machine as the ledger keeps it.
package struct LedgerFile: Hashable, Sendable {
  package var folder: FolderID
  package var path: [UInt8]
  package var stamp: FileStamp
  package var status: FileStatus
  /// The content that was last hashed, while `stamp` held. A deletion that a mass change holds has none.
  package var content: ContentID?
  package var manifest: Digest256?
  /// Changes of this path in the agent day that began with the first of them.
  package var changes: Int
  package var changesSince: AgentTime
  /// The user accepted that this change retires what the library has at the path.
  package var isAccepted: Bool

  package init(
    folder: FolderID, path: [UInt8], stamp: FileStamp, status: FileStatus, content: ContentID?,
    manifest: Digest256?, changes: Int, changesSince: AgentTime = .zero, isAccepted: Bool = false
  ) {
    self.folder = folder
    self.path = path
    self.stamp = stamp
    self.status = status
    self.content = content
    self.manifest = manifest
    self.changes = changes
    self.changesSince = changesSince
    self.isAccepted = isAccepted
  }
}

/// seen = safe + pending + skipped.
package struct LedgerCounts: Hashable, Sendable {
  package var seen: Int
  package var safe: Int
  package var pending: Int
  package var skipped: Int

  package init(seen: Int = 0, safe: Int = 0, pending: Int = 0, skipped: Int = 0) {
    self.seen = seen
    self.safe = safe
    self.pending = pending
    self.skipped = skipped
  }
}

/// A directory of this machine whose photos are backed up.
package struct Folder: Hashable, Sendable {
  package var id: FolderID
  package var name: String
  /// Absolute path, bytes.
  package var root: [UInt8]
  /// Globs over the path below the root.
  package var excludes: [String]
  /// Identity of the filesystem that the root lay on when the folder was added; empty if it has none.
  package var filesystem: [UInt8]
  package var isRemoved: Bool

  package init(
    id: FolderID, name: String, root: [UInt8], excludes: [String], filesystem: [UInt8],
    isRemoved: Bool = false
  ) {
    self.id = id
    self.name = name
    self.root = root
    self.excludes = excludes
    self.filesystem = filesystem
    self.isRemoved = isRemoved
  }
}
