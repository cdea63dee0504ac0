/// A file of the replica: where it lies, and what it is a copy of.
package struct ReplicaFile: Hashable, Sendable {
  /// The library whose entry it stands for.
  package var library: MachineID
  package var entry: EntryID
  package var content: ContentID
  /// Path below the replica root, bytes.
  package var path: [UInt8]
  /// `stat` after it was made durable; a difference means that somebody touched it.
  package var stamp: FileStamp
  /// When its bytes were last hashed.
  package var verified: WallTime
  /// Nil for a copy that is owed, or that nobody decided about.
  package var mark: DropMark?

  package init(
    library: MachineID, entry: EntryID, content: ContentID, path: [UInt8], stamp: FileStamp,
    verified: WallTime, mark: DropMark? = nil
  ) {
    self.mark = mark
    self.library = library
    self.entry = entry
    self.content = content
    self.path = path
    self.stamp = stamp
    self.verified = verified
  }
}

/// The replica files of one content.
package struct ReplicaContent: Hashable, Sendable {
  package var content: ContentID
  package var files: Int
  /// Of one of them: most others are hard links.
  package var bytes: UInt64

  package init(content: ContentID, files: Int, bytes: UInt64) {
    self.content = content
    self.files = files
    self.bytes = bytes
  }
}

/// An entry of an installed library, with its id and owner.
package struct InstalledEntry: Hashable, Sendable {
  package var library: MachineID
  package var id: EntryID
  package var entry: Entry

  package init(library: MachineID, id: EntryID, entry: Entry) {
    self.library = library
    self.id = id
    self.entry = entry
  }
}

/// A wanted content that is not held, as the fetch order needs it.
package struct MissingContent: Hashable, Sendable {
  package var content: ContentID
  package var size: UInt64
  package var manifest: Digest256?
  /// Newest modification time of the library's entries that name it: newest first is the fetch order within a library.
  package var mtime: Int64
  package var library: MachineID

  package init(content: ContentID, size: UInt64, manifest: Digest256?, mtime: Int64, library: MachineID) {
    self.content = content
    self.size = size
    self.manifest = manifest
    self.mtime = mtime
    self.library = library
  }
}

/// How far a walk over the missing contents came: in each library by itself, so that none waits for another's.
package struct MissingPosition: Hashable, Sendable {
  /// What was read last of each library that was begun.
  package private(set) var last: [MachineID: MissingContent] = [:]

  /// Libraries that have no more. What is staged of them, which a page would step over again and again, comes after an install,
  /// and that begins the walk anew.
  package private(set) var ended: Set<MachineID> = []

  package init() {}

  package mutating func end(_ library: MachineID) { ended.insert(library) }

  package mutating func pass(_ missing: MissingContent) { last[missing.library] = missing }

  /// Whether a content was passed in a library that names it with this time.
  package func hasPassed(_ content: ContentID, _ mtime: Int64, in library: MachineID) -> Bool {
    guard let place = last[library] else { return false }
    return mtime == place.mtime ? content <= place.content : mtime > place.mtime
  }
}

/// A large content that is on its way: which blocks were verified and synced to the staging file.
package struct PartialContent: Hashable, Sendable {
  package var content: ContentID
  package var manifest: Manifest
  /// One bit a block, block 0 the lowest bit of byte 0.
  package var blocks: [UInt8]

  package init(content: ContentID, manifest: Manifest, blocks: [UInt8]) {
    self.content = content
    self.manifest = manifest
    self.blocks = blocks
  }
}
