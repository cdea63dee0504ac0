import MantelCore
import MantelHousehold

/// From contents whose files may not match their entries to a batch that lets them.
extension Replicator {
  mutating func start(_ wanted: Set<ContentID>, now: Now) throws(StoreError) {
    var sites = try sites(of: wanted)
    try leaveOutDoubted(&sites)
    var plans = try droppingPlans(of: Set(sites.keys), now: now)
    // In order: where there is not room for all copies, the same ones are made each time.
    for content in sites.keys.sorted() where plans[content] == nil {
      guard let site = sites[content] else { continue }
      plans[content] = try plan(of: content, at: site, now: now)
    }
    try run(plans, now: now)
  }

  /// Where a content belongs, and which of its names files of other contents still have.
  private struct Site {
    var places: [FilingPlan.Place]
    var occupied: Set<[UInt8]> = []
  }

  /// The sites of some contents, and of all that lie under names which these ask for, and so on: what has to move moves in
  /// the same batch, first, and drops are judged together, however they came in. As many as there are files in one
  /// another's way.
  private mutating func sites(of wanted: Set<ContentID>) throws(StoreError) -> [ContentID: Site] {
    let unresolved = filing.unresolvedContents
    var sites: [ContentID: Site] = [:]
    // One content may lie under thousands of names.
    var homes: [ContentID: Set<[UInt8]>] = [:]
    var queue = wanted.sorted()
    while let content = queue.popLast() {
      guard sites[content] == nil, !unresolved.contains(content) else { continue }
      var site = Site(places: try places(of: content))
      for place in site.places {
        guard let file = try store.replicaFile(at: place.path), file.content != content else {
          continue
        }
        if homes[file.content] == nil {
          homes[file.content] = Set(try places(of: file.content).lazy.map(\.path))
        }
        if homes[file.content]?.contains(file.path) == false {
          site.occupied.insert(place.path)
          queue.append(file.content)
        }
      }
      sites[content] = site
    }
    return sites
  }

  /// A file that may be another than the catalog says (an old catalog, names exchanged by hand) is read before it is moved, and
  /// so long nothing takes its name: a move would make it look as though it had been looked at.
  private mutating func leaveOutDoubted(_ sites: inout [ContentID: Site]) throws(StoreError) {
    // Before the first comparison has ended each of them may be another.
    let isUnseen = !mayRename
    guard isUnseen || scrub.hasDoubts else { return }
    var doubted: Set<ContentID> = []
    for content in sites.keys where contents.isHeld(content) {
      let isDoubted = try store.replicaFiles(of: content).contains {
        isUnseen || scrub.doubts(.replica($0.path))
      }
      if isDoubted { doubted.insert(content) }
    }
    var isMore = !doubted.isEmpty
    while isMore {
      isMore = false
      for (content, site) in sites where !doubted.contains(content) {
        for place in site.occupied where !doubted.contains(content) {
          guard let owner = try store.replicaFile(at: place)?.content, doubted.contains(owner) else {
            continue
          }
          doubted.insert(content)
          isMore = true
        }
      }
    }
    for content in doubted { sites[content] = nil }
    filing.doubted.formUnion(doubted)
  }

  /// Whether a file that is not in doubt may be moved by its name. Where a comparison has failed, all that is moved is read after
  /// it: that is not to be more than is kept in mind.
  var mayRename: Bool {
    scrub.sight.isSeen && (scrub.sight.isComplete || scrub.doubted.count <= settings.doubtedFiles / 2)
  }

  /// What was moved by its name before a comparison has seen all may be another file, and none tells any more: the row is made of
  /// it, and may stand now in a part that was seen already. Its bytes decide.
  mutating func doubtRenamed(by batch: FilingBatch, _ outcome: BatchOutcome) {
    guard !batch.isRepeat, !scrub.sight.isComplete else { return }
    for path in outcome.renamed where outcome.put[path] != nil { doubt(.replica(path)) }
  }

  /// A comparison has ended: what waited for it, and is not in doubt, is planned.
  mutating func planUnseen() {
    filing.ready.formUnion(filing.doubted)
    filing.doubted.removeAll()
  }

