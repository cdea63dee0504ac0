import DequeModule
import MantelCore
import MantelWire

/// The units that we want of the peer: a queue, cut into GETs, and what is on its way.
///
/// Units of a GET come in its order. A unit that the caller cancelled is not reported any more, but its bytes still
/// count as outstanding until the peer is through with it.
struct Fetching {
  /// A GET, or a PULL_ANY, without a DONE.
  struct OpenGet {
    var units: [UnitFetch]
    /// Places whose unit the caller still waits for.
    var wanted: Set<Int>
    /// The place of the unit that comes next or is coming.
    var place = 0
    /// Bytes of that unit that came; nil before its UNIT_BEGIN.
    var received: UInt64?
    var isCancelled = false
    /// Set for a PULL_ANY: its units come to be known as the peer chooses them.
    var pull: OpenPull?
  }

  private let limits: SessionLimits
  private var queue: Deque<UnitFetch> = []
  private var queued: Set<UnitID> = []
  private var pulls: Deque<(job: JobID, request: PullRequest)> = []
  private var gets: [RequestID: OpenGet] = [:]
  private var openPulls = 0
  private var inFlight: [UnitID: (get: RequestID, place: Int)] = [:]
  private(set) var outstandingBytes: UInt64 = 0

  init(limits: SessionLimits) { self.limits = limits }

  var queuedCount: Int { queue.count }
  var inFlightCount: Int { inFlight.count }
  var pullCount: Int { pulls.count + openPulls }

  /// Queues the units that are not wanted already; returns those for which there is no room.
  mutating func add(_ units: [UnitFetch]) -> [UnitID] {
    var refused: [UnitID] = []
    for fetch in units where inFlight[fetch.unit] == nil && !queued.contains(fetch.unit) {
      if queue.count < limits.queuedFetches {
        queued.insert(fetch.unit)
        queue.append(fetch)
      } else {
        refused.append(fetch.unit)
      }
    }
    return refused.uniqued()
  }

  /// False when too many wait.
  mutating func add(_ job: JobID, _ request: PullRequest) -> Bool {
    guard pulls.count < limits.queuedPulls else { return false }
    pulls.append((job, request))
    return true
  }

  mutating func nextPull() -> (job: JobID, request: PullRequest)? {
    openPulls < limits.openPulls ? pulls.popFirst() : nil
  }

  /// The units of the next GET; nil while enough is on its way. The pipe must not run dry, so the next GET goes out
  /// when less than half a window is outstanding; it never asks for more than fills the window.
  mutating func nextGet() -> [UnitFetch]? {
    let window = UInt64(limits.windowBytes)
    guard !queue.isEmpty, gets.count - openPulls < limits.openGets, outstandingBytes < (window + 1) / 2 else {
      return nil
    }
    let room = min(UInt64(limits.bytesPerGet), window - outstandingBytes)
    var units: [UnitFetch] = []
    var bytes: UInt64 = 0
    while let fetch = queue.first, units.count < limits.unitsPerGet {
      // A unit that is larger than the room goes alone: else it would never go.
      guard units.isEmpty || (fetch.bytes <= room && bytes <= room - fetch.bytes) else { break }
      queue.removeFirst()
      queued.remove(fetch.unit)
      units.append(fetch)
      bytes += fetch.bytes
    }
    return units
  }

  mutating func opened(_ id: RequestID, _ units: [UnitFetch]) {
    gets[id] = OpenGet(units: units, wanted: Set(units.indices))
    for (place, fetch) in units.enumerated() {
      inFlight[fetch.unit] = (id, place)
      outstandingBytes += fetch.bytes
    }
  }

  mutating func opened(_ id: RequestID, _ job: JobID, _ request: PullRequest) {
    let pull = OpenPull(job, request)
    outstandingBytes += pull.credit
    openPulls += 1
    gets[id] = OpenGet(units: [], wanted: [], pull: pull)
  }

  /// Takes units back: those that were wanted, and the GETs of which nothing is wanted any more.
  mutating func cancel(_ units: [UnitID]) -> (ended: [UnitID], gets: [RequestID]) {
    var ended: [UnitID] = []
    var emptied: [RequestID] = []
    let unqueued = queued.intersection(units)
    if !unqueued.isEmpty {
      queue.removeAll { unqueued.contains($0.unit) }
      queued.subtract(unqueued)
    }
    for unit in units {
      if unqueued.contains(unit) {
        // A command may name a unit twice; it still ends once.
        ended.append(unit)
      } else if let (get, place) = inFlight.removeValue(forKey: unit) {
        ended.append(unit)
        gets[get]?.wanted.remove(place)
        if let open = gets[get], open.wanted.isEmpty, !open.isCancelled {
          gets[get]?.isCancelled = true
          emptied.append(get)
        }
      }
    }
    return (ended.uniqued(), emptied)
  }

  /// What a frame of a GET means for its caller; nil when nobody waits for the unit any more.
  typealias Reported = UnitID?

