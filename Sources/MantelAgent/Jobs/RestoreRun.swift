import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelReplication

/// Brings photos of the household back into a directory: from the files here, else from the machines that have them.
struct RestoreRun: Sendable {
  /// What is asked for, understood.
  struct Plan: Sendable {
    /// Nil: every open library.
    var libraries: [MachineID]?
    var pattern: Glob?
    var scope: RestoreScope
    var layout: RestoreLayout
    /// Absolute path, bytes.
    var directory: [UInt8]
    /// Directories of Mantel's own, into which nothing is restored.
    var ownPaths: [ResolvedPath]
    var isDryRun: Bool
  }
  /// One file to bring back.
  private struct Item: Sendable {
    var entry: InstalledEntry
    var file: RestoreFile
  }
  /// Recalled bytes of an item, until they are released.
  private typealias Recalled = (id: RecallID, outcome: RecallOutcome)

  let plan: Plan
  let finder: ContentFinder

  private static let pageEntries = 500
  /// Files and bytes that are made durable together; a larger file goes alone. Two chunks are under way at once, so that
  /// one is fetched while the other is written.
  private static let chunkFiles = 64
  private static let chunkBytes: UInt64 = 64 << 20
  private static let chunksAtOnce = 2

  private var engine: Engine { finder.engine }
  private var effects: Effects { finder.effects }

  func run(_ progress: JobProgress) async throws {
    var total = FileCount(files: 0, bytes: 0)
    try await forEachItem { item in
      total = FileCount(files: total.files + 1, bytes: total.bytes + item.file.size)
    }
    progress.setTotal(total)
    if plan.isDryRun { return try await tell(progress) }
    // A pattern that matches nothing leaves no empty directory behind.
    guard total.files > 0 else { return }
    let directory = plan.directory
    let target = try await effects.walk { try RestoreTarget(root: directory) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      var running = 0
      try await forEachChunk { chunk in
        if running == Self.chunksAtOnce { try await group.next() } else { running += 1 }
        group.addTask { try await restore(chunk, to: target, progress) }
      }
      try await group.waitForAll()
    }
  }

  // MARK: What is restored

  private func forEachItem(_ body: (Item) async throws -> Void) async throws {
    for library in plan.libraries.map({ $0.map(Optional.some) }) ?? [nil] {
      try await forEachItem(of: library, body)
    }
  }

  private func forEachItem(of library: MachineID?, _ body: (Item) async throws -> Void) async throws {
    var selection = RestoreSelection(plan.scope)
    var position: EntryPosition?
    var folders: [FolderID: String] = [:]
    repeat {
      try Task.checkCancellation()
      let page = try engine.catalog.entries(
        of: library, states: [.live, .retired], after: position, limit: Self.pageEntries)
      for entry in page.entries where plan.pattern?.matches(finder.names.path(of: entry)) ?? true {
        for chosen in selection.add(entry) { try await body(item(chosen, &folders)) }
      }
      position = page.next
    } while position != nil
    for chosen in selection.finish() { try await body(item(chosen, &folders)) }
  }

  private func item(_ installed: InstalledEntry, _ folders: inout [FolderID: String]) throws -> Item {
    let entry = installed.entry
    let folder = try folders[entry.folder] ?? folderName(installed.library, entry.folder)
    folders[entry.folder] = folder
    return Item(
      entry: installed,
      file: RestoreFile(
        content: entry.content, size: entry.size, mtime: entry.mtime,
        path: plan.layout.path(of: installed, folder: folder)))
  }

  /// A folder that its owner has removed is known by the name of its replica.
  private func folderName(_ library: MachineID, _ folder: FolderID) throws -> String {
    try finder.names.knownFolder(library, folder) ?? engine.catalog.directoryName(library, folder)
      ?? folder.description
  }

