import DequeModule
import MantelCore
import MantelWire
import NIOCore

/// A unit that is being read for the peer.
struct ServedUnit {
  let unit: UnitID
  /// Known after the first read.
  var bytes: UInt64?
  /// Where the next read starts.
  var offset: UInt64 = 0
  /// Bytes asked of the store and not yet answered; at most one read of a unit is out.
  var reserved = 0
  /// Read and not yet sent.
  var chunks: Deque<ByteBuffer> = []
  var buffered = 0
  var hasBegun = false
  /// CHOSEN_UNIT was sent; only for a PULL_ANY.
  var isNamed = false
  /// Set when there is no more to read: all is read, or the reason why not.
  var outcome: Outcome?

  init(_ unit: UnitID) { self.unit = unit }

  var footprint: Int { reserved + buffered }
  /// Nothing of it is still to be read, and it is known whether it can be sent.
  var isRead: Bool { outcome != nil }
  var wantsRead: Bool { outcome == nil && reserved == 0 }

  /// Bytes that the next read should ask for.
  func readSize(_ limits: SessionLimits) -> Int {
    guard let bytes else {
      let first = if case .block = unit.part { Limits.blockBytes } else { limits.firstReadBytes }
      return min(first, limits.readBytes)
    }
    return Int(min(UInt64(limits.readBytes), bytes - offset))
  }

  mutating func reading(_ count: Int) { reserved = count }

  /// Takes an answer to a read of `asked` bytes. A length that changed on the way, or that no such unit has, ends
  /// the unit: the peer must not see bytes that cannot be what it asked for.
  mutating func read(_ buffer: ByteBuffer, unitBytes: UInt64, asked: Int) {
    reserved = 0
    let count = buffer.readableBytes
    guard bytes ?? unitBytes == unitBytes else { return fail(.changed) }
    guard count <= asked, unitBytes <= unit.maximumBytes, offset + UInt64(count) <= unitBytes,
      count > 0 || unitBytes == 0
    else { return fail(.failed) }
    bytes = unitBytes
    offset += UInt64(count)
    if count > 0 { chunks.append(buffer) }
    buffered += count
    if offset == unitBytes { outcome = .complete }
  }

  mutating func fail(_ outcome: Outcome) {
    reserved = 0
    // `.complete` is said by bytes alone.
    self.outcome = outcome == .complete ? .failed : outcome
    chunks = []
    buffered = 0
  }

  /// The next frame of this unit; nil while it waits for the store. UNIT_END is the last.
  mutating func nextFrame(_ request: RequestID, index: UInt16, dataBytes: Int) -> Frame? {
    if !hasBegun, let bytes, outcome == nil || outcome == .complete {
      hasBegun = true
      return .unitBegin(request, index: index, bytes: bytes)
    }
    if var chunk = chunks.popFirst() {
      guard let slice = chunk.readSlice(length: min(dataBytes, chunk.readableBytes)) else {
        preconditionFailure("a slice within a buffer")
      }
      if chunk.readableBytes > 0 { chunks.prepend(chunk) }
      buffered -= slice.readableBytes
      return .data(request, index: index, slice)
    }
    return outcome.map { .unitEnd(request, index: index, $0) }
  }
}

extension UnitID {
  /// The longest that a unit of this part may be.
  var maximumBytes: UInt64 {
    switch part {
    case .whole: UInt64(Limits.wholeUnitBytes)
    case .block: UInt64(Limits.blockBytes)
    case .manifest: UInt64(Limits.manifestBytes)
    }
  }
}

/// A GET of the peer: its units in order, of which a few are being read at any time; or a PULL_ANY, whose units are added as
/// they are chosen.
struct ServedGet {
  let id: RequestID
  /// Tells this GET from an earlier one of the same number.
  let serial: UInt64
  private(set) var units: [UnitID]
  /// Set for a PULL_ANY.
  private(set) var pull: ServedPull?
  /// Units being read or sent; the first is the one being sent.
  private(set) var reading: Deque<ServedUnit> = []
  /// Place in `units` of the first of `reading`.
  private(set) var place = 0
  /// Place of the first unit that may still want a read.
  private var unread = 0
  /// Set when nothing but DONE is left to send.
  private(set) var end: Outcome?
  var isCancelled: Bool { end != nil }

