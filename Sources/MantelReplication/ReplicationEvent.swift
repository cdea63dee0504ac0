package import MantelCore

/// Names one connection to a peer for as long as it lasts; never reused by an agent.
package struct LinkID: Hashable, Comparable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
  package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// Names a piece of work given to a link.
package struct LinkJob: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}

/// How a link's job or unit ended.
package enum LinkOutcome: Hashable, Sendable {
  case complete
  case notHeld
  /// The file changed at its owner's; blames nobody.
  case changed
  case busy
  case cancelled
  case failed
  case unknownHead
  case unsupported
}

/// What a peer's hello said.
package struct LinkOpening: Sendable {
  package var machine: MachineID
  /// The heads that the peer has installed and can serve.
  package var heads: [MachineID: HeadOrder]
  package var holdingsCount: UInt64
  package var holdingsRoot: Digest256
  package var rosterHash: Digest256
  package var time: WallTime
  /// Whether this machine dialled; the side that did compares holdings.
  package var isDialer: Bool
  /// Whether both sides let the other choose what to send.
  package var takesPulls: Bool
  /// Whether the peer says an attestation of its own: it does not while it cannot see its replica.
  package var saysItsWord: Bool

  package init(
    machine: MachineID, heads: [MachineID: HeadOrder], holdingsCount: UInt64,
    holdingsRoot: Digest256, rosterHash: Digest256, time: WallTime, isDialer: Bool, takesPulls: Bool = false,
    saysItsWord: Bool
  ) {
    self.machine = machine
    self.heads = heads
    self.saysItsWord = saysItsWord
    self.holdingsCount = holdingsCount
    self.holdingsRoot = holdingsRoot
    self.rosterHash = rosterHash
    self.time = time
    self.isDialer = isDialer
    self.takesPulls = takesPulls
  }
}

/// What one look at a path of a folder found.
package enum FileSight: Hashable, Sendable {
  /// A regular file. `isClosed`: a writer has just closed it, or it was moved here, so it need not settle.
  case file(FileStamp, isClosed: Bool)
  case skipped(SkipReason, FileStamp?)
  case gone
}

/// One directory of a folder, as a walk found it. Paths are below the folder's root.
package struct DirectorySight: Sendable {
  package var directory: [UInt8]
  package var files: [(path: [UInt8], stamp: FileStamp)]
  package var skipped: [(path: [UInt8], reason: SkipReason)]
  /// Directories in it that are walked too.
  package var subdirectories: [[UInt8]]
  /// Identity of the filesystem that the directory lies on; empty if it has none.
  package var filesystem: [UInt8]

  package init(
    directory: [UInt8], files: [(path: [UInt8], stamp: FileStamp)],
    skipped: [(path: [UInt8], reason: SkipReason)], subdirectories: [[UInt8]] = [],
    filesystem: [UInt8] = []
  ) {
    self.subdirectories = subdirectories
    self.directory = directory
    self.files = files
    self.skipped = skipped
    self.subdirectories = subdirectories
    self.filesystem = filesystem
  }
}

/// What hashing a file gave.
package enum HashOutcome: Sendable {
  /// `isHeld`: fsynced, on a local filesystem.
  case hashed(content: ContentID, manifest: Digest256?, before: FileStamp, after: FileStamp, isHeld: Bool)
  case gone
  case unreadable(errno: Int32)
  /// Its fsync failed.
  case notDurable
}

/// One file of a hash job, and what came of it.
package struct FileHash: Sendable {
  package var path: [UInt8]
  package var outcome: HashOutcome

  package init(_ path: [UInt8], _ outcome: HashOutcome) {
    self.path = path
    self.outcome = outcome
  }
}

/// How much room a filesystem has, in bytes.
package struct DiskSpace: Hashable, Sendable {
  package var free: UInt64
  package var total: UInt64

  package init(free: UInt64, total: UInt64) {
    self.free = free
    self.total = total
  }

  /// The part that landing leaves alone: min(5 %, 10 GiB).
  package var reserve: UInt64 { min(total / 20, 10 << 30) }
  package var isLow: Bool { free <= reserve }
}

