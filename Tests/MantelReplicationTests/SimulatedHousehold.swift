import MantelCatalog
import MantelCore
import MantelSummary
import MantelTestSupport

@testable import MantelHousehold
@testable import MantelReplication

/// A household in one process under virtual time. A seed decides how long everything takes and what fails; the same
/// seed gives the same run, and the same `trace`.
///
/// Messages of one side of a link stay in order; everything else may overtake everything else. What the machines do
/// with actions is in `SimulatedHousehold+Machines`, what sessions say in `SimulatedHousehold+Sessions`.
final class SimulatedHousehold {
  /// What goes wrong by itself, one time in so many; nothing while it is nil.
  struct Faults {
    /// A request is refused, or ends early.
    var refusal: UInt64 = 12
    var corruptUnit: UInt64 = 150
    /// A unit cannot be staged.
    var staging: UInt64 = 60
    /// A batch of replica files fails, at one operation or as a whole.
    var filing: UInt64 = 8
    /// A file cannot be read again just now.
    var reading: UInt64 = 10
  }

  private struct Pending {
    var due: Instant
    /// Ties are broken by age.
    var number: UInt64
    var run: () throws -> Void
  }

  private(set) var machines: [SimulatedMachine] = []
  /// When every run begins.
  static let start = Now(
    instant: Instant(nanoseconds: 1_000_000_000), wall: WallTime(nanoseconds: 1_700_000_000_000_000_000))

  /// What a clock that is right says.
  private(set) var now = SimulatedHousehold.start
  private(set) var steps = 0
  /// Tells two runs apart: covers every event that a machine handled, and when.
  private(set) var trace = Trace()
  var random: SeededGenerator
  /// Contents that any user ever forgot.
  var forgotten: Set<ContentID> = []

  /// Contents that each machine has let go of since it was looked at last.
  var released: [Int: Set<ContentID>] = [:]

  /// Somebody forgets it now: it was not taken back.
  func isForgotten(_ content: ContentID) -> Bool {
    machines.contains { (try? $0.catalog.isForgotten(content)) ?? true }
  }
  /// Machines that are members no more, as far as whoever removed them knows.
  var removed: Set<Int> = []
  /// All statements that there were after each admission and each removal.
  var decided: [[SignedStatement]] = []
  private let settings: ReplicationSettings
  /// How many entries at once the catalogs stage in bulk.
  private let bulk: Int
  /// A mistake that every machine makes.
  let canary: Canary?
  var faults: Faults?
  /// Links with rates; without them everything takes the time that the seed chooses.
  var network: SimulatedNetwork?
  /// Whether sessions leave it to the other side what to send.
  var takesPulls = true
  /// Called after each event, with the machine that handled it.
  var onStep: ((Int) throws -> Void)?
  /// By falling due: the next is the last.
  private var pending: [Pending] = []
  private var lastNumber: UInt64 = 0
  private var nextLink: UInt64 = 0
  /// When the last message of a link's side arrives.
  var arrivals: [LinkID: [Int: Instant]] = [:]
  /// Links whose cable is cut: what is said on them arrives nowhere.
  var dead: Set<LinkID> = []

  /// What is on its way to a side that nothing reaches for a while.
  var withheld: [Way: [() throws -> Void]] = [:]
  /// Links on which everything takes so many times as long.
  var slowness: [LinkID: Int64] = [:]

  /// The first `count` machines of which there are keys are the same in every household.
  init(
    machines count: Int, seed: UInt64, settings: ReplicationSettings = ReplicationSettings(),
    bulk: Int = Catalog.bulk, canary: Canary? = nil
  ) throws {
    self.canary = canary
    self.settings = settings
    self.bulk = bulk
    random = SeededGenerator(seed: seed)
    let keys = try SimulatedKeys.first(count)
    var statements = try Roster.found(
      name: "home", machineName: "m0", key: keys[0], random: [UInt8](repeating: 7, count: 32), now: now.wall)
    for (index, key) in keys.enumerated().dropFirst() {
      statements.append(
        try Roster(statements).admitting(
          subject: key.machine, publicKey: key.publicKey, name: "m\(index)", replaces: nil,
          by: keys[0], now: now.wall))
      statements.append(try Roster(statements).accepting(by: key, now: now.wall))
    }
    for key in keys { try begin(key, statements) }
  }

