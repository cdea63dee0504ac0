import MantelCore
import MantelTransport
import MantelWire
import Synchronization

/// What came of a pass for a content's manifest.
enum FoundManifest: Hashable, Sendable {
  case bytes([UInt8])
  case refused(Outcome)
}

/// Manifests of large contents that were asked for lately: a few, because each costs a pass over its file.
///
/// One pass at a time: what members ask must not take all the threads that hash own files. Sessions take turns, so that one
/// with many films holds up nobody else for longer than a pass. Whoever asks for one that is being made waits for the same
/// pass. Nobody waits so long that a peer gives the connection up: it is told *busy*, and asks again. Who waits in vain for a
/// turn loses it; a pass that was begun goes on, and what comes of it is remembered.
final class ManifestCache: Sendable {
  typealias Finding = Task<FoundManifest, any Error>
  typealias Pass = @Sendable () async throws -> FoundManifest
  typealias Answer = AsyncThrowingStream<FoundManifest, any Error>.Continuation

  private struct Waiter {
    let answer: Answer
    let patience: Task<Void, Never>
  }

  /// A pass that is under way, or waits for its turn.
  private struct Making {
    let pass: Pass
    var waiters: [Int: Waiter] = [:]
  }

  private struct State {
    var known: [(content: ContentID, bytes: [UInt8])] = []
    var making: [ContentID: Making] = [:]
    /// What waits for its turn, by who asks. The first has the next turn; each content stands in `making`.
    var queues: [(session: SessionID, contents: [ContentID])] = []
    var reading: ContentID?
    /// Numbers those who wait.
    var asked = 0

    /// False when too many of the session's wait.
    mutating func add(_ content: ContentID, for session: SessionID, _ pass: @escaping Pass) -> Bool {
      if reading == content { return true }
      let position = queues.firstIndex { $0.session == session }
      let contents = position.map { queues[$0].contents } ?? []
      // Another's wait for the same is no turn of this session's.
      if !contents.contains(content) {
        guard contents.count < ManifestCache.waitingAtMost else { return false }
        if let position {
          queues[position].contents.append(content)
        } else {
          queues.append((session, [content]))
        }
      }
      if making[content] == nil { making[content] = Making(pass: pass) }
      return true
    }

    mutating func takeNext() -> (content: ContentID, pass: Pass)? {
      guard reading == nil, let content = queues.first?.contents.first, let next = making[content] else {
        return nil
      }
      reading = content
      queues.append(queues.removeFirst())
      leaveQueues(content)
      return (content, next.pass)
    }

    mutating func giveUp(_ content: ContentID, _ number: Int) -> Answer? {
      guard let waiter = making[content]?.waiters.removeValue(forKey: number) else { return nil }
      if reading != content, making[content]?.waiters.isEmpty == true {
        making[content] = nil
        leaveQueues(content)
      }
      return waiter.answer
    }

    private mutating func leaveQueues(_ content: ContentID) {
      for position in queues.indices { queues[position].contents.removeAll { $0 == content } }
      queues.removeAll { $0.contents.isEmpty }
    }

    mutating func remember(_ content: ContentID, _ bytes: [UInt8]) {
      known.append((content, bytes))
      var total = known.reduce(0) { $0 + $1.bytes.count }
      while known.count > ManifestCache.limit || total > ManifestCache.limitBytes {
        total -= known.removeFirst().bytes.count
      }
    }
  }

  /// Enough that a long film's is still known when whoever was told *busy* asks again, whatever short ones came since.
  static let limit = 128
  static let limitBytes = 2 * Limits.manifestBytes
  /// Of one session's: half of the reads that it may have open (`SessionLimits.readsInFlight`) are left for small photos.
  static let waitingAtMost = 8
  /// Half of what a peer waits for an answer at all (`SessionLimits.stalledAfter`).
  static let patience: Duration = .seconds(60)

  /// Returns when whoever asked now should wait no longer.
  private let waitOut: @Sendable () async -> Void
  private let state = Mutex(State())

  init(
    waitOut: @escaping @Sendable () async -> Void = {
      // Cancelled once the answer is there.
      try? await AgentClock.sleep(until: AgentClock.instant + ManifestCache.patience)
    }
  ) {
    self.waitOut = waitOut
  }

  /// `pass` is called unless the manifest is known, or on its way. What it refuses or throws is not remembered.
  func find(_ content: ContentID, for session: SessionID, pass: @escaping Pass) -> Finding {
    let (stream, answer) = AsyncThrowingStream<FoundManifest, any Error>.makeStream()
    let settled = state.withLock { state -> FoundManifest? in
      if let known = state.known.first(where: { $0.content == content }) { return .bytes(known.bytes) }
      guard state.add(content, for: session, pass) else { return .refused(.busy) }
      state.asked += 1
      let number = state.asked
      let patience = Task { [self] in
        await waitOut()
        giveUp(content, number)
      }
      state.making[content]?.waiters[number] = Waiter(answer: answer, patience: patience)
      return nil
    }
    if let settled { return Finding { settled } }
    beginNext()
    return Finding {
      for try await found in stream { return found }
      throw CancellationError()
    }
  }

  private func beginNext() {
    guard let next = state.withLock({ $0.takeNext() }) else { return }
    Task { [self] in
      do {
        ended(next.content, .success(try await next.pass()))
      } catch {
        ended(next.content, .failure(error))
      }
    }
  }

  private func ended(_ content: ContentID, _ result: Result<FoundManifest, any Error>) {
    let waiters = state.withLock { state -> [Int: Waiter] in
      state.reading = nil
      if case .success(.bytes(let bytes)) = result { state.remember(content, bytes) }
      return state.making.removeValue(forKey: content)?.waiters ?? [:]
    }
    for waiter in waiters.values {
      waiter.patience.cancel()
      switch result {
      case .success(let found):
        waiter.answer.yield(found)
        waiter.answer.finish()
      case .failure(let error): waiter.answer.finish(throwing: error)
      }
    }
    beginNext()
  }

  private func giveUp(_ content: ContentID, _ number: Int) {
    guard let answer = state.withLock({ $0.giveUp(content, number) }) else { return }
    answer.yield(.refused(.busy))
    answer.finish()
  }
}
