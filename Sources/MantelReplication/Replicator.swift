import DequeModule
package import MantelCore
package import MantelHousehold
import MantelSummary

/// The decisions of one machine across all its peers: what to publish, install, want, fetch and from whom, when to
/// commit, what is held, safe and complete.
///
/// Pure but for its store: `handle` takes an event and both clocks and returns what the agent has to do, in order.
/// When it throws, memory and store may differ: the caller drops all links and makes a new value from the store.
///
/// There is one for each run, passed `inout`. It is copyable all the same: of a noncopyable value the compiler (Swift 6.3) counts all
/// stored properties, those of its parts too, at each use, and that was five sixths of the time of this module's build.
package struct Replicator {
  package let machine: MachineID
  package let household: HouseholdID
  package let settings: ReplicationSettings
  package internal(set) var roster: Roster
  package internal(set) var records: [MachineID: Signed<MachineRecord>] = [:]
  package internal(set) var role: Role
  var ownRecord = OwnRecord(loaded: 0)

  let store: any HouseholdStore
  let key: DeviceKey
  /// 16 bytes that tell this replica's filesystem and host; see `Attestation.filesystem`.
  let filesystem: FolderID

  var contents: ContentIndex
  var libraries: [MachineID: Library] = [:]
  /// Of the other libraries; those without any are left out.
  var growth: [MachineID: LibraryGrowth] = [:]
  /// Members of which two heads of one order were seen, and nobody has acknowledged that.
  var forked: Set<MachineID> = []
  var links: [LinkID: Link] = [:]
  var opening: [LinkID: OpeningLink] = [:]
  var guests: [LinkID: GuestLink] = [:]
  var ledger = Ledger()
  var publication = Publication()
  var transfers = Transfers()
  var shared = SharedUnits()
  var uplink = Uplink()
  var filing = FilingState()
  var attesting = Attesting()
  var challenging = Challenging()
  var retention: Retention
  /// When superseded history is forgotten next.
  var historyDue: Instant
  var historyPart = HistoryPart.superseded
  var absences = Absences()
  var orphans = Orphans()
  /// Libraries of removed machines that this one keeps.
  var kept: [MachineID: KeptLibrary] = [:]
  /// The one that runs, or the last one.
  var release: Release?
  var lastRelease: UInt64 = 0
  /// Peers of which two living copies were met since the start.
  var clonedPeers: Set<MachineID> = []
  var countedTime: CountedTime
  var recalls: Recalls
  var scrub: Scrub
  var room: DiskRoom?
  /// Also known while the replica's disk is away.
  package internal(set) var catalogSpace: DiskSpace?
  var sizes = SizeEstimates()
  var lastJob: UInt64 = 0
  var lastBatch: UInt64 = 0
  var actions: [ReplicationAction] = []
  var availability = AvailabilityNews()
  var withdrawals = Withdrawals()

  /// Loads everything from the store. `room` is nil until the disk was looked at; `guarded` is what the replica's guard
  /// file says was published last, nil when it cannot be read.
  package init(
    machine: MachineID, roster: Roster, role: Role, filesystem: FolderID, guarded: Signed<Head>? = nil,
    store: any HouseholdStore, key: DeviceKey,
    settings: ReplicationSettings = ReplicationSettings(), now: Now
  ) throws(StoreError) {
    self.machine = machine
    self.household = roster.household
    self.roster = roster
    self.role = role
    self.filesystem = filesystem
    self.store = store
    self.key = key
    self.settings = settings
    self.contents = ContentIndex(household: roster.household)
    self.countedTime = CountedTime(counter: AgentTimeCounter(from: .zero, now: now), saved: .zero)
    self.recalls = Recalls(now: now)
    self.scrub = Scrub(now: now.instant, settings)
    self.retention = Retention(due: now.instant + settings.retentionDelay)
    historyDue = now.instant + settings.retentionDelay
    try loadAgentTime(now: now)
    for record in try store.records() where roster.isListed(record.record.machine) {
      records[record.record.machine] = record
    }
    ownRecord = OwnRecord(loaded: records[machine]?.record.number ?? 0)
    try loadLibraries()
    try loadGrowth()
    try loadForks()
    try loadHoldings()
    try loadAwaitedCopies()
    try loadBadFiles()
    try loadFilingJournal()
    try loadDoubts()
    try loadAttestations()
    ledger.losses = try store.losses()
    try loadForgotten()
    try loadPlaces()
    for folder in try store.folders() where folder.isRemoved {
      try retireFiles(of: folder.id, now: now)
    }
    // Results of batches that an earlier value of this process started must not be taken for those of ours.
    lastBatch = UInt64(clamping: now.instant.nanoseconds)
    lookForUnfiled()
    try noteTrash()
    try loadAbsences()
    try loadOrphans(now: now)
    publication.isFirst = libraries[machine]?.installed == nil
    try loadEpoch(now: now)
    try loadRecovery()
    if let guarded { try found(guarded: guarded) }
    endHearingIfDone()
    actions.append(.keepGuard(libraries[machine]?.installed))
  }

  /// Takes an event in and returns what has to be done now. Whatever the event leads to is one transaction, committed
  /// when this returns: before any of its actions is carried out.
  package mutating func handle(
    _ event: ReplicationEvent, now: Now
  ) throws(StoreError) -> [ReplicationAction] {
    let store = store
    try store.atomically { () throws(StoreError) in
      try countTime(now: now)
      try take(event, now: now)
      try advance(now: now)
      announceAvailability()
    }
    defer { actions.removeAll(keepingCapacity: true) }
    return actions
  }

  /// When `handle(.tick)` is due next, if nothing else happens.
  package var nextDeadline: Instant? {
    [
      ledger.nextDeadline, publication.due, transfers.nextDeadline, filing.nextDeadline, attesting.due,
      attesting.expiry.map(countedTime.counter.soonest), recallDeadline, trashDeadline, retention.due,
      historyDue, ownRecord.due, keepingDeadline,
      absenceDeadline, recoveryDeadline, orphans.deadline, releaseDeadline,
      libraries.values.lazy.compactMap(\.retryAt).min(),
      links.values.lazy.compactMap(\.nextDeadline).min(), scrubDeadline, withdrawals.due,
    ].compactMap(\.self).min()
  }

  private mutating func take(_ event: ReplicationEvent, now: Now) throws(StoreError) {
    switch event {
    case .folderAdded(let folder): try addFolder(folder)
    case .folderRemoved(let id): try removeFolder(id, now: now)
    case .folderAccepted(let id): try acceptHeldChanges(of: id)
    case .folderOffline(let id): wentAway(id, [])
    case .directoryAway(let id, let path): wentAway(id, path)
    case .inspected(let id, let found, let isBack): inspected(id, found, isBack: isBack, now: now)
    case .scanBegan(let id): scanBegan(id, now: now)
    case .directoryScanned(let id, let sight): try scanned(id, sight, now: now)
    case .directoryUnreadable(let id, let path, let errno):
      try directoryUnreadable(id, path, errno: errno, now: now)
    case .scanEnded(let id, let isComplete): try scanEnded(id, isComplete: isComplete, now: now)
    case .sighted(let id, let path, let sight): try sighted(id, path, sight, now: now)
    case .directoryGone(let id, let path): try directoryGone(id, path, now: now)
    case .hashed(let id, let files): try hashed(id, files, now: now)
    case .linkOpened(let link, let opening): try opened(link, opening, now: now)
    case .linkClosed(let link): try closed(link)
    case .rosterReceived(let link, let statements): try received(roster: statements, from: link, now: now)
    case .recordReceived(let link, let record): try received(record, from: link, now: now)
    case .headReceived(let link, let head): try received(head, from: link, now: now)
    case .attestationReceived(let link, let attestation):
      try received(attestation, from: link, now: now)
    case .entriesReceived(let link, let job, let added, let removed):
      try received(added: added, removed: removed, job: job, from: link, now: now)
    case .holdingsCompared(let link): knowHoldings(of: link)
    case .differenceFound(let link, let job, let theirs, let mine):
      try found(theirsOnly: theirs, mineOnly: mine, job: job, link: link)
    case .jobEnded(let link, let job, let outcome): try ended(job, outcome, link: link, now: now)
    case .availabilityChanged(let link, let added, let removed):
      availabilityChanged(link, added: added, removed: removed, now: now)
    case .blocksAvailable(let link, let content, let ranges): blocksAvailable(content, ranges, over: link)
    case .cloneMet(let peer, let isTold): metClone(peer: peer, isTold: isTold)
    case .challengeDrawn(let link, let draw): try drawn(draw, for: link, now: now)
    case .proved(let link, let challenge, let answer): try proved(challenge, answer, for: link, now: now)
    case .challengeAnswered(let link, let job, let answer):
      challengeAnswered(answer, job: job, link: link)
    case .forget(let ids): try forget(ids, now: now)
    case .unforget(let ids): try unforget(ids, now: now)
    case .forgetKept(let ids, let library): try forget(ids, in: library, now: now)
    case .unforgetKept(let ids, let library): try unforget(ids, in: library, now: now)
    case .askToForget(let contents, let isWithdrawn):
      try askToForget(contents, isWithdrawn: isWithdrawn, now: now)
    case .forgetRequestReceived(let link, let request): try received(request, from: link)
    case .recordChanged(let record): try changed(record)
    case .roleChanged(let role): try change(role: role)
    case .releaseWanted: beginRelease(now: now)
    case .releaseStopped: endRelease(.stopped)
    case .tick: break
    default: try takeTransfer(event, now: now)
    }
  }

  private mutating func takeTransfer(_ event: ReplicationEvent, now: Now) throws(StoreError) {
    switch event {
    case .unitsVerified(let link, let units): for unit in units { try verified(unit, link: link, now: now) }
    case .manifestVerified(let link, let content, let manifest):
      try verified(manifest, of: content, link: link, now: now)
    case .unitChosen(let link, let job, let unit): chosen(unit, job: job, link: link, now: now)
    case .unitCorrupt(let link, let unit): try corrupt(unit, link: link, now: now)
    case .unitEnded(let link, let unit, let outcome):
      try unitEnded(unit, outcome, link: link, now: now)
    case .contentAssembled(let content, let isIntact):
      try assembled(content, isIntact: isIntact, now: now)
    case .assemblyFailed(let content): assemblyFailed(content, now: now)
    case .stagedFound(let content, let blocks): try stagedFound(content, blocks: blocks)
    case .recovered: recovered()
    case .stagingFailed(let unit, let failure): stagingFailed(unit, failure, now: now)
    case .couldNotServe(let contents): try couldNotServe(contents)
    case .filed(let batch, let results): try filed(batch, results, now: now)
    case .dropsConfirmed(let library): try confirmDrops(of: library)
    case .dropsRefused(let library): try refuseDrops(of: library)
    case .refusalsFound(let contents): try refuseDrops(of: contents)
    case .diskRoom(let room):
      measured(room)
      try installAwaitingRoom(now: now)
    case .catalogRoom(let space):
      measured(catalog: space)
      try installAwaitingRoom(now: now)
    case .recall(let id, let order): recall(id, order)
    case .recallReleased(let id): try recallReleased(id)
    default: try takeScrub(event, now: now)
    }
  }

  private mutating func takeScrub(_ event: ReplicationEvent, now: Now) throws(StoreError) {
    switch event {
    case .replicaFileDoubted(let path): doubt(.replica(path))
    case .replicaPartCompared(let id): scrub.sight.partAnswered(id, now: now.instant, settings)
    case .replicaCompared(let id, let isComplete): compared(id, isComplete: isComplete, now: now)
    case .straysSought(let found, let isComplete): try sought(found, isComplete: isComplete, now: now)
    case .replicaAway: away(now: now)
    case .replicaMounted: mounted(now: now)
    case .replicaWritable: becameWritable()
    case .guardFound(let head): try found(guarded: head)
    case .reread(let target, let outcome): try reread(target, outcome, now: now)
    case .setAside(let path, let outcome): try setAside(path, outcome)
    case .verifyWanted(let request): try beginVerification(request, now: now)
    case .verifyStopped: endVerification(.stopped)
    case .orphansAcknowledged:
      try acknowledgeOrphans()
      try acknowledgeForks()
    case .growthAccepted(let library): try acceptGrowth(of: library)
    default: preconditionFailure("an event without a handler")
    }
  }

  /// What follows from the state alone, whatever the event was.
  private mutating func advance(now: Now) throws(StoreError) {
    endHearingIfDone()
    try signOwnRecordIfDue(now: now)
    try advanceLedger(now: now)
    try endRecoveryIfDone(now: now)
    try expireIfDue(now: now)
    try purgeHistoryIfDue(now: now)
    try judgeAbsences(now: now)
    try publishIfDue(now: now)
    try keepLibraries(now: now)
    compareAgainIfDue(now: now)
    readAgainIfDue(now: now)
    try fetchLibraries(now: now)
    try fileIfIdle(now: now)
    try fetchContentsAndRecalls(now: now)
    takeOverIfDue(now: now)
    try recountIfExpired()
    try scrubIfDue(now: now)
    try attestIfDue(now: now)
    try releaseIfDue(now: now)
    challengeIfDue(now: now)
    try offerAgainIfDue(now: now)
  }

  mutating func nextJob() -> LinkJob {
    lastJob += 1
    return LinkJob(lastJob)
  }

  mutating func sendToAll(except: LinkID? = nil, _ command: LinkCommand) {
    for link in links.keys.sorted() where link != except { actions.append(.link(link, command)) }
    for link in opening.keys { opening[link]?.backlog.append(command) }
  }
}
