import MantelCore
import MantelSession
import NIOCore
import Synchronization

/// The questions to the environment that are under way, over all sessions.
///
/// A question may never be answered: a disk that hangs. That must hold up neither the end of its session nor that of the
/// transport, so each is a task of its own that nobody has to wait for; an answer that comes too late finds a mailbox that
/// is not emptied any more. What sessions of a peer left behind is bounded: above it the peer is told *busy*.
final class StoreQueries: Sendable {
  private struct State {
    var running: [SessionID: Int] = [:]
    /// Sessions that ended before their answers came.
    var left: [SessionID: MachineID] = [:]
    var leftBehind: [MachineID: Int] = [:]
    var isGivenUp = false
    var waiter: CheckedContinuation<Void, Never>?

    /// Whoever waits for the end, if it is reached.
    mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
      guard running.isEmpty || isGivenUp else { return nil }
      defer { waiter = nil }
      return waiter
    }
  }

  private let environment: any SessionEnvironment
  /// Unanswered questions of one peer's ended sessions.
  private let limit: Int
  private let state = Mutex(State())

  init(environment: any SessionEnvironment, limit: Int) {
    self.environment = environment
    self.limit = limit
  }

  /// Asks, and puts the answer into the session's mailbox.
  func ask(_ id: QueryID, _ query: StoreQuery, for link: SessionLink) {
    let (session, peer, mailbox) = (link.id, link.peer, link.connection.mailbox)
    let isTaken = state.withLock { state in
      guard state.leftBehind[peer, default: 0] < limit else { return false }
      state.running[session, default: 0] += 1
      return true
    }
    guard isTaken else { return mailbox.answered(id, .refused(.busy)) }
    Task { [self] in
      mailbox.answered(id, await environment.answer(query, for: session))
      answered(session)
    }
  }

  /// Nobody waits for the session's answers any more.
  func sessionEnded(_ link: SessionLink) {
    state.withLock { state in
      guard let count = state.running[link.id] else { return }
      state.left[link.id] = link.peer
      state.leftBehind[link.peer, default: 0] += count
    }
  }

  private func answered(_ session: SessionID) {
    let waiter = state.withLock { state in
      let rest = state.running[session, default: 1] - 1
      state.running[session] = rest > 0 ? rest : nil
      if let peer = state.left[session] {
        let behind = state.leftBehind[peer, default: 1] - 1
        state.leftBehind[peer] = behind > 0 ? behind : nil
        if rest == 0 { state.left[session] = nil }
      }
      return state.takeWaiter()
    }
    waiter?.resume()
  }

  /// Returns when every question is answered, or after the time. May be called once.
  func drain(within limit: Duration, on eventLoop: any EventLoop) async {
    let timer = eventLoop.scheduleTask(in: .nanoseconds(limit.inNanoseconds)) { self.giveUp() }
    await withCheckedContinuation { continuation in
      let waiter = state.withLock { state in
        state.waiter = continuation
        return state.takeWaiter()
      }
      waiter?.resume()
    }
    timer.cancel()
  }

  private func giveUp() {
    let waiter = state.withLock { state in
      state.isGivenUp = true
      return state.takeWaiter()
    }
    waiter?.resume()
  }
}
