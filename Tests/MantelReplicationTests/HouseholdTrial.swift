import MantelCatalog
import MantelCore
import Testing
import MantelTestSupport

@testable import MantelReplication

/// One run of a household under a seed: first everything goes wrong, then nothing does any more, and all must end well.
///
/// The invariants of `HouseholdInvariants` are checked after every step of either part.
final class HouseholdTrial {
  let seed: UInt64
  let household: SimulatedHousehold
  var invariants: HouseholdInvariants
  /// Pairs that can reach each other: always enough to connect all.
  var cables: Set<[Int]> = []
  /// Machines that nobody can reach before these moments.
  var isolated: [Int: Instant] = [:]
  var photos = 0
  var rare: RareFaults
  /// Pairs of which one side does not hear the other; nobody can connect them.
  var deafened: Set<[Int]> = []

  init(seed: UInt64, isVerbose: Bool = false, canary: Canary? = nil) throws {
    self.seed = seed
    rare = RareFaults(seed: seed)
    var settings = ReplicationSettings()
    // Small pages and queues: their ends are where things get lost.
    settings.missingPage = 4
    settings.linkUnits = 6
    settings.reconsidered = 5
    settings.largeAtOnce = 2
    settings.batchFiles = 8
    settings.scrubPage = 3
    // Syncs fail all the time, and nobody buys a new disk.
    settings.failingSyncs = .max
    // A month in less than a minute.
    settings.scrubPeriod = .seconds(40)
    settings.scrubCatchUp = .seconds(2)
    settings.scrubDelay = .seconds(1)
    settings.scrubSurvey = .seconds(4)
    settings.compareInterval = .seconds(30)
    settings.challengeDelay = .milliseconds(300)
    settings.challengeInterval = .seconds(3)
    // Thirty days of trash in less than a minute.
    settings.trashLife = .seconds(25)
    settings.deletionGrace = .seconds(2)
    settings.trashRetry = .seconds(5)
    settings.recoveryPatience = .seconds(6)
    settings.retentionDelay = .seconds(1)
    settings.historyInterval = .seconds(2)
    settings.historyKept = 1
    var random = SeededGenerator(seed: seed)
    if random.oneIn(2) { settings.dropLimit = DropLimit(least: 2, most: 2, share: 1) }
    // So few that a household of a dozen photos can pass it.
    if random.oneIn(2) { settings.massChange.contents = 3 }
    let usual = 2 + random.below(3) + (random.oneIn(8) ? random.below(4) : 0)
    // A large household takes as long as a hundred small ones.
    let count = seed % 1_000 == 999 ? 9 + random.below(12) : usual
    // What large libraries alone do is done with two entries already.
    let bulk = seed % 8 == 5 ? 2 : Catalog.bulk
    household = try SimulatedHousehold(
      machines: count, seed: seed, settings: settings, bulk: bulk, canary: canary)
    invariants = HouseholdInvariants(machines: count)
    household.beVerbose(isVerbose)
    household.onStep = { [unowned self] index in try invariants.check(household, at: index) }
  }

  var count: Int { household.machines.count }
  /// Machines that nobody removed.
  var present: [Int] { household.machines.indices.filter { !household.removed.contains($0) } }
  /// And that are not suspended.
  var awake: [Int] { present.filter { household.machines[$0].suspended == nil } }
  func below(_ bound: Int) -> Int { household.random.below(bound) }
  func oneIn(_ n: UInt64) -> Bool { household.random.oneIn(n) }

  /// Throws at the first broken invariant, and when the household does not come to rest.
  func run() throws {
    defer { household.end() }
    layCables()
    for index in 0..<count {
      for _ in 0..<below(10) { try write(index) }
      try household.scan(index)
    }
    household.faults = SimulatedHousehold.Faults()
    for cable in cables.sorted(by: { $0.lexicographicallyPrecedes($1) }) { keepConnected(cable) }
    for _ in 0..<25 {
      try meddle()
      try meddleRarely()
      try household.run(
        until: household.now.instant + .milliseconds(Int64(below(below(6) == 0 ? 8_000 : 60))))
    }
    try comeToRest()
  }

