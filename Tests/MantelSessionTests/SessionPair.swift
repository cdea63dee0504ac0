import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Testing

/// One end of a simulated connection: the session, its store, and everything that it said.
final class SessionSide {
  var session: Session
  var store = MemoryStore()
  var queries: [(QueryID, StoreQuery)] = []
  /// Encoded frames on their way to the other end.
  var sent: [ByteBuffer] = []
  var sentBytes = 0
  var events: [SessionEvent] = []
  var isClosed = false
  /// Every query so far, and the most that were open at once.
  var askedQueries: [StoreQuery] = []
  var mostReadAhead = 0
  var mostBytesInFlight: UInt64 = 0

  init(_ configuration: SessionConfiguration) {
    session = Session(configuration, now: Fixture.start)
  }

  /// Takes at most `count` actions; with `control`, as if the channel took no bulk. Returns how many there were.
  @discardableResult
  func drain(_ count: Int = .max, control: Bool = false) -> Int {
    var taken = 0
    while taken < count, let action = control ? session.nextControlAction() : session.nextAction() {
      taken += 1
      if isClosed { Issue.record("an action after close: \(action)") }
      switch action {
      case .send(let frame):
        var buffer = ByteBuffer()
        FrameEncoder.encode(frame, into: &buffer)
        sentBytes += buffer.readableBytes
        sent.append(buffer)
        if control, frame.isBulk { Issue.record("data without a writable channel") }
      case .query(let id, let query):
        queries.append((id, query))
        askedQueries.append(query)
      case .deliver(let event):
        if case .closing? = events.last { Issue.record("an event after closing: \(event)") }
        events.append(event)
      case .close: isClosed = true
      }
      let snapshot = session.snapshot
      mostReadAhead = max(mostReadAhead, snapshot.readAheadBytes)
      mostBytesInFlight = max(mostBytesInFlight, snapshot.bytesInFlight)
    }
    return taken
  }

  func answer(at position: Int, now: Instant) {
    let (id, query) = queries.remove(at: position)
    session.answered(id, store.answer(query), now: now)
  }

  func receive(_ buffer: ByteBuffer, now: Instant) throws {
    var buffer = buffer
    var decoder = FrameDecoder()
    let frame = try #require(try decoder.decode(&buffer))
    session.received(frame, now: now)
  }
}

/// Two sessions with a connection between them, driven step by step under a seed.
final class SessionPair {
  var alice: SessionSide
  var bob: SessionSide
  var now = Fixture.start
  private var random: SeededRandom

  init(
    _ alice: SessionConfiguration = Fixture.configuration(Fixture.alice, peer: Fixture.bob),
    _ bob: SessionConfiguration = Fixture.configuration(Fixture.bob, peer: Fixture.alice), seed: UInt64 = 1
  ) {
    self.alice = SessionSide(alice)
    self.bob = SessionSide(bob)
    random = SeededRandom(seed: seed)
  }

  /// Runs until nothing is left to do, or for `steps`; random order of arrivals, answers and drains.
  func run(steps: Int = .max) throws {
    var left = steps
    while left > 0 {
      left -= 1
      if !(try step()), !(try settle()) { return }
    }
  }

  /// One random step; false when the chosen one had nothing to do.
  private func step() throws -> Bool {
    now = now + .microseconds(100)
    switch random.next() % 8 {
    case 0 where !alice.sent.isEmpty: try bob.receive(alice.sent.removeFirst(), now: now)
    case 1 where !bob.sent.isEmpty: try alice.receive(bob.sent.removeFirst(), now: now)
    case 2 where !alice.queries.isEmpty:
      alice.answer(at: Int(random.next() % UInt64(alice.queries.count)), now: now)
    case 3 where !bob.queries.isEmpty:
      bob.answer(at: Int(random.next() % UInt64(bob.queries.count)), now: now)
    case 4: return alice.drain(1 + Int(random.next() % 8)) > 0
    case 5: return bob.drain(1 + Int(random.next() % 8)) > 0
    case 6: return alice.drain(control: true) > 0
    case 7: return bob.drain(control: true) > 0
    default: return false
    }
    return true
  }

  /// Does whatever can be done next, in a fixed order; false when all is quiet.
  private func settle() throws -> Bool {
    if alice.drain(4) > 0 || bob.drain(4) > 0 { return true }
    if !alice.sent.isEmpty {
      try bob.receive(alice.sent.removeFirst(), now: now)
    } else if !bob.sent.isEmpty {
      try alice.receive(bob.sent.removeFirst(), now: now)
    } else if !alice.queries.isEmpty {
      alice.answer(at: 0, now: now)
    } else if !bob.queries.isEmpty {
      bob.answer(at: 0, now: now)
    } else {
      return false
    }
    return true
  }

  /// The connection breaks: what is on its way is lost.
  func cut() {
    alice.sent = []
    bob.sent = []
    alice.session.transportClosed(now: now)
    bob.session.transportClosed(now: now)
    alice.drain()
    bob.drain()
  }
}

// MARK: - What the events add up to

/// What became of fetched units and jobs, with the rules of their events checked on the way.
struct Tally {
  var received: [UnitID: ByteBuffer] = [:]
  var ends: [UnitID: Outcome] = [:]
  var jobEnds: [JobID: Outcome] = [:]
  var entries: [JobID: (added: [Entry], removed: [EntryID])] = [:]
  var differences: [JobID?: (theirs: [Digest256], mine: [Digest256])] = [:]
  var others: [SessionEvent] = []

  init(_ events: [SessionEvent]) {
    var lengths: [UnitID: UInt64] = [:]
    for event in events {
      switch event {
      case .unitBegan(let unit, let bytes):
        #expect(lengths[unit] == nil && ends[unit] == nil)
        lengths[unit] = bytes
        received[unit] = ByteBuffer()
      case .unitData(let unit, let data):
        if lengths[unit] == nil || ends[unit] != nil { Issue.record("data outside of its unit") }
        received[unit]?.writeImmutableBuffer(data)
      case .unitEnded(let unit, let outcome):
        #expect(ends.updateValue(outcome, forKey: unit) == nil, "a unit ended twice")
        if outcome == .complete { #expect(received[unit]?.readableBytes == lengths[unit].map(Int.init)) }
      case .jobEnded(let job, let outcome):
        #expect(jobEnds.updateValue(outcome, forKey: job) == nil, "a job ended twice")
      case .entries(let job, let added, let removed):
        #expect(jobEnds[job] == nil)
        entries[job, default: ([], [])].added += added
        entries[job, default: ([], [])].removed += removed
      case .difference(let job, _, let theirs, let mine):
        if let job { #expect(jobEnds[job] == nil) }
        differences[job, default: ([], [])].theirs += theirs
        differences[job, default: ([], [])].mine += mine
      default: others.append(event)
      }
    }
  }
}

extension SessionSide {
  var tally: Tally { Tally(events) }
  var closing: (CloseCode, String)? {
    guard case .closing(let code, let message, _)? = events.last else { return nil }
    return (code, message)
  }
  func command(_ command: SessionCommand, now: Instant) { session.command(command, now: now) }
}
