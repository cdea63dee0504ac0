import MantelControl
import MantelCore
import Synchronization

/// Long work for the command line, one of a kind at a time: started, followed by polls, cancelled.
final class Jobs: Sendable {
  private struct Entry {
    let kind: String
    let progress: JobProgress
    let task: Task<Void, Never>
  }
  private struct State {
    var last = 0
    var jobs: [Int: Entry] = [:]
  }
  private let state = Mutex(State())

  /// How long a job lives on that nobody asks about.
  static let lease: Duration = .seconds(60)
  /// Ended jobs that are remembered for whoever still reads what they said.
  private static let endedLimit = 16

  /// Runs `body` in a task of its own. Throws `conflict` while another of the kind runs.
  func start(
    _ kind: String, _ body: @escaping @Sendable (JobProgress) async throws -> Void
  ) throws(ControlError) -> String {
    let id: String? = state.withLock { state in
      state.jobs = state.jobs.filter { !$0.value.progress.isForgotten }
      guard !state.jobs.values.contains(where: { $0.kind == kind && $0.progress.isRunning }) else {
        return nil
      }
      let ended = state.jobs.filter { !$0.value.progress.isRunning }.keys.sorted()
      for id in ended.dropLast(Self.endedLimit - 1) { state.jobs[id] = nil }
      state.last += 1
      let progress = JobProgress()
      let task = Task { await Self.run(progress, body) }
      state.jobs[state.last] = Entry(kind: kind, progress: progress, task: task)
      return String(state.last)
    }
    guard let id else {
      throw ControlError(
        code: .conflict,
        message: "another \(kind) is running: one at a time; wait for its end or interrupt it")
    }
    return id
  }

  private static func run(
    _ progress: JobProgress, _ body: @escaping @Sendable (JobProgress) async throws -> Void
  ) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await body(progress)
          progress.end(.done)
        } catch is CancellationError {
          progress.end(.cancelled)
        } catch {
          progress.end(.failed("\(error)"))
        }
      }
      group.addTask {
        // Whoever started it is gone: Ctrl-C of a command that could not say so, or a terminal that was closed.
        while !Task.isCancelled, AgentClock.instant - progress.lastAsked < lease {
          do { try await Task.sleep(for: .seconds(1)) } catch { return }
        }
      }
      await group.next()
      group.cancelAll()
    }
  }

  func answer(_ id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer {
    let entry = try entry(id)
    let deadline = AgentClock.instant + .seconds(wait)
    while !entry.progress.hasNews(after: after), AgentClock.instant < deadline {
      do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
    }
    return entry.progress.answer(id: id, kind: entry.kind, after: after)
  }

  /// Returns once the job has ended.
  func cancel(_ id: String) async throws(ControlError) -> JobAnswer {
    let entry = try entry(id)
    entry.task.cancel()
    await entry.task.value
    return entry.progress.answer(id: id, kind: entry.kind, after: 0)
  }

  /// The agent stops.
  func cancelAll() {
    for entry in state.withLock({ Array($0.jobs.values) }) { entry.task.cancel() }
  }

  private func entry(_ id: String) throws(ControlError) -> Entry {
    guard let number = Int(id), let entry = state.withLock({ $0.jobs[number] }) else {
      throw ControlError(code: .notFound, message: "there is no job \(id) (any more)")
    }
    return entry
  }
}
