import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary

@testable import MantelReplication

func content(_ name: String) -> ContentID { ContentID(SummaryHash.sha256(Array(name.utf8))) }

func bytes(_ path: String) -> [UInt8] { Array(path.utf8) }

extension ReplicationEvent {
  static func unitVerified(_ link: LinkID, _ unit: UnitID) -> ReplicationEvent {
    .unitsVerified(link, [unit])
  }
}

/// One machine's decisions, driven by hand: every action that they ask for is recorded and nothing is carried out.
final class SingleMachine {
  static let folderID = FolderID(high: 0, low: 1)
  static let peerFolder = FolderID(high: 9, low: 9)
  /// Longer ago than any settle time, before the start.
  static let oldTime: Int64 = 1_600_000_000_000_000_000

  let key: DeviceKey
  let peers: [DeviceKey]
  let catalog: Catalog
  var settings: ReplicationSettings
  /// The folder's.
  let filesystem: [UInt8]
  private(set) var statements: [SignedStatement]
  var replicator: Replicator
  var now = Now(
    instant: Instant(nanoseconds: 1_000_000_000),
    wall: WallTime(nanoseconds: 1_700_000_000_000_000_000))
  /// Everything that was asked for since the last `take`.
  private var asked: [ReplicationAction] = []
  private var lastLink: UInt64 = 0
  /// What is mounted where, below the folder's root (the empty path); a place that is nil is not there.
  var places: [[UInt8]: [UInt8]?]
  /// Whether looks at the folder are answered at once.
  var looksAtPlaces = true
  /// Whether comparisons of the replica with the catalog end at once, with nothing in doubt.
  var comparesReplica: Bool

  /// `hasFolder`: one folder named Photos, scanned and empty. `hasHeard`: a peer was heard since the start.
  init(
    peers peerCount: Int = 1, role: Role = .full, hasFolder: Bool = true, hasHeard: Bool = true,
    comparesReplica: Bool = true, filesystem: [UInt8] = [], bulk: Int = Catalog.bulk,
    settings: ReplicationSettings = ReplicationSettings()
  ) throws {
    places = [[]: filesystem]
    self.comparesReplica = comparesReplica
    self.filesystem = filesystem
    let key = DeviceKey()
    let peers = (0..<peerCount).map { _ in DeviceKey() }
    var statements = try Roster.found(
      name: "home", machineName: "me", key: key, random: [UInt8](repeating: 3, count: 32),
      now: now.wall)
    for (index, peer) in peers.enumerated() {
      statements.append(
        try Roster(statements).admitting(
          subject: peer.machine, publicKey: peer.publicKey, name: "peer\(index)", replaces: nil,
          by: key, now: now.wall))
      statements.append(try Roster(statements).accepting(by: peer, now: now.wall))
    }
    let catalog = try Catalog(inMemory: key.machine, bulk: bulk)
    try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    self.key = key
    self.peers = peers
    self.catalog = catalog
    self.statements = statements
    self.settings = settings
    replicator = try Replicator(
      machine: key.machine, roster: Roster(statements), role: role,
      filesystem: FolderID(high: 1, low: 1), store: catalog, key: key, settings: settings, now: now)
    if hasHeard { hear() }
    replicator.filing.areRefusalsKnown = true
    if hasFolder {
      try send(.folderAdded(folder))
      try scan([:])
    }
  }

  /// What `mantel rekey` makes of a machine: another one, over its catalog. The former one is its first peer, and was heard.
  init(rekeyed former: SingleMachine) throws {
    let key = DeviceKey()
    var statements = former.statements
    statements.append(
      try Roster(statements).admitting(
        subject: key.machine, publicKey: key.publicKey, name: "me-2", replaces: nil, by: former.key,
        now: former.now.wall))
    statements.append(try Roster(statements).accepting(by: key, now: former.now.wall))
    let catalog = try former.catalog.copied(as: key.machine)
    try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    // As the command does.
    try catalog.setValue(.ownEpoch, [0, 0, 0, 0, 0, 0, 0, 1])
    self.key = key
    self.peers = [former.key] + former.peers
    self.catalog = catalog
    self.statements = statements
    settings = former.settings
    filesystem = former.filesystem
    places = former.places
    comparesReplica = former.comparesReplica
    now = former.now
    replicator = try Replicator(
      machine: key.machine, roster: Roster(statements), role: former.replicator.role,
      filesystem: FolderID(high: 1, low: 1), store: catalog, key: key, settings: former.settings,
      now: former.now)
    hear()
  }

