/// The catalog failed; nothing of the call's transaction was kept.
package struct StoreError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable {
    case diskFull
    case corrupt
    case io
    case constraint
    case other
  }
  package var code: Code
  package var message: String

  package init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}

/// A library as this machine knows it.
package struct LibraryState: Hashable, Sendable {
  package var machine: MachineID
  /// The newest head whose entries are all here; nil before the first.
  package var installed: Signed<Head>?
  /// The newest head of which entries are being staged.
  package var staging: HeadOrder?
  /// Of another household that this machine left: kept, not wanted, not served.
  package var isClosed: Bool

  package init(
    machine: MachineID, installed: Signed<Head>?, staging: HeadOrder?, isClosed: Bool = false
  ) {
    self.machine = machine
    self.installed = installed
    self.staging = staging
    self.isClosed = isClosed
  }
}

/// An attestation, and when this machine received it: what its age is counted from, whatever its signer's clock says.
package struct ReceivedAttestation: Hashable, Sendable {
  package var attestation: Signed<Attestation>
  package var received: AgentTime

  package init(_ attestation: Signed<Attestation>, received: AgentTime) {
    self.attestation = attestation
    self.received = received
  }
}

/// Single values that the catalog keeps.
package enum StoreKey: String, Sendable, CaseIterable {
  case household
  case machineName
  case role
  case recordNumber
  case attestationNumber
  case agentDay
  /// Ids of the machines that ever attested copies of the own library.
  case onceFull
  case listeningPort
  case discoveryKey
  case replicaRoot
  case replicaMarker
  case ownEpoch
  /// Since when the own history is caught up with: an agent time.
  case recoveryBegan
  /// The newest head of the own library that is known to exist, while its entries are caught up with.
  case recoveryHead
  case pendingJoin
  /// Machines that could not show what they claim, and what; see Challenging.
  case challengeDoubts
  /// What the filing batch that runs may have done; see FilingJournal.
  case filingJournal
  /// What each library grew by within a day, and what of it was accepted; see LibraryGrowth.
  case libraryGrowth
  /// Ids of the machines that signed two heads of one order.
  case forkedLibraries
  /// While an agent runs; what is still there at a start was left by one that was cut off.
  case running
  /// When the catalog was last found free of damage: an agent time.
  case catalogChecked
}

/// Entries that one change of a library adds and takes away.
package struct LibraryChange: Hashable, Sendable {
  package var added: [(id: EntryID, entry: Entry)]
  package var removed: [EntryID]

  package init(added: [(id: EntryID, entry: Entry)] = [], removed: [EntryID] = []) {
    self.added = added
    self.removed = removed
  }

  package var isEmpty: Bool { added.isEmpty && removed.isEmpty }

  package static func == (left: Self, right: Self) -> Bool {
    left.removed == right.removed && left.added.elementsEqual(right.added) { $0.id == $1.id }
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(removed)
    for (id, _) in added { hasher.combine(id) }
  }
}

/// The next view of a library, as far as it is staged; nothing differs from the installed one when nothing is.
package struct StagedView: Hashable, Sendable {
  /// Ascending, as `removed`.
  package var added: [EntryID]
  package var removed: [EntryID]
  /// Of the installed view with both.
  package var counts: LibraryCounts
  /// Rows that the install writes at once because some wait in bulk: these, and all installed ones where the indexes are made
  /// again for them. None when nothing waits.
  package var bulkRows: UInt64
  /// Rows of ids that wait more than once; nobody has a reason to send one again.
  package var repeats: Int

  package init(
    added: [EntryID] = [], removed: [EntryID] = [], counts: LibraryCounts = LibraryCounts(),
    bulkRows: UInt64 = 0, repeats: Int = 0
  ) {
    self.added = added
    self.removed = removed
    self.counts = counts
    self.bulkRows = bulkRows
    self.repeats = repeats
  }
}

