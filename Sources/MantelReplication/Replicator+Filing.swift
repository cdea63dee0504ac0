import MantelCore
import MantelHousehold
import MantelSummary

/// What the replica still has to be told.
struct FilingState: Sendable {
  /// Verified contents that wait for a batch.
  var ready: Set<ContentID> = []
  /// The store has contents whose files may not match their entries.
  var hasUnfiled = false
  var running: FilingBatch?
  /// After a failure filing rests, so that a broken disk is not hammered.
  var retryAt: Instant?
}

/// A batch on its way through the disk.
struct FilingBatch: Sendable {
  var id: BatchID
  var steps: [FilingPlan.Step]
  var contents: [ContentID]
  var staying: [ReplicaFile]
}

extension Replicator {
  mutating func loadHoldings() throws(StoreError) {
    var held: [Digest256] = []
    try store.forEachHeld { held.append($0.digest) }
    held.sort()
    contents.index.insert(sorted: held, into: contents.held)
    contents.index.insert(sorted: held, into: contents.available)
    for folder in try store.folders() where !folder.isRemoved { ledger.folders[folder.id] = folder }
    for (owner, sets) in contents.byLibrary {
      _ = owner
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

  /// Starts the next batch as soon as the one before it has ended: group commit.
  mutating func fileIfIdle(now: Now) throws(StoreError) {
    if let retryAt = filing.retryAt {
      guard retryAt <= now.instant else { return }
      filing.retryAt = nil
      filing.hasUnfiled = true
    }
    // Batches without an operation end at once, and the next one may start.
    while filing.running == nil, let batch = try nextBatch() { try start(batch, now: now) }
  }

  private mutating func nextBatch() throws(StoreError) -> Set<ContentID>? {
    var batch = Set<ContentID>()
    var bytes: UInt64 = 0
    for content in filing.ready {
      guard batch.count < settings.batchFiles, bytes < settings.batchBytes else { break }
      batch.insert(content)
      bytes += try store.missingContent(content)?.size ?? 0
    }
    filing.ready.subtract(batch)
    if filing.hasUnfiled {
      let unfiled = try store.unfiled(limit: settings.batchFiles)
      batch.formUnion(unfiled)
      filing.hasUnfiled = unfiled.count == settings.batchFiles
    }
    return batch.isEmpty ? nil : batch
  }

  private mutating func start(_ wanted: Set<ContentID>, now: Now) throws(StoreError) {
    var plans: [ContentID: FilingPlan] = [:]
    var queue = wanted.sorted()
    while let content = queue.popLast() {
      guard plans[content] == nil else { continue }
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
      plans[content] = FilingPlan(
        content: content, places: places, files: try store.replicaFiles(of: content),
        source: try source(of: content), occupied: occupied)
    }
    try run(plans, now: now)
  }

  private mutating func run(_ plans: [ContentID: FilingPlan], now: Now) throws(StoreError) {
    let contents = plans.keys.sorted()
    // What is parked goes first: the moves behind it need its name.
    var steps = contents.flatMap { plans[$0]?.leaving ?? [] }
    steps = steps.filter { $0.place == nil } + steps.filter { $0.place != nil }
    var arriving = contents.flatMap { plans[$0]?.arriving ?? [] }
    // Files are made in directory order: kinder to the disk, and to whoever lists the directory.
    arriving.sort { Self.isSourceFirst($0, $1) }
    steps += arriving
    lastBatch += 1
    let batch = FilingBatch(
      id: BatchID(lastBatch), steps: steps, contents: contents,
      staying: contents.flatMap { (plans[$0]?.staying ?? []).compactMap(Self.renamed) })
    filing.running = batch
    if steps.isEmpty {
      try finish(batch, results: [], now: now)
    } else {
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

  /// A file that stays, under the id of the entry that it stands for now; nil when that is the same.
  private static func renamed(file: ReplicaFile, place: FilingPlan.Place) -> ReplicaFile? {
    guard file.entry != place.entry || file.library != place.library else { return nil }
    var file = file
    file.entry = place.entry
    file.library = place.library
    return file
  }

  private func source(of content: ContentID) throws(StoreError) -> FilingPlan.Source? {
    let own = try store.ownFiles(of: content).first { $0.status == .published }
    if let own, let folder = ledger.folders[own.folder], !transfers.staged.contains(content) {
      return .own(root: folder.root, path: own.path)
    }
    return transfers.staged.contains(content) ? .staged : nil
  }

  /// Where the entries that name a content want it, in the libraries of others.
  private func places(of content: ContentID) throws(StoreError) -> [FilingPlan.Place] {
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

  private func path(of installed: InstalledEntry) throws(StoreError) -> [UInt8] {
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
  private func directory(of library: MachineID, _ folder: FolderID?) throws(StoreError) -> String {
    if let name = try store.directoryName(library, folder) { return name }
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
  package var isFilingIdle: Bool {
    filing.running == nil && filing.ready.isEmpty && !filing.hasUnfiled
  }

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
    var put: [[UInt8]: ReplicaFile] = [:]
    for file in batch.staying { put[file.path] = file }
    var removed: Set<[UInt8]> = []
    var failed: Set<ContentID> = []
    var failure: FilingFailure?
    for (step, result) in zip(batch.steps, results) {
      let content = Self.content(of: step)
      switch result {
      case .done(let path, let stamp), .adopted(let path, let stamp as FileStamp?):
        if let former = step.former, former != path { removed.insert(former) }
        if case .remove(let gone) = step.operation { removed.insert(gone) }
        if let place = step.place, let stamp, let content {
          put[path] = ReplicaFile(
            library: place.library, entry: place.entry, content: content, path: path, stamp: stamp,
            verified: now.wall)
          if case .land = step.operation { transfers.staged.remove(content) }
        }
      case .sourceChanged:
        if let content { failed.insert(content) }
      case .failed(let reason):
        if let content { failed.insert(content) }
        failure = reason
      }
    }
    removed.subtract(put.keys)
    // A content of which nothing is here is filed too: it is missing, and comes back when its bytes do.
    let filed = batch.contents.filter { !failed.contains($0) }
    try store.commitFiling(put: Array(put.values), removed: Array(removed), filed: filed)
    filing.running = nil
    for file in put.values { contents.setHeld(file.content, true) }
    try refetch(failed)
    if let failure {
      filing.retryAt = now.instant + settings.retry
      filing.ready.formUnion(failed.filter(contents.isAvailable))
      actions.append(.warn(.filingFailed(failure)))
    }
    attesting.isChanged = true
    transfers.isWorthLooking = true
  }

  private static func content(of step: FilingPlan.Step) -> ContentID? {
    switch step.operation {
    case .land(let content, _, _): content
    case .move(_, _, let content, _), .link(_, _, let content, _), .copy(_, _, let content, _),
      .copyOwn(_, _, _, let content, _):
      content
    case .remove: nil
    }
  }

  /// Contents whose bytes were not here after all are missing again.
  private mutating func refetch(_ failed: Set<ContentID>) throws(StoreError) {
    for content in failed {
      guard try store.replicaFiles(of: content).isEmpty else { continue }
      transfers.staged.remove(content)
      if try store.ownFiles(of: content).contains(where: { $0.status == .published }) { continue }
      contents.setHeld(content, false)
      makeUnavailable(content)
    }
    for id in links.keys { links[id]?.fetching.isExhausted = false }
  }

  /// Somebody took a replica file away, or touched it: its content is fetched again unless another file has it.
  mutating func replicaFileLost(_ path: [UInt8]) throws(StoreError) {
    guard let file = try store.replicaFile(at: path) else { return }
    try store.commitFiling(put: [], removed: [path], filed: [])
    if try store.replicaFiles(of: file.content).isEmpty {
      let isOwn = try store.ownFiles(of: file.content).contains { $0.status == .published }
      if !isOwn {
        contents.setHeld(file.content, false)
        makeUnavailable(file.content)
      }
    }
    filing.ready.insert(file.content)
    attesting.isChanged = true
    for id in links.keys { links[id]?.fetching.isExhausted = false }
    transfers.isWorthLooking = true
  }
}
