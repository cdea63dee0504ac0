import MantelCore
import MantelHousehold
import MantelSummary

/// What the replica still has to be told.
struct FilingState: Sendable {
  /// Verified contents that wait for a batch.
  var ready: Set<ContentID> = []
  /// The store has contents whose files may not match their entries.
  var hasUnfiled = false
  /// Many of them may be contents of which nothing is here.
  var hasAbsent = false
  /// More is to be planned: in an event of its own, so that others are not kept waiting.
  var turn: Instant?
  /// Steps of which it is not known what they did to the replica; they are in the catalog's journal too.
  var unresolved: [FilingPlan.Step] = []
  var isRepeatDue = false
  var running: FilingBatch?
  /// Contents whose last attempt failed: they rest until `retryAt`, so that they hold up nobody else.
  var resting: Set<ContentID> = []
  var retryAt: Instant?
  /// Nothing of the last batch was done: a broken disk is not hammered before `retryAt`.
  var isPaused = false
  /// Names of directories in the replica; they never change.
  var directoryNames: [DirectoryOwner: String] = [:]
  var trash = TrashWalk()

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
    running?.contents.contains(content) == true
      || unresolved.contains { $0.operation.content == content }
  }

  var nextDeadline: Instant? { [retryAt, turn].compactMap(\.self).min() }
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
}

extension Replicator {
  mutating func loadHoldings() throws(StoreError) {
    var held: [Digest256] = []
    try store.forEachHeld { held.append($0.digest) }
    held.sort()
    contents.index.insert(sorted: held, into: contents.held)
    contents.index.insert(sorted: held, into: contents.available)
    for folder in try store.folders() where !folder.isRemoved { ledger.folders[folder.id] = folder }
    for sets in contents.byLibrary.values {
      var ids: [Digest256] = []
      contents.index.forEach(in: [sets.wanted, contents.held], notIn: [], from: .zero) {
        ids.append($0)
        return true
      }
      contents.index.insert(sorted: ids, into: sets.heldWanted)
      ids.removeAll()
      contents.index.forEach(in: [sets.live, contents.held], notIn: [], from: .zero) {
        ids.append($0)
        return true
      }
      contents.index.insert(sorted: ids, into: sets.heldLive)
    }
  }

  /// Contents of other libraries that only an own file has here: their copy may have been cut off by the last end.
  mutating func loadAwaitedCopies() throws(StoreError) {
    guard role == .full else { return }
    let mine = contents.sets(of: machine).heldLive
    var shared: Set<ContentID> = []
    for (owner, sets) in contents.byLibrary where owner != machine {
      contents.index.forEach(in: [sets.wanted, mine], notIn: [], from: .zero) {
        shared.insert(ContentID($0))
        return true
      }
    }
    for content in shared.sorted() where try store.missingContent(content) != nil {
      filing.ready.insert(content)
    }
  }

  /// The store has contents whose entries changed. What is on its way here may not be wanted any more, and that is found
  /// by filing it.
  mutating func lookForUnfiled() {
    filing.hasUnfiled = true
    filing.hasAbsent = true
    filing.ready.formUnion(transfers.staged)
    filing.ready.formUnion(transfers.large.keys)
    // Nor what is bad here: then it is healed, and no plan is made of what is absent.
    let owners = contents.byLibrary.keys.filter { $0 != machine }
    filing.ready.formUnion(
      scrub.unhealed.filter { content in !owners.contains { contents.isWanted(content, in: $0) } })
  }

  /// Starts the next batch as soon as the one before it has ended: group commit.
  mutating func fileIfIdle(now: Now) throws(StoreError) {
    if let retryAt = filing.retryAt, retryAt <= now.instant {
      filing.ready.formUnion(filing.resting)
      filing.resting = []
      filing.retryAt = nil
      filing.isPaused = false
      filing.isRepeatDue = !filing.unresolved.isEmpty
    }
    filing.turn = nil
    // What is bad leaves its name before its copy is made again.
    guard !filing.isPaused, filing.running == nil, scrub.settingAside.isEmpty else { return }
    if filing.isRepeatDue { return try repeatUnresolved(now: now) }
    if filing.hasAbsent {
      // A first install names a library of which nothing is here: no plan is needed to find that out.
      filing.hasAbsent = try store.fileAbsent(limit: settings.absentRows) == settings.absentRows
      if filing.hasAbsent { return filing.turn = now.instant }
    }
    try collectTrash(now: now)
    guard let batch = try nextBatch() else { return }
    try start(batch, now: now)
    // A batch without an operation has ended at once; the next one gets its turn after whoever waits.
    if filing.running == nil, filing.hasUnfiled || !filing.ready.isEmpty { filing.turn = now.instant }
  }

