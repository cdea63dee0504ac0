import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary
import MantelTestSupport

@testable import MantelReplication

/// One machine of the simulation: the shipped decisions over the shipped catalog (in memory), a folder and a replica.
final class SimulatedMachine {
  let key: DeviceKey
  var catalog: Catalog
  let folder: Folder
  /// The catalog as it was once, somewhere else.
  var backup: Catalog?
  var image: HomeImage?
  /// Rows of a catalog of before, of contents that were not there any more when it came back.
  var stale: [ReplicaFile] = []
  /// The replica was compared since.
  var hasCompared = false
  private let settings: ReplicationSettings
  /// What `nextDeadline` was last; nil when it may have changed.
  private var deadline: Instant??
  private(set) var replicator: Replicator
  /// Counts the processes of this machine: work of an earlier one reports to nobody.
  private(set) var life = 0
  /// Units that were verified and not reported yet: what comes close together is one event.
  var verifiedUnits: [LinkID: [UnitID]] = [:]
  /// The user's folder.
  private(set) var own: [[UInt8]: SimulatedFile] = [:]
  /// Contents of own files that the user changed or took away, ever: only the replica can answer for them.
  private(set) var changed: Set<ContentID> = []
  var replica: SimulatedReplica
  /// The batch that was carried out last, whether or not the decisions heard of it.
  var lastBatchOnDisk: BatchID?
  /// The folder's disk is not mounted: an empty directory is in its place.
  var isOffline = false
  /// Contents of own files that have rotted, ever.
  private(set) var rotted: Set<ContentID> = []
  /// Rotten files that the agent has read since, by their numbers: no claim may rest on them any more.
  var noticed: Set<UInt64> = []
  /// Links that are open or opening here.
  var links: [LinkID: LinkEnd] = [:]
  /// Contents received over the network, with repeats: what the transfer cost.
  var received: [ContentID] = []
  var warnings: [ReplicationWarning] = []
  /// Recalls of this process that have not ended, and all that it ever began.
  var recalls: [RecallID: ContentID] = [:]
  var lastRecall: UInt64 = 0
  /// How far the wall clock is ahead, in nanoseconds.
  var clockError: Int64 = 0
  /// How long it was suspended, ever.
  var slept: Duration = .zero
  /// What of that the others did not live through: its boot clock is ahead by it for good, its wall clock until it is set right.
  var bootLead: Duration = .zero
  var wallLead: Duration = .zero
  /// Since when it is suspended, by the household's clock.
  var suspendedSince: Instant?
  /// What was under way when it was suspended, and what came up since: carried out when it wakes. Nil while it is awake.
  var suspended: [() throws -> Void]?
  /// After how many events the disk is too full to keep what follows from one; nil: nobody fills it.
  var eventsUntilFull: Int?
  /// The catalog has failed: nothing is handled before it is tried again.
  var hasOutage = false
  private var nextInode: UInt64 = 1
  /// How often the user touched each path: what was not touched has no reason to leave the library.
  private(set) var touches: [[UInt8]: Int] = [:]
  /// The files that the disk shows now.
  var present: [[UInt8]: SimulatedFile] { isOffline ? [:] : own }
  let canary: Canary?
  /// The catalog as a power cut leaves it, where commits are not synced.
  private var unsyncedCatalog = UnsyncedCatalog()

  /// A machine's side of a link.
  struct LinkEnd {
    let peer: Int
    let isDialer: Bool
    var isOpen = false
    /// What the session here has not ended yet.
    var jobs: Set<LinkJob> = []
    var units: [UnitID: UnitOrder] = [:]
  }

  init(
    key: DeviceKey, statements: [SignedStatement], folder: Folder, record: MachineRecord,
    settings: ReplicationSettings, bulk: Int = Catalog.bulk, canary: Canary? = nil, now: Now
  ) throws {
    self.key = key
    self.canary = canary
    replica = SimulatedReplica(canary: canary)
    self.folder = folder
    self.settings = settings
    catalog = try Catalog(inMemory: key.machine, bulk: bulk)
    try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    replicator = try Self.load(key, statements, catalog, settings, now)
    var actions = try replicator.handle(.folderAdded(folder), now: now)
    actions += try replicator.handle(.recordChanged(record), now: now)
    actions += try replicator.handle(.recovered, now: now)
    // The first comparison, of a replica that is empty: one that never ended would be the last.
    for case .compareReplica(let id) in actions {
      _ = try replicator.handle(.replicaCompared(id, isComplete: true), now: now)
    }
  }

