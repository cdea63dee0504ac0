import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore

/// A session that has heard a valid hello, and then anything: frames, answers of the store in any order, commands of its
/// owner, time, a channel that takes nothing.
func fuzzSession(_ input: [UInt8]) throws {
  var run = SessionRun()
  var reader = InputReader(input)
  for _ in 0..<64 where !reader.isAtEnd && !run.isClosed {
    switch reader.below(8) {
    case 0, 1, 2: try run.receive(code: reader.byte(), reader.run(Int(reader.number()) & 0x7FF))
    case 3: try run.drain(1 + reader.below(8), control: false)
    case 4: try run.drain(4, control: true)
    case 5: run.answer(reader.byte())
    case 6: try run.command(&reader)
    default: run.pass(.milliseconds(Int64(reader.number()) * 4))
    }
    try run.check()
  }
  run.end()
  try run.drain(.max, control: false)
  try run.checkEnd()
}

/// What the session was asked for and said.
private struct SessionRun: ~Copyable {
  private static let me = MachineID(Digest256(0xa, 0, 0, 0))
  private static let peer = MachineID(Digest256(0xb, 0, 0, 0))
  private static let household = HouseholdID(Digest256(1, 1, 1, 1))
  private static let set = SetSnapshot(
    sorted: (0..<40).map { Digest256($0 << 56, $0, 0, 0) }, tag: .holdings(household))

  private(set) var isClosed = false
  private var session: Session
  private var now = Instant(nanoseconds: 1_000_000_000)
  private var limits = SessionLimits()
  private var queries: [(id: QueryID, query: StoreQuery)] = []
  private var jobs: UInt64 = 0
  private var openJobs: Set<JobID> = []
  private var openUnits: Set<UnitID> = []
  private var hasSaidClosing = false

  init() {
    // Bounds that an input can reach. What may be open of each kind that is asked for is together no more than all may be.
    limits.openRequests = 8
    limits.openPulls = 1
    limits.openGets = 2
    limits.openDeltas = 1
    limits.openEntryRequests = 2
    limits.openReconciliations = 2
    limits.queuedJobs = 4
    limits.queuedFetches = 16
    limits.readAheadBytes = 4_096
    limits.headReserveBytes = 1_024
    limits.readBytes = 1_024
    limits.firstReadBytes = 512
    limits.announcedIDs = 64
    session = Session(
      SessionConfiguration(
        household: Self.household, local: Self.me, peer: Self.peer, isDialer: true, hello: Self.hello(1),
        limits: limits),
      now: now)
    session.received(.hello(Self.hello(2)), now: now)
  }

  private static func hello(_ nonce: UInt8) -> Hello {
    Hello(
      lowestVersion: 1, highestVersion: 1, features: .max, household: household,
      nonce: Array(repeating: nonce, count: 16), instance: Array(repeating: nonce &+ 1, count: 16),
      time: WallTime(nanoseconds: 1), listeningPort: 62_683, rosterHash: .zero, holdingsCount: 40,
      holdingsRoot: .zero, members: [])
  }

  mutating func receive(code: UInt8, _ payload: [UInt8]) throws {
    var buffer = ByteBuffer()
    buffer.writeInteger(UInt32(payload.count) << 8 | UInt32(code))
    buffer.writeBytes(payload)
    var decoder = FrameDecoder()
    guard let frame = try? decoder.decode(&buffer) else { return }
    session.received(frame, now: now)
  }

  mutating func answer(_ choice: UInt8) {
    guard !queries.isEmpty else { return }
    let (id, query) = queries.remove(at: Int(choice) % queries.count)
    let answer: StoreAnswer
    switch query {
    case _ where choice & 0xF0 == 0xF0: answer = .refused(.busy)
    case .snapshot: answer = .snapshot(choice & 1 == 0 ? Self.set : nil)
    case .delta(_, _, _, let cursor):
      // A store's page never leads to itself.
      answer = .delta(added: [], removed: [], next: choice & 2 == 0 ? nil : cursor + 1)
    case .entries: answer = .entries([])
    case .read(_, let offset, let maximumBytes):
      let total: UInt64 = 3_000
      let count = Int(min(UInt64(maximumBytes), total - min(total, offset)))
      answer = .read(ByteBuffer(repeating: 5, count: count), unitBytes: total)
    case .choose(let units, let count): answer = .chosen(Array(units.suffix(Int(choice & 3)).prefix(count)))
    case .prove: answer = choice & 1 == 0 ? .proof(.zero) : .refused(.notHeld)
    }
    session.answered(id, answer, now: now)
  }

