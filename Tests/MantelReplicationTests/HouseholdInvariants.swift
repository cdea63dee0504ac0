import MantelCore

@testable import MantelReplication

/// The invariants of a household that can be judged at this level, whatever went wrong; checked at one machine after
/// each of its steps.
struct HouseholdInvariants {
  /// What each machine had: none of it may ever be taken back.
  private var heads: [[MachineID: HeadOrder]]
  private var replicated: [Set<ContentID>]
  /// Own contents that a machine knew to be on another one, ever.
  private var wasSafe: [Set<ContentID>]
  /// Own files that the last own head named, and how often their paths had been touched by then.
  private var published: [[[UInt8]: (content: ContentID, touches: Int)]]
  /// Machines that were catching up with their own history after the last event.
  private var wasCatchingUp: Set<Int> = []
  /// Since when contents lie in each machine's trash and nowhere else in its replica, by its agent time.
  private var trashed: [[ContentID: AgentTime]]
  /// Contents that a machine knew another's library to have, and not to have dropped since: the library names them for good.
  private var named: [[MachineID: Set<ContentID>]]
  /// The root of each head that anyone ever knew: one for each order.
  private var roots: [MachineID: [HeadOrder: Digest256]] = [:]
  /// The number of each attestation that a machine counts, by its holder.
  private var statements: [[MachineID: UInt64]]
  /// Each attestation that anyone ever knew: one for each number of its holder.
  private var words: [MachineID: [UInt64: Attestation]] = [:]
  /// How many warnings of a machine were judged.
  private var warnings: [Int]
  /// Machines whose catalog went back in time: it names files as they once were.
  private var wentBack: Set<Int> = []
  private(set) var sawContradiction = false

  init(machines: Int) {
    heads = Array(repeating: [:], count: machines)
    replicated = Array(repeating: [], count: machines)
    wasSafe = Array(repeating: [], count: machines)
    published = Array(repeating: [:], count: machines)
    trashed = Array(repeating: [:], count: machines)
    statements = Array(repeating: [:], count: machines)
    named = Array(repeating: [:], count: machines)
    warnings = Array(repeating: 0, count: machines)
  }

  /// One more has joined.
  mutating func addMachine() {
    heads.append([:])
    replicated.append([])
    wasSafe.append([])
    published.append([:])
    trashed.append([:])
    statements.append([:])
    named.append([:])
    warnings.append(0)
  }

  /// The machine's catalog went back in time, or is a new one.
  mutating func forgive(_ index: Int) {
    heads[index] = [:]
    published[index] = [:]
    trashed[index] = [:]
    statements[index] = [:]
    named[index] = [:]
    wentBack.insert(index)
  }

  mutating func check(_ household: SimulatedHousehold, at index: Int) throws {
    let machine = household.machines[index]
    if machine.warnings.contains(where: { if case .corruptUnit = $0 { true } else { false } }) {
      sawContradiction = true
    }
    let isPublished =
      heads[index][machine.machine] != machine.replicator.installedHead(of: machine.machine)?.order
    try checkTime(household, machine, index)
    try checkHeads(machine, index)
    try checkForks(machine, index)
    try checkStatements(machine, index)
    try checkCondemned(machine, index)
    noteCatchingUp(machine, index)
    if isPublished { try checkPublished(machine, index) }
    if household.steps % 16 == 0 { try checkHeldChanges(machine, index) }
    try checkTrash(household, machine, index)
    try checkShared(machine, index)
    try checkReplica(household, machine, index)
    try checkHeld(machine, index)
    try checkSafe(household, machine, index)
    if household.steps % 16 == 0 { try checkStatus(household, machine, index) }
  }

  private func fail(_ index: Int, _ message: String) throws -> Never {
    throw SimulationError.broken("m\(index): \(message)")
  }

