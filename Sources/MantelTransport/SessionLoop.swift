import MantelCore
import MantelSession
import MantelWire
import NIOCore

/// Drives one session: the only task that touches it. Inputs come in batches from the mailbox; frames leave in batches
/// of `TransportLimits.writeBytes`, so that a hop to the event loop carries many of them.
struct SessionLoop: ~Copyable {
  private let link: SessionLink
  private let queries: StoreQueries
  private let limits: TransportLimits
  private let clock: @Sendable () -> Instant
  /// Tells the registry what a session's events mean to it.
  private let observe: @Sendable (SessionLink, SessionEvent) -> Void

  private var session: Session
  private var decoder = FrameDecoder()
  /// Received and not yet taken by the session.
  private var incoming = ByteBuffer()
  /// Encoded and not yet handed to the channel.
  private var outgoing = ByteBuffer()
  /// Handed to the channel and not yet taken by the kernel.
  private var unwritten = 0
  private var bytesIn: UInt64 = 0
  private var bytesOut: UInt64 = 0
  private var queriesRunning = 0
  private var queriesWaiting = WaitingQueries()
  private var timer: (due: Instant, task: Scheduled<Void>)?
  /// The peer broke the framing; nothing after that can be read.
  private var isUnreadable = false
  /// Whole frames may be left in `incoming`, because their events have no room.
  private var isHeldUp = false
  /// The session said `close`.
  private var isClosing = false

  init(
    link: SessionLink, configuration: consuming SessionConfiguration, queries: StoreQueries,
    limits: TransportLimits, clock: @escaping @Sendable () -> Instant,
    observe: @escaping @Sendable (SessionLink, SessionEvent) -> Void
  ) {
    self.link = link
    self.queries = queries
    self.limits = limits
    self.clock = clock
    self.observe = observe
    session = Session(configuration, now: clock())
  }

  private var mailbox: Mailbox { link.connection.mailbox }
  private var channel: any Channel { link.connection.channel }

  /// Returns when the session has ended and every event of it is with the delivery; closes the channel.
  mutating func run() async {
    drain()
    askWaiting(now: clock())
    submit()
    link.delivery.wake()
    while !isClosing {
      let takesInbound = link.delivery.hasRoom() && !isUnreadable
      // Without room nothing of the peer is heard, so its silence is not judged either; but it must hear of us.
      armTimer(takesInbound ? session.nextDeadline : session.nextHeldUpDeadline)
      armTimer(queriesWaiting.nextDeadline)
      if !(isHeldUp && takesInbound) { await mailbox.wait(inbound: takesInbound) }
      take(mailbox.take(inbound: takesInbound), takesInbound: takesInbound)
      link.delivery.wake()
      submit()
      show()
    }
    await flushAndClose()
    timer?.task.cancel()
    show()
  }

  // MARK: Inputs

  private mutating func take(_ batch: consuming Mailbox.Batch, takesInbound: Bool) {
    let now = clock()
    unwritten -= batch.writtenBytes
    if batch.isTimerDue { timer = nil }
    if batch.resumesReading { channel.read() }
    for command in batch.commands {
      session.command(command, now: now)
      drain()
    }
    for (query, answer) in batch.answers {
      queriesRunning -= 1
      queriesWaiting.answered(query)
      session.answered(query, answer, now: now)
      drain()
    }
    if !takesInbound { session.heldUp(now: now) }
    append(batch.inbound)
    isHeldUp = !takeFrames(now: now)
    if takesInbound, !isHeldUp {
      // Only now, when nothing of the peer is left to hear, are its end and its silence judged.
      if batch.isEnded {
        session.transportClosed(now: now)
      } else if let deadline = session.nextDeadline, now >= deadline {
        session.handleDeadline(now: now)
      }
    }
    drain()
    askWaiting(now: now)
  }

