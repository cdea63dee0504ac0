import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// What users do, and what goes wrong, while faults are on.
extension HouseholdTrial {
  // MARK: What goes wrong

  func meddle() throws {
    let index = below(count)
    guard !household.removed.contains(index), household.machines[index].suspended == nil else { return }
    switch below(32) {
    case 0, 1: try write(index)
    case 2: try edit(index)
    case 3: try delete(index)
    case 4: try move(index)
    case 5: try swap(index)
    case 6: try household.crash(oneIn(2) ? busy ?? index : index, isPowerCut: oneIn(2))
    case 7, 8: if let cable = randomCable() { household.cut(cable[0], cable[1]) }
    case 9: if let cable = randomCable() { connect(cable) }
    case 10: if oneIn(3) { intrude(index) } else { try damage(index) }
    case 11: try unplugOrPlug(index)
    case 12: try deleteMany(index)
    case 13: try replaceMany(index)
    case 14: try accept(index)
    case 15: try unmountOrMount(index)
    case 16: try recall(index)
    case 17, 18: rot(index)
    case 19:
      household.note("keeps a copy of its catalog", at: index)
      try household.machines[index].keepBackup()
    case 20: try loseCatalog(index)
    case 21, 22: try forget(index)
    case 23: try undo(index)
    case 24, 25:
      household.note("keeps an image of its home", at: index)
      try household.machines[index].keepImage()
    case 26: try restoreHome(index)
    case 27: try forkHistory(index)
    case 28: try changeRole(index)
    case 29: try release(index)
    default: try household.scan(index)
    }
  }

  /// A machine that is changing names in its replica.
  private var busy: Int? {
    household.machines.firstIndex { machine in machine.ask { $0.filing.running != nil } }
  }

  private func randomCable() -> [Int]? {
    household.random.element(of: cables.sorted { $0.lexicographicallyPrecedes($1) })
  }

  private func randomPath(_ index: Int) -> String? {
    household.random.element(of: paths(index))
  }

  /// What the user can get at.
  private func paths(_ index: Int) -> [String] {
    household.machines[index].present.keys.map { String(decoding: $0, as: UTF8.self) }.sorted()
  }

  func write(_ index: Int) throws {
    photos += 1
    // Some photos are on several machines, and some are there twice.
    let name = oneIn(4) ? "shared \(below(6))" : "photo \(photos)"
    let large: UInt64? = oneIn(5) ? UInt64(Limits.wholeUnitBytes) + UInt64(1 + below(3)) << 20 : nil
    try change(index, ["\(below(3))/img\(photos).jpg"]) { machine, paths in
      machine.write(paths[0], Array("\(name) of \(seed)".utf8), size: large, mtime: mtime())
    }
  }

  private func edit(_ index: Int) throws {
    guard let path = randomPath(index) else { return }
    photos += 1
    try change(index, [path]) { machine, paths in
      let bytes = oneIn(4) ? machine.own[Array(path.utf8)]?.bytes : nil
      machine.write(paths[0], bytes ?? Array("edit \(photos) of \(seed)".utf8), mtime: mtime())
    }
  }

  private func delete(_ index: Int) throws {
    guard let path = randomPath(index) else { return }
    try change(index, [path]) { machine, paths in machine.remove(paths[0]) }
  }

  private func move(_ index: Int) throws {
    guard let path = randomPath(index) else { return }
    photos += 1
    try change(index, [path, "\(below(3))/moved\(photos).jpg"]) { machine, paths in
      machine.rename(paths[0], paths[1])
    }
  }

  private func swap(_ index: Int) throws {
    guard let left = randomPath(index), let right = randomPath(index), left != right else { return }
    try change(index, [left, right]) { machine, paths in
      machine.rename(paths[0], "swap")
      machine.rename(paths[1], paths[0])
      machine.rename("swap", paths[1])
    }
  }

  private func mtime() -> Int64 { 1_600_000_000_000_000_000 + Int64(below(8)) }

  /// The user does something; mostly the agent is told at once, else it finds out by a scan.
  private func change(
    _ index: Int, _ paths: [String], _ body: (SimulatedMachine, [String]) -> Void
  ) throws {
    guard !household.machines[index].isOffline, household.machines[index].suspended == nil else { return }
    household.note("user: \(paths.joined(separator: " "))", at: index)
    body(household.machines[index], paths)
    guard !oneIn(4) else { return }
    for path in paths {
      household.work(at: index) { [household] in
        try household.handle(household.machines[index].look(Array(path.utf8), isClosed: true), at: index)
      }
    }
  }

  /// Somebody takes a file out of a replica, gives it another name, or touches one; found when the replica is compared next.
  private func damage(_ index: Int) throws {
    let paths = household.machines[index].replica.files.keys.sorted { $0.lexicographicallyPrecedes($1) }
    guard oneIn(2), let path = household.random.element(of: paths) else { return }
    if oneIn(2) {
      household.machines[index].replica.damage(path)
    } else if oneIn(2) {
      // One file, or its whole directory.
      let moved =
        oneIn(2) ? [path] : paths.filter { Replicator.directory(of: $0) == Replicator.directory(of: path) }
      for path in moved {
        household.machines[index].replica.misplace(path, to: path + Array(" moved".utf8))
      }
    } else {
      household.machines[index].replica.touch(path, mtime: mtime())
    }
    household.checkReplica(index)
  }

