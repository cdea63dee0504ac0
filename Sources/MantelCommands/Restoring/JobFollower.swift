import MantelControl
import UnixSignals

/// Starts a job of the agent, prints what it says while it goes on, and follows it to its end. An interrupt cancels it.
struct JobFollower: Sendable {
  let service: any ControlService
  let json: Bool
  let yes: Bool
  /// A line for people about an item; JSON has all of it.
  let text: @Sendable (JobItem) -> String
  /// What is being done, for the line that shows how far it is.
  let verb: String

  private static let pollSeconds = 1

  private enum Outcome: Sendable {
    case ended(JobAnswer)
    case interrupted
  }

  /// Returns how the job ended; its items are printed by then. Throws what the agent refused, and `interrupted`.
  func follow(_ request: JobRequest, agreeing: (JobRequest) -> JobRequest = { $0 }) async throws -> JobAnswer
  {
    let console = Console.current
    let id = try await start(request, agreeing: agreeing)
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let outcome = try await withThrowingTaskGroup(of: Outcome?.self) { group in
      group.addTask { .ended(try await self.poll(id)) }
      group.addTask {
        for await _ in signals { return .interrupted }
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
    clearProgress(console)
    switch outcome {
    case .ended(let answer): return try judged(answer)
    case .interrupted, nil:
      _ = try await service.cancelJob(id: id)
      throw CommandFailure(.interrupted, "interrupted; run it again to do the rest")
    }
  }

  private func start(_ request: JobRequest, agreeing: (JobRequest) -> JobRequest) async throws -> String {
    var start = try await service.startJob(request)
    if let question = start.question {
      guard try Console.current.confirm(Printable.sentence(question), yes: yes) else {
        throw CommandFailure(.notComplete, "nothing was done")
      }
      start = try await service.startJob(agreeing(request))
    }
    guard let id = start.id else {
      throw ControlError(code: .internalError, message: "the agent has not begun, and does not say why")
    }
    return id
  }

  private func poll(_ id: String) async throws -> JobAnswer {
    let console = Console.current
    var after = 0
    while true {
      let answer = try await service.job(id: id, after: after, wait: Self.pollSeconds)
      after = answer.next
      if !answer.items.isEmpty {
        clearProgress(console)
        let lines = try answer.items.map { json ? try JSONText.line($0) : text($0) + "\n" }
        try console.print(lines.joined())
      }
      guard answer.isRunning else { return answer }
      if console.isMessageTerminal, !json {
        console.writeMessage(Array("\r\(JobText.progress(answer, verb: verb))\u{1b}[K".utf8))
      }
    }
  }

  private func clearProgress(_ console: Console) {
    if console.isMessageTerminal, !json { console.writeMessage(Array("\r\u{1b}[K".utf8)) }
  }

  /// A job that did not come to its end is a failure, whatever it did until then.
  private func judged(_ answer: JobAnswer) throws -> JobAnswer {
    var answer = answer
    // They were printed when they came.
    answer.items = []
    switch answer.state {
    case "done": return answer
    case "failed": throw CommandFailure(.notComplete, answer.message ?? "it failed")
    default: throw CommandFailure(.notComplete, "it was cancelled; run it again to do the rest")
    }
  }
}