  /// Neither a wall clock nor sleep makes agent time pass faster than time does: ages that end in a deletion are counted in it.
  private func checkTime(
    _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws {
    // By its own clocks; what it slept and its boot clock counts as well is taken off.
    let passed = household.clocks(of: index).instant - SimulatedHousehold.start.instant - machine.slept
    guard machine.replicator.agentTime - .zero <= passed else {
      try fail(index, "counts \(machine.replicator.agentTime - .zero) of agent time within \(passed)")
    }
  }

  /// Heads are installed whole, in order, and stay.
  private mutating func checkHeads(_ machine: SimulatedMachine, _ index: Int) throws {
    for (owner, library) in machine.ask({ $0.libraries }) {
      guard let head = library.installed?.record else { continue }
      let before = heads[index][owner] ?? .none
      guard head.order >= before else { try fail(index, "went back from \(before) to \(head.order)") }
      if head.order > before, owner != machine.machine { try noteNames(owner, machine, index) }
      heads[index][owner] = head.order
      guard library.entries.root == head.root else {
        try fail(index, "a head whose entries have another root")
      }
    }
  }

  /// One order, one head.
  private mutating func checkForks(_ machine: SimulatedMachine, _ index: Int) throws {
    for (owner, library) in machine.ask({ $0.libraries }) {
      for head in [library.installed, library.newest].compactMap({ $0?.record }) {
        let known = roots[owner, default: [:]][head.order]
        guard known == nil || known == head.root else {
          try fail(index, "knows another head of the order \(head.order.epoch), \(head.order.sequence)")
        }
        roots[owner, default: [:]][head.order] = head.root
      }
    }
  }

  /// What a machine was told that others hold is not forgotten, and no older word takes its place; nor are there two words of
  /// which neither is older, for then either would stay where it came first.
  private mutating func checkStatements(_ machine: SimulatedMachine, _ index: Int) throws {
    let newest = machine.ask { $0.attesting.newest }
    for (holder, signed) in newest where statements[index][holder] != signed.record.number {
      let word = signed.record
      let known = words[holder, default: [:]].updateValue(word, forKey: word.number)
      guard known == nil || known == word else {
        try fail(index, "knows another attestation of the number \(word.number)")
      }
    }
    let numbers = newest.mapValues(\.record.number)
    for (holder, before) in statements[index] where numbers[holder] ?? 0 < before {
      try fail(index, "goes back from attestation \(before) to \(numbers[holder] ?? 0)")
    }
    statements[index] = numbers
  }

  /// A copy is called bad only after somebody, or the disk, did something to a copy of these bytes.
  private mutating func checkCondemned(_ machine: SimulatedMachine, _ index: Int) throws {
    for case .badFile(let content, let fault) in machine.warnings[warnings[index]...]
    where !machine.replica.damaged.contains(content) && !machine.replica.rotted.contains(content)
      && !wentBack.contains(index)
    {
      try fail(index, "condemns a copy that nothing happened to: \(fault)")
    }
    warnings[index] = machine.warnings.count
  }

  /// A history that is caught up with says what was there when it was published; the scan that follows says what is there.
  private mutating func noteCatchingUp(_ machine: SimulatedMachine, _ index: Int) {
    let isCatchingUp = machine.replicator.isRecovering
    if isCatchingUp || wasCatchingUp.contains(index) { published[index] = [:] }
    if isCatchingUp { wasCatchingUp.insert(index) } else { wasCatchingUp.remove(index) }
  }

  /// What the user did not touch stays in the library, whatever mounts came and went.
  private mutating func checkPublished(_ machine: SimulatedMachine, _ index: Int) throws {
    var live: [[UInt8]: (content: ContentID, touches: Int)] = [:]
    for (path, file) in machine.own {
      let entry = try machine.catalog.liveEntry(machine.machine, machine.folder.id, path)?.entry
      let touches = machine.touches[path] ?? 0
      if let before = published[index][path], before.touches == touches, before.content != entry?.content {
        try fail(index, "took \(String(decoding: path, as: UTF8.self)) from its library by itself")
      }
      if entry?.content == file.content { live[path] = (file.content, touches) }
    }
    published[index] = live
  }

  /// What a mass change holds is live in the library, and not said to be held unless it is.
  private func checkHeldChanges(_ machine: SimulatedMachine, _ index: Int) throws {
    for file in try machine.catalog.pendingFiles(limit: 1_000) where file.status == .pending(.massChange) {
      // Found again by a scan, and on its way: what the catalog says of it is not what counts.
      guard machine.ask({ $0.publication.ledgerRows[FileKey(folder: file.folder, path: file.path)] == nil })
      else {
        continue
      }
      guard let entry = try machine.catalog.liveEntry(machine.machine, file.folder, file.path)?.entry else {
        try fail(index, "retired what is held")
      }
      let isElsewhere = try machine.ask { try !$0.publishedFiles(of: entry.content).isEmpty }
      if machine.replicator.isHeld(entry.content), !isElsewhere, !machine.replica.has(entry.content),
        !machine.replica.damaged.contains(entry.content), !machine.isExcused(entry.content)
      {
        try fail(index, "holds what only a held change has overwritten")
      }
    }
  }

  /// What is got by way of the swarm waits for nobody: it is asked of a link, or of one that is busy, or rests for a while.
  private func checkShared(_ machine: SimulatedMachine, _ index: Int) throws {
    let fault = machine.ask { $0.sharedFault() }
    if let fault { try fail(index, "shares \(fault)") }
  }

  /// Invariant 5: nothing comes into a trash but what its owner dropped, and nothing leaves a replica but from there, and
  /// not before its time.
  private mutating func checkTrash(
    _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws {
    var (inTrash, elsewhere) = (Set<ContentID>(), Set<ContentID>())
    for (path, file) in machine.replica.files {
      let content = file.sound?.content ?? file.content
      if FilingPlan.isDiscarded(path) { inTrash.insert(content) } else { elsewhere.insert(content) }
    }
    // But for second copies of what stays.
    for content in inTrash.subtracting(household.forgotten) {
      let rows = try machine.catalog.replicaFiles(of: content).compactMap(\.mark)
      // A catalog that was lost tells the two from each other no more.
      guard wentBack.contains(index) || !rows.contains(where: \.isCountedDrop) else {
        try fail(index, "trashed what nobody forgot")
      }
    }
    let time = machine.ask { $0.agentTime }
    for (content, since) in trashed[index] {
      // A crash takes back up to a minute of agent time: what was seen before it lies there since then at the latest.
      trashed[index][content] = elsewhere.contains(content) ? nil : min(since, time)
    }
    for content in inTrash.subtracting(elsewhere) where trashed[index][content] == nil {
      // The catalog of a machine that lost a later one knows since when, by the time that it counts.
      let marks = try machine.catalog.replicaFiles(of: content).compactMap(\.mark?.since)
      trashed[index][content] = min(marks.min() ?? time, time)
    }
    let moment = time + (.zero - machine.ask { $0.settings.trashLife })
    for (content, since) in trashed[index] where !inTrash.contains(content) {
      trashed[index][content] = nil
      if since <= moment { replicated[index].remove(content) }
    }
  }

  /// What was copied stays, and every file that the catalog names has its bytes.
  private mutating func checkReplica(
    _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws {
    // What was set aside by mistake is looked through when its bytes are missing.
    let aside = machine.replica.quarantine.values.filter { $0.sound == nil }.map(\.content)
    let present = Set(machine.replica.files.values.map { $0.sound?.content ?? $0.content }).union(aside)
    replicated[index].subtract(household.released.removeValue(forKey: index) ?? [])
    let gone = replicated[index].subtracting(present).subtracting(machine.replica.damaged)
      .subtracting(machine.replica.rotted)
    guard gone.isEmpty else { try fail(index, "\(gone.count) contents went from the replica") }
    // What is on the disk and not synced was promised to nobody.
    let unsynced = machine.replica.unsyncedPaths
    for (path, file) in machine.replica.files where !unsynced.contains(path) {
      replicated[index].insert(file.sound?.content ?? file.content)
    }
    // Where nothing is under way, the catalog says what lies in the replica.
    let isAtRest = machine.ask { $0.filing.running == nil && $0.filing.unresolved.isEmpty }
    guard isAtRest, household.steps.isMultiple(of: 16) else { return }
    for row in try machine.catalog.replicaFiles(of: nil, after: nil, limit: 100_000) {
      guard let file = machine.replica.files[row.path], (file.sound ?? file.payload).content != row.content
      else { continue }
      // A catalog of before names what lay there then; it is in doubt by its times, and read before it is used.
      if wentBack.contains(index), !row.stamp.isSame(as: file.stamp) { continue }
      try fail(index, "takes a file for another: \(String(decoding: row.path, as: UTF8.self))")
    }
  }

  /// Held is said of what a file has. A catalog of before says it of what went since, until it has been compared.
  private func checkHeld(_ machine: SimulatedMachine, _ index: Int) throws {
    var unheld: [ContentID] = []
    machine.ask { replicator in
      replicator.contents.index.forEach(in: [replicator.contents.held], notIn: [], from: .zero) {
        let content = ContentID($0)
        if !Self.isThere(content, machine, isStrict: true), !machine.isStale(content) {
          unheld.append(content)
        }
        return true
      }
    }
    let offered = machine.ask { replicator -> Int in
      var count = 0
      let contents = replicator.contents
      contents.index.forEach(in: [contents.offered], notIn: [contents.available], from: .zero) { _ in
        count += 1
        return true
      }
      return count
    }
    guard offered == 0 else { try fail(index, "offers \(offered) contents that it does not have") }
    guard unheld.isEmpty else { try fail(index, "holds \(unheld.count) contents that are nowhere") }
  }

  /// Whether a machine has a content in a file, or somebody took it away behind the agent's back. `isStrict`: and a
  /// file that has rotted counts only until the agent has read it.
  private static func isThere(
    _ content: ContentID, _ machine: SimulatedMachine, isStrict: Bool = false
  ) -> Bool {
    let hasRotted = machine.replica.rotted.contains(content) || machine.rotted.contains(content)
    return machine.replica.has(content) || machine.holdsAside(content)
      || machine.own.values.contains { $0.content == content }
      || machine.replica.damaged.contains(content) || machine.changed.contains(content)
      || (hasRotted && (!isStrict || machine.isExcused(content)))
  }

  /// What another machine had is never given up: it ends retired, not unheld. A copy that somebody took away, that a removed
  /// machine had, or that was only ever an own file of its holder, may be gone.
  func checkRetired(_ household: SimulatedHousehold) throws {
    for (index, machine) in household.machines.enumerated() where !household.removed.contains(index) {
      let others = household.machines.enumerated().filter {
        $0.offset != index && !household.removed.contains($0.offset)
      }.map(\.element)
      let unheld = try machine.entries(of: machine.machine).filter {
        if case .unheld = $0.state { true } else { false }
      }.map(\.content)
      let given = wasSafe[index].intersection(unheld).subtracting(household.forgotten).filter { content in
        !others.contains {
          $0.changed.contains(content) || $0.replica.damaged.contains(content)
            || $0.replica.rotted.contains(content) || $0.rotted.contains(content)
        }
          && !household.removed.contains { gone in
            replicated[gone].contains(content) || Self.isThere(content, household.machines[gone])
          }
      }
      guard given.isEmpty else {
        let first = given.sorted().prefix(3).map { String("\($0)".prefix(16)) }
        try fail(index, "gave up \(given.count) contents that others had: \(first)")
      }
      let found = unheld.filter { content in
        !household.isForgotten(content) && !wentBack.contains(index)
          && others.contains { other in other.ask { $0.contents.isAvailable(content) } && other.has(content) }
      }
      guard found.isEmpty else {
        try fail(index, "looks no more for \(found.count) contents that others have")
      }
    }
  }

  /// What an owner drops is let go with that: where its home becomes an older image, and its next head names the content in no
  /// state, its word is lost, and no bytes that anybody wants. Nobody takes a drop back: of two branches the other one may have
  /// undone it.
  private mutating func noteNames(_ owner: MachineID, _ machine: SimulatedMachine, _ index: Int) throws {
    let entries = try machine.entries(of: owner)
    named[index][owner, default: []].subtract(entries.lazy.filter(\.isDropped).map(\.content))
    named[index][owner, default: []].formUnion(entries.lazy.filter(\.state.isWanted).map(\.content))
  }

  /// What a library had, and any other machine has learned, never just vanishes from it, whatever was restored: it is live,
  /// retired, unheld or dropped; or was dropped once, as far as that machine knows. Nobody asks a removed machine.
  func checkNamed(_ household: SimulatedHousehold) throws {
    for (index, machine) in household.machines.enumerated() where !household.removed.contains(index) {
      let library = Set(try machine.entries(of: machine.machine).map(\.content))
      for other in household.machines.indices where other != index && !household.removed.contains(other) {
        let gone = named[other][machine.machine, default: []].subtracting(library)
        guard gone.isEmpty else {
          try fail(index, "lost \(gone.count) contents that m\(other) knew it to have")
        }
      }
    }
  }

  /// What a removed machine's library had, and any member has learned, its keeper names still, or has dropped; and it looks for
  /// all that a member has of it.
  func checkKept(_ household: SimulatedHousehold) throws {
    let present = household.machines.indices.filter { !household.removed.contains($0) }
    for owner in household.removed.sorted() {
      let library = household.machines[owner].machine
      let keeper = present.first { household.machines[$0].replicator.keeps(library) }
      guard let keeper else { throw SimulationError.broken("nobody keeps the library of m\(owner)") }
      let entries = try household.machines[keeper].entries(of: library)
      let there = Set(entries.map(\.content))
      for other in present {
        let gone = named[other][library, default: []].subtracting(there)
        guard gone.isEmpty else {
          try fail(keeper, "lost \(gone.count) contents of m\(owner) that m\(other) knew it to have")
        }
      }
      let found = entries.filter { entry in
        guard case .unheld = entry.state, !household.forgotten.contains(entry.content) else { return false }
        return present.contains { index in
          let machine = household.machines[index]
          return machine.ask { $0.contents.isAvailable(entry.content) } && machine.has(entry.content)
        }
      }
      guard found.isEmpty || wentBack.contains(keeper) else {
        try fail(keeper, "looks no more for \(found.count) contents of m\(owner) that others have")
      }
    }
  }

  /// Safe is said of what another machine has in a file, and not of what one has that was removed, for whoever knows that.
  private mutating func checkSafe(
    _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws {
    // In earnest an attestation counts for 14 days and the trash lasts 30; here an old word may outlive the trash.
    for file in machine.own.values
    where machine.replicator.isSafe(file.content) && !household.forgotten.contains(file.content) {
      wasSafe[index].insert(file.content)
      // What an old catalog set aside, for it knows no head that names it, is found there when that head has come.
      let holders = household.machines.enumerated().filter {
        $0.offset != index && machine.replicator.roster.removedMember($0.element.machine) == nil
          && (Self.isThere(file.content, $0.element) || $0.element.replica.hasAside(file.content))
      }
      guard !holders.isEmpty else { try fail(index, "takes for safe what nobody has") }
    }
  }

  /// Whether anybody could tell that an own file had another content once. Nobody can when that was forgotten, when its catalog
  /// alone knew, and is lost, or when the file was away, was taken for deleted, and came back with what it has now.
  private func isTellable(
    _ sound: ContentID, _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws -> Bool {
    let hasGone = try machine.entries(of: machine.machine).contains {
      if case .retired(let reason, _) = $0.state { $0.content == sound && reason != .replaced } else { false }
    }
    guard !hasGone, !household.forgotten.contains(sound) else { return false }
    guard wentBack.contains(index) else { return true }
    return try household.machines.enumerated().contains {
      try !household.removed.contains($0.offset)
        && !$0.element.catalog.entries(machine.machine, of: sound).isEmpty
    }
  }

  /// Complete is said only with everything here, of every head that is installed.
  private func checkStatus(
    _ household: SimulatedHousehold, _ machine: SimulatedMachine, _ index: Int
  ) throws {
    for (path, file) in machine.own {
      guard let sound = file.sound else { continue }
      let entries = try machine.ask { try $0.store.entries(machine.machine, of: file.content) }
      guard !entries.isEmpty else { continue }
      guard try !isTellable(sound.content, household, machine, index) else {
        try fail(index, "published what has rotted: \(String(decoding: path, as: UTF8.self))")
      }
      machine.takeAsItIs(path)
    }
    let report = try machine.trueReport(now: household.clocks(of: index))
    guard report.isComplete else { return }
    let published = try machine.catalog.folderCounts().reduce(0) { $0 + $1.published }
    guard report.ledger.seen - report.ledger.skipped == published, report.ledger.safe == published else {
      try fail(index, "is complete with a ledger of \(report.ledger)")
    }
    for (owner, library) in machine.ask({ $0.libraries }) where owner != machine.machine {
      guard library.installed != nil else {
        // Of a machine that was removed before it was heard of, nothing may ever come.
        if machine.replicator.roster.removedMember(owner) != nil { continue }
        try fail(index, "is complete without a library")
      }
      guard machine.ask({ $0.role == .full }) else { continue }
      var lacking = 0
      machine.ask { replicator in
        guard let wanted = replicator.contents.byLibrary[owner]?.wanted else { return }
        replicator.contents.index.forEach(in: [wanted], notIn: [], from: .zero) {
          if !Self.isThere(ContentID($0), machine) { lacking += 1 }
          return true
        }
      }
      guard lacking == 0 else { try fail(index, "is complete and lacks \(lacking) contents") }
    }
  }
}
