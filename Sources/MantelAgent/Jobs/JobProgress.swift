import MantelControl
import MantelCore
import Synchronization

/// What a job has done and said so far. What it says waits to be read, and the job with it, so that a long list costs
/// no memory.
final class JobProgress: Sendable {
  enum End: Equatable {
    case done
    case cancelled
    case failed(String)
  }
  private struct State {
    var total: FileCount?
    var counts: [String: FileCount] = [:]
    var items: [JobItem] = []
    /// Position of the first of `items`.
    var first = 0
    var end: End?
    var lastAsked = AgentClock.instant
  }
  private let state = Mutex(State())

  /// Items that wait to be read before the job does.
  private static let unread = 1_000

  var isRunning: Bool { state.withLock { $0.end == nil } }
  var lastAsked: Instant { state.withLock { $0.lastAsked } }
  var isForgotten: Bool {
    state.withLock { $0.end != nil && AgentClock.instant - $0.lastAsked >= Jobs.lease }
  }

  // MARK: The job's side

  func setTotal(_ total: FileCount) { state.withLock { $0.total = total } }

  func count(_ outcome: String, files: Int = 1, bytes: UInt64) {
    state.withLock {
      let before = $0.counts[outcome] ?? FileCount(files: 0, bytes: 0)
      $0.counts[outcome] = FileCount(files: before.files + files, bytes: before.bytes + bytes)
    }
  }

  /// Says something; waits while too much of what was said is unread.
  func say(_ item: JobItem) async throws {
    while state.withLock({ $0.items.count >= Self.unread }) {
      try await Task.sleep(for: .milliseconds(20))
    }
    state.withLock { $0.items.append(item) }
  }

  func end(_ end: End) { state.withLock { $0.end = end } }

  // MARK: The command's side

  func hasNews(after: Int) -> Bool {
    state.withLock {
      $0.lastAsked = AgentClock.instant
      return $0.end != nil || $0.first + $0.items.count > after
    }
  }

  /// What is new; what came before `after` has been read and goes.
  func answer(id: String, kind: String, after: Int) -> JobAnswer {
    state.withLock { state in
      state.lastAsked = AgentClock.instant
      let read = min(max(0, after - state.first), state.items.count)
      state.items.removeFirst(read)
      state.first += read
      let (word, message): (String, String?) =
        switch state.end {
        case nil: ("running", nil)
        case .done: ("done", nil)
        case .cancelled: ("cancelled", nil)
        case .failed(let why): ("failed", why)
        }
      return JobAnswer(
        kind: kind, id: id, state: word, message: message, total: state.total, counts: state.counts,
        items: state.items, next: state.first + state.items.count)
    }
  }
}