  /// The next machine begins, with an empty folder and an empty replica: all that it knows are these statements.
  func begin(_ key: DeviceKey, _ statements: [SignedStatement]) throws {
    let index = machines.count
    let folder = Folder(
      id: FolderID(high: UInt64(index), low: 1), name: "Photos", root: Array("/photos".utf8),
      excludes: [], filesystem: [])
    let record = MachineRecord(
      machine: key.machine, number: 0, name: "m\(index)", role: .full, program: "simulation",
      addresses: [], folders: [FolderName(id: folder.id, name: folder.name)])
    machines.append(
      try SimulatedMachine(
        key: key, statements: statements, folder: folder, record: record, settings: settings,
        bulk: bulk, canary: canary, now: now))
  }

  func beVerbose(_ isVerbose: Bool) { trace.isVerbose = isVerbose }

  /// Puts what the user or the disk does to a machine into the trace.
  func note(_ what: String, at index: Int) { trace.add(what, at: index, now.instant) }

  // MARK: Time

  /// Something happens after a while that the seed chooses, of at most `milliseconds`.
  func later(within milliseconds: Int64 = 20, _ run: @escaping () throws -> Void) {
    schedule(at: now.instant + .microseconds(Int64(random.below(Int(milliseconds) * 1_000)) + 1), run)
  }

  func schedule(at due: Instant, _ run: @escaping () throws -> Void) {
    lastNumber += 1
    let item = Pending(due: due, number: lastNumber, run: run)
    var (low, high) = (0, pending.count)
    while low < high {
      let middle = (low + high) / 2
      if pending[middle].due > due { low = middle + 1 } else { high = middle }
    }
    pending.insert(item, at: low)
  }

  /// Forgets what is still to happen, which holds on to the household.
  func end() {
    pending.removeAll()
    withheld.removeAll()
    for machine in machines { machine.suspended = nil }
    onStep = nil
    network = nil
  }

  /// Runs until nothing is left to do that is due within `patience`, or a bound on steps.
  func settle(patience: Duration = .seconds(30), steps limit: Int = 400_000) throws {
    try run(until: now.instant + patience, steps: limit)
  }

  /// Runs for a while of virtual time; time passes to its end even if nothing happens any more.
  func run(until end: Instant, steps limit: Int = 400_000) throws {
    let last = steps + limit
    while steps < last, try step(until: end) {}
    guard steps < last else { throw SimulationError.endless(steps: limit) }
    advance(to: end)
  }

  /// The next thing that falls due by `end`; false when there is none.
  func step(until end: Instant = Instant(nanoseconds: .max)) throws -> Bool {
    let ticks = machines.indices.compactMap { index in
      // By its own clock, which went on while it slept.
      machines[index].nextDeadline.map { (due: $0 + (.zero - machines[index].bootLead), index: index) }
    }.min { ($0.due, $0.index) < ($1.due, $1.index) }
    let due = min(pending.last?.due ?? end + .seconds(1), ticks?.due ?? end + .seconds(1))
    guard due <= end else { return false }
    steps += 1
    advance(to: due)
    if let item = pending.last, item.due <= due {
      pending.removeLast()
      try item.run()
    } else if let ticks {
      try handle(.tick, at: ticks.index)
    }
    return true
  }

  private func advance(to instant: Instant) {
    guard instant > now.instant else { return }
    now.wall.nanoseconds += instant.nanoseconds - now.instant.nanoseconds
    now.instant = instant
  }

  /// What the clocks of a machine say.
  func clocks(of index: Int) -> Now {
    var clocks = now
    clocks.wall.nanoseconds += machines[index].clockError + machines[index].wallLead.inNanoseconds
    clocks.instant = clocks.instant + machines[index].bootLead
    clocks.slept = machines[index].slept
    return clocks
  }

  /// Somebody sets a machine's wall clock, and does it wrong: nobody tells the agent.
  func setClock(of index: Int, aheadBy error: Duration) {
    note("sets its clock \(error.inNanoseconds / 1_000_000_000) s ahead", at: index)
    machines[index].clockError = error.inNanoseconds
  }

  func handle(_ event: ReplicationEvent, at index: Int) throws {
    if isPutOff(at: index, { [self] in try handle(event, at: index) }) { return }
    guard !machines[index].hasOutage else { return }
    if network == nil { trace.add(event, at: index, now.instant) }
    let actions: [ReplicationAction]
    do {
      actions = try machines[index].handle(event, now: clocks(of: index))
    } catch let error where SimulatedMachine.isDiskFull(error) {
      return try beginOutage(at: index)
    }
    for action in actions { try carryOut(action, at: index) }
    try onStep?(index)
  }

