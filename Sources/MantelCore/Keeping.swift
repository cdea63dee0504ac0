/// What a drop has made of a replica file. Without a mark a file is a copy like any other.
package enum DropMark: Hashable, Sendable {
  /// Its library dropped too much at once: it stays where it is until a person on this machine confirms.
  case held
  /// Confirmed here, and on its way to the trash.
  case confirmed
  /// In the replica's trash since then. What was confirmed, or is a second copy of what stays, does not count against the drops that need no question.
  case trashed(since: AgentTime, isConfirmed: Bool)

  package var isInTrash: Bool { since != nil }

  /// When the file came into the trash.
  package var since: AgentTime? {
    if case .trashed(let since, _) = self { since } else { nil }
  }

  /// In the trash, and counted against the drops that need no question.
  package var isCountedDrop: Bool {
    if case .trashed(_, let isConfirmed) = self { !isConfirmed } else { false }
  }

  /// Whether the file came into the trash at that moment or before it.
  package func hasBeenInTrash(since moment: AgentTime) -> Bool {
    if case .trashed(let since, _) = self { since <= moment } else { false }
  }
}

/// An entry of the own library that its user forgot: what `forget --undo` brings back, and the bytes that are not
/// published again meanwhile.
package struct ForgottenEntry: Hashable, Sendable {
  /// As it was, with its name; live, retired or unheld.
  package var entry: Entry
  package var id: EntryID
  package var forgotten: AgentTime

  package init(id: EntryID, entry: Entry, forgotten: AgentTime) {
    self.id = id
    self.entry = entry
    self.forgotten = forgotten
  }
}

/// Replica files of one library that a drop has marked.
package struct DroppedFiles: Hashable, Sendable {
  package var files: Int
  package var bytes: UInt64
  /// When the first of them went to the trash; nil for held ones.
  package var oldest: AgentTime?

  package init(files: Int = 0, bytes: UInt64 = 0, oldest: AgentTime? = nil) {
    self.files = files
    self.bytes = bytes
    self.oldest = oldest
  }
}

/// A request of another owner, and what the user of this machine decided.
package struct StoredForgetRequest: Hashable, Sendable {
  package enum Decision: Int, Hashable, Sendable {
    case open = 0
    case granted = 1
    case declined = 2
  }
  package var request: Signed<ForgetRequest>
  package var decision: Decision

  package init(request: Signed<ForgetRequest>, decision: Decision) {
    self.request = request
    self.decision = decision
  }
}

/// A retired entry of the own library, and since when it is known to be one.
package struct RetiredEntry: Hashable, Sendable {
  package var id: EntryID
  package var entry: Entry
  /// Nil: nobody has noted it yet.
  package var noted: AgentTime?
  /// The install generation with which it was retired: the order of versions, whatever a wall clock said.
  package var since: Int64
  /// Its content is the first that was noted of its path.
  package var isFirst: Bool

  package init(id: EntryID, entry: Entry, noted: AgentTime?, since: Int64 = 0, isFirst: Bool = false) {
    self.id = id
    self.entry = entry
    self.noted = noted
    self.since = since
    self.isFirst = isFirst
  }
}

/// Contents of the own library that no machine has.
package struct LostContents: Hashable, Sendable {
  package var all: Int
  /// Those that nobody has acknowledged.
  package var open: Int

  package init(all: Int = 0, open: Int = 0) {
    self.all = all
    self.open = open
  }
}

/// Contents that fell out of a library without a word of its owner.
package struct OrphanedContents: Hashable, Sendable {
  package var files: Int
  /// Those that nobody has acknowledged.
  package var open: Int

  package init(files: Int = 0, open: Int = 0) {
    self.files = files
    self.open = open
  }
}

