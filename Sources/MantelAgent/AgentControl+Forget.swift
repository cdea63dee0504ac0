import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelReplication

/// What a PATTERN chose of the libraries that this machine signs for.
private struct ForgetSelection {
  var ids: [EntryID] = []
  var byLibrary: [MachineID: [EntryID]] = [:]
  var contentsByLibrary: [MachineID: Set<ContentID>] = [:]
  /// Sizes of the contents.
  var contents: [ContentID: UInt64] = [:]
  var live = 0
  var retired = 0
  var examples: [PathText] = []

  static let exampleCount = 5

  mutating func add(_ id: EntryID, _ entry: Entry, in library: MachineID, path: [UInt8]) {
    ids.append(id)
    byLibrary[library, default: []].append(id)
    contentsByLibrary[library, default: []].insert(entry.content)
    contents[entry.content] = entry.size
    if entry.state.isLive { live += 1 } else { retired += 1 }
    if examples.count < Self.exampleCount { examples.append(PathText(bytes: path)) }
  }
}

extension AgentControl {
  /// Photos that one command may forget: all of them are in memory for a moment.
  static let forgottenAtOnce = 250_000
  /// Photos that one head drops.
  private static let forgottenPerHead = 4_096

  func forget(_ query: ForgetQuery) async throws(ControlError) -> ForgetAnswer {
    try await answering {
      let names = try await Names(engine)
      let signed = await engine.ask { $0.signedLibraries }
      let libraries = Self.libraries(signed, own: key.machine, namedBy: query.pattern) { names.name($0) }
      let chosen =
        try query.undo
        ? forgotten(query.pattern, libraries, names) : named(query.pattern, libraries, names)
      guard !chosen.ids.isEmpty else { throw Self.nothingMatches(query, names.name(key.machine)) }
      let contents = Array(chosen.contents.keys)
      let consent = Consent.to(chosen.ids.lazy.map(\.digest))
      if let given = query.consent, given != consent {
        throw Self.changed("other photos match \(query.pattern) than a moment ago")
      }
      let dropped = query.undo ? [:] : chosen.contentsByLibrary
      let (asksOthers, unfound) = try await engine.ask { replicator in
        (
          try dropped.contains { try replicator.asksOthers(dropping: $0.value, in: $0.key) },
          query.undo ? try replicator.unfound(among: contents) : []
        )
      }
      if !query.dryRun {
        try await carryOut(chosen.byLibrary, isUndo: query.undo)
        // Other libraries that name the bytes are their owners' to decide about.
        try await engine.perform(.askToForget(contents, isWithdrawn: query.undo))
      }
      // Also when it is done: the head of a kept library may be a moment away.
      let leaving = Set(chosen.ids)
      let kept = try await engine.ask { replicator in
        query.undo ? [] : try replicator.keepers(of: dropped, leaving: leaving)
      }
      return ForgetAnswer(
        pattern: query.pattern, undo: query.undo, dryRun: query.dryRun, live: chosen.live,
        retired: chosen.retired,
        contents: FileCount(files: contents.count, bytes: chosen.contents.values.reduce(0, +)),
        examples: chosen.examples, kept: kept.map { answer($0, names) }, asksOthers: asksOthers,
        unfound: FileCount(
          files: unfound.count, bytes: unfound.reduce(0) { $0 + (chosen.contents[$1] ?? 0) }),
        libraries: chosen.byLibrary.sorted { $0.key < $1.key }.map { library, ids in
          ForgottenLibrary(machine: names.name(library), id: library.hex, photos: ids.count)
        }, consent: consent)
    }
  }

  func carryOut(_ ids: [MachineID: [EntryID]], isUndo: Bool) async throws {
    for library in ids.keys.sorted() {
      guard await !engine.ask({ $0.isPublishingStopped(of: library) }) else { throw Self.nothingPublished }
    }
    for (library, ids) in ids.sorted(by: { $0.key < $1.key }) {
      var rest = ids[...]
      while !rest.isEmpty {
        let next = Array(rest.prefix(Self.forgottenPerHead))
        rest = rest.dropFirst(Self.forgottenPerHead)
        let event: ReplicationEvent =
          if library == key.machine {
            isUndo ? .unforget(next) : .forget(next)
          } else {
            isUndo ? .unforgetKept(next, in: library) : .forgetKept(next, in: library)
          }
        // Others may be heard between two heads, and end what was allowed before the first.
        let isDone = try await engine.change { $0.isPublishingStopped(of: library) ? nil : event }
        guard isDone else { throw Self.nothingPublished }
        guard await !engine.ask({ $0.isWordPending(of: library) }) else { throw Self.nothingSigned }
      }
    }
  }