/// What MantelReplication needs of a catalog: synchronous calls, each one durable transaction (synchronous=FULL) or a
/// query. A library's rows carry the install generation since which and until which they hold, so that a head being
/// staged, the installed one and recent older ones can each be read whole.
///
/// One caller at a time. MantelCatalog is the shipped implementation.
package protocol HouseholdStore: ScrubStore, KeepingStore {
  /// Makes one durable transaction of all calls that `body` makes: it is kept when `body` returns, and nothing of it when
  /// it throws. Within it reads see what was written. A call that writes and throws fails all of it, also when `body` catches
  /// that: only `install` and `setDirectoryName` are taken back alone, so that `body` may go on after a refusal.
  func atomically<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value

  // MARK: Values, roster, records

  func value(_ key: StoreKey) throws(StoreError) -> [UInt8]?
  func setValue(_ key: StoreKey, _ value: [UInt8]?) throws(StoreError)

  /// Roster statements with their signatures, in no order.
  func statements() throws(StoreError) -> [[UInt8]]
  func addStatements(_ statements: [(id: StatementID, bytes: [UInt8])]) throws(StoreError)
  func records() throws(StoreError) -> [Signed<MachineRecord>]
  /// Replaces the machine's record; the caller has checked that the number is higher.
  func putRecord(_ record: Signed<MachineRecord>) throws(StoreError)
  func attestations() throws(StoreError) -> [ReceivedAttestation]
  func putAttestation(_ attestation: Signed<Attestation>, received: AgentTime) throws(StoreError)

  // MARK: Folders and their ledger

  func folders() throws(StoreError) -> [Folder]
  func putFolder(_ folder: Folder) throws(StoreError)
  func file(_ folder: FolderID, _ path: [UInt8]) throws(StoreError) -> LedgerFile?
  /// Files directly in a directory (not below its subdirectories), ascending by path; `directory` is empty for the root.
  func files(_ folder: FolderID, in directory: [UInt8]) throws(StoreError) -> [LedgerFile]
  /// Up to `limit` files with a path above `after` (nil: from the start), ascending, whatever their directory.
  func files(_ folder: FolderID, after: [UInt8]?, limit: Int) throws(StoreError) -> [LedgerFile]
  /// The paths of up to `limit` files, as `files(_:after:limit:)`, for a fraction of its cost.
  func filePaths(_ folder: FolderID, after: [UInt8]?, limit: Int) throws(StoreError) -> [[UInt8]]
  /// Files below a directory, at any depth.
  func files(_ folder: FolderID, below directory: [UInt8], after: [UInt8]?, limit: Int) throws(StoreError)
    -> [LedgerFile]
  func putFiles(_ files: [LedgerFile]) throws(StoreError)
  func removeFiles(_ files: [(folder: FolderID, path: [UInt8])]) throws(StoreError)
  /// Own files of one inode number that have other names too, whatever their filesystem.
  func linkedFiles(inode: UInt64) throws(StoreError) -> [LedgerFile]
  /// Own files of a content, with status published or pending, for copying instead of fetching.
  func ownFiles(of content: ContentID) throws(StoreError) -> [LedgerFile]
  /// Those of them that count as held: published, in a folder on a local filesystem that is not removed.
  func heldOwnFiles(of content: ContentID) throws(StoreError) -> [LedgerFile]
  /// Rows of a folder; files whose deletion is not published yet have theirs still.
  func fileCounts(_ folder: FolderID) throws(StoreError) -> (published: Int, pending: Int)
  /// Filesystems of directories whose filesystem is not their parent's, as recorded.
  func directoryFilesystems(_ folder: FolderID) throws(StoreError) -> [(path: [UInt8], filesystem: [UInt8])]
  /// Nil forgets the directory.
  func setDirectoryFilesystem(_ folder: FolderID, _ path: [UInt8], _ filesystem: [UInt8]?) throws(StoreError)

  // MARK: Mass changes

  func losses() throws(StoreError) -> [FolderID: FolderLosses]
  /// Replaces what is known of a folder's losses and keeps the rows of changes that it holds, in one transaction.
  func setLosses(_ losses: FolderLosses, of folder: FolderID, held: [LedgerFile]) throws(StoreError)
  /// Whether a change of any file of a folder is held, or on its way. What is suspected to have rotted, or changes often, is
  /// neither: it waits by itself.
  func awaitsChanges(_ folder: FolderID) throws(StoreError) -> Bool
  /// Files of a folder whose change is `pending(.massChange)`.
  func heldFiles(_ folder: FolderID) throws(StoreError) -> Int
  /// The user accepts the held changes of a folder: they become `pending(.settling)` and accepted, for the next scan to
  /// find, and the folder's losses start anew. Returns how many they are.
  func acceptHeldFiles(_ folder: FolderID) throws(StoreError) -> Int

  // MARK: Libraries

  func libraries() throws(StoreError) -> [LibraryState]
  /// Adds a change to the own library with the head that covers it, and the ledger rows that it settles, in one
  /// transaction. Records (epoch, sequence, root) for good.
  func publish(_ change: LibraryChange, head: Signed<Head>, files: [LedgerFile]) throws(StoreError)
  /// Keeps entries of a head that is not installed yet. Known ids are skipped. Survives a restart.
  func stage(_ library: MachineID, _ order: HeadOrder, _ entries: [(id: EntryID, entry: Entry)])
    throws(StoreError)
  /// Marks entries of the installed view as gone in the head being staged.
  func stageRemoval(_ library: MachineID, _ order: HeadOrder, _ ids: [EntryID]) throws(StoreError)
  /// Takes staged entries back that a newer head does not have, and removals that it does not ask for.
  func unstage(_ library: MachineID, added: [EntryID], removed: [EntryID]) throws(StoreError)
  func staged(_ library: MachineID) throws(StoreError) -> StagedView
  /// Forgets what is staged of a library.
  func discardStaged(_ library: MachineID) throws(StoreError)
  /// Makes the staged view the installed one. The caller has verified root, signature, order and counts. In the same
  /// transaction the contents of all rows that came or went become unfiled, and `missing` follows.
  func install(_ library: MachineID, head: Signed<Head>) throws(StoreError)
  /// Calls back with every entry id of the installed view, ascending.
  func forEachEntryID(_ library: MachineID, _ body: (EntryID) -> Void) throws(StoreError)
  /// Calls back with every wanted content of the installed view, ascending, without repeats; live is what any entry has live.
  func forEachWanted(_ library: MachineID, _ body: (_ content: ContentID, _ isLive: Bool) -> Void)
    throws(StoreError)
  /// Live entries of an installed library at one path, or nil.
  func liveEntry(_ library: MachineID, _ folder: FolderID, _ path: [UInt8]) throws(StoreError)
    -> InstalledEntry?
  /// Wanted entries of one library that name a content.
  func entries(_ library: MachineID, of content: ContentID) throws(StoreError) -> [InstalledEntry]
  /// Entries of one library at one path with one content, live, retired or unheld.
  func entries(_ library: MachineID, at key: EntryKey) throws(StoreError) -> [InstalledEntry]
  /// Retired and unheld entries of one library that name a content.
  func formerEntries(_ library: MachineID, of content: ContentID) throws(StoreError) -> [InstalledEntry]
  /// Wanted entries that name a content, over all open libraries.
  func entries(of content: ContentID) throws(StoreError) -> [InstalledEntry]
  /// Whether any wanted entry of an open library, the own one's live ones included, names the content.
  func isWanted(_ content: ContentID) throws(StoreError) -> Bool
  /// Contents of the entries that came or went with the last install of the library, without repeats.
  func changedContents(_ library: MachineID) throws(StoreError) -> [ContentID]
  /// Forgets some of the rows that no kept head has; returns whether more are left. Kept are the newest `generations` heads of
  /// each library, and all since the one that `needed` names, but at most `limit`; rows that filing has not looked at; and
  /// all since the first head that named an orphan: its owner asks for a delta from there, and checks it against that
  /// head's root.
  func purgeSuperseded(keeping generations: Int, since needed: [MachineID: HeadOrder], limit: Int)
    throws(StoreError) -> Bool
  /// Contents that are wanted at the installed head and were not at an earlier one (`came`), and the other way round
  /// (`went`); nil when that head is not known here (any more). `.none` stands for the empty library.
  func wantedChanges(_ library: MachineID, since order: HeadOrder) throws(StoreError)
    -> (came: [ContentID], went: [ContentID])?
  /// Whether a library wanted a content at one of its heads; nil when that cannot be told (any more).
  func wasWanted(_ content: ContentID, in library: MachineID, at order: HeadOrder) throws(StoreError) -> Bool?
  /// The oldest of the heads of a library that are kept here and that a machine signed.
  func firstHead(of library: MachineID, signedBy signer: MachineID) throws(StoreError) -> HeadOrder?
  /// Whether a library named a content at one of its heads or before it, live, retired or dropped; nil when that cannot be
  /// told (any more).
  func wasNamed(_ content: ContentID, in library: MachineID, by order: HeadOrder) throws(StoreError) -> Bool?

  // MARK: Serving

  /// A page of what changed between two installed heads; nil when either is not known here (any more).
  /// `.none` as `from` means everything. `cursor` starts at 0 and is returned for the next page, nil at the end.
  func delta(_ library: MachineID, from: HeadOrder, to: HeadOrder, cursor: Int64, maximumBytes: Int)
    throws(StoreError)
    -> (added: [[UInt8]], removed: [EntryID], next: Int64?)?
  /// Canonical bytes of entries of installed views; unknown ids are left out, and what is only staged may be.
  func entryBytes(_ library: MachineID, _ ids: [EntryID]) throws(StoreError) -> [[UInt8]]

  // MARK: Holdings and replica

  /// Every content with a durable replica file or a held own live file.
  func forEachHeld(_ body: (ContentID) -> Void) throws(StoreError)
  /// Wanted contents of other libraries (open ones) without a replica file, after a position that an earlier page
  /// returned: of each library its part of the page, but at least one, newest first. What several libraries want comes
  /// once, where it is reached first. At the end there are no contents, and no next position.
  func missing(after: MissingPosition?, limit: Int) throws(StoreError)
    -> (contents: [MissingContent], next: MissingPosition?)
  /// By the newest of the entries that want it.
  func missingContent(_ content: ContentID) throws(StoreError) -> MissingContent?
  /// What each library says of a content that it names, also as deleted or lost: once a library, whatever else it says.
  /// The own one first, then those that were known first.
  func claims(of content: ContentID) throws(StoreError) -> [MissingContent]
  /// Wanted contents of one library that are not held, and their bytes; up to `limit` of them listed, ascending.
  func missing(in library: MachineID, limit: Int) throws(StoreError)
    -> (count: Int, bytes: UInt64, contents: [ContentID])
  /// Contents whose replica files may not match the entries that name them, up to `limit`.
  func unfiled(limit: Int) throws(StoreError) -> [ContentID]
  func replicaFiles(of content: ContentID) throws(StoreError) -> [ReplicaFile]
  func replicaFile(at path: [UInt8]) throws(StoreError) -> ReplicaFile?
  /// Records what a batch did, after its fsyncs: new and moved files, removed ones, contents whose files now match
  /// their entries. `missing` follows.
  func commitFiling(put: [ReplicaFile], removed: [[UInt8]], filed: [ContentID]) throws(StoreError)
  /// The same, and the value of `filingJournal` is replaced in the same transaction.
  func commitFiling(put: [ReplicaFile], removed: [[UInt8]], filed: [ContentID], journal: [UInt8]?)
    throws(StoreError)
  /// Files contents of which nothing is here (no replica file, no published own file), without a plan. Looks at no more
  /// than `limit` rows; returns how many it found: fewer than `limit` when it is done.
  func fileAbsent(limit: Int) throws(StoreError) -> Int
  /// The name of a directory in the replica: chosen once per (library, folder) and remembered; a nil folder is the
  /// machine's own directory.
  func directoryName(_ library: MachineID, _ folder: FolderID?) throws(StoreError) -> String?
  func setDirectoryName(_ library: MachineID, _ folder: FolderID?, _ name: String) throws(StoreError)
  func directoryNames(_ library: MachineID?) throws(StoreError) -> [String]

  func partial(_ content: ContentID) throws(StoreError) -> PartialContent?
  func putPartial(_ partial: PartialContent) throws(StoreError)
  func removePartial(_ content: ContentID) throws(StoreError)
  func partials() throws(StoreError) -> [PartialContent]
}