  mutating func command(_ reader: inout InputReader) throws {
    // What has ended, and was not told yet, may be fetched again.
    try drain(.max, control: true)
    // After its last event a session says nothing more.
    guard !hasSaidClosing else { return }
    let content = ContentID(Digest256(UInt64(reader.byte() & 7), 6, 6, 6))
    let older = HeadOrder(epoch: 1, sequence: 1)
    switch reader.below(9) {
    case 0, 1:
      let unit = UnitID(content: content, part: .whole)
      // One that is open already gets no second end.
      openUnits.insert(unit)
      session.command(.fetch([UnitFetch(unit: unit, bytes: UInt64(reader.byte()))]), now: now)
    case 2:
      session.command(
        .fetchDelta(nextJob(), library: Self.peer, from: older, to: HeadOrder(epoch: 1, sequence: 2)),
        now: now)
    case 3: session.command(.fetchEntries(nextJob(), library: Self.peer, [EntryID(.zero)]), now: now)
    case 4: session.command(.reconcile(nextJob(), .holdings, mine: Self.set), now: now)
    case 5: session.command(.cancelFetch([UnitID(content: content, part: .whole)]), now: now)
    case 6: session.command(.available(added: [content], removed: []), now: now)
    case 7:
      let units = (0...3).map { UnitID(content: content, part: .block($0)) }
      let request = PullRequest(
        units: units.map { UnitFetch(unit: $0, bytes: UInt64(reader.byte())) }, count: 2, bytes: 300)
      session.command(.pull(nextJob(), request), now: now)
    default: session.command(.ping, now: now)
    }
  }

  private mutating func nextJob() -> JobID {
    jobs += 1
    openJobs.insert(JobID(jobs))
    return JobID(jobs)
  }

  mutating func pass(_ time: Duration) {
    now = now + time
    if let due = session.nextDeadline, due <= now { session.handleDeadline(now: now) }
  }

  mutating func end() { session.transportClosed(now: now) }

  mutating func drain(_ count: Int, control: Bool) throws {
    var taken = 0
    while taken < count, let action = control ? session.nextControlAction() : session.nextAction() {
      taken += 1
      try require(taken < 100_000, "actions without an end")
      switch action {
      case .send(let frame):
        var buffer = ByteBuffer()
        FrameEncoder.encode(frame, into: &buffer)
        try require(
          buffer.readableBytes <= FrameLimits.headerBytes + Limits.frameBytes, "sends too long a frame")
      case .query(let id, let query): queries.append((id, query))
      case .deliver(let event): try take(event)
      case .close: isClosed = true
      }
    }
  }

  private mutating func take(_ event: SessionEvent) throws {
    try require(!hasSaidClosing, "an event after the last: \(event)")
    switch event {
    case .jobEnded(let job, _): try require(openJobs.remove(job) != nil, "a job ends twice")
    case .unitChosen(let job, let unit):
      try require(openJobs.contains(job), "a choice of no open pull")
      try require(openUnits.insert(unit).inserted, "a unit chosen that is on its way")
    case .unitEnded(let unit, _): try require(openUnits.remove(unit) != nil, "a unit ends twice")
    case .unitBegan(let unit, _), .unitData(let unit, _):
      try require(openUnits.contains(unit), "bytes of a unit that nobody waits for")
    case .closing: hasSaidClosing = true
    default: break
    }
  }

  /// What a peer causes stays within bounds.
  func check() throws {
    let shown = session.snapshot
    try require(shown.openPeerRequests <= limits.openRequests, "too many requests of the peer")
    try require(shown.openRequests <= limits.openRequests, "too many own requests")
    try require(shown.readAheadBytes <= limits.readAheadBytes, "reads too far ahead")
    try require(shown.bytesInFlight <= limits.windowBytes, "asks for too much")
    try require(shown.openQueries <= limits.readsInFlight + limits.pageQueries + 8, "asks the store too much")
  }

  /// Whatever was begun has ended, once.
  func checkEnd() throws {
    try require(hasSaidClosing && isClosed, "a session that ended does not say so")
    try require(openJobs.isEmpty, "\(openJobs.count) jobs never end")
    try require(openUnits.isEmpty, "\(openUnits.count) units never end")
  }
}