/// What forgetting needs of a catalog; rules as for `HouseholdStore`.
package protocol KeepingStore: AnyObject {
  // MARK: The own library

  /// Before the head that drops them: after a crash in between they are live and forgotten, and live counts.
  func putForgotten(_ entries: [ForgottenEntry]) throws(StoreError)
  func removeForgotten(_ ids: [EntryID]) throws(StoreError)
  /// By id, after one of an earlier page.
  func forgotten(after: EntryID?, limit: Int) throws(StoreError) -> [ForgottenEntry]
  func forgotten(_ id: EntryID) throws(StoreError) -> ForgottenEntry?
  func isForgotten(_ content: ContentID) throws(StoreError) -> Bool
  /// Whether a content was forgotten, and live under another name, in the library that was the own one until the catalog became
  /// another machine's.
  func wasLiveBeforeRekey(_ content: ContentID) throws(StoreError) -> Bool
  /// Forgotten entries of a content, by id.
  func forgotten(of content: ContentID) throws(StoreError) -> [ForgottenEntry]
  /// Own files of a content that are `skipped: forgotten`, by folder and path.
  func forgottenFiles(of content: ContentID) throws(StoreError) -> [LedgerFile]
  /// Contents of entries that were forgotten since a moment (nil: ever), each once, the last ones first.
  func forgottenContents(since: AgentTime?, limit: Int) throws(StoreError) -> [ContentID]
  /// The same of the library of a removed machine that this one keeps, apart: files here with these bytes are not forgotten.
  func putForgotten(_ entries: [ForgottenEntry], in library: MachineID) throws(StoreError)
  func removeForgotten(_ ids: [EntryID], in library: MachineID) throws(StoreError)
  func forgotten(in library: MachineID, after: EntryID?, limit: Int) throws(StoreError) -> [ForgottenEntry]
  func forgotten(_ id: EntryID, in library: MachineID) throws(StoreError) -> ForgottenEntry?
  func forgottenContents(in library: MachineID, since: AgentTime?, limit: Int) throws(StoreError)
    -> [ContentID]
  /// Dropped entries of one library that name a content.
  func droppedEntries(_ library: MachineID, of content: ContentID) throws(StoreError) -> [InstalledEntry]

  // MARK: Retention

  /// Replaced entries of the own library, of these kinds, by folder, path and the head with which they were replaced;
  /// all of a path together. `after`: the folder and path that an earlier page ended with.
  func replacedEntries(kinds: Set<EntryKind>, after: EntryKey?, limit: Int) throws(StoreError)
    -> [RetiredEntry]
  /// Known ids keep their time.
  func noteRetired(_ ids: [EntryID], at time: AgentTime) throws(StoreError)
  /// Forgets the times of ids that the own library does not name any more, of the next `limit` after one. Returns the last of them
  /// all; nil at the end.
  func purgeRetirements(after: EntryID?, limit: Int) throws(StoreError) -> EntryID?
  /// Remembers of each of their paths which content it had first, as far as the history goes; what is known stays.
  func noteFirstVersions(ofPathsOf ids: [EntryID]) throws(StoreError)
  /// Entries that expired on that agent day or after it.
  func expired(since day: Int64) throws(StoreError) -> Int
  /// Entries of these contents expire on that agent day.
  func addExpired(_ contents: [ContentID], day: Int64) throws(StoreError)
  /// Whether an entry of the content ever expired, as far as this catalog knows.
  func hasExpired(_ content: ContentID) throws(StoreError) -> Bool

  // MARK: What nobody has

  /// Contents of the libraries that this machine signs for that all full machines report missing, and since when.
  func absences() throws(StoreError) -> [ContentID: AgentTime]
  func setAbsences(_ since: [ContentID: AgentTime], ended: [ContentID]) throws(StoreError)
  func isLost(_ content: ContentID) throws(StoreError) -> Bool
  func lostContents(limit: Int) throws(StoreError) -> [ContentID]
  /// Contents of unheld entries of one library, each once, ascending.
  func unheldContents(_ library: MachineID, limit: Int) throws(StoreError) -> [ContentID]
  func lostCounts() throws(StoreError) -> LostContents
  func putLost(_ contents: [ContentID]) throws(StoreError)
  func removeLost(_ contents: [ContentID]) throws(StoreError)
  func acknowledgeLost() throws(StoreError)

  // MARK: Requests

  /// Of one machine, or of all; by requester and number.
  func forgetRequests(of requester: MachineID?) throws(StoreError) -> [StoredForgetRequest]
  /// Keeps a request, undecided, and the newest `limit` of its requester. One with a known number, or with a lower one than
  /// all of so many, changes nothing. Returns whether it was kept.
  func addForgetRequest(_ request: Signed<ForgetRequest>, keeping limit: Int) throws(StoreError) -> Bool
  func decideForgetRequest(_ requester: MachineID, number: UInt64, _ decision: StoredForgetRequest.Decision)
    throws(StoreError)

  // MARK: Orphans

  /// How many contents a library wanted that its newest installed head does not name in any state; open libraries only.
  func orphans() throws(StoreError) -> [MachineID: OrphanedContents]
  /// The same of one library.
  func orphans(in library: MachineID) throws(StoreError) -> OrphanedContents
  /// Of all libraries: those of now, not those that come.
  func acknowledgeOrphans() throws(StoreError)
  /// The last head that named the newest of them.
  func lastHead(orphanedIn library: MachineID) throws(StoreError) -> Signed<Head>?
  /// The entries that named them.
  func orphanedEntries(_ library: MachineID) throws(StoreError) -> [Entry]
  /// The root that this machine published for an order, if it did.
  func publishedRoot(_ library: MachineID, _ order: HeadOrder) throws(StoreError) -> Digest256?

  // MARK: Roles and releases

  /// All of the other open libraries is looked at by filing again; what has no replica file is missing.
  func markUnfiled() throws(StoreError)
  /// Those of some contents that have a replica file, and an entry of another open library, are looked at by filing again:
  /// also after a restart. What has no file here is missing instead.
  func markUnfiled(_ contents: [ContentID]) throws(StoreError)
  /// What of some contents lies in the trash came there at that moment, unless it came later.
  func restartTrash(of contents: [ContentID], at time: AgentTime) throws(StoreError)
  /// Contents with replica files that no drop has marked, ascending, above `after` (nil: from the start).
  func replicaContents(after: ContentID?, limit: Int) throws(StoreError) -> [ReplicaContent]

  // MARK: The replica

  /// Other libraries that dropped a content which none of them names any more, closed ones and unheld entries included;
  /// empty while one does, while the own library keeps it as deleted or replaced, and when the user of this machine refused to
  /// let it go. What the own library has live counts for nothing: whether it lies in its folders the ledger tells.
  func droppers(of content: ContentID) throws(StoreError) -> [MachineID]
  /// Contents of replica files that were taken over from a directory: nobody knows yet whose they are.
  func takenOverContents() throws(StoreError) -> [ContentID]
  /// What lies in the trash, by the library that dropped it.
  func trash() throws(StoreError) -> [MachineID: DroppedFiles]
  /// What waits for a confirmation, by the library that dropped it.
  func heldDrops() throws(StoreError) -> [MachineID: DroppedFiles]
  /// Contents of a library in the trash that nobody confirmed, since a moment; `withConfirmed` of all.
  func countedDrops(of library: MachineID, since: AgentTime, withConfirmed: Bool) throws(StoreError) -> Int
  /// Files that came into the trash at that moment or before it, the first of them first; `after`: where an earlier page
  /// ended.
  func trashed(until: AgentTime, after: (since: AgentTime, content: ContentID)?, limit: Int)
    throws(StoreError) -> [(since: AgentTime, content: ContentID)]
  /// When the first of the files that came into the trash after a moment, or of all, came there.
  func oldestTrashed(after: AgentTime?) throws(StoreError) -> AgentTime?
  /// What lies in the trash and nobody confirmed, by the library that dropped it.
  func unconfirmedTrash() throws(StoreError) -> [MachineID: DroppedFiles]
  /// All else that lies there, by library: what was confirmed, what a keeper dropped, and second copies.
  func confirmedTrash() throws(StoreError) -> [MachineID: DroppedFiles]
  /// Contents of its held files, and `withTrash` of those too in the trash that nobody confirmed; ascending.
  func undecidedContents(of library: MachineID, withTrash: Bool) throws(StoreError) -> [ContentID]
  /// Held files of a library become confirmed, and their contents unfiled; what is in the trash is confirmed too. Returns how
  /// many files were held.
  func confirmDrops(of library: MachineID) throws(StoreError) -> Int
  /// The bytes of a library's held files, and of those in the trash that nobody confirmed, are kept for good: no drop counts
  /// for them any more. Returns how many files they are.
  func refuseDrops(of library: MachineID) throws(StoreError) -> Int
  /// The same of some contents, whoever dropped them, or will.
  func addRefusedDrops(_ contents: [ContentID]) throws(StoreError)
}