/// How much room there is for copies: on the replica's filesystem, and on the catalog's, which records them.
package struct DiskRoom: Hashable, Sendable {
  package var replica: DiskSpace
  package var catalog: DiskSpace
  /// Identity of the replica's filesystem, where copies within it share their bytes; nil where they do not, or where that
  /// cannot be told.
  package var sharing: [UInt8]?

  package init(replica: DiskSpace, catalog: DiskSpace, sharing: [UInt8]? = nil) {
    self.replica = replica
    self.catalog = catalog
    self.sharing = sharing
  }

  package var isLow: Bool { replica.isLow || catalog.isLow }
}

/// Why a unit could not be staged.
package enum StagingFailure: Hashable, Sendable {
  case noSpace
  /// The replica's filesystem takes no writes.
  case readOnly
  case other
}

/// Everything that can happen to the household's decisions.
package enum ReplicationEvent: Sendable {
  // Own folders
  case folderAdded(Folder)
  case folderRemoved(FolderID)
  /// The user accepts what a mass change holds; a scan of the folder has to follow.
  case folderAccepted(FolderID)
  case folderOffline(FolderID)
  /// A directory is there, or may be, and its disk does not let anybody look into it.
  case directoryAway(FolderID, [UInt8])
  /// The filesystems found at the places that `inspect` named; what is missing, or cannot be opened, is left out.
  /// `isBack`: one of the missed files is there.
  case inspected(FolderID, [[UInt8]: [UInt8]], isBack: Bool)
  case scanBegan(FolderID)
  case directoryScanned(FolderID, DirectorySight)
  /// A directory is there, and permissions keep this agent from looking into it.
  case directoryUnreadable(FolderID, [UInt8], errno: Int32)
  /// `isComplete` only when every directory was read, or reported as unreadable, and the folder was there from start to
  /// end.
  case scanEnded(FolderID, isComplete: Bool)
  case sighted(FolderID, [UInt8], FileSight)
  case directoryGone(FolderID, [UInt8])
  /// What came of a `hash` action: each of its files once.
  case hashed(FolderID, [FileHash])

  /// The user forgets these entries of the own library, live, retired or unheld: they are dropped with the next head,
  /// which comes at once. Unknown ids are passed over.
  case forget([EntryID])
  /// The user takes that back: ids of forgotten entries. What is not there any more comes back as retired.
  case unforget([EntryID])
  /// The same of the library of a removed machine that this one keeps.
  case forgetKept([EntryID], in: MachineID)
  case unforgetKept([EntryID], in: MachineID)
  /// Asks the owners of other libraries that name these contents to forget them too, or takes that back.
  case askToForget([ContentID], isWithdrawn: Bool)

  // Links
  case linkOpened(LinkID, LinkOpening)
  case linkClosed(LinkID)
  case rosterReceived(LinkID?, [[UInt8]])
  case recordReceived(LinkID, Signed<MachineRecord>)
  case headReceived(LinkID, Signed<Head>)
  case attestationReceived(LinkID, Signed<Attestation>)
  case forgetRequestReceived(LinkID, Signed<ForgetRequest>)
  case entriesReceived(LinkID, LinkJob, added: [Entry], removed: [EntryID])
  case differenceFound(LinkID, LinkJob?, theirsOnly: [Digest256], mineOnly: [Digest256])
  /// The peer's comparison of holdings came to its end: all of the difference was reported.
  case holdingsCompared(LinkID)
  case jobEnded(LinkID, LinkJob, LinkOutcome)
  case availabilityChanged(LinkID, added: [ContentID], removed: [ContentID])
  /// The peer has these blocks, too, of a content that it lacks; each range ends within `FrameLimits.blocksPerContent`.
  case blocksAvailable(LinkID, ContentID, [BlockRange])
  /// A connection to `peer` closed because two living copies of a machine met; `isTold`: it is the peer that says so.
  case cloneMet(peer: MachineID, isTold: Bool)

  // Challenges
  /// Answers `ReplicationAction.drawChallenge`.
  case challengeDrawn(LinkID, ChallengeDraw)
  /// Answers `prove` and `proveRange`; nil: no file here has the content's bytes, or could be read.
  case proved(LinkID, Challenge, Digest256?)
  /// The peer's answer; the job ends next.
  case challengeAnswered(LinkID, LinkJob, Digest256)

  // Transfer
  /// The bytes of these units matched their hashes and lie in the staging area.
  case unitsVerified(LinkID, [UnitID])
  case manifestVerified(LinkID, ContentID, Manifest)
  /// The peer chose this unit of a pull; its bytes come next.
  case unitChosen(LinkID, LinkJob, UnitID)
  /// The bytes did not match: the link's peer sent something else than it was asked for.
  case unitCorrupt(LinkID, UnitID)
  case unitEnded(LinkID, UnitID, LinkOutcome)
  /// All blocks are there and the whole file has (or has not) the content's hash.
  case contentAssembled(ContentID, isIntact: Bool)
  /// The last check of a large content could not be made: nothing is known of its bytes.
  case assemblyFailed(ContentID)
  /// Peers asked for units of these contents, and not one of the files that have them could be read. At most what one peer asks
  /// for at once.
  case couldNotServe([ContentID])
  /// Staged bytes found at start, re-hashed: a complete content, or the blocks of a large one.
  case stagedFound(ContentID, blocks: [UInt32]?)
  /// All staged bytes of earlier runs were reported: fetching may begin.
  case recovered
  case stagingFailed(UnitID, StagingFailure)
  /// Somebody needs a content's bytes here for a while; answered by `ReplicationAction.recalled`.
  case recall(RecallID, RecallOrder)
  /// Whoever recalled has what it needs, or gives up.
  case recallReleased(RecallID)

  // Replica
  /// The user of this machine accepts that a library dropped so much: its held files go to the trash.
  case dropsConfirmed(MachineID)
  /// The user of this machine keeps what a library dropped and nobody confirmed.
  case dropsRefused(MachineID)
  /// The list of what the user of this machine had refused to let go was read: what this catalog, which may be an older one, did
  /// not know of it. Told also when that is nothing.
  case refusalsFound([ContentID])
  case filed(BatchID, [FilingResult])
  case diskRoom(DiskRoom)
  /// What the catalog's filesystem has, when the replica is not there.
  case catalogRoom(DiskSpace)
  /// A replica file that may not be what the catalog says, by `stat` or because a peer could not be served from it: its
  /// bytes decide.
  case replicaFileDoubted([UInt8])
  /// A comparison has seen a part of the files, and goes on.
  case replicaPartCompared(ComparisonID)
  /// A comparison has ended. `isComplete`: it has seen all files; each that differs was reported before.
  case replicaCompared(ComparisonID, isComplete: Bool)
  /// A look for copies has ended: all that it found, each durable and read through. `isComplete`: it has seen all files.
  case straysSought([StrayFile], isComplete: Bool)
  /// The replica's disk is not there. Told again and again.
  case replicaAway
  /// The replica's disk is back after it was not there.
  case replicaMounted
  /// The replica's filesystem takes writes, which it did not.
  case replicaWritable
  /// The replica's guard file names a newer head of this machine's library than the one that it was to keep.
  case guardFound(Signed<Head>)
  case reread(RereadTarget, RereadOutcome)
  /// What became of a bad file that lay at this path.
  case setAside([UInt8], SetAsideOutcome)
  case verifyWanted(VerifyRequest)
  case verifyStopped
  /// The user knows what fell out of others' libraries, and whose history has two branches, and asks to hear no more of it.
  case orphansAcknowledged
  /// The user of this machine accepts that a library grew so much: its newest head is fetched.
  case growthAccepted(MachineID)

  case recordChanged(MachineRecord)
  /// The user's decision on what this machine keeps for others.
  case roleChanged(Role)
  /// The user wants room: what this machine does not owe any more goes, as far as the others show that they have it.
  case releaseWanted
  case releaseStopped
  case tick
}

/// Names a comparison of the replica with the catalog.
package struct ComparisonID: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}

/// Names a batch of filing operations.
package struct BatchID: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}