  /// Versions of one place stay in one chunk: who gets the name first is decided by their order.
  private func forEachChunk(_ body: ([Item]) async throws -> Void) async throws {
    var chunk: [Item] = []
    var bytes: UInt64 = 0
    try await forEachItem { item in
      let isFull = chunk.count >= Self.chunkFiles || bytes + item.file.size > Self.chunkBytes
      if isFull, let last = chunk.last, last.file.path != item.file.path {
        try await body(chunk)
        chunk.removeAll()
        bytes = 0
      }
      chunk.append(item)
      bytes += item.file.size
    }
    if !chunk.isEmpty { try await body(chunk) }
  }

  // MARK: Restoring

  private func restore(_ chunk: [Item], to target: RestoreTarget, _ progress: JobProgress) async throws {
    try Task.checkCancellation()
    var absent: [Item] = []
    var present: [(item: Item, path: [UInt8])] = []
    for item in chunk {
      let place = ResolvedPath(plan.directory).appending(item.file.path)
      if plan.ownPaths.contains(where: place.lies) {
        try await fail(item, "its place is in a directory of Mantel's own", progress)
        continue
      }
      do {
        let found = try await effects.readThrough { [effects] in
          try target.existing(item.file) { effects.isRunning }
        }
        if let found { present.append((item, found)) } else { absent.append(item) }
      } catch let error as DiskError {
        try await fail(item, Self.words(error), progress)
      }
    }
    absent += try await settle(present, on: target, progress)
    guard !absent.isEmpty else { return }
    try checkRoom(for: absent, on: target)
    // What the files here do not give after all is asked of the others, once.
    let refused = try await write(absent, isAfresh: false, to: target, progress)
    guard !refused.isEmpty else { return }
    _ = try await write(refused, isAfresh: true, to: target, progress)
  }

  /// What is there counts once it is durable: the run that wrote it may have failed in between. Returns what has vanished since.
  private func settle(
    _ present: [(item: Item, path: [UInt8])], on target: RestoreTarget, _ progress: JobProgress
  ) async throws -> [Item] {
    guard !present.isEmpty else { return [] }
    let paths = present.map { $0.path }
    let failures = try await effects.readThrough { target.settle(paths) }
    var vanished: [Item] = []
    for ((item, _), failure) in zip(present, failures) {
      switch failure {
      case nil: progress.count("present", bytes: item.file.size)
      case let error? where error.code == .notFound: vanished.append(item)
      case let error?: try await fail(item, Self.words(error), progress)
      }
    }
    return vanished
  }

  /// Writes what can be had of the items. Returns those whose files here turned out to have other bytes.
  private func write(
    _ items: [Item], isAfresh: Bool, to target: RestoreTarget, _ progress: JobProgress
  ) async throws -> [Item] {
    var local: [(item: Item, sources: [RestoreSource])] = []
    var away: [Item] = []
    for item in items {
      let sources = isAfresh ? [] : try finder.sources(of: item.file.content)
      if sources.isEmpty { away.append(item) } else { local.append((item, sources)) }
    }
    let refused = try await write(local, to: target, progress)
    try await withRecalled(away, isAfresh: isAfresh) { recalled in
      var here: [(item: Item, sources: [RestoreSource])] = []
      for (item, recall) in zip(away, recalled) {
        if recall.outcome == .here {
          // It may have been landed in the replica since.
          let content = item.file.content
          here.append(
            (item, [.staged(effects.replica, content)] + (try finder.sources(of: content))))
        } else {
          try await fail(item, try await finder.reason(recall.outcome, item.entry), progress)
        }
      }
      for item in try await write(here, to: target, progress) {
        try await fail(item, "no file that should have its bytes has them", progress)
      }
    }
    return refused
  }