  private static func load(
    _ key: DeviceKey, _ statements: [SignedStatement], _ catalog: Catalog, _ settings: ReplicationSettings,
    _ now: Now, guarded: Signed<Head>? = nil
  ) throws -> Replicator {
    let isSource = try catalog.value(.role) == Array("source".utf8)
    var replicator = try Replicator(
      machine: key.machine, roster: Roster(statements), role: isSource ? .source : .full,
      filesystem: FolderID(high: key.machine.digest.word0, low: 0), guarded: guarded, store: catalog,
      key: key, settings: settings, now: now)
    // No catalog here is older than a list beside the copies: there is nothing to be read.
    replicator.filing.areRefusalsKnown = true
    return replicator
  }

  var machine: MachineID { key.machine }

  /// When the decisions have something to do by themselves; asked for at every step of the simulation.
  var nextDeadline: Instant? {
    if hasOutage || suspended != nil { return nil }
    if let deadline { return deadline }
    let next = replicator.nextDeadline
    deadline = .some(next)
    return next
  }

  func handle(_ event: ReplicationEvent, now: Now) throws -> [ReplicationAction] {
    deadline = nil
    if let left = eventsUntilFull {
      eventsUntilFull = left > 0 ? left - 1 : nil
      if left == 0 { try failToCommit(event, now: now) }
    }
    defer { noteHandled(event) }
    if canary == .commitsWithoutSync { try unsyncedCatalog.note(catalog) }
    if let canary, let actions = try err(canary, event, now: now) { return actions }
    return try replicator.handle(event, now: now)
  }

  /// Reads the decisions, or makes them say something.
  func ask<Answer>(_ body: (inout Replicator) throws -> Answer) rethrows -> Answer {
    deadline = nil
    return try body(&replicator)
  }