  private mutating func nextBatch() throws(StoreError) -> Set<ContentID>? {
    var batch = Set<ContentID>()
    var bytes: UInt64 = 0
    for content in filing.ready.sorted() where !filing.resting.contains(content) {
      guard batch.count < settings.batchFiles, bytes < settings.batchBytes else { break }
      batch.insert(content)
      if let size = transfers.stagedSizes[content] {
        bytes += size
      } else {
        bytes += try store.missingContent(content)?.size ?? 0
      }
    }
    filing.ready.subtract(batch)
    filing.ready.subtract(filing.resting)
    if filing.hasUnfiled {
      let limit = settings.batchFiles + filing.resting.count
      let unfiled = try store.unfiled(limit: limit)
      let resting = filing.resting
      batch.formUnion(unfiled.filter { !resting.contains($0) }.prefix(settings.batchFiles))
      filing.hasUnfiled = unfiled.count == limit
    }
    return batch.isEmpty ? nil : batch
  }

  private mutating func start(_ wanted: Set<ContentID>, now: Now) throws(StoreError) {
    let unresolved = Set(filing.unresolved.map(\.operation.content))
    var plans = try droppingPlans(of: wanted.subtracting(unresolved))
    var queue = wanted.sorted()
    while let content = queue.popLast() {
      guard plans[content] == nil, !unresolved.contains(content) else { continue }
      let places = try places(of: content)
      var occupied: Set<[UInt8]> = []
      for place in places {
        guard let file = try store.replicaFile(at: place.path), file.content != content else {
          continue
        }
        // Another content lies where this one belongs; if it has to move, it moves in the same batch, first.
        let theirs = try self.places(of: file.content)
        if !theirs.contains(where: { $0.path == file.path }) {
          occupied.insert(place.path)
          queue.append(file.content)
        }
      }
      if places.isEmpty {
        plans[content] = try droppingPlans(of: [content])[content] ?? FilingPlan()
      } else {
        plans[content] = FilingPlan(
          content: content, places: places,
          // What is not held has no replica file: most of what is landed came just now.
          files: contents.isHeld(content) ? try store.replicaFiles(of: content) : [],
          source: try source(of: content), occupied: occupied, ended: trashEnd(now))
      }
    }
    try run(plans, now: now)
  }

  private mutating func run(_ plans: [ContentID: FilingPlan], now: Now) throws(StoreError) {
    let contents = plans.keys.sorted()
    var steps = contents.flatMap { plans[$0]?.leaving ?? [] }
    steps = steps.filter(\.onlyFrees) + steps.filter { !$0.onlyFrees }
    var arriving = contents.flatMap { plans[$0]?.arriving ?? [] }
    // Files are made in directory order: kinder to the disk, and to whoever lists the directory.
    arriving.sort { Self.isSourceFirst($0, $1) }
    steps += arriving
    lastBatch += 1
    let batch = FilingBatch(
      id: BatchID(lastBatch), steps: steps, contents: contents,
      staying: contents.flatMap { content in
        (plans[content]?.staying ?? []).compactMap(Self.renamed) + (plans[content]?.marked ?? [])
      })
    filing.running = batch
    if steps.isEmpty {
      try finish(batch, results: [], now: now)
    } else {
      try store.setValue(.filingJournal, FilingJournal.bytes(of: filing.unresolved + steps))
      try unholdDeleted(steps)
      actions.append(.file(batch.id, steps.map(\.operation)))
    }
  }

  /// Links and copies come after the files that they are made from; else by path.
  private static func isSourceFirst(_ left: FilingPlan.Step, _ right: FilingPlan.Step) -> Bool {
    let ranks = (rank(left.operation), rank(right.operation))
    if ranks.0 != ranks.1 { return ranks.0 < ranks.1 }
    return left.operation.path.lexicographicallyPrecedes(right.operation.path)
  }

  private static func rank(_ operation: FilingOperation) -> Int {
    switch operation {
    case .move, .remove: 0
    case .land, .copyOwn: 1
    case .link, .copy: 2
    }
  }

  /// A file that stays, under the id of the entry that it stands for now; nil when that is the same. Whatever a drop made
  /// of it, it is wanted.
  private static func renamed(file: ReplicaFile, place: FilingPlan.Place) -> ReplicaFile? {
    guard file.entry != place.entry || file.library != place.library || file.mark != nil else { return nil }
    var file = file
    file.mark = nil
    file.entry = place.entry
    file.library = place.library
    return file
  }

