import MantelSession
import NIOCore
import Synchronization

/// The one place where a connection's inputs meet: bytes of the peer, commands, answers of the store, finished writes,
/// timers, and the end. One task takes them out in batches; event loops and other tasks put them in.
///
/// Bounded: bytes by holding reads back, commands by refusing them, answers by the number of queries in progress. The bytes'
/// memory is at most about twice what they are (`Batch.add`).
final class Mailbox: Sendable {
  struct Batch: Sendable {
    var inbound: [ByteBuffer] = []
    var inboundBytes = 0
    var commands: [SessionCommand] = []
    var answers: [(QueryID, StoreAnswer)] = []
    /// Bytes that the kernel took (or that will never be taken, after the end).
    var writtenBytes = 0
    var isEnded = false
    /// The timer that was set last may have fired, whatever the clock says.
    var isTimerDue = false
    /// Reads were held back and may go on.
    var resumesReading = false
    /// The last buffer of `inbound` was made here: nobody else has it, so it may be written to.
    fileprivate var gathersInLast = false
    /// So that bytes that come one by one share a buffer.
    private static let gatheredBytes = 1 << 10

    /// TLS hands up its whole buffer (32 KiB, or as much as one turn ever read) with however few bytes are in it, and
    /// copies all of it at its next read if somebody still has it. So a buffer that is less than half full is copied here,
    /// which costs less than that copy, and keeps alive no more than its bytes; a fuller one is taken as it is.
    fileprivate mutating func add(_ buffer: ByteBuffer) {
      let count = buffer.readableBytes
      guard count > 0 else { return }
      inboundBytes += count
      guard count < buffer.storageCapacity / 2 else {
        inbound.append(buffer)
        gathersInLast = false
        return
      }
      if !gathersInLast || inbound[inbound.count - 1].writableBytes < count {
        // A new one instead of a larger one: growing would copy what is there.
        inbound.append(ByteBufferAllocator().buffer(capacity: max(count, Self.gatheredBytes)))
        gathersInLast = true
      }
      inbound[inbound.count - 1].writeImmutableBuffer(buffer)
    }
  }

  private struct State {
    var next = Batch()
    /// The environment has room again, or a wait is over: nothing to hand over, but a reason to look.
    var isNudged = false
    var isEnded = false
    var readsHeld = false
    var discardsInbound = false
    var takesInbound = true
    var waiter: CheckedContinuation<Void, Never>?

    func hasNews(inbound: Bool) -> Bool {
      if isNudged || next.isTimerDue || next.writtenBytes > 0 || !next.commands.isEmpty
        || !next.answers.isEmpty
      {
        return true
      }
      return inbound ? !next.inbound.isEmpty || isEnded : false
    }

    /// The waiting task, when there is something for it now.
    mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
      guard let waiter, hasNews(inbound: takesInbound) else { return nil }
      self.waiter = nil
      return waiter
    }
  }

  private let inboundLimit: Int
  private let commandLimit: Int
  private let state = Mutex(State())

  init(inboundLimit: Int, commandLimit: Int) {
    self.inboundLimit = inboundLimit
    self.commandLimit = commandLimit
  }

  // MARK: Putting in

  private func update(_ change: (inout State) -> Void) {
    let waiter = state.withLock { state in
      change(&state)
      return state.takeWaiter()
    }
    waiter?.resume()
  }

  func received(_ buffers: [ByteBuffer]) {
    update { state in
      guard !state.discardsInbound else { return }
      for buffer in buffers { state.next.add(buffer) }
    }
  }

  /// Whether the channel must not read now; once it may, a batch says so.
  func holdsReads() -> Bool {
    state.withLock { state in
      guard !state.discardsInbound, state.next.inboundBytes >= inboundLimit else { return false }
      state.readsHeld = true
      return true
    }
  }

  /// False when too many commands wait already; the command is then not taken.
  func command(_ command: SessionCommand) -> Bool {
    var isTaken = true
    update { state in
      isTaken = state.next.commands.count < commandLimit
      if isTaken { state.next.commands.append(command) }
    }
    return isTaken
  }

  func answered(_ answers: [(QueryID, StoreAnswer)]) {
    update { $0.next.answers += answers }
  }

  func wrote(_ bytes: Int) {
    update { $0.next.writtenBytes += bytes }
  }

  func timerFired() {
    update { $0.next.isTimerDue = true }
  }

  func nudge() {
    update { $0.isNudged = true }
  }

  /// The channel is closed: what was received before is still handed over.
  func end() {
    update { $0.isEnded = true }
  }

  var isEnded: Bool { state.withLock { $0.isEnded } }

  // MARK: Taking out (one task)

  /// Returns when there is something to take. `inbound: false` leaves the peer's bytes (and the end) where they are.
  func wait(inbound: Bool) async {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        state.takesInbound = inbound
        guard !state.hasNews(inbound: inbound) else { return true }
        state.waiter = continuation
        return false
      }
      if isReady { continuation.resume() }
    }
  }

  func take(inbound: Bool) -> Batch {
    state.withLock { state in
      var batch = Batch()
      swap(&batch, &state.next)
      state.isNudged = false
      if inbound {
        batch.isEnded = state.isEnded
        batch.resumesReading = state.readsHeld
        state.readsHeld = false
      } else {
        swap(&batch.inbound, &state.next.inbound)
        swap(&batch.inboundBytes, &state.next.inboundBytes)
        swap(&batch.gathersInLast, &state.next.gathersInLast)
      }
      return batch
    }
  }

  /// From now on the peer's bytes are read and thrown away, so that its end is seen. Returns whether reads were held.
  func discardInbound() -> Bool {
    state.withLock { state in
      state.discardsInbound = true
      state.next.inbound = []
      state.next.inboundBytes = 0
      state.next.gathersInLast = false
      defer { state.readsHeld = false }
      return state.readsHeld
    }
  }

  var queuedInboundBytes: Int { state.withLock { $0.next.inboundBytes } }
}