  /// A random tree, and some more.
  private func layCables() {
    for index in 1..<count { cables.insert([below(index), index]) }
    for _ in 0..<below(count) {
      let (left, right) = (below(count), below(count))
      if left != right { cables.insert([min(left, right), max(left, right)]) }
    }
  }

  /// Somebody dials, soon after there is no connection.
  func keepConnected(_ cable: [Int]) {
    household.schedule(at: household.now.instant + .milliseconds(Int64(50 + below(1_500)))) { [self] in
      if !household.isConnected(cable[0], cable[1]) { connect(cable) }
      keepConnected(cable)
    }
  }

  func connect(_ cable: [Int]) {
    let now = household.now.instant
    guard !cable.contains(where: { isolated[$0] ?? now > now || household.removed.contains($0) }),
      !deafened.contains(cable.sorted())
    else { return }
    oneIn(2) ? household.connect(cable[0], cable[1]) : household.connect(cable[1], cable[0])
  }

  // MARK: How it ends

  /// Nothing goes wrong any more, and connections that are open stay open: nobody is helped by a fresh start.
  private func comeToRest() throws {
    household.faults = nil
    isolated = [:]
    try endRareFaults()
    for machine in household.machines { machine.isOffline = false }
    if let first = present.first { try household.decideAgain(at: first) }
    // An owner keeps nothing of what it retired: who lacks that needs another keeper within reach.
    for right in present {
      for left in present where left < right && cables.insert([left, right]).inserted {
        keepConnected([left, right])
      }
    }
    // An old image may have brought back an old role.
    let isFullAgain = oneIn(2) || present.count { !isSource($0) } < 2
    for index in present {
      if isFullAgain { try household.handle(.roleChanged(.full), at: index) }
      household.machines[index].replica.isMounted = true
      try household.handle(.replicaMounted, at: index)
      try household.scan(index)
      household.checkReplica(index)
    }
    for wait in [Duration.seconds(30), .seconds(50), .seconds(150), .seconds(900), .seconds(4_000)] {
      // A machine at rest has some 20 steps a second: challenges, ticks, files that are read again.
      let steps = 100 * household.machines.count * Int(wait.inSeconds)
      try household.run(until: household.now.instant + wait, steps: max(400_000, steps))
      if try acceptAll() { try household.run(until: household.now.instant + .seconds(30)) }
      try restoreSuspected()
      try household.run(until: household.now.instant + .seconds(10))
      if try unrest() == nil { break }
      // What contradicted itself (a corrupt unit, a failed assembly) rests for up to an hour; all else is soon done.
      guard invariants.sawContradiction || wait < .seconds(900) else { break }
    }
    if let unrest = try unrest() { throw SimulationError.broken("did not come to rest: \(unrest)") }
    try invariants.checkRetired(household)
    try invariants.checkNamed(household)
    try invariants.checkKept(household)
  }

  /// Somebody decides on what is held; returns whether anything was. Until then status asks for it.
  private func acceptAll() throws -> Bool {
    var hasAccepted = false
    for index in present {
      let machine = household.machines[index]
      guard try machine.catalog.heldFiles(machine.folder.id) > 0 else { continue }
      let report = try machine.ask {
        try $0.report(tally: LedgerCounts(), publishedUnsafe: 0, now: household.clocks(of: index))
      }
      guard report.state == .attention else {
        throw SimulationError.broken("m\(index) holds changes and says \(report.state): \(report.reasons)")
      }
      try accept(index)
      hasAccepted = true
    }
    if try confirmDrops() { hasAccepted = true }
    return hasAccepted
  }