  private func source(of content: ContentID) throws(StoreError) -> FilingPlan.Source? {
    if transfers.staged.contains(content) { return .staged }
    let own = try store.ownFiles(of: content).first { $0.status == .published }
    guard let own, let folder = ledger.folders[own.folder] else { return nil }
    return .own(root: folder.root, path: own.path)
  }

  /// Where the entries that name a content want it, in the libraries of others.
  private mutating func places(of content: ContentID) throws(StoreError) -> [FilingPlan.Place] {
    guard role == .full else { return [] }
    var places: [FilingPlan.Place] = []
    for installed in try store.entries(of: content) where installed.library != machine {
      places.append(
        FilingPlan.Place(
          library: installed.library, entry: installed.id, path: try path(of: installed),
          mtime: installed.entry.mtime))
    }
    return places
  }

  private mutating func path(of installed: InstalledEntry) throws(StoreError) -> [UInt8] {
    let machineName = try directory(of: installed.library, nil)
    let folderName = try directory(of: installed.library, installed.entry.folder)
    let below: [UInt8]
    if case .retired(_, let time) = installed.entry.state {
      below = ReplicaNaming.retired(
        folder: folderName, path: installed.entry.path, content: installed.entry.content, at: time)
    } else {
      below = Array("\(folderName)/".utf8) + installed.entry.path
    }
    return Array("\(machineName)/".utf8) + below
  }

  /// The remembered name of a machine's or folder's directory, chosen now if this is the first time.
  private mutating func directory(of library: MachineID, _ folder: FolderID?) throws(StoreError) -> String {
    let owner = FilingState.DirectoryOwner(machine: library, folder: folder)
    if let name = filing.directoryNames[owner] { return name }
    let known = try store.directoryName(library, folder)
    let name = if let known { known } else { try chooseDirectory(of: library, folder) }
    filing.directoryNames[owner] = name
    return name
  }

  private func chooseDirectory(of library: MachineID, _ folder: FolderID?) throws(StoreError) -> String {
    let record = records[library]?.record
    let wish: String
    let id: String
    if let folder {
      wish = record?.folders.first { $0.id == folder }?.name ?? "folder"
      id = folder.description
    } else {
      wish = record?.name ?? roster.member(library)?.name ?? "machine"
      id = library.hex
    }
    let taken = try store.directoryNames(folder == nil ? nil : library)
    let name = ReplicaNaming.directory(wish: wish, id: id, taken: taken)
    try store.setDirectoryName(library, folder, name)
    return name
  }

  /// Nothing is being filed, and nothing waits for it.
  package var isFilingIdle: Bool { filing.isIdle }

  // MARK: After the batch

  mutating func filed(
    _ id: BatchID, _ results: [FilingResult], now: Now
  ) throws(StoreError) {
    guard let batch = filing.running, batch.id == id else { return }
    precondition(results.count == batch.steps.count, "one result for each operation")
    try finish(batch, results: results, now: now)
  }