  /// Somebody puts files of their own where the next photos of another machine are to lie.
  private func intrude(_ index: Int) {
    let owner = below(count)
    guard owner != index else { return }
    for number in photos + 1...photos + 4 {
      for directory in 0..<3 {
        household.machines[index].replica.intrude(
          Array("m\(owner)/Photos/\(directory)/img\(number).jpg".utf8),
          Payload(Array("intruder \(directory) \(number) of \(seed)".utf8)))
      }
    }
  }

  /// The disk changes a byte: nobody is told, and `stat` sees nothing. Found when the file is read again.
  private func rot(_ index: Int) {
    let machine = household.machines[index]
    let paths = (oneIn(3) ? Array(machine.own.keys) : Array(machine.replica.files.keys))
    let sorted = paths.sorted { $0.lexicographicallyPrecedes($1) }
    guard let path = household.random.element(of: sorted) else { return }
    household.note("rots \(String(decoding: path, as: UTF8.self))", at: index)
    if machine.own[path] != nil { machine.rot(path) } else { machine.replica.rot(path) }
  }

  /// The user brings back what was found rotten in the own folder, and touches what is right as it is.
  func restoreSuspected() throws {
    for index in present {
      let machine = household.machines[index]
      for path in machine.suspected {
        guard let file = machine.own[path], let sound = file.sound else { continue }
        machine.write(
          String(decoding: path, as: UTF8.self), sound.bytes, size: sound.size, mtime: file.mtime)
      }
      for path in machine.wronglySuspected {
        guard let file = machine.own[path] else { continue }
        household.note("touches \(String(decoding: path, as: UTF8.self))", at: index)
        machine.write(
          String(decoding: path, as: UTF8.self), file.bytes, size: file.payload.size, mtime: file.mtime + 1)
      }
      try household.scan(index)
    }
  }

  /// Nothing that was signed is forgotten within its own microsecond.
  func hasJustSigned(_ index: Int) -> Bool {
    household.machines[index].hasJustSigned(household.clocks(of: index))
  }

  /// The state directory is lost, or an old backup takes its place.
  private func loseCatalog(_ index: Int) throws {
    guard oneIn(2), household.machines[index].isGuarded else { return }
    try replaceCatalog(index, isLost: oneIn(2))
  }

  func replaceCatalog(_ index: Int, isLost: Bool) throws {
    guard !hasJustSigned(index) else { return }
    household.note(isLost ? "loses its catalog" : "gets an old catalog", at: index)
    try household.crash(index) { [self] machine in
      invariants.forgive(index)
      if isLost {
        try machine.loseCatalog(now: household.clocks(of: index))
      } else {
        _ = try machine.restoreBackup()
      }
    }
  }

  /// The whole home, guard file and all, is an old image; nobody can be reached for a while, and life goes on.
  private func restoreHome(_ index: Int) throws {
    guard household.machines[index].image != nil, !hasJustSigned(index) else { return }
    isolated[index] = household.now.instant + .milliseconds(Int64(below(5_000)))
    household.note("gets an old home", at: index)
    try household.crash(index) { [self] machine in
      invariants.forgive(index)
      _ = try machine.restoreImage()
    }
    for _ in 0...below(3) { oneIn(3) ? try edit(index) : try write(index) }
  }

  // MARK: Mass changes and mounts

  /// Somebody pulls the replica's disk, or puts it back; mostly the agent notices.
  private func unplugOrPlug(_ index: Int) throws {
    let machine = household.machines[index]
    machine.replica.isMounted.toggle()
    guard !oneIn(4) else { return }
    try household.handle(machine.replica.isMounted ? .replicaMounted : .replicaAway, at: index)
  }

  /// `rm -rf` of an album, or of everything.
  private func deleteMany(_ index: Int) throws {
    let album = oneIn(2) ? "\(below(3))/" : ""
    let paths = paths(index).filter { $0.hasPrefix(album) }
    try change(index, paths) { machine, paths in paths.forEach(machine.remove) }
  }

  private func replaceMany(_ index: Int) throws {
    for path in paths(index) {
      photos += 1
      try change(index, [path]) { machine, paths in
        machine.write(paths[0], Array("encrypted \(photos) of \(seed)".utf8), mtime: mtime())
      }
    }
  }

  func accept(_ index: Int) throws {
    let machine = household.machines[index]
    try household.handle(.folderAccepted(machine.folder.id), at: index)
    try household.scan(index)
  }

  /// The folder's disk goes without a word, or comes back; or the agent starts to walk just then.
  private func unmountOrMount(_ index: Int) throws {
    let machine = household.machines[index]
    machine.isOffline.toggle()
    if machine.isOffline, oneIn(2) {
      for event in machine.vanish() { try household.handle(event, at: index) }
    }
    if oneIn(2) { try household.scan(index) }
  }

  /// Somebody restores a photo of anybody, deleted ones too, sometimes from one machine alone.
  private func recall(_ index: Int) throws {
    let entries = try household.machines[index].catalog.entries(states: [.live, .retired], limit: 1_000)
      .entries
    for _ in 0...below(4) {
      guard let installed = household.random.element(of: entries) else { return }
      let only = oneIn(8) ? household.machines[below(count)].machine : nil
      household.recall(RecallOrder(installed, isAfresh: only != nil || oneIn(4), only: only), at: index)
    }
  }
}