  /// What is not as it has to be at the end; nil when all is well. A removed machine owes nothing any more. Its library is wanted
  /// still, in the last head of its keeper; what nobody else has of it stays missing.
  private func unrest() throws -> String? {
    let lost = lost
    let present = present.map { ($0, household.machines[$0]) }
    for (index, machine) in present where machine.unnoticed > 0 {
      return "m\(index) has \(machine.unnoticed) rotten files that nobody has found"
    }
    for (index, machine) in present {
      for (owner, other) in household.machines.enumerated() {
        let isMember = !household.removed.contains(owner)
        guard let publisher = isMember ? owner : keepers(of: owner).first else {
          return "nobody keeps the library of m\(owner)"
        }
        let here = machine.replicator.installedHead(of: other.machine)
        let there = household.machines[publisher].replicator.installedHead(of: other.machine)
        if here != there {
          return """
            m\(index) has head \(here?.order.sequence ?? 0) of m\(owner), of which m\(publisher) has \
            \(there?.order.sequence ?? 0)
            """
        }
        if let there, there.signer != household.machines[publisher].machine {
          return "m\(publisher) has not signed what it keeps of m\(owner)"
        }
        let roots = machine.ask { $0.roots(of: other.machine) }
        if owner != index, isSource(index) { continue }
        if roots.held != roots.wanted, !lacked(other.machine, at: index).isSubset(of: lost) {
          return "m\(index) lacks contents of m\(owner): \(lacking(other.machine, at: index))"
        }
        if isMember, owner != index, let path = lackingCopy(of: other, owner, at: machine) {
          return "m\(index) has no copy of m\(owner)'s \(path)"
        }
      }
    }
    for (index, machine) in present {
      if let path = machine.own.keys.first(where: { machine.isForgottenByNobody($0) }) {
        return "m\(index) skips \(String(decoding: path, as: UTF8.self)), which nobody forgets any more"
      }
      let gone = Set(household.removed.map { household.machines[$0].machine })
      let orphans = machine.ask { $0.orphans.counts }.filter { !gone.contains($0.key) }
      if !orphans.isEmpty {
        let owners = household.machines.indices.filter { orphans[household.machines[$0].machine] != nil }
        return "m\(index) keeps orphans \(orphans.values.map(\.files).sorted()) of \(owners)"
      }
      let withdrawn = machine.ask {
        $0.contents.index.count(of: $0.contents.available) - $0.contents.index.count(of: $0.contents.offered)
      }
      if withdrawn != 0 { return "m\(index) has \(withdrawn) contents that it offers to nobody" }
      if !machine.recalls.isEmpty { return "m\(index) has \(machine.recalls.count) recalls without an end" }
      // Parts of what nobody has may be completed one day.
      let idle = machine.replica.staged.keys.filter { !lost.contains($0) }
      if !idle.isEmpty { return "m\(index) keeps staged \(idle.map(\.digest.word0))" }
      let report = try machine.trueReport(now: household.clocks(of: index))
      // What nobody has is missing on every machine, maybe because it went bad, and that is all that may be said.
      let isOnlyLost =
        !lost.isEmpty
        && report.reasons.allSatisfy {
          switch $0 {
          case .missing, .badFiles, .unhealable, .forked: true
          default: false
          }
        }
      if !report.isComplete, !isOnlyLost { return "m\(index) says \(report.reasons); \(badFiles(index))" }
      guard lost.isEmpty else { continue }
      if let peer = report.peers.first(where: { !$0.isComplete }) {
        return
          "m\(index) does not know that \(peer.name) is complete; its word: \(word(of: peer.machine, at: index))"
      }
      if !report.isSettledEverywhere { return "m\(index) does not know of its peers" }
    }
    return nil
  }

  /// Contents that somebody wants and that lie on nobody's disk: the only file was changed or removed before it was
  /// copied, or taken out of the only replica that had it.
  private var lost: Set<ContentID> {
    let present = present
    var wanted: Set<ContentID> = []
    for index in present {
      for owner in household.machines { wanted.formUnion(lacked(owner.machine, at: index)) }
    }
    return wanted.filter { content in
      !present.contains { index in
        household.machines[index].has(content) || household.machines[index].isSetAside(content)
      }
    }
  }

  private func lacked(_ owner: MachineID, at index: Int) -> Set<ContentID> {
    if isSource(index), household.machines[index].machine != owner { return [] }
    return household.machines[index].ask { replicator in
      let sets = replicator.contents.sets(of: owner)
      let isOwn = owner == replicator.machine
      var lacked: Set<ContentID> = []
      replicator.contents.index.forEach(
        in: [isOwn ? sets.live : sets.wanted], notIn: [isOwn ? sets.heldLive : sets.heldWanted], from: .zero
      ) {
        lacked.insert(ContentID($0))
        return true
      }
      return lacked
    }
  }