  private mutating func finish(
    _ batch: FilingBatch, results: [FilingResult], now: Now
  ) throws(StoreError) {
    var outcome = BatchOutcome(batch)
    for (step, result) in zip(batch.steps, results) { outcome.take(step, result, now: now) }
    // A content of which nothing is here is filed too: it is missing, and comes back when its bytes do.
    if batch.isRepeat {
      // Since the batch was cut off another content may have got the name.
      for (path, content) in outcome.freed where try store.replicaFile(at: path)?.content != content {
        outcome.removed.remove(path)
      }
    }
    let filed = batch.contents.filter { !outcome.failed.contains($0) && !batch.outdated.contains($0) }
    outcome.removed.subtract(outcome.put.keys)
    try markTrashed(&outcome)
    filing.ready.formUnion(batch.outdated.intersection(batch.contents))
    let put = outcome.put.values.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    filing.unresolved += unresolvedSteps(of: batch, results)
    try store.commitFiling(
      put: put, removed: Array(outcome.removed), filed: filed,
      journal: filing.unresolved.isEmpty ? nil : FilingJournal.bytes(of: filing.unresolved))
    filing.running = nil
    for content in outcome.unstaged.sorted() {
      // While a batch is repeated its contents are fetched too: what came is not needed where the file was found.
      if batch.isRepeat || transfers.cameAgain.contains(content), transfers.staged.contains(content) {
        actions.append(.discardStaged(content))
      }
      try forgetStaged(content)
    }
    for content in Set(put.map(\.content)).sorted() {
      makeAvailable(content)
      contents.setHeld(content, true)
    }
    try judgeDeleted(batch)
    try noteTrash()
    try judgeAwaiting(now: now)
    // Where bytes should have been taken from and were not: their bytes decide, before the batch is tried again.
    for (path, content) in outcome.sources.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) })
    where try store.replicaFile(at: path)?.content == content { doubt(.replica(path)) }
    for content in outcome.failed.sorted() { try releaseIfGone(content) }
    for content in filed { try dropIfUnwanted(content) }
    try healed(filed, now: now)
    rest(outcome, now: now)
    for source in outcome.ownSources {
      guard let folder = ledger.folders.values.first(where: { $0.root == source.root }) else { continue }
      actions.append(.look(folder.id, source.path))
      // A look sees no rot.
      doubt(.own(folder.id, source.path))
    }
    attesting.isChanged = true
    transfers.isWorthLooking = true
  }

  /// What failed is tried again, for its files do not match their entries yet.
  private mutating func rest(_ outcome: BatchOutcome, now: Now) {
    guard !outcome.failed.isEmpty else { return }
    filing.resting.formUnion(outcome.failed)
    filing.retryAt = filing.retryAt ?? now.instant + settings.retry
    guard let failure = outcome.failure else { return }
    filing.isPaused = !outcome.hasSucceeded
    actions.append(.warn(.filingFailed(failure)))
  }

  /// What was fetched of a content is not needed: nobody wants it any more, or another file has brought it.
  mutating func dropIfUnwanted(_ content: ContentID) throws(StoreError) {
    guard transfers.staged.contains(content) || transfers.large[content] != nil,
      try missing(content) == nil
    else { return }
    try forgetStaged(content)
    if transfers.large[content] != nil { try abandonLarge(content) }
    actions.append(.discardStaged(content))
    try releaseIfGone(content)
  }

  /// Nothing in the staging area is to be landed for a content any more.
  private mutating func forgetStaged(_ content: ContentID) throws(StoreError) {
    transfers.staged.remove(content)
    transfers.stagedSizes[content] = nil
    transfers.cameAgain.remove(content)
    if transfers.stagedLarge.remove(content) != nil { try store.removePartial(content) }
  }
}

/// What the operations of a batch came to.
struct BatchOutcome {
  var put: [[UInt8]: ReplicaFile] = [:]
  var removed: Set<[UInt8]> = []
  /// Names that were given up, by the content that had them.
  var freed: [[UInt8]: ContentID] = [:]
  /// Names that files in the trash had before, by the new ones.
  var discarded: [[UInt8]: [UInt8]] = [:]
  var failed: Set<ContentID> = []
  /// Replica files that should have had a content's bytes, and own ones.
  var sources: [[UInt8]: ContentID] = [:]
  var ownSources: [(root: [UInt8], path: [UInt8])] = []
  /// Contents whose staged bytes were landed, or are not there after all.
  var unstaged: Set<ContentID> = []
  var failure: FilingFailure?
  var hasSucceeded = false

  init(_ batch: FilingBatch) {
    for file in batch.staying { put[file.path] = file }
  }

  mutating func take(_ step: FilingPlan.Step, _ result: FilingResult, now: Now) {
    switch result {
    case .done(let path, let stamp), .adopted(let path, let stamp as FileStamp?):
      hasSucceeded = true
      let content = step.operation.content
      if let former = step.former, former != path { free(former, of: content) }
      if case .remove(let gone, _) = step.operation { free(gone, of: content) }
      guard let place = step.place, let stamp else { return }
      put[path] = ReplicaFile(
        library: place.library, entry: place.entry, content: content, path: path, stamp: stamp,
        verified: step.verified ?? now.wall)
      if FilingPlan.isDiscarded(path) { discarded[path] = step.former ?? path }
      if case .land = step.operation { unstaged.insert(content) }
    case .sourceChanged:
      fail(step.operation)
      switch step.operation {
      case .land(let content, _, _): unstaged.insert(content)
      case .move(let from, _, let content, _), .link(let from, _, let content, _),
        .copy(let from, _, let content, _):
        sources[from] = content
      case .copyOwn, .remove: break
      }
    case .failed(let reason):
      failure = reason
      fail(step.operation)
      // After a failed sync nothing that was staged is to be trusted.
      if reason.code == .sync, case .land(let content, _, _) = step.operation { unstaged.insert(content) }
    }
  }

  private mutating func free(_ path: [UInt8], of content: ContentID) {
    removed.insert(path)
    freed[path] = content
    put[path] = nil
  }

  private mutating func fail(_ operation: FilingOperation) {
    failed.insert(operation.content)
    if case .copyOwn(let root, let path, _, _, _) = operation { ownSources.append((root, path)) }
  }
}