  // MARK: What the test does

  func scan(_ index: Int) throws {
    for event in machines[index].scan() { try handle(event, at: index) }
  }

  /// `dialer` connects to `listener`; both say hello, and each opens when it hears the other's. Who is no member for the other, nor
  /// admitted, is not let in.
  func connect(_ dialer: Int, _ listener: Int) {
    guard mayConnect(dialer, to: listener), mayConnect(listener, to: dialer) else { return }
    guard machines[dialer].suspended == nil, machines[listener].suspended == nil else { return }
    nextLink += 1
    let link = LinkID(nextLink)
    arrivals[link] = [:]
    for (index, peer, isDialer) in [(dialer, listener, true), (listener, dialer, false)] {
      machines[index].links[link] = SimulatedMachine.LinkEnd(peer: peer, isDialer: isDialer)
      sayHello(link, from: index, to: peer)
    }
  }

  func isConnected(_ left: Int, _ right: Int) -> Bool {
    machines[left].links.contains { $0.value.peer == right && !dead.contains($0.key) }
  }

  /// The cable is cut: both sides find out, each in its own time.
  func cut(_ left: Int, _ right: Int) {
    for link in machines[left].links.filter({ $0.value.peer == right }).keys.sorted() { cut(link) }
  }

  func cut(_ link: LinkID) {
    guard dead.insert(link).inserted else { return }
    for index in machines.indices where machines[index].links[link] != nil {
      later(within: 500) { [self] in try end(link, at: index) }
    }
  }

  /// SIGKILL and start: what was in memory or on the wire is gone. A batch that was running may have come far. With a
  /// power cut, what was not synced may be gone too. `loss`: what happens to the catalog before the start.
  func crash(
    _ index: Int, isPowerCut: Bool = false, loss: (SimulatedMachine) throws -> Void = { _ in }
  ) throws {
    let machine = machines[index]
    note(isPowerCut ? "loses power" : "dies", at: index)
    // What it slept over dies with the process.
    machine.suspended = nil
    for link in machine.links.keys.sorted() { cut(link) }
    // An agent does not start without its replica.
    machine.replica.isMounted = true
    machine.replica.doomed.removeAll()
    if let running = machine.ask({ $0.filing.running }), running.id != machine.lastBatchOnDisk {
      let done = random.below(running.steps.count + 1)
      try noteReleases(Array(running.steps.map(\.operation).prefix(done)), at: index)
      _ = machine.replica.commit(
        running.steps.map(\.operation), own: machine.present, isRepeat: running.isRepeat,
        fault: nil, limit: done)
    }
    if isPowerCut { try machine.powerCut(&random) }
    try loss(machine)
    for event in try machine.restart(now: clocks(of: index)) { try handle(event, at: index) }
    try scan(index)
    checkReplica(index)
  }

  /// Compares the replica with the catalog, once moves that a crash cut off are finished.
  func checkReplica(_ index: Int) {
    work(at: index) { [self] in
      guard machines[index].replicator.isFilingIdle else { return checkReplica(index) }
      for event in try machines[index].doubtfulFiles() { try handle(event, at: index) }
    }
  }
}

enum SimulationError: Error {
  /// So many steps within a bounded time: somebody spins.
  case endless(steps: Int)
  case broken(String)
}

/// FNV-1a over what happened.
struct Trace: Equatable {
  private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  private(set) var lines: [String] = []
  /// Keeps the text too: to see where two runs part, or why one failed.
  var isVerbose = false

  mutating func add(_ event: ReplicationEvent, at index: Int, _ instant: Instant) {
    add(event.traced, at: index, instant)
  }

  /// What happens to a machine without being told to its decisions.
  mutating func add(_ what: String, at index: Int, _ instant: Instant) {
    let line = "\(instant.nanoseconds / 1_000) m\(index) \(what)"
    for byte in line.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    if isVerbose { lines.append(line) }
  }
}

/// Keys that are the same in every run: ids of machines decide about order.
enum SimulatedKeys {
  private static let all: [DeviceKey] = (1...20).compactMap { number in
    try? DeviceKey(scalar: SummaryHash.sha256([number]).bytes)
  }

  static func first(_ count: Int) throws -> [DeviceKey] {
    guard count <= all.count else { throw SimulationError.broken("no key for machine \(count)") }
    return Array(all.prefix(count))
  }
}