  private static let nothingPublished = ControlError(
    code: .conflict,
    message:
      "this machine publishes nothing now: `mantel status` says why, or no other machine was heard since it started"
  )

  private static let nothingSigned = ControlError(
    code: .internalError,
    message: "it is not done: this machine's key did not sign it; it is tried again until the agent stops"
  )

  func drops() async throws(ControlError) -> [DropsAnswer] {
    try await answering {
      let names = try await Names(engine)
      return try await engine.ask { replicator in
        try replicator.undecidedDrops().sorted { $0.key < $1.key }.map { machine, drops in
          DropsAnswer(
            machine: names.name(machine), id: machine.hex,
            copies: FileCount(files: drops.files, bytes: drops.bytes),
            consent: try replicator.consent(toDropsOf: machine))
        }
      }
    }
  }

  func decide(_ decision: DropDecision) async throws(ControlError) -> AcceptAnswer {
    try await answering {
      let names = try await Names(engine)
      // One that this machine knows by its library alone has no name.
      let machine = try MachineID(hex: decision.machine) ?? names.machine(decision.machine)
      let waiting = try await engine.ask { try $0.undecidedDrops()[machine]?.files ?? 0 }
      let isDone = try await engine.change {
        try $0.decision(onDropsOf: machine, accepts: decision.accept, consent: decision.consent)
      }
      guard isDone else { throw Self.changed("\(names.name(machine)) dropped other photos since") }
      if !decision.accept { await effects.keepHousehold(from: catalog, engine: engine) }
      return AcceptAnswer(name: names.name(machine), accepted: waiting)
    }
  }

  /// What was consented to is not what would be done.
  static func changed(_ what: String) -> ControlError {
    ControlError(code: .conflict, message: "\(what): nothing was done; look again")
  }

  // MARK: What a pattern chooses

  /// Of a removed machine nobody has the files but the household: what it left is chosen by its name alone, never by a pattern
  /// that was written for the own photos.
  static func libraries(
    _ signed: [MachineID], own: MachineID, namedBy pattern: String, name: (MachineID) -> String
  ) -> [MachineID] {
    let root = Glob(pattern).literalRoot
    return signed.filter { $0 == own || Array(name($0).utf8) == root }
  }

  private func named(
    _ pattern: String, _ libraries: [MachineID], _ names: Names
  ) throws -> ForgetSelection {
    let glob = Glob(pattern)
    var chosen = ForgetSelection()
    for library in libraries {
      var position: EntryPosition?
      repeat {
        let page = try catalog.entries(
          of: library, states: [.live, .retired, .unheld], after: position, limit: Self.pageItems)
        for found in page.entries {
          let path = names.path(of: found)
          if glob.matches(path) { chosen.add(found.id, found.entry, in: library, path: path) }
        }
        try Self.checkBound(chosen)
        position = page.next
      } while position != nil
    }
    return chosen
  }

  private func forgotten(
    _ pattern: String, _ libraries: [MachineID], _ names: Names
  ) throws -> ForgetSelection {
    let glob = Glob(pattern)
    var chosen = ForgetSelection()
    for library in libraries {
      var last: EntryID?
      repeat {
        let page =
          library == key.machine
          ? try catalog.forgotten(after: last, limit: Self.pageItems)
          : try catalog.forgotten(in: library, after: last, limit: Self.pageItems)
        for found in page {
          let path = names.path(of: InstalledEntry(library: library, id: found.id, entry: found.entry))
          if glob.matches(path) { chosen.add(found.id, found.entry, in: library, path: path) }
        }
        try Self.checkBound(chosen)
        last = page.count == Self.pageItems ? page.last?.id : nil
      } while last != nil
    }
    try chooseRenamed(&chosen, glob, names)
    return chosen
  }

