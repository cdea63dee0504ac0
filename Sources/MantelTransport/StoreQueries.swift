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

  /// Reads that are asked for in one piece: a hop between threads costs as much as a small file, and two threads shall
  /// have something to do.
  private static let readsAtOnce = 8

  /// Asks, and puts the answers into the session's mailbox.
  func ask(_ questions: [(QueryID, StoreQuery)], for link: SessionLink) {
    let (session, peer, mailbox) = (link.id, link.peer, link.connection.mailbox)
    let isTaken = state.withLock { state in
      guard state.leftBehind[peer, default: 0] < limit else { return false }
      state.running[session, default: 0] += questions.count
      return true
    }
    guard isTaken else { return mailbox.answered(questions.map { ($0.0, .refused(.busy)) }) }
    var reads: [(QueryID, StoreQuery)] = []
    for question in questions {
      // A manifest may cost a pass over a film, and wait for its turn: nothing else is to wait with it.
      if case .read(let unit, _, _) = question.1, unit.part != .manifest {
        reads.append(question)
      } else {
        ask([question], session, mailbox)
      }
    }
    while !reads.isEmpty {
      ask(Array(reads.prefix(Self.readsAtOnce)), session, mailbox)
      reads.removeFirst(min(Self.readsAtOnce, reads.count))
    }
  }

  private func ask(_ questions: [(QueryID, StoreQuery)], _ session: SessionID, _ mailbox: Mailbox) {
    Task { [self] in
      let answers = await environment.answer(questions.map(\.1), for: session)
      precondition(answers.count == questions.count, "an answer to each question")
      mailbox.answered(Array(zip(questions.map(\.0), answers)))
      answered(session, questions.count)
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

  private func answered(_ session: SessionID, _ count: Int) {
    let waiter = state.withLock { state in
      let rest = state.running[session, default: count] - count
      state.running[session] = rest > 0 ? rest : nil
      if let peer = state.left[session] {
        let behind = state.leftBehind[peer, default: count] - count
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
