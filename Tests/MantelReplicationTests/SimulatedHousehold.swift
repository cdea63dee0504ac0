import MantelCatalog
import MantelCore
import MantelHousehold
import MantelReplication
import MantelSummary

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// A household in one process under virtual time: what machines do and say is kept in queues, and a seed decides
/// what happens next. Messages of one link stay in order; everything else may overtake everything else.
final class SimulatedHousehold {
  private struct Wire: Hashable {
    var from: Int
    var to: Int
  }

  private(set) var machines: [SimulatedMachine] = []
  private(set) var now = Now(
    instant: Instant(nanoseconds: 0), wall: WallTime(nanoseconds: 1_700_000_000_000_000_000))
  private(set) var steps = 0
  var random: SeededGenerator
  /// Work of disks and threads, in any order.
  private var work: [(machine: Int, make: () -> ReplicationEvent)] = []
  private var wires: [Wire: [(LinkID, ReplicationEvent)]] = [:]
  private var nextLink: UInt64 = 0

  init(machines count: Int, seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    let keys = (0..<count).map { _ in DeviceKey() }
    var statements = try Roster.found(
      name: "home", machineName: "m0", key: keys[0], random: [UInt8](repeating: 7, count: 32), now: now.wall)
    for (index, key) in keys.enumerated().dropFirst() {
      statements.append(
        try Roster(statements).admitting(
          subject: key.machine, publicKey: key.publicKey, name: "m\(index)", replaces: nil,
          by: keys[0], now: now.wall))
      statements.append(try Roster(statements).accepting(by: key, now: now.wall))
    }
    for (index, key) in keys.enumerated() {
      let folder = Folder(
        id: FolderID(high: UInt64(index), low: 1), name: "Photos", root: Array("/photos".utf8),
        excludes: [], filesystem: [])
      let record = MachineRecord(
        machine: key.machine, number: 0, name: "m\(index)", role: .full, program: "simulation",
        addresses: [], folders: [FolderName(id: folder.id, name: folder.name)])
      machines.append(
        try SimulatedMachine(
          key: key, statements: statements, folder: folder, record: record, now: now))
    }
  }

  // MARK: What the test does

  func scan(_ index: Int) throws {
    for event in machines[index].scan() { try handle(event, at: index) }
  }

  func connect(_ left: Int, _ right: Int) throws {
    nextLink += 1
    let link = LinkID(nextLink)
    for (from, to) in [(left, right), (right, left)] {
      machines[from].replicator.prepare(link)
      machines[from].links[link] = to
    }
    let hellos = [left, right].map { greeting(of: $0, isDialer: $0 == right) }
    try greet(link, at: left, with: hellos[1], by: right)
    try greet(link, at: right, with: hellos[0], by: left)
  }

  private func greeting(of index: Int, isDialer: Bool) -> LinkOpening {
    let machine = machines[index]
    let holdings = machine.replicator.holdings()
    let heads = machine.replicator.installedHeads.map { ($0.record.library, $0.record.order) }
    return LinkOpening(
      machine: machine.machine, heads: Dictionary(uniqueKeysWithValues: heads),
      holdingsCount: UInt64(holdings.count), holdingsRoot: holdings.root,
      rosterHash: machine.replicator.roster.hash, time: now.wall, isDialer: !isDialer)
  }

  private func greet(_ link: LinkID, at index: Int, with opening: LinkOpening, by peer: Int) throws {
    let news = machines[peer].replicator
      .installedHeads.filter { $0.record.library != machines[index].machine }
    let records = machines[peer].replicator.allRecords
    let attestations = machines[peer].replicator.allAttestations
    try handle(.linkOpened(link, opening), at: index)
    for record in records { enqueue(.recordReceived(link, record), link, from: peer, to: index) }
    for head in news { enqueue(.headReceived(link, head), link, from: peer, to: index) }
    for attestation in attestations {
      enqueue(.attestationReceived(link, attestation), link, from: peer, to: index)
    }
  }

  func cut(_ left: Int, _ right: Int) throws {
    for (from, to) in [(left, right), (right, left)] {
      wires[Wire(from: from, to: to)] = nil
      for (link, peer) in machines[from].links where peer == to {
        machines[from].links[link] = nil
        try handle(.linkClosed(link), at: from)
      }
    }
  }

  /// SIGKILL and start: what was in memory or on the wire is gone.
  func crash(_ index: Int) throws {
    for other in machines.indices where other != index { try cut(index, other) }
    work.removeAll { $0.machine == index }
    for event in try machines[index].restart(now: now) { try handle(event, at: index) }
    try scan(index)
  }

  /// Runs until nothing is left to do that is due within `patience` of virtual time, or a bound on steps.
  func settle(patience: Duration = .seconds(30), steps limit: Int = 200_000) throws {
    let end = now.instant + patience
    while steps < limit {
      if try step() { continue }
      guard let next = machines.compactMap({ $0.replicator.nextDeadline }).min(), next <= end else {
        return
      }
      advance(to: next)
      for index in machines.indices { try handle(.tick, at: index) }
    }
  }

