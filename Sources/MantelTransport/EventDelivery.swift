import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Synchronization

/// The events of one session on their way to the environment: in order, one at a time, and not before the registry
/// shows the session.
///
/// The session's task adds and looks for room before it takes more from the peer; a task of its own hands over. So a
/// slow environment stops reading from its peer, while serving that peer goes on. That task is woken for all that one batch
/// of inputs brought: a small file is three events, and waking a thread takes longer than to hand them over.
final class EventDelivery: Sendable {
  private struct State {
    var events: [SessionEvent] = []
    var count = 0
    var bytes = 0
    var isReleased = false
    var isFinished = false
    var wantsRoom = false
    var waiter: CheckedContinuation<Void, Never>?

    var isReady: Bool { isFinished || isReleased && !events.isEmpty }
  }

  private let countLimit: Int
  private let byteLimit: Int
  private let state = Mutex(State())

  init(countLimit: Int, byteLimit: Int) {
    self.countLimit = countLimit
    self.byteLimit = byteLimit
  }

  private func update(_ change: (inout State) -> Void) {
    let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
      change(&state)
      guard state.isReady else { return nil }
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  /// The event waits until `wake()`, or until the one before it was handed over.
  func add(_ event: SessionEvent) {
    state.withLock { state in
      state.events.append(event)
      state.count += 1
      state.bytes += event.weight
    }
  }

  /// Has what was added handed over. Whoever added must call it before waiting for anything, for room too.
  func wake() { update { _ in } }

  /// Whether more may be taken from the peer. When not, `run` calls back once half is free.
  func hasRoom() -> Bool {
    state.withLock { state in
      let hasRoom = state.count < countLimit && state.bytes < byteLimit
      state.wantsRoom = !hasRoom
      return hasRoom
    }
  }

  /// From now on the environment gets the events. Idempotent.
  func release() { update { $0.isReleased = true } }

  var isReleased: Bool { state.withLock { $0.isReleased } }

  /// No more events come. Those of a session that was never shown are dropped, but for the news of a clone.
  func finish() {
    update { state in
      state.isFinished = true
      guard !state.isReleased else { return }
      state.events = state.events.filter { event in
        if case .closing(.clone, _, _) = event { true } else { false }
      }
    }
  }

  var queuedBytes: Int { state.withLock { $0.bytes } }

  /// Hands over until `finish()`, then returns.
  func run(to environment: any SessionEnvironment, of session: SessionID, onRoom: () -> Void) async {
    while let events = await next() {
      for event in events {
        await environment.received(event, on: session)
        if handedOver(event) { onRoom() }
      }
    }
  }

  private func next() async -> [SessionEvent]? {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        guard !state.isReady else { return true }
        state.waiter = continuation
        return false
      }
      if isReady { continuation.resume() }
    }
    return state.withLock { state in
      guard !state.events.isEmpty else { return nil }
      var events: [SessionEvent] = []
      swap(&events, &state.events)
      return events
    }
  }

  /// Counts an event out; true when the session's task waits for room and there is enough of it now.
  private func handedOver(_ event: SessionEvent) -> Bool {
    state.withLock { state in
      state.count -= 1
      state.bytes -= event.weight
      guard state.wantsRoom, state.count <= countLimit / 2, state.bytes <= byteLimit / 2 else { return false }
      state.wantsRoom = false
      return true
    }
  }
}

extension SessionEvent {
  /// Roughly the bytes that the event keeps in memory; never 0.
  fileprivate var weight: Int {
    let base = 64
    switch self {
    case .unitData(_, let bytes): return base + bytes.readableBytes
    case .entries(_, let added, let removed):
      return added.reduce(base) { $0 + 256 + $1.path.count } + removed.count * Digest256.byteCount
    case .difference(_, _, let theirs, let mine):
      return base + (theirs.count + mine.count) * Digest256.byteCount
    case .roster(let statements): return statements.reduce(base) { $0 + $1.count }
    case .available(let added, let removed): return base + (added.count + removed.count) * Digest256.byteCount
    case .availableBlocks(_, let ranges): return base + ranges.count * 8
    case .attestation(let signed):
      return signed.record.libraries.reduce(base) { $0 + 128 + $1.missing.count * Digest256.byteCount }
    default: return base
    }
  }
}