  init(id: RequestID, serial: UInt64, units: [UnitID], pull: ServedPull? = nil) {
    self.id = id
    self.serial = serial
    self.units = units
    self.pull = pull
  }

  // MARK: Choosing

  /// How many units to choose now: the next ones are chosen when those before are nearly sent.
  mutating func nextChoice(_ limits: SessionLimits) -> Int? {
    guard pull != nil, end == nil, place + reading.count == units.count, reading.allSatisfy(\.isRead),
      reading.reduce(0, { $0 + $1.buffered }) <= limits.lateBytes
    else { return nil }
    return pull?.nextChoice(limits)
  }

  /// Returns the units that were added.
  mutating func chose(_ chosen: [UnitID]) -> [UnitID] {
    let added = pull?.chose(chosen) ?? []
    units += added
    return added
  }

  mutating func refusedChoice(_ outcome: Outcome) { pull?.refused(outcome) }

  mutating func withdraw(_ units: Set<UnitID>) { pull?.withdraw(units) }

  /// A unit is next, and those before have used up what the peer asked for.
  var isOverdrawn: Bool {
    pull?.isUsedUp == true && end == nil && place < units.count && reading.first?.isNamed != true
  }

  // MARK: Reading

  /// Whether the unit being sent has nothing to send and waits for a read to be asked for.
  var isStarved: Bool {
    guard let head = reading.first else { return place < units.count }
    return head.wantsRead && head.buffered == 0
  }

  /// The first place that wants a read; nil when all are read or out.
  mutating func nextUnread() -> Int? {
    while unread < place + reading.count {
      let unit = reading[unread - place]
      if unit.outcome == nil { break }
      unread += 1
    }
    for next in unread..<max(unread, place + reading.count) where reading[next - place].wantsRead {
      return next
    }
    let next = place + reading.count
    return next < units.count ? next : nil
  }

  func readSize(at place: Int, _ limits: SessionLimits) -> Int {
    place < self.place + reading.count
      ? reading[place - self.place].readSize(limits) : ServedUnit(units[place]).readSize(limits)
  }

  /// Marks a read of the unit at `place` as out, and says where it starts.
  mutating func startRead(at place: Int, _ count: Int) -> UInt64 {
    if place == self.place + reading.count { reading.append(ServedUnit(units[place])) }
    reading[place - self.place].reading(count)
    return reading[place - self.place].offset
  }

  /// Changes the unit at `place`; returns by how much its footprint grew.
  mutating func change(at place: Int, _ body: (inout ServedUnit) -> Void) -> Int {
    let before = reading[place - self.place].footprint
    body(&reading[place - self.place])
    return reading[place - self.place].footprint - before
  }

  /// Drops what was read; nothing but DONE is left to send. Returns the bytes let go, and the footprint of the units
  /// that were not next.
  mutating func cancel(_ outcome: Outcome) -> (buffered: Int, ahead: Int) {
    let buffered = reading.reduce(0) { $0 + $1.buffered }
    let ahead = reading.dropFirst().reduce(0) { $0 + $1.footprint }
    reading = []
    end = outcome
    return (buffered, ahead)
  }

  /// The next frame, and whether it ends a unit; nil while the unit being sent waits for the store.
  mutating func nextFrame(dataBytes: Int) -> (frame: Frame, endsUnit: Bool)? {
    if let end { return (.done(id, end), false) }
    guard place < units.count else {
      guard let pull else { return (.done(id, .complete), false) }
      return pull.end.map { (.done(id, $0), false) }
    }
    if pull != nil, let unit = reading.first, !unit.isNamed, unit.bytes != nil || unit.isRead {
      reading[0].isNamed = true
      return (.chosenUnit(id, index: UInt16(place), unit.unit), false)
    }
    guard !reading.isEmpty,
      let frame = reading[0].nextFrame(id, index: UInt16(place), dataBytes: dataBytes)
    else { return nil }
    if case .unitBegin(_, _, let length) = frame { pull?.began(length) }
    guard case .unitEnd = frame else { return (frame, false) }
    reading.removeFirst()
    place += 1
    unread = max(unread, place)
    return (frame, true)
  }
}