  /// Forgotten bytes by the names that their files have now.
  private func chooseRenamed(_ chosen: inout ForgetSelection, _ glob: Glob, _ names: Names) throws {
    var known = Set(chosen.byLibrary[key.machine] ?? [])
    var last: FilePosition?
    repeat {
      let page = try catalog.skippedFiles(after: last, limit: Self.pageItems)
      for file in page where file.status == .skipped(.forgotten) {
        let path = names.path(key.machine, file.folder, file.path)
        guard let content = file.content, glob.matches(path) else { continue }
        for found in try catalog.forgotten(of: content) where known.insert(found.id).inserted {
          chosen.add(found.id, found.entry, in: key.machine, path: path)
        }
      }
      try Self.checkBound(chosen)
      last =
        page.count == Self.pageItems ? page.last.map { FilePosition(folder: $0.folder, path: $0.path) } : nil
    } while last != nil
  }

  private static func checkBound(_ chosen: ForgetSelection) throws {
    guard chosen.ids.count <= forgottenAtOnce else {
      throw ControlError(
        code: .usage,
        message: "more than \(forgottenAtOnce) photos match: forget them folder by folder")
    }
  }

  private static func nothingMatches(_ query: ForgetQuery, _ machine: String) -> ControlError {
    let message =
      query.undo
      ? "nothing that was forgotten on this machine matches \(query.pattern)"
      : "no photo of this machine matches \(query.pattern); a pattern is \(machine)/FOLDER/PATH, and each machine "
        + "forgets its own photos only, and those of a removed machine that it keeps the library of, by "
        + "that machine's name"
    return ControlError(code: .notFound, message: message)
  }

  // MARK: Words

  func forgottenAnswers() async throws -> [KeptAnswer] {
    let kept = try await engine.ask { try $0.keepers(of: $0.forgottenContents()) }
    guard !kept.isEmpty else { return [] }
    let names = try await Names(engine)
    return kept.map { answer($0, names) }
  }

  static func answer(_ trash: TrashReport, _ names: [MachineID: String]) -> TrashAnswer {
    let days = (trash.left.inSeconds / 86_400).rounded(.up)
    return TrashAnswer(
      machine: names[trash.library] ?? trash.library.short, files: trash.files, bytes: trash.bytes,
      daysLeft: Int(days))
  }

  private static func absence(_ kept: KeptBytes) -> String {
    let days = kept.silent.map { $0.inSeconds / 86_400 } ?? 0
    return days < 2
      ? "which is not connected" : "which is not connected, and last said something \(Int(days)) days ago"
  }

  private static func leftBehind(by name: String, keptBy keeper: String) -> String {
    "kept everywhere: \(name), which was removed, has left the same photos; only `mantel forget` on \(keeper) with a "
      + "PATTERN that begins with \(name)/ lets them go"
  }

  private func answer(_ kept: KeptBytes, _ names: Names) -> KeptAnswer {
    let name = names.name(kept.machine)
    let (reason, message) =
      switch kept.why {
      case .ownLibrary:
        ("ownLibrary", "kept everywhere: \(name)'s library names the same bytes elsewhere too")
      case .otherLibrary where kept.keeper != nil:
        ("otherLibrary", Self.leftBehind(by: name, keptBy: kept.keeper.map { names.name($0) } ?? name))
      case .otherLibrary:
        ("otherLibrary", "kept everywhere: \(name) has the same photos in its own library, and is asked")
      case .trash:
        ("trash", "on \(name): in its trash for 30 days of running, or held there until its user confirms")
      case .away:
        (
          "away",
          "on \(name), \(Self.absence(kept)): it knew, and keeps them in its trash for 30 days in which it runs"
        )
      case .unaware:
        (
          "unaware",
          "on \(name), \(Self.absence(kept)): it keeps them until it hears of it, and for 30 days more in which it runs"
        )
      case .removed:
        ("removed", "on \(name), which was removed with its copies: nobody can make it forget them")
      }
    return KeptAnswer(machine: name, reason: reason, files: kept.files, message: message)
  }
}
