import CMantelSystem
import NIOPosix
import Synchronization

/// Threads of low priority for work that blocks: hashing, reading, syncing. Never run such work on event loops or the
/// cooperative pool.
///
/// At most `threads + queueLimit` pieces of work are taken in; further callers wait, so a backlog stays with
/// whoever makes it. Close it before it goes.
package final class BlockingPool: Sendable {
  private struct Waiter {
    var number: UInt64
    var continuation: CheckedContinuation<Void, any Error>
  }
  private struct State {
    var free: Int
    var nextNumber: UInt64 = 0
    var waiters: [Waiter] = []
  }

  /// How much the threads may be in the way of others.
  package enum Priority: Sendable {
    case low
    /// Reads only when nobody else wants the disk.
    case idle
  }

  private let pool: NIOThreadPool
  private let priority: Priority
  private let state: Mutex<State>

  package init(threads: Int, queueLimit: Int, priority: Priority = .low) {
    precondition(threads > 0 && queueLimit >= 0)
    pool = NIOThreadPool(numberOfThreads: threads)
    self.priority = priority
    state = Mutex(State(free: threads + queueLimit))
    pool.start()
  }

  /// Runs `body` on one of the threads. A cancelled task stops waiting; work that runs already is not interrupted.
  package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await enter()
    defer { leave() }
    return try await pool.runIfActive { [priority] in
      switch priority {
      case .low: mantel_lower_thread_priority()
      case .idle: mantel_idle_thread_priority()
      }
      return try body()
    }
  }

  /// Lets the work that runs end, refuses the rest.
  package func close() async throws { try await pool.shutdownGracefully() }

  private func enter() async throws {
    let number: UInt64? = state.withLock {
      if $0.free > 0 {
        $0.free -= 1
        return nil
      }
      $0.nextNumber += 1
      return $0.nextNumber
    }
    guard let number else { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isAdmitted: Bool? = state.withLock {
          if Task.isCancelled { return nil }
          if $0.free > 0 {
            $0.free -= 1
            return true
          }
          $0.waiters.append(Waiter(number: number, continuation: continuation))
          return false
        }
        switch isAdmitted {
        case .none: continuation.resume(throwing: CancellationError())
        case .some(true): continuation.resume()
        case .some(false): break
        }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
      }
      waiter?.continuation.resume(throwing: CancellationError())
    }
  }

  private func leave() {
    let next: Waiter? = state.withLock {
      if $0.waiters.isEmpty {
        $0.free += 1
        return nil
      }
      return $0.waiters.removeFirst()
    }
    next?.continuation.resume()
  }
}