  /// Adds received buffers behind the part of a frame that is left. A new buffer each time: frames that were handed on
  /// still share the old one, and writing to it would copy all of it.
  private mutating func append(_ buffers: [ByteBuffer]) {
    guard let first = buffers.first, !isUnreadable else { return }
    let added = buffers.reduce(0) { $0 + $1.readableBytes }
    bytesIn += UInt64(added)
    if buffers.count == 1, incoming.readableBytes == 0 {
      incoming = first
      return
    }
    var joined = channel.allocator.buffer(capacity: incoming.readableBytes + added)
    joined.writeImmutableBuffer(incoming)
    for buffer in buffers { joined.writeImmutableBuffer(buffer) }
    incoming = joined
  }

  /// Feeds frames while there is room for their events; true when no whole frame is left.
  private mutating func takeFrames(now: Instant) -> Bool {
    while !isClosing, !isUnreadable {
      guard link.delivery.hasRoom() else { return false }
      do {
        guard let frame = try decoder.decode(&incoming) else { return true }
        session.received(frame, now: now)
      } catch {
        isUnreadable = true
        incoming = ByteBuffer()
        session.command(.close(.protocolError, message: error.description), now: now)
      }
      drain()
    }
    return true
  }

  // MARK: Outputs

  /// Does what the session wants, bulk only while the channel has room for it.
  private mutating func drain() {
    while !isClosing {
      let hasRoom = unwritten + outgoing.readableBytes < limits.outboundBytes
      guard let action = hasRoom ? session.nextAction() : session.nextControlAction() else { return }
      switch action {
      case .send(let frame):
        // Room for a whole batch at once, or growing would copy most of it several times.
        if frame.isBulk, outgoing.writableBytes < Limits.frameBytes {
          outgoing.reserveCapacity(minimumWritableBytes: limits.writeBytes + Limits.frameBytes)
        }
        FrameEncoder.encode(frame, into: &outgoing)
        if outgoing.readableBytes >= limits.writeBytes { submit() }
      case .query(let id, let query):
        queriesWaiting.add(id, query)
      case .deliver(let event):
        link.delivery.add(event)
        observe(link, event)
      case .close:
        isClosing = true
      }
    }
  }

  /// Hands what was encoded to the channel.
  private mutating func submit() {
    guard outgoing.readableBytes > 0 else { return }
    let bytes = outgoing.readableBytes
    unwritten += bytes
    bytesOut += UInt64(bytes)
    let mailbox = self.mailbox
    channel.writeAndFlush(outgoing).whenComplete { _ in mailbox.wrote(bytes) }
    outgoing = ByteBuffer()
  }

  /// All that one batch of inputs led to is asked at once: many small files are one piece of work.
  private mutating func askWaiting(now: Instant) {
    let questions = queriesWaiting.take(limits.concurrentQueries - queriesRunning, now: now)
    guard !questions.isEmpty else { return }
    queriesRunning += questions.count
    queries.ask(questions, for: link)
  }

  // MARK: Time

  /// A timer that is early only finds nothing due and is set again: deadlines move with every frame, timers must not.
  private mutating func armTimer(_ next: Instant?) {
    guard let due = next else { return }
    if let timer, timer.due <= due { return }
    timer?.task.cancel()
    let mailbox = self.mailbox
    let delay = max(0, (due - clock()).inNanoseconds)
    let task = channel.eventLoop.scheduleTask(in: .nanoseconds(delay)) { mailbox.timerFired() }
    timer = (due, task)
  }

  // MARK: The end

  /// Lets the last frames reach the kernel, for a bounded time; then closes.
  private mutating func flushAndClose() async {
    submit()
    if mailbox.discardInbound() { channel.read() }
    let channel = self.channel
    // Closing fails the writes that are left, so the wait below ends.
    let grace = channel.eventLoop.scheduleTask(in: .nanoseconds(limits.closeGrace.inNanoseconds)) {
      channel.close(promise: nil)
    }
    while unwritten > 0 {
      await mailbox.wait(inbound: true)
      let batch = mailbox.take(inbound: true)
      unwritten -= batch.writtenBytes
      if batch.isEnded { break }
    }
    grace.cancel()
    channel.close(promise: nil)
  }

  private func show() {
    link.show(
      bytesIn: bytesIn, bytesOut: bytesOut, incoming: incoming.readableBytes,
      outgoing: unwritten + outgoing.readableBytes, snapshot: session.snapshot)
  }
}