  /// Why a content is not here, as far as the decisions know, for a failure's message.
  private func lacking(_ owner: MachineID, at index: Int) -> String {
    let contents = lacked(owner, at: index).sorted()
    return household.machines[index].ask { replicator in
      contents.map { content in
        let id = content.digest
        let servers = replicator.links.values.filter {
          replicator.contents.index.contains(id, in: $0.contents)
        }
        let holders = household.machines.indices.filter { household.machines[$0].payload(of: content) != nil }
        let entries = (try? replicator.store.entries(owner, of: content)) ?? []
        return """
          \(content.digest.word0) in files of \(holders), servers known \(servers.count), \
          missing \((try? replicator.store.missingContent(content)) != .some(nil)), \
          available \(replicator.contents.isAvailable(content)), held \(replicator.contents.isHeld(content)), \
          staged \(replicator.transfers.staged.contains(content)), \
          delayed \(replicator.transfers.notBefore.contains(content)), \
          large \(String(describing: replicator.transfers.large[content]?.isWhole)), \
          asked \(replicator.transfers.inFlight.keys.filter { $0.content == content }.count), \
          resting \(replicator.filing.resting.contains(content)), \
          entries \(entries.map { "\($0.entry.state)" })
          """
      }.joined(separator: "\n")
    }
  }

  /// Reports of bad files that have no end, for a failure's message.
  private func badFiles(_ index: Int) -> String {
    let catalog = household.machines[index].catalog
    let open = (try? catalog.badFiles(after: nil, limit: 9)) ?? []
    return open.map { report in
      let content = report.file.content
      let entries = (try? catalog.entries(of: content)) ?? []
      let rows = (try? catalog.replicaFiles(of: content)) ?? []
      return """
        \(report.file.fault) \(content.digest.word0), entries \(entries.map { "\($0.entry.state)" }), \
        rows \(rows.map { String(decoding: $0.path, as: UTF8.self) }), \
        missing \((try? catalog.missingContent(content)) != .some(nil)), \
        unhealed \(household.machines[index].ask { $0.scrub.unhealed.contains(content) })
        """
    }.joined(separator: "\n")
  }

  /// The newest attestation of a machine here, for a failure's message.
  private func word(of machine: MachineID, at index: Int) -> String {
    let attestations = household.machines[index].ask { $0.attesting.newest }
    guard let record = attestations[machine]?.record else { return "none" }
    let numbers = household.machines.compactMap { $0.ask { $0.attesting.newest[machine]?.record.number } }
    let libraries = record.libraries.map { statement in
      let owner = household.machines.firstIndex { $0.machine == statement.library } ?? -1
      let order = household.machines[index].ask { $0.libraries[statement.library]?.order.sequence ?? 0 }
      return "m\(owner) at \(statement.order.sequence) of \(order), lacks \(statement.missingCount)"
    }
    return "number \(record.number) of \(numbers), \(libraries.joined(separator: "; "))"
  }

  private func lackingCopy(of owner: SimulatedMachine, _ number: Int, at keeper: SimulatedMachine) -> String?
  {
    owner.own.first { path, file in
      if owner.isForgotten(path) { return false }
      // Names of other contents are respected: the copy may have a suffix.
      let place = Array("m\(number)/Photos/".utf8) + path
      return !keeper.replica.files.contains {
        $0.key.starts(with: place) && $0.value.payload == file.payload && $0.value.mtime == file.mtime
      }
    }.map { path, file in
      let copies = keeper.replica.files.filter { $0.value.payload == file.payload }.map {
        "\(String(decoding: $0.key, as: UTF8.self)) of \($0.value.mtime)"
      }
      let row = try? owner.catalog.file(owner.folder.id, path)
      return """
        \(String(decoding: path, as: UTF8.self)) of \(file.mtime), but \(copies.sorted()); there it is \
        \(row.map { "\($0.status)" } ?? "unknown")
        """
    }
  }
}