  private func write(
    _ items: [(item: Item, sources: [RestoreSource])], to target: RestoreTarget, _ progress: JobProgress
  ) async throws -> [Item] {
    guard !items.isEmpty else { return [] }
    let files = items.map { ($0.item.file, $0.sources) }
    let results = try await effects.readThrough { [effects] in
      target.write(files.map { (file: $0.0, sources: $0.1) }) { effects.isRunning }
    }
    var refused: [Item] = []
    for (item, result) in zip(items.map(\.item), results) {
      switch result {
      case .success(.present): progress.count("present", bytes: item.file.size)
      case .success(.written(let path)) where path == item.file.path:
        progress.count("restored", bytes: item.file.size)
      case .success(.written(let path)):
        progress.count("suffixed", bytes: item.file.size)
        let words = "another file lies at its place, which was left alone"
        try await progress.say(describe(item, "suffixed", at: path, words))
      case .failure(let error) where error.code == .changed || error.code == .notFound: refused.append(item)
      case .failure(let error): try await fail(item, Self.words(error), progress)
      }
    }
    return refused
  }

  /// Recalls the items' contents while the body runs.
  private func withRecalled(
    _ items: [Item], isAfresh: Bool, _ body: ([Recalled]) async throws -> Void
  ) async throws {
    let recaller = effects.recaller
    let ids = items.map { recaller.open(RecallOrder($0.entry, isAfresh: isAfresh)) }
    let outcome: Result<Void, any Error>
    do {
      let recalled = try await withThrowingTaskGroup(of: Recalled.self) { group in
        for id in ids {
          group.addTask { [engine] in (id, try await recaller.outcome(of: id, engine: engine)) }
        }
        return try await group.reduce(into: [RecallID: RecallOutcome]()) { $0[$1.id] = $1.outcome }
      }
      try await body(ids.map { ($0, recalled[$0] ?? .refused) })
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    for id in ids { await recaller.release(id, engine: engine) }
    try outcome.get()
  }

  /// Leaves the reserve of the target's filesystem alone. What is restored by then stays, and a second run does the rest.
  private func checkRoom(for items: [Item], on target: RestoreTarget) throws {
    let space = try target.space()
    let room = DiskSpace(free: space.free, total: space.total)
    let needed = items.reduce(0) { $0 + $1.file.size }
    guard room.free < room.reserve || room.free - room.reserve < needed else { return }
    throw ControlError(
      code: .conflict,
      message:
        "there is not enough room in \(String(decoding: plan.directory, as: UTF8.self)): \(room.free) bytes "
        + "are free, of which \(room.reserve) stay free; make room, or choose another --to, and run it again")
  }

  // MARK: Words

  private func fail(_ item: Item, _ words: String, _ progress: JobProgress) async throws {
    progress.count("failed", bytes: item.file.size)
    try await progress.say(describe(item, "failed", at: item.file.path, words))
  }

  private func describe(_ item: Item, _ state: String, at path: [UInt8], _ words: String) -> JobItem {
    let entry = item.entry.entry
    return JobItem(
      state: state, machine: finder.names.name(item.entry.library),
      folder: finder.names.folder(item.entry.library, entry.folder), path: PathText(bytes: entry.path),
      target: PathText(bytes: plan.directory + [UInt8(ascii: "/")] + path), size: entry.size,
      sha256: entry.content.hex, message: words)
  }

  /// What would be done, file by file.
  private func tell(_ progress: JobProgress) async throws {
    try await forEachItem { item in
      let words: String
      if try !finder.sources(of: item.file.content).isEmpty {
        words = "from this machine"
      } else {
        let holders = await finder.connectedHolders(of: item.file.content)
        words =
          holders.isEmpty
          ? try await finder.unreachable(item.entry) : "from \(holders.joined(separator: ", "))"
      }
      progress.count("wouldRestore", bytes: item.file.size)
      try await progress.say(describe(item, "wouldRestore", at: item.file.path, words))
    }
  }

  static func words(_ error: DiskError) -> String {
    switch error.code {
    case .noSpace: "the disk is full"
    case .readOnly: "the filesystem there is read-only"
    case .name: "the filesystem cannot hold this name"
    case .notRegular, .notFound, .exists:
      "something else is in the way of its directory or its name (a file, or a symbolic link)"
    case .permission: "it may not be written there: \(error)"
    default: "\(error)"
    }
  }
}
