/// What a drop has made of a replica file. Without a mark a file is a copy like any other.
package enum DropMark: Hashable, Sendable {
  /// Its library dropped too much at once: it stays where it is until a person on this machine confirms.
  case held
  /// Confirmed here, and on its way to the trash.
  case confirmed
  /// In the replica's trash since then. What was confirmed does not count against the drops that need no question.
  case trashed(since: AgentTime, isConfirmed: Bool)

  package var isInTrash: Bool { since != nil }

  /// When the file came into the trash.
  package var since: AgentTime? {
    if case .trashed(let since, _) = self { since } else { nil }
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

  package init(id: EntryID, entry: Entry, noted: AgentTime?) {
    self.id = id
    self.entry = entry
    self.noted = noted
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
  /// Forgotten entries of a content, by id.
  func forgotten(of content: ContentID) throws(StoreError) -> [ForgottenEntry]
  /// Own files of a content that are `skipped: forgotten`, by folder and path.
  func forgottenFiles(of content: ContentID) throws(StoreError) -> [LedgerFile]
  /// Contents of forgotten entries, each once, the last ones first.
  func forgottenContents(limit: Int) throws(StoreError) -> [ContentID]
  /// Dropped entries of one library that name a content.
  func droppedEntries(_ library: MachineID, of content: ContentID) throws(StoreError) -> [InstalledEntry]

  // MARK: Retention

  /// Replaced entries of the own library, of these kinds, by folder, path and the time at which they were replaced;
  /// all of a path together. `after`: the folder and path that an earlier page ended with.
  func replacedEntries(kinds: Set<EntryKind>, after: EntryKey?, limit: Int) throws(StoreError)
    -> [RetiredEntry]
  /// Known ids keep their time.
  func noteRetired(_ ids: [EntryID], at time: AgentTime) throws(StoreError)
  /// Entries that expired on that agent day or after it.
  func expired(since day: Int64) throws(StoreError) -> Int
  /// Entries of these contents expire on that agent day.
  func addExpired(_ contents: [ContentID], day: Int64) throws(StoreError)
  /// Whether an entry of the content ever expired, as far as this catalog knows.
  func hasExpired(_ content: ContentID) throws(StoreError) -> Bool

  // MARK: What nobody has

  /// Contents of the own library that all full machines report missing, and since when.
  func absences() throws(StoreError) -> [ContentID: AgentTime]
  func setAbsences(_ since: [ContentID: AgentTime], ended: [ContentID]) throws(StoreError)
  func isLost(_ content: ContentID) throws(StoreError) -> Bool
  func lostContents(limit: Int) throws(StoreError) -> [ContentID]
  /// Contents of unheld entries of the own library, each once, ascending.
  func unheldContents(limit: Int) throws(StoreError) -> [ContentID]
  func lostCounts() throws(StoreError) -> LostContents
  func putLost(_ contents: [ContentID]) throws(StoreError)
  func removeLost(_ contents: [ContentID]) throws(StoreError)
  func acknowledgeLost() throws(StoreError)

  // MARK: Requests

  /// By requester and number.
  func forgetRequests() throws(StoreError) -> [StoredForgetRequest]
  /// Keeps a request, undecided. One with a known number changes nothing.
  func addForgetRequest(_ request: Signed<ForgetRequest>) throws(StoreError)
  func decideForgetRequest(_ requester: MachineID, number: UInt64, _ decision: StoredForgetRequest.Decision)
    throws(StoreError)

  // MARK: The replica

  /// Other libraries that dropped a content which none of them names any more, closed ones and unheld entries included;
  /// empty while one does. What the own library names lies in its folders.
  func droppers(of content: ContentID) throws(StoreError) -> [MachineID]
  /// What lies in the trash, by the library that dropped it.
  func trash() throws(StoreError) -> [MachineID: DroppedFiles]
  /// What waits for a confirmation, by the library that dropped it.
  func heldDrops() throws(StoreError) -> [MachineID: DroppedFiles]
  /// Contents of a library in the trash that nobody confirmed, since a moment.
  func unconfirmedDrops(of library: MachineID, since: AgentTime) throws(StoreError) -> Int
  /// Contents that came into the trash at that moment or before it, the first of them first.
  func trashed(until: AgentTime, limit: Int) throws(StoreError) -> [ContentID]
  /// When the file that lies in the trash for longest came there.
  func oldestTrashed() throws(StoreError) -> AgentTime?
  /// Held files of a library become confirmed, and their contents unfiled. Returns how many files they are.
  func confirmDrops(of library: MachineID) throws(StoreError) -> Int
}
