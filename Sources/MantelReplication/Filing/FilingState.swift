import MantelCore

/// What the replica still has to be told.
struct FilingState: Sendable {
  /// Verified contents that wait for a batch.
  var ready: Set<ContentID> = []
  /// The store has contents whose files may not match their entries.
  var hasUnfiled = false
  /// Many of them may be contents of which nothing is here.
  var hasAbsent = false
  /// How many rows of these the next event files; nil: as many as the first.
  var absentRows: Int?
  /// More is to be planned: in an event of its own, so that others are not kept waiting.
  var turn: Instant?
  /// Steps of which it is not known what they did to the replica; they are in the catalog's journal too.
  var unresolved: [FilingPlan.Step] = [] {
    didSet {
      unresolvedContents = Set(unresolved.lazy.map(\.operation.content))
      unresolvedBytes = unresolved.reduce(0) { $0 + FilingJournal.size(of: $1) }
    }
  }
  private(set) var unresolvedBytes = 0
  /// Of these nothing is planned.
  private(set) var unresolvedContents: Set<ContentID> = []
  /// They are to be repeated now, or at that moment: later each time that fails.
  var isRepeatDue = false
  var repeatAt: Instant?
  var repeatBackoff: Backoff?
  /// Contents with files here that are not planned before less is unresolved: they might only add to it.
  var blocked: Set<ContentID> = []
  /// Contents that wait until a file in their way, or of their own, that may be another than the catalog says has been read.
  var doubted: Set<ContentID> = []
  var running: FilingBatch?
  /// When the last batch that had something to do ended.
  var endedAt: Instant?
  var copies = CopyRoom()
  /// Contents that libraries of others want, and that only an own file has here. Its user may delete that: others are not
  /// told that they are kept for them.
  var uncopied: Set<ContentID> = []
  /// Contents whose last attempt failed: they rest until `retryAt`, so that they hold up nobody else.
  var resting: Set<ContentID> = []
  var retryAt: Instant?
  /// Nothing of the last batch was done: a broken disk is not hammered before `retryAt`.
  var isPaused = false
  /// The replica's filesystem takes no writes, as far as is known.
  var isReadOnly = false
  var syncFaults = SyncFaults()
  /// Names of directories in the replica; they never change.
  var directoryNames: [DirectoryOwner: String] = [:]
  var trash = TrashWalk()
  /// The list that is kept beside the copies was read since the start: nothing leaves the trash before, for this catalog may be
  /// older than a refusal.
  var areRefusalsKnown = false

  /// A machine, or one of its folders.
  struct DirectoryOwner: Hashable {
    var machine: MachineID
    var folder: FolderID?
  }

  var isIdle: Bool {
    running == nil && ready.isEmpty && !hasUnfiled && resting.isEmpty && unresolved.isEmpty
  }
  /// What the catalog says of the content's files may not be true: a batch moves them, or was cut off.
  func isUnderWay(_ content: ContentID) -> Bool {
    running?.contents.contains(content) == true || unresolvedContents.contains(content)
  }

  var nextDeadline: Instant? { [retryAt, repeatAt, turn].compactMap(\.self).min() }
}

/// A batch on its way through the disk.
struct FilingBatch: Sendable {
  var id: BatchID
  var steps: [FilingPlan.Step]
  var contents: [ContentID]
  /// Files that are what an entry asks for, to be recorded under its id.
  var staying: [ReplicaFile]
  /// Its steps may have been done before.
  var isRepeat = false
  /// Contents of it whose entries or files changed since it was planned: they are not filed when it ends.
  var outdated: Set<ContentID> = []
  /// Contents of it that have places for which no copy could be planned: they are not filed when it ends.
  var lackingRoom: Set<ContentID> = []
}

/// Copies within the machine, and the room that they take.
struct CopyRoom: Sendable {
  /// Contents of which a copy waits until there is room for it.
  var waiting: Set<ContentID> = []
  /// The least that one of them waits for.
  var smallest: CopyCost?
  /// Bytes that the running batch copies, and those copied since the room was measured, which does not show them yet.
  var underWay: UInt64 = 0
  var made: UInt64 = 0
}

/// What one copy within the machine takes of the replica's filesystem.
struct CopyCost: Hashable, Sendable, Comparable {
  let bytes: UInt64
  /// It shares its bytes with the original, as far as is known.
  let isShared: Bool

  init(of size: UInt64, isShared: Bool) {
    bytes = isShared ? min(size, Self.inodeBytes + size / Self.bytesPerExtentByte) : size
    self.isShared = isShared
  }

  /// An inode, its name, and few extents: a node of Btrfs.
  private static let inodeBytes: UInt64 = 16 << 10
  /// What is compressed has an extent for each 128 KiB, and two records of it.
  private static let bytesPerExtentByte: UInt64 = 1_024

  /// What it leaves alone. A copy that shares its bytes takes next to nothing: it may go below what others leave, but not
  /// on and on, for single files may refuse to share theirs.
  func reserve(of space: DiskSpace) -> UInt64 { isShared ? space.reserve / 2 : space.reserve }

  /// For one that shares its bytes there is room first.
  static func < (left: CopyCost, right: CopyCost) -> Bool {
    left.isShared == right.isShared ? left.bytes < right.bytes : left.isShared
  }
}