  /// The peer names the unit that comes next: reported unless it is on its way already.
  mutating func chose(
    _ id: RequestID, place: Int, _ unit: UnitID
  ) throws(UnitFault) -> (job: JobID, unit: UnitID)? {
    guard let get = gets[id] else { preconditionFailure("a PULL_ANY that is not open") }
    guard place == get.place, place == get.units.count, let choice = gets[id]?.pull?.chose(unit) else {
      throw UnitFault(unit: nil, "a choice that was not left to it")
    }
    gets[id]?.units.append(choice.fetch)
    outstandingBytes += choice.excess
    guard let job = get.pull?.job, !get.isCancelled, inFlight[unit] == nil, !queued.contains(unit) else {
      return nil
    }
    gets[id]?.wanted.insert(place)
    inFlight[unit] = (id, place)
    return (job, unit)
  }

  /// `isAsAsked`: it has the length that was asked for. Else the caller has to take it back: what comes is another file,
  /// or who named the content was wrong about it, and that is not for this connection to judge.
  mutating func began(
    _ id: RequestID, place: Int, bytes: UInt64
  ) throws(UnitFault) -> (unit: Reported, isAsAsked: Bool) {
    var expected = bytes
    let reported = try change(id) { get throws(UnitFault) in
      expected = try get.expect(place, hasBegun: false).bytes
      get.received = 0
      get.units[place].bytes = bytes
      get.pull?.began(bytes)
      return get.reported(place)
    }
    outstandingBytes = outstandingBytes - expected + bytes
    return (reported, bytes == expected)
  }

  mutating func received(_ id: RequestID, place: Int, count: Int) throws(UnitFault) -> Reported {
    let reported: Reported = try change(id) { get throws(UnitFault) in
      let unit = try get.expect(place, hasBegun: true)
      let received = (get.received ?? 0) + UInt64(count)
      guard received <= unit.bytes else {
        throw UnitFault(unit: get.reported(place), "more data than the unit has")
      }
      get.received = received
      return get.reported(place)
    }
    outstandingBytes -= UInt64(count)
    return reported
  }

  mutating func ended(_ id: RequestID, place: Int, _ outcome: Outcome) throws(UnitFault) -> Reported {
    var missing: UInt64 = 0
    let reported: Reported = try change(id) { get throws(UnitFault) in
      let unit = try get.expect(place, hasBegun: nil)
      let received = get.received
      guard outcome != .complete || received == unit.bytes else {
        throw UnitFault(unit: get.reported(place), "less data than the unit has")
      }
      missing = unit.bytes - (received ?? 0)
      get.place += 1
      get.received = nil
      return get.wanted.remove(place) == nil ? nil : unit.unit
    }
    outstandingBytes -= missing
    if let reported { inFlight[reported] = nil }
    return reported
  }

  /// The GET is over: its units that did not end. Those that the caller waits for are `wanted`; of a PULL_ANY its job ends.
  mutating func closed(_ id: RequestID) -> (unended: Int, wanted: [UnitID], job: JobID?) {
    guard let get = gets.removeValue(forKey: id) else { return (0, [], nil) }
    if let pull = get.pull {
      outstandingBytes -= pull.credit
      openPulls -= 1
    }
    let rest = get.units[get.place...]
    outstandingBytes -= rest.reduce(0) { $0 + $1.bytes } - (get.received ?? 0)
    let wanted = get.wanted.sorted().map { get.units[$0].unit }
    for unit in wanted { inFlight[unit] = nil }
    return (rest.count, wanted, get.pull?.job)
  }

  /// Forgets everything: the units that had not ended, those on their way first, and the jobs of pulls.
  mutating func endAll() -> (units: [UnitID], jobs: [JobID]) {
    let jobs = gets.sorted { $0.key < $1.key }.compactMap { $0.value.pull?.job } + pulls.map(\.job)
    let flying = gets.sorted { $0.key < $1.key }.flatMap { _, get in
      get.wanted.sorted().map { get.units[$0].unit }
    }
    let units = flying + queue.map(\.unit)
    self = Fetching(limits: limits)
    return (units, jobs)
  }

  private mutating func change(
    _ id: RequestID, _ body: (inout OpenGet) throws(UnitFault) -> Reported
  ) throws(UnitFault) -> Reported {
    guard var get = gets[id] else { preconditionFailure("a GET that is not open") }
    // Out of the dictionary while it changes, so that its arrays are not copied.
    gets[id] = nil
    defer { gets[id] = get }
    return try body(&get)
  }
}

/// The peer broke the rules of a transfer; `unit` is the one it concerns, if it is still wanted.
struct UnitFault: Error, Equatable {
  var unit: UnitID?
  var message: String

  init(unit: UnitID?, _ message: String) {
    self.unit = unit
    self.message = message
  }
}

extension Fetching.OpenGet {
  func reported(_ place: Int) -> UnitID? { wanted.contains(place) ? units[place].unit : nil }

  /// The unit at `place`, which must be the one whose turn it is.
  func expect(_ place: Int, hasBegun: Bool?) throws(UnitFault) -> UnitFetch {
    guard place == self.place, units.indices.contains(place) else {
      throw UnitFault(unit: nil, "a unit out of order")
    }
    guard hasBegun == nil || hasBegun == (received != nil) else {
      throw UnitFault(unit: reported(place), "a unit that began twice or not at all")
    }
    return units[place]
  }
}

extension Array where Element: Hashable {
  /// The elements without repetitions, in the order of their first occurrence.
  func uniqued() -> [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