  /// The disks lose what was not synced; own files that the user has just written, too.
  func powerCut(_ random: inout SeededGenerator) throws {
    replica.powerCut(&random)
    for path in own.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      guard own[path]?.isSynced == false, random.oneIn(2) else { continue }
      touches[path, default: 0] += 1
      // Nothing, or the name without its bytes.
      if random.oneIn(2) { own[path] = nil } else { own[path]?.payload = Payload([]) }
    }
    if canary == .commitsWithoutSync, let older = unsyncedCatalog.older { catalog = older }
  }

  /// The process dies and starts again: memory is gone, catalog and disks stay. Returns what the new one finds.
  func restart(now: Now) throws -> [ReplicationEvent] {
    life += 1
    hasOutage = false
    verifiedUnits = [:]
    if canary == .forgetsJournal { try catalog.setValue(.filingJournal, nil) }
    try reload(now: now)
    links.removeAll()
    recalls.removeAll()
    if canary == .forgetsStatements { forgetStatements() }
    var events: [ReplicationEvent] = []
    for content in replica.staged.keys.sorted() {
      guard let file = replica.staged[content] else { continue }
      let partial = try catalog.partial(content)
      if partial == nil, file.blocks != nil || !file.payload.layout.isWhole {
        replica.staged[content] = nil
      } else if partial == nil {
        events.append(.stagedFound(content, blocks: nil))
      } else {
        let blocks = file.blocks ?? Set(0..<UInt32(file.payload.layout.blockCount))
        replica.staged[content] = StagedFile(payload: file.payload, blocks: blocks)
        events.append(.stagedFound(content, blocks: blocks.sorted()))
      }
    }
    return events + [.recovered]
  }

  /// The decisions start over from what is in the catalog.
  func reload(now: Now) throws {
    deadline = nil
    let statements = try catalog.statements().map { try SignedStatement(bytes: $0) }
    replicator = try Self.load(
      key, statements, catalog, settings, now, guarded: replica.isMounted ? replica.guarded : nil)
  }

  /// What a comparison of the replica with the catalog reports.
  func doubtfulFiles() throws -> [ReplicationEvent] {
    guard replica.isMounted || canary == .forgetsWhatIsAway else { return [] }
    return try catalog.replicaFiles(of: nil, after: nil, limit: 100_000).compactMap { row in
      guard replica.isMounted, let stamp = replica.file(at: row.path)?.stamp else {
        return .replicaFileDoubted(row.path)
      }
      let isSame = stamp.mtime == row.stamp.mtime && stamp.size == row.stamp.size
      return isSame ? nil : .replicaFileDoubted(row.path)
    }
  }

  /// What a look for copies that are not where the catalog says finds.
  func strayFiles() throws -> [StrayFile] {
    guard replica.isMounted else { return [] }
    let files = replica.files.merging(replica.quarantine) { file, _ in file }
    return try files.sorted { $0.key.lexicographicallyPrecedes($1.key) }.compactMap { path, file in
      guard !FilingPlan.isDiscarded(path), try catalog.replicaFile(at: path) == nil else { return nil }
      return StrayFile(path: path, content: file.content, stamp: file.stamp)
    }
  }

  /// The file that a read finds now.
  func file(_ target: RereadTarget) -> SimulatedFile? {
    switch target {
    case .replica(let path): replica.isMounted ? replica.file(at: path) : nil
    case .own(_, let path): present[path]
    }
  }

  func reread(_ target: RereadTarget) -> RereadOutcome {
    if case .replica = target, !replica.isMounted {
      return canary == .forgetsWhatIsAway ? .gone : .unavailable
    }
    return file(target).map { .read($0.content, $0.stamp) } ?? .gone
  }

  /// All entries of an installed library, in any state.
  func entries(of library: MachineID) throws -> [Entry] {
    var ids: [EntryID] = []
    try catalog.forEachEntryID(library) { ids.append($0) }
    return try catalog.entryBytes(library, ids).map { try Entry(canonicalBytes: $0) }
  }

  /// The status as an agent tells it, with what the catalog counts.
  func trueReport(now: Now) throws -> StatusReport {
    let counts = try catalog.folderCounts()
    var published = 0
    var unsafe = 0
    try catalog.forEachPublishedOwnFile { _, _, content, _ in
      published += 1
      if !replicator.isSafe(content) { unsafe += 1 }
      return true
    }
    return try replicator.report(
      tally: LedgerCounts(
        seen: counts.reduce(0) { $0 + $1.seen }, safe: published - unsafe,
        pending: counts.reduce(0) { $0 + $1.pending }, skipped: counts.reduce(0) { $0 + $1.skipped }),
      publishedUnsafe: unsafe, now: now)
  }

  // MARK: The user

  func write(_ path: String, _ bytes: [UInt8], size: UInt64? = nil, mtime: Int64) {
    nextInode += 1
    forget(Array(path.utf8))
    own[Array(path.utf8)] = SimulatedFile(
      payload: Payload(bytes, size: size), mtime: mtime, inode: nextInode)
  }

  /// The disk changes a byte of an own file; of one that was never hashed, nobody could ever tell.
  func rot(_ path: [UInt8]) {
    let row = try? catalog.file(folder.id, path)
    guard let file = own[path], row?.status == .published, row?.content == file.content,
      row?.stamp == file.stamp,
      // It is hashed once more for the sake of a write that left the same times: rot right after a write looks like that.
      !ask({ $0.ledger.unproven.contains(FileKey(folder: folder.id, path: path)) })
    else { return }
    if let file = own[path] { rotted.insert(file.sound?.content ?? file.content) }
    own[path]?.rot()
  }

  /// Own files that were found rotten and wait for their user.
  var suspected: [[UInt8]] {
    own.keys.filter { path in
      let row = try? catalog.file(folder.id, path)
      return own[path]?.sound != nil && row?.status == .pending(.suspectedRot)
    }.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Own files that look rotten to the agent and are as their user wants them: who edits a file without changing its size
  /// and time, and then loses the catalog, leaves nothing that tells the two apart.
  var wronglySuspected: [[UInt8]] {
    own.keys.filter { path in
      own[path]?.sound == nil && (try? catalog.file(folder.id, path))?.status == .pending(.suspectedRot)
    }.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// The agent was told what a file has, if the file is still what the catalog means.
  func notice(_ file: SimulatedFile, _ target: RereadTarget) {
    guard let sound = file.sound else { return }
    switch target {
    case .replica(let path):
      let row = try? catalog.replicaFile(at: path)
      if row?.content == sound.content, row?.stamp.inode == file.inode { noticed.insert(file.inode) }
    case .own(_, let path):
      let row = try? catalog.file(folder.id, path)
      if own[path]?.inode == file.inode, row?.status == .published { noticed.insert(file.inode) }
    }
  }

  /// A file of the content has rotted, and the agent cannot know.
  func isExcused(_ content: ContentID) -> Bool {
    (Array(replica.files.values) + Array(own.values)).contains {
      $0.sound?.content == content && !noticed.contains($0.inode)
    }
  }

  /// Rotten files, here or in the replica, that nobody has found.
  var unnoticed: Int {
    // What was forgotten is nobody's to read.
    own.count { $0.value.sound != nil && !isForgotten($0.key) } - suspected.count
      + replica.files.count { $0.value.sound != nil && (try? catalog.replicaFile(at: $0.key)) != .some(nil) }
  }

  /// Nobody can tell any more that a file once had other bytes.
  func takeAsItIs(_ path: [UInt8]) {
    if let sound = own[path]?.sound { changed.insert(sound.content) }
    own[path]?.sound = nil
  }

  func rename(_ from: String, _ to: String) {
    guard from != to, var file = own[Array(from.utf8)] else { return }
    // Under a new name it is hashed for the first time: nobody can tell what it once was.
    file.sound = nil
    remove(from)
    forget(Array(to.utf8))
    own[Array(to.utf8)] = file
  }

  /// The user decides about a file without writing to it.
  func decide(_ path: [UInt8]) { touches[path, default: 0] += 1 }

  /// Files that are there and that their user forgot.
  func isForgotten(_ path: [UInt8]) -> Bool {
    (try? catalog.file(folder.id, path))?.status == .skipped(.forgotten)
  }

  /// A file is skipped as forgotten although its bytes are not forgotten (any more).
  func isForgottenByNobody(_ path: [UInt8]) -> Bool {
    guard let row = try? catalog.file(folder.id, path), row.status == .skipped(.forgotten) else {
      return false
    }
    return (try? row.content.map(catalog.isForgotten)) != true
  }

  func remove(_ path: String) {
    forget(Array(path.utf8))
    own[Array(path.utf8)] = nil
  }

  private func forget(_ path: [UInt8]) {
    touches[path, default: 0] += 1
    guard let file = own[path] else { return }
    changed.insert(file.content)
    if let sound = file.sound { changed.insert(sound.content) }
  }

  // MARK: Disks

  func look(_ path: [UInt8], isClosed: Bool = false) -> ReplicationEvent {
    let sight = present[path].map { FileSight.file($0.stamp, isClosed: isClosed) } ?? .gone
    return .sighted(folder.id, path, sight)
  }

  func hash(_ paths: [[UInt8]]) -> ReplicationEvent {
    .hashed(
      folder.id,
      paths.map { path in
        guard let file = present[path] else { return FileHash(path, .gone) }
        if canary != .publishesBeforeSync { own[path]?.isSynced = true }
        return FileHash(
          path,
          .hashed(
            content: file.content, manifest: file.payload.manifestHash, before: file.stamp, after: file.stamp,
            isHeld: true))
      })
  }

  /// What a look at the folder's places finds.
  func found(_ places: [[UInt8]]) -> [[UInt8]: [UInt8]] {
    isOffline && canary != .retiresWhatIsAway
      ? [:] : Dictionary(places.map { ($0, []) }) { first, _ in first }
  }

  /// What watches, and a walk that the mount vanishes under, report of it.
  func vanish() -> [ReplicationEvent] {
    let directories = Set(own.keys.map(Replicator.directory(of:))).sorted { $0.lexicographicallyPrecedes($1) }
    return [
      .scanBegan(folder.id),
      .directoryScanned(folder.id, DirectorySight(directory: [], files: [], skipped: [])),
    ] + directories.map { .directoryGone(folder.id, $0) } + [.scanEnded(folder.id, isComplete: false)]
  }

  /// What a walk of the whole folder reports.
  func scan() -> [ReplicationEvent] {
    if isOffline, canary != .retiresWhatIsAway { return [.folderOffline(folder.id)] }
    var directories: [[UInt8]: [(path: [UInt8], stamp: FileStamp)]] = [[]: []]
    for path in present.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      if let file = present[path] {
        directories[Replicator.directory(of: path), default: []].append((path, file.stamp))
      }
    }
    let sights = directories.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
      ReplicationEvent.directoryScanned(
        folder.id, DirectorySight(directory: $0.key, files: $0.value, skipped: []))
    }
    return [.scanBegan(folder.id)] + sights + [.scanEnded(folder.id, isComplete: true)]
  }

  /// The bytes that this machine can serve of a content, from whatever file has them.
  func payload(of content: ContentID) -> Payload? {
    if let own = present.values.first(where: { $0.content == content }) { return own.payload }
    guard replica.isMounted else { return nil }
    if let file = replica.staged[content], file.blocks == nil { return file.payload }
    return replica.files.values.first { $0.content == content }?.payload
      ?? (holdsAside(content) ? replica.quarantine.values.first { $0.content == content }?.payload : nil)
  }

  /// What was set aside by mistake, was found there, and is on its way to its place.
  func holdsAside(_ content: ContentID) -> Bool {
    replica.quarantine.contains { path, file in
      file.content == content && (try? catalog.replicaFile(at: path))?.content == content
    }
  }

  /// Of a large content on its way here the blocks that have come can be served.
  func payload(of unit: UnitID) -> Payload? {
    if let payload = payload(of: unit.content) { return payload }
    guard case .block(let index) = unit.part, replica.isMounted, let file = replica.staged[unit.content],
      file.blocks?.contains(index) == true
    else { return nil }
    return file.payload
  }

  /// What this machine sends for a content out of a file that has rotted, and that it takes for good.
  func rottenPayload(of content: ContentID) -> Payload? {
    let files =
      replica.isMounted
      ? replica.files.filter { (try? catalog.replicaFile(at: $0.key))?.content == content } : [:]
    let own = present.filter { (try? catalog.file(folder.id, $0.key))?.status == .published }
    return (files.map(\.value) + own.map(\.value)).compactMap(\.sound).first { $0.content == content }
  }

  /// What a file that was this content's has now.
  func rotten(_ content: ContentID) -> Payload? {
    (Array(replica.isMounted ? replica.files.values.map(\.self) : []) + Array(present.values))
      .first { $0.sound?.content == content }?.payload
  }

  /// An old catalog that came back does not know what went to the trash since, and nobody looks there for it. What a batch
  /// brings there, or a step of which nobody knows yet what it did, is found by its journal.
  private func isKnown(_ path: [UInt8], _ content: ContentID) -> Bool {
    !FilingPlan.isDiscarded(path) || (try? catalog.replicaFile(at: path)) != .some(nil)
      || replicator.filing.isUnderWay(content)
  }

  /// Whether the bytes of something that is missing here were set aside, and are to be found again.
  func isSetAside(_ content: ContentID) -> Bool {
    guard replicator.role == .full, replica.hasAside(content) else { return false }
    return (try? catalog.missingContent(content)) != .some(nil)
  }

  /// Whether a content lies on the machine's disks, whatever its catalog says.
  func has(_ content: ContentID) -> Bool {
    // What its user forgot is nobody's to read.
    own.contains { $0.value.content == content && !isForgotten($0.key) }
      || replica.staged[content].map { $0.blocks == nil } == true || holdsAside(content)
      || replica.files.contains { path, file in file.content == content && isKnown(path, content) }
  }
}
