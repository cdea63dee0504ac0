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
  /// Set when there is no more to read: all is read, or the reason why not.
  var outcome: Outcome?

  init(_ unit: UnitID) { self.unit = unit }

  var footprint: Int { reserved + buffered }
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

/// A GET of the peer: its units in order, of which a few are being read at any time.
struct ServedGet {
  let id: RequestID
  /// Tells this GET from an earlier one of the same number.
  let serial: UInt64
  let units: [UnitID]
  /// Units being read or sent; the first is the one being sent.
  private(set) var reading: Deque<ServedUnit> = []
  /// Place in `units` of the first of `reading`.
  private(set) var place = 0
  /// Place of the first unit that may still want a read.
  private var unread = 0
  private(set) var isCancelled = false

  init(id: RequestID, serial: UInt64, units: [UnitID]) {
    self.id = id
    self.serial = serial
    self.units = units
  }

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
  mutating func cancel() -> (buffered: Int, ahead: Int) {
    let buffered = reading.reduce(0) { $0 + $1.buffered }
    let ahead = reading.dropFirst().reduce(0) { $0 + $1.footprint }
    reading = []
    isCancelled = true
    return (buffered, ahead)
  }

  /// The next frame, and whether it ends a unit; nil while the unit being sent waits for the store.
  mutating func nextFrame(dataBytes: Int) -> (frame: Frame, endsUnit: Bool)? {
    if isCancelled { return (.done(id, .cancelled), false) }
    guard place < units.count else { return (.done(id, .complete), false) }
    guard !reading.isEmpty,
      let frame = reading[0].nextFrame(id, index: UInt16(place), dataBytes: dataBytes)
    else { return nil }
    guard case .unitEnd = frame else { return (frame, false) }
    reading.removeFirst()
    place += 1
    unread = max(unread, place)
    return (frame, true)
  }
}
