/// What was wrong with a file that should have had a content's bytes.
package enum FileFault: Hashable, Sendable {
  /// Other bytes, though size and times are what they were: the disk has changed them.
  case rotten
  /// The disk refuses to give the bytes; errno of the failure.
  case unreadable(errno: Int32)
  /// Other bytes, and another size or time: somebody has written to it.
  case changed
  /// Not there any more: nothing, no regular file, or the only copy of another photo, which keeps the name.
  case vanished

  /// Whether something lies under the name that has to be out of the way before the copy is made again.
  package var leavesFile: Bool { self != .vanished }
}

/// A replica file that was found not to be what the catalog says: a report for people, and what is to be done.
package struct BadFile: Hashable, Sendable {
  /// Below the replica root, as it was.
  package var path: [UInt8]
  package var library: MachineID
  package var entry: EntryID
  package var content: ContentID
  package var size: UInt64
  /// Of the file as the catalog knew it: what is set aside must be that one.
  package var inode: UInt64
  package var fault: FileFault
  package var found: WallTime
  /// Where the bad bytes lie now, below the replica root; nil while they are on their way, or when there are none.
  package var aside: [UInt8]?
  /// Nothing of it is in the way any more.
  package var isSettled: Bool
  /// When a verified copy lay in its place again, or nobody wanted one any more.
  package var healed: WallTime?

  package init(
    path: [UInt8], library: MachineID, entry: EntryID, content: ContentID, size: UInt64, inode: UInt64,
    fault: FileFault, found: WallTime, aside: [UInt8]? = nil, isSettled: Bool = false,
    healed: WallTime? = nil
  ) {
    self.path = path
    self.library = library
    self.entry = entry
    self.content = content
    self.size = size
    self.inode = inode
    self.fault = fault
    self.found = found
    self.aside = aside
    self.isSettled = isSettled
    self.healed = healed
  }

  package init(_ file: ReplicaFile, _ fault: FileFault, found: WallTime) {
    self.init(
      path: file.path, library: file.library, entry: file.entry, content: file.content,
      size: file.stamp.size, inode: file.stamp.inode, fault: fault, found: found,
      isSettled: !fault.leavesFile)
  }
}

/// Reports that nobody has acknowledged.
package struct BadFileCounts: Hashable, Sendable {
  package var unhealed: Int
  /// Healed since the moment that was asked about.
  package var healed: Int

  package init(unhealed: Int = 0, healed: Int = 0) {
    self.unhealed = unhealed
    self.healed = healed
  }
}