  var machine: MachineID { key.machine }
  var lastLinkID: LinkID { LinkID(lastLink) }
  var household: HouseholdID { replicator.household }
  var folder: Folder {
    Folder(
      id: Self.folderID, name: "Photos", root: bytes("/photos"), excludes: [], filesystem: filesystem)
  }

  // MARK: Driving

  @discardableResult func send(_ event: ReplicationEvent) throws -> [ReplicationAction] {
    var actions = try replicator.handle(event, now: now)
    asked += actions
    for case .inspect(let folder, let places, _) in actions where looksAtPlaces {
      actions += try send(.inspected(folder, found(places), isBack: false))
    }
    for case .compareReplica(let id) in actions where comparesReplica {
      actions += try send(.replicaCompared(id, isComplete: true))
    }
    return actions
  }

  /// Ends the comparison that is under way, or one that is due now.
  func compare(isComplete: Bool = true) throws {
    let answers = comparesReplica
    comparesReplica = false
    defer { comparesReplica = answers }
    if replicator.scrub.sight.comparing == nil {
      replicator.scrub.sight.compareBy(now.instant)
      try send(.tick)
    }
    guard let id = replicator.scrub.sight.comparing else {
      throw SimulationError.broken("nothing is compared")
    }
    try send(.replicaCompared(id, isComplete: isComplete))
  }

  /// What a look at the folder finds.
  func found(_ asked: [[UInt8]]) -> [[UInt8]: [UInt8]] {
    var found: [[UInt8]: [UInt8]] = [:]
    for place in asked { found[place] = places[place] ?? nil }
    return found
  }

  /// What was asked for since the last call.
  func take() -> [ReplicationAction] {
    defer { asked.removeAll() }
    return asked
  }

  /// Lets time pass, with a tick whenever one is due; at most `limit` of them, so that a spinning deadline shows.
  @discardableResult func pass(_ duration: Duration, limit: Int = 10_000) throws -> Int {
    let end = now.instant + duration
    var ticks = 0
    while let due = replicator.nextDeadline, due <= end, ticks < limit {
      advance(to: max(due, now.instant))
      try send(.tick)
      ticks += 1
    }
    advance(to: end)
    return ticks
  }

  /// The machine is suspended for so long.
  func sleep(_ duration: Duration) {
    now.slept += duration
    advance(to: now.instant + duration)
  }

  private func advance(to instant: Instant) {
    guard instant > now.instant else { return }
    now.wall.nanoseconds += instant.nanoseconds - now.instant.nanoseconds
    now.instant = instant
  }

  /// Kills the process and starts it on the same catalog. `knowsRefusals`: what is kept of them was read, and is nothing new.
  func restart(guarded: Signed<Head>? = nil, hasHeard: Bool = true, knowsRefusals: Bool = true) throws {
    replicator = try Replicator(
      machine: machine, roster: replicator.roster, role: replicator.role,
      filesystem: FolderID(high: 1, low: 1), guarded: guarded, store: catalog, key: key, settings: settings,
      now: now)
    if hasHeard { hear() }
    replicator.filing.areRefusalsKnown = knowsRefusals
    asked.removeAll()
  }

  /// The household removes a peer: this machine's user, or another's. `last`: the head that the removal names.
  func remove(_ peer: Int, by remover: DeviceKey? = nil, last: Head? = nil) throws {
    let removal = try replicator.roster.removing(
      peers[peer].machine, lastHead: last?.order ?? .none, lastRoot: last?.root ?? .zero,
      by: remover ?? key, now: now.wall)
    try send(.rosterReceived(nil, [removal.bytes]))
  }

  private func hear() { replicator.publication.hearing.end(ifHeardAnyOf: []) }

  // MARK: Own files

  /// As a filesystem with a fine clock shows it.
  func stamp(_ size: UInt64, mtime: Int64 = oldTime, ctime: Int64? = nil, inode: UInt64 = 7) -> FileStamp {
    FileStamp(size: size, mtime: mtime, ctime: ctime ?? mtime + 1, inode: inode, device: 1)
  }

