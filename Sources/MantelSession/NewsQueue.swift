import DequeModule
import MantelCore
import MantelWire

/// What the peer does not know yet and nobody waits for: sent while the channel takes it, each kind of news once in
/// its newest form; of a library's heads also the last one that is older. Bounded by the machines of a household, the
/// two lists of requests and ids by limits.
struct NewsQueue {
  private let limits: SessionLimits
  private var roster: [[UInt8]] = []
  private var records = LatestQueue<MachineID, Signed<MachineRecord>>()
  private var heads = LatestQueue<MachineID, Signed<Head>>()
  /// Older than a head of the same library that was announced before: shown to its owner, after that one.
  private var formerHeads = LatestQueue<MachineID, Signed<Head>>()
  private var newestHeads: [MachineID: HeadOrder] = [:]
  private var attestations = LatestQueue<MachineID, Signed<Attestation>>()
  private var forgetRequests: Deque<Signed<ForgetRequest>> = []
  /// How many of them each machine has made.
  private var waiting: [MachineID: Int] = [:]
  private var availability: Deque<(frame: Frame, ids: Int)> = []
  /// Ids in `availability`.
  private var announcedIDs = 0
  /// Frames of the item that was taken last: they follow each other on the wire.
  private var current: Deque<Frame> = []

  init(limits: SessionLimits) { self.limits = limits }

  /// Statements add up: each is told once, and none takes the place of another.
  mutating func add(roster statements: [[UInt8]]) {
    let waiting = Set(roster)
    roster += statements.filter { !waiting.contains($0) }
  }

  // What is announced takes the place of what was not sent yet.
  mutating func add(_ record: Signed<MachineRecord>) { records.set(record, for: record.record.machine) }
  mutating func add(_ head: Signed<Head>) {
    let (library, order) = (head.record.library, head.record.order)
    guard order >= newestHeads[library] ?? .none else { return formerHeads.set(head, for: library) }
    newestHeads[library] = order
    heads.set(head, for: library)
  }
  mutating func add(_ attestation: Signed<Attestation>) {
    attestations.set(attestation, for: attestation.record.holder)
  }

  // What was known before the hello gives way to what was announced since.
  mutating func offer(_ record: Signed<MachineRecord>) {
    if !records.contains(record.record.machine) { add(record) }
  }
  mutating func offer(_ head: Signed<Head>) {
    let library = head.record.library
    if let announced = heads[library] {
      guard announced.record.order < head.record.order else { return }
      // What was announced is a former one.
      formerHeads.set(announced, for: library)
    }
    add(head)
  }
  mutating func offer(_ attestation: Signed<Attestation>) {
    if !attestations.contains(attestation.record.holder) { add(attestation) }
  }

  /// When the queue is full, the oldest of the machine goes of which most wait: its requester tells it again at its next
  /// connection with the one that is asked. So nobody's flood ends a connection between two others.
  mutating func add(_ request: Signed<ForgetRequest>) {
    forgetRequests.append(request)
    waiting[request.record.requester, default: 0] += 1
    guard forgetRequests.count > limits.forgetRequests,
      let loudest = waiting.max(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key,
      let oldest = forgetRequests.firstIndex(where: { $0.record.requester == loudest })
    else { return }
    forgotten(forgetRequests.remove(at: oldest))
  }

  private mutating func forgotten(_ request: Signed<ForgetRequest>) {
    let requester = request.record.requester
    waiting[requester] = waiting[requester].flatMap { $0 > 1 ? $0 - 1 : nil }
  }

  /// The peer does not take them.
  mutating func dropForgetRequests() {
    forgetRequests = []
    waiting = [:]
  }

  /// False: the queue is full.
  mutating func add(availability frame: Frame, ids: Int) -> Bool {
    guard announcedIDs + ids <= limits.announcedIDs else { return false }
    announcedIDs += ids
    availability.append((frame, ids))
    return true
  }

  /// What the peer must still hear of the roster before the connection ends.
  mutating func takeRoster() -> [Frame] {
    defer { roster = [] }
    let begun = current.filter { if case .roster = $0 { true } else { false } }
    return begun + Frame.rosters(roster)
  }

  /// The next frame: the roster first, because signatures are checked against it.
  mutating func next() -> Frame? {
    if let frame = current.popFirst() { return frame }
    if !roster.isEmpty {
      current = Deque(Frame.rosters(roster))
      roster = []
      if let frame = current.popFirst() { return frame }
    }
    if let record = records.popFirst() { return .record(record) }
    if let head = heads.popFirst() ?? formerHeads.popFirst() { return .head(head) }
    if let (frame, ids) = availability.popFirst() {
      announcedIDs -= ids
      return frame
    }
    if let attestation = attestations.popFirst() {
      current = Deque(Frame.attestations(attestation))
      return current.popFirst()
    }
    guard let request = forgetRequests.popFirst() else { return nil }
    forgotten(request)
    return .forgetRequest(request)
  }
}

/// First in, first out, by key: a newer value takes the place of an older one that still waits.
struct LatestQueue<Key: Hashable, Value> {
  private var order: Deque<Key> = []
  private var values: [Key: Value] = [:]

  subscript(key: Key) -> Value? { values[key] }

  func contains(_ key: Key) -> Bool { values[key] != nil }

  mutating func set(_ value: Value, for key: Key) {
    if values.updateValue(value, forKey: key) == nil { order.append(key) }
  }

  mutating func popFirst() -> Value? {
    guard let key = order.popFirst() else { return nil }
    return values.removeValue(forKey: key)
  }
}