  /// A file that was in doubt has been read: what waited for it is planned again.
  mutating func planDoubted(_ content: ContentID?) {
    if !scrub.hasDoubts, scrub.sight.isSeen {
      planUnseen()
    } else if let content, filing.doubted.remove(content) != nil {
      filing.ready.insert(content)
    }
  }

  private mutating func plan(
    of content: ContentID, at site: Site, now: Now
  ) throws(StoreError) -> FilingPlan {
    guard !site.places.isEmpty else { return FilingPlan() }
    // What is not held has no replica file: most of what is landed came just now.
    let files = contents.isHeld(content) ? try store.replicaFiles(of: content) : []
    let (source, size, filesystem) = try source(of: content)
    let cost = CopyCost(
      of: files.first?.stamp.size ?? size, isShared: sharesCopies(from: files.isEmpty ? filesystem : nil))
    let plan = FilingPlan(
      content: content, places: site.places, files: files, silent: try silent(files, of: content, at: site),
      source: source, occupied: site.occupied, ended: mayDelete(content, now) ? trashEnd(now) : nil,
      copyLimit: copyLimit(of: cost))
    noteCopies(of: plan, cost)
    return plan
  }

  /// Libraries of a content's files that do not name it any more, and have not dropped it: an entry vanished, or nobody had
  /// the bytes. What was taken over from a directory belongs to nobody yet.
  private func silent(
    _ files: [ReplicaFile], of content: ContentID, at site: Site
  ) throws(StoreError) -> Set<MachineID> {
    let naming = Set(site.places.lazy.map(\.library))
    var silent: Set<MachineID> = []
    for library in Set(files.lazy.map(\.library)).subtracting(naming) where library != machine {
      if try store.droppedEntries(library, of: content).isEmpty { silent.insert(library) }
    }
    return silent
  }

  mutating func run(_ plans: [ContentID: FilingPlan], now: Now) throws(StoreError) {
    let contents = plans.keys.sorted()
    var steps = contents.flatMap { plans[$0]?.leaving ?? [] }
    steps = steps.filter(\.onlyFrees) + steps.filter { !$0.onlyFrees }
    // Files are made in directory order: kinder to the disk, and to whoever lists the directory.
    steps += FilingPlan.sourcesFirst(contents.flatMap { plans[$0]?.arriving ?? [] })
    // What is left over is planned again: whatever was done by then has its rows, and lies out of the way of the rest.
    let later = steps[FilingJournal.count(of: steps, within: settings.journalBytes)...]
    let outdated = Set(later.lazy.map(\.operation.content))
    steps.removeLast(later.count)
    lastBatch += 1
    let batch = FilingBatch(
      id: BatchID(lastBatch), steps: steps, contents: contents,
      staying: contents.flatMap { content in
        (plans[content]?.staying ?? []).compactMap(Self.renamed) + (plans[content]?.marked ?? [])
      }, outdated: outdated, lackingRoom: Set(contents.filter { plans[$0]?.lacksRoom == true }))
    filing.running = batch
    if steps.isEmpty {
      try finish(batch, results: [], now: now)
    } else {
      try store.setValue(.filingJournal, FilingJournal.bytes(of: filing.unresolved + steps))
      try unholdDeleted(steps)
      actions.append(.file(batch.id, steps.map(\.operation)))
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

  /// Whether copies share their bytes with an original on this filesystem; nil: on the replica's.
  private func sharesCopies(from filesystem: [UInt8]?) -> Bool {
    guard let sharing = room?.sharing else { return false }
    guard let filesystem else { return true }
    // Two that have no identity may be two.
    return !sharing.isEmpty && filesystem == sharing
  }

  /// What the bytes can be taken from, how many they are, and on which filesystem an own file lies.
  private func source(
    of content: ContentID
  ) throws(StoreError) -> (source: FilingPlan.Source?, bytes: UInt64, filesystem: [UInt8]?) {
    if transfers.staged.contains(content) {
      if let size = transfers.stagedSizes[content] { return (.staged, size, nil) }
      return (.staged, try store.missingContent(content)?.size ?? 0, nil)
    }
    let own = try store.ownFiles(of: content).first { $0.status == .published }
    guard let own, let folder = ledger.folders[own.folder] else { return (nil, 0, nil) }
    let filesystem = ledger.places[own.folder]?.expected(at: own.path) ?? []
    return (.own(root: folder.root, path: own.path), own.stamp.size, filesystem)
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
}