  /// A scan that finds exactly these files; `filesystems` are those of directories that lie on another than the rest,
  /// and that are there even if they are empty. All else lies on the folder's, unless `default` is another.
  func scan(
    _ files: [String: FileStamp], isComplete: Bool = true, filesystems: [String: [UInt8]] = [:],
    default other: [UInt8]? = nil
  ) throws {
    try send(.scanBegan(Self.folderID))
    var directories: [[UInt8]: [(path: [UInt8], stamp: FileStamp)]] = [[]: []]
    for directory in filesystems.keys { directories[bytes(directory)] = [] }
    for (path, stamp) in files.sorted(by: { $0.key < $1.key }) {
      directories[Replicator.directory(of: bytes(path)), default: []].append((bytes(path), stamp))
    }
    for (directory, found) in directories.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      try send(
        .directoryScanned(
          Self.folderID,
          DirectorySight(
            directory: directory, files: found, skipped: [],
            filesystem: filesystems[String(decoding: directory, as: UTF8.self)] ?? other ?? filesystem)))
    }
    try send(.scanEnded(Self.folderID, isComplete: isComplete))
  }

  func sight(_ path: String, _ sight: FileSight) throws {
    try send(.sighted(Self.folderID, bytes(path), sight))
  }

  func finishHash(
    _ path: String, _ content: ContentID, _ stamp: FileStamp, before: FileStamp? = nil,
    isHeld: Bool = true, manifest: Digest256? = nil
  ) throws {
    try send(
      .hashed(
        Self.folderID,
        [
          FileHash(
            bytes(path),
            .hashed(
              content: content, manifest: manifest, before: before ?? stamp, after: stamp,
              isHeld: isHeld))
        ]))
  }

  /// A file is written, closed and hashed; not yet published.
  func write(_ path: String, _ content: ContentID, _ stamp: FileStamp) throws {
    try sight(path, .file(stamp, isClosed: true))
    try finishHash(path, content, stamp)
  }

  /// The same, and the head is out.
  func publish(_ path: String, _ content: ContentID, _ stamp: FileStamp) throws {
    try write(path, content, stamp)
    try pass(.seconds(3))
  }

  func delete(_ path: String) throws {
    try sight(path, .gone)
    try pass(.seconds(3))
  }

  func isHeld(_ content: ContentID) -> Bool { replicator.isHeld(content) }
  func isSafe(_ content: ContentID) -> Bool { replicator.isSafe(content) }
  func isAvailable(_ content: ContentID) -> Bool { replicator.contents.isAvailable(content) }

  /// Status of a file in the catalog.
  func status(_ path: String) throws -> FileStatus? {
    try catalog.file(Self.folderID, bytes(path))?.status
  }

  var head: Head? { replicator.installedHead(of: machine) }

  /// Entries of the own library that name a content.
  func ownEntries(of content: ContentID) throws -> [Entry] {
    try catalog.entries(machine, of: content).map(\.entry)
  }

  /// The user decides what the machine is to the household.
  func become(_ role: Role) throws {
    if replicator.records[machine] == nil {
      try send(
        .recordChanged(
          MachineRecord(
            machine: machine, number: 0, name: "me", role: replicator.role, program: "test", addresses: [],
            folders: [])))
    }
    try send(.roleChanged(role))
  }

  // MARK: Links

  /// Opens a link to a peer that has these contents, and answers the comparison of holdings. `saysItsWord`: its hello names an
  /// attestation of its own.
  @discardableResult func connect(
    _ peer: Int = 0, has contents: [ContentID] = [], heads: [MachineID: HeadOrder] = [:],
    compares: Bool = true, takesPulls: Bool = false, saysItsWord: Bool = true
  ) throws -> LinkID {
    lastLink += 1
    let link = LinkID(lastLink)
    replicator.prepare(link)
    let actions = try send(
      .linkOpened(
        link,
        LinkOpening(
          machine: peers[peer].machine, heads: heads, holdingsCount: UInt64(contents.count) + 1_000_000,
          holdingsRoot: .zero, rosterHash: replicator.roster.hash, time: now.wall, isDialer: true,
          takesPulls: takesPulls, saysItsWord: saysItsWord)))
    guard compares, let (job, mine) = actions.compared(link) else { return link }
    var mineOnly: [Digest256] = []
    mine.forEach(from: .zero) {
      if !contents.contains(ContentID($0)) { mineOnly.append($0) }
      return true
    }
    let theirsOnly = contents.map(\.digest).filter { !mine.contains($0) }
    if !theirsOnly.isEmpty || !mineOnly.isEmpty {
      try send(.differenceFound(link, job, theirsOnly: theirsOnly, mineOnly: mineOnly))
    }
    try send(.jobEnded(link, job, .complete))
    return link
  }

  // MARK: What peers publish

  func entry(
    _ path: String, _ content: ContentID, size: UInt64 = 10, mtime: Int64 = oldTime,
    state: EntryState = .live, manifest: Digest256? = nil
  ) -> Entry {
    Entry(
      folder: Self.peerFolder, path: bytes(path), content: content, size: size, mtime: mtime,
      kind: .photo, state: state, manifest: manifest)
  }

  func head(_ peer: Int, _ sequence: UInt64, _ entries: [Entry]) throws -> Signed<Head> {
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    let ids = entries.map { EntryID(of: $0).digest }.sorted()
    let machine = peers[peer].machine
    return try peers[peer].sign(
      Head(
        library: machine, signer: machine, order: HeadOrder(epoch: 1, sequence: sequence),
        root: SetSnapshot(
          sorted: ids, tag: .entries(household, library: machine)
        ).root, counts: counts, time: now.wall), in: household)
  }

  /// A peer's head is shown over a link and fetched from it by its delta.
  func install(
    _ peer: Int, _ sequence: UInt64, _ entries: [Entry], removed: [Entry] = [], added: [Entry]? = nil,
    over link: LinkID
  ) throws {
    let actions = try send(.headReceived(link, try head(peer, sequence, entries)))
    guard let job = actions.deltas(link).first else { return }
    try send(
      .entriesReceived(
        link, job, added: added ?? entries, removed: removed.map { EntryID(of: $0) }))
    try send(.jobEnded(link, job, .complete))
  }

  // MARK: Attestations

  func attestation(
    _ peer: Int, number: UInt64 = 1, time: WallTime? = nil, _ libraries: [LibraryAttestation]
  ) throws -> Signed<Attestation> {
    try peers[peer].sign(
      Attestation(
        holder: peers[peer].machine, number: number, time: time ?? now.wall,
        filesystem: FolderID(high: 2, low: UInt64(peer)), oldestReread: now.wall,
        libraries: libraries), in: household)
  }

  /// What a peer says of a library of which it holds these contents.
  func statement(
    _ library: MachineID, _ order: HeadOrder, held: [ContentID], missing: [ContentID] = [],
    missingCount: UInt64? = nil
  ) -> LibraryAttestation {
    LibraryAttestation(
      library: library, order: order,
      heldRoot: SetSnapshot(
        sorted: held.map(\.digest).sorted(), tag: .contents(household, library: library)
      ).root,
      missingCount: missingCount ?? UInt64(missing.count), missingBytes: 0,
      missing: missing.sorted())
  }

  func report(tally: LedgerCounts = LedgerCounts(), unsafe: Int = 0) throws -> StatusReport {
    try replicator.report(tally: tally, publishedUnsafe: unsafe, now: now)
  }

  // MARK: Filing

  /// The replica's disk has failed to sync often enough to be left alone.
  func failReplicaDisk() {
    let failure = FilingFailure(code: .sync, errno: 5, message: "a test")
    for _ in 0..<settings.failingSyncs { replicator.filing.syncFaults.ended([.failed(failure)]) }
  }

  /// Somebody has taken a replica file away, and it is looked for.
  func lose(_ path: [UInt8]) throws {
    try send(.replicaFileDoubted(path))
    try send(.reread(.replica(path), .gone))
  }

  /// Answers every batch that was asked for as a disk without faults would; returns the operations.
  @discardableResult func fileAll(before: () throws -> Void = {}) throws -> [FilingOperation] {
    var done: [FilingOperation] = []
    var batches = take().batches
    while let (id, operations) = batches.first {
      try before()
      batches.removeFirst()
      done += operations
      var freed: Set<[UInt8]> = []
      let results = try operations.map { operation -> FilingResult in
        if case .move(let from, _, _, _) = operation { freed.insert(from) }
        if case .remove(let path, _) = operation {
          freed.insert(path)
          return .done(path: path, nil)
        }
        // Nothing is ever replaced.
        var path = operation.path
        if !freed.contains(path), let there = try catalog.replicaFile(at: path)?.content,
          there != operation.content
        {
          path += bytes(" (2)")
        }
        return .done(path: path, stamp(10, mtime: operation.mtime, inode: inode(operation)))
      }
      batches += try send(.filed(id, results)).batches
    }
    return done
  }

  private func inode(_ operation: FilingOperation) -> UInt64 {
    SummaryHash.sha256(operation.path).word0 >> 1
  }
}