  /// One piece of work or one message; false when there is none.
  func step() throws -> Bool {
    let wire = wires.filter { !$0.value.isEmpty }.keys.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    let choices = work.count + wire.count
    guard choices > 0 else { return false }
    steps += 1
    advance(to: now.instant + .microseconds(Int.random(in: 1...500, using: &random)))
    let choice = Int.random(in: 0..<choices, using: &random)
    if choice < work.count {
      let item = work.remove(at: choice)
      try handle(item.make(), at: item.machine)
    } else {
      let wire = wire[choice - work.count]
      guard let (link, event) = wires[wire]?.removeFirst() else { return false }
      if machines[wire.to].links[link] != nil { try handle(event, at: wire.to) }
    }
    return true
  }

  private func advance(to instant: Instant) {
    guard instant > now.instant else { return }
    now.wall.nanoseconds += instant.nanoseconds - now.instant.nanoseconds
    now.instant = instant
  }

  // MARK: What machines do

  private func handle(_ event: ReplicationEvent, at index: Int) throws {
    for action in try machines[index].replicator.handle(event, now: now) { carryOut(action, at: index) }
  }

  private func carryOut(_ action: ReplicationAction, at index: Int) {
    let machine = machines[index]
    switch action {
    case .link(let link, let command):
      if let peer = machine.links[link] { send(command, link, from: index, to: peer) }
    case .look(_, let path): work.append((index, { machine.look(path) }))
    case .hash(_, let path): work.append((index, { machine.hash(path) }))
    case .file(let batch, let operations):
      work.append((index, { .filed(batch, machine.file(operations)) }))
    case .discardStaged(let content): machine.staged[content] = nil
    case .warn(let warning): machine.warnings.append(warning)
    case .assemble, .rosterChanged, .published, .installed: break
    }
  }

  private func enqueue(_ event: ReplicationEvent, _ link: LinkID, from: Int, to: Int) {
    wires[Wire(from: from, to: to), default: []].append((link, event))
  }

  /// What the session of the other side would answer, on the wires of this link.
  private func send(_ command: LinkCommand, _ link: LinkID, from: Int, to: Int) {
    let peer = machines[to]
    func tell(_ event: ReplicationEvent) { enqueue(event, link, from: from, to: to) }
    func answer(_ event: ReplicationEvent) { enqueue(event, link, from: to, to: from) }
    switch command {
    case .announceHead(let head): tell(.headReceived(link, head))
    case .announceRecord(let record): tell(.recordReceived(link, record))
    case .announceAttestation(let attestation): tell(.attestationReceived(link, attestation))
    case .announceRoster(let statements): tell(.rosterReceived(link, statements))
    case .available(let added, let removed):
      tell(.availabilityChanged(link, added: added, removed: removed))
    case .fetchDelta(let job, let library, let older, let newer):
      serveDelta(job, library, older, newer, peer, answer, link)
    case .fetchEntries(let job, let library, let ids):
      let entries = (try? peer.catalog.entryBytes(library, ids)) ?? []
      answer(
        .entriesReceived(link, job, added: entries.compactMap { try? Entry(canonicalBytes: $0) }, removed: [])
      )
      answer(.jobEnded(link, job, .complete))
    case .reconcile(let job, let set, let mine):
      guard let theirs = peer.replicator.snapshot(of: set) else {
        return answer(.jobEnded(link, job, .unknownHead))
      }
      let (theirsOnly, mineOnly) = Self.difference(mine: mine, theirs: theirs)
      answer(.differenceFound(link, job, theirsOnly: theirsOnly, mineOnly: mineOnly))
      if set == .holdings {
        tell(.differenceFound(link, nil, theirsOnly: mineOnly, mineOnly: theirsOnly))
      }
      answer(.jobEnded(link, job, .complete))
    case .fetch(let orders):
      for order in orders { serve(order, link, from: from, to: to) }
    case .cancelFetch, .close: break
    }
  }

  private func serveDelta(
    _ job: LinkJob, _ library: MachineID, _ older: HeadOrder, _ newer: HeadOrder,
    _ peer: SimulatedMachine, _ answer: (ReplicationEvent) -> Void, _ link: LinkID
  ) {
    var cursor: Int64? = 0
    while let from = cursor {
      guard
        let page = try? peer.catalog.delta(
          library, from: older, to: newer, cursor: from, maximumBytes: 4_096)
      else { return answer(.jobEnded(link, job, .unknownHead)) }
      answer(
        .entriesReceived(
          link, job, added: page.added.compactMap { try? Entry(canonicalBytes: $0) },
          removed: page.removed))
      cursor = page.next
    }
    answer(.jobEnded(link, job, .complete))
  }

  private func serve(_ order: UnitOrder, _ link: LinkID, from: Int, to: Int) {
    let receiver = machines[from]
    guard let bytes = machines[to].bytes(of: order.unit.content) else {
      return enqueue(.unitEnded(link, order.unit, .notHeld), link, from: to, to: from)
    }
    receiver.received.append(order.unit.content)
    receiver.staged[order.unit.content] = bytes
    enqueue(.unitVerified(link, order.unit), link, from: to, to: from)
  }

  private static func difference(
    mine: SetSnapshot, theirs: SetSnapshot
  ) -> (theirsOnly: [Digest256], mineOnly: [Digest256]) {
    var theirsOnly: [Digest256] = []
    var mineOnly: [Digest256] = []
    theirs.forEach(from: .zero) {
      if !mine.contains($0) { theirsOnly.append($0) }
      return true
    }
    mine.forEach(from: .zero) {
      if !theirs.contains($0) { mineOnly.append($0) }
      return true
    }
    return (theirsOnly, mineOnly)
  }
}
