import ArgumentParser
import MantelControl

/// `mantel status`
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "One word, then why; exit code 0 only when complete.",
    discussion: """
      Exit codes: 0 complete, 1 not complete, 2 needs attention, 3 the agent is not running.
      --wait rescans, waits until everything is settled and proved on every reachable machine, and \
      returns 0 only then.
      """)

  /// How often `--watch` looks.
  private static let interval: Duration = .seconds(1)

  @Flag(help: "Keep showing it; interrupt to end.")
  var watch = false
  @Option(help: ArgumentHelp("Wait until all is settled and proved.", valueName: "seconds"))
  var wait: Int?
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if watch, wait != nil { throw ValidationError("--watch and --wait exclude each other") }
    if let wait, !(0...ControlLimits.waitSeconds).contains(wait) {
      throw ValidationError("--wait takes 0 to \(ControlLimits.waitSeconds) seconds")
    }
  }

  func run() async throws {
    if watch { return try await keepShowing() }
    let answer: StatusAnswer
    do {
      answer = try await home.asking { try await $0.status(wait: wait) }
    } catch let error as ControlError where error.code == .notRunning {
      try output.print(Off(), StatusText.off)
      throw error
    }
    try output.print(answer, StatusText.text(answer))
    throw ExitCode(CommandStatus(answer, waited: wait != nil).rawValue)
  }

  /// `status --json` without an agent.
  private struct Off: Encodable {
    var state = "off"
    var complete = false
  }

  // MARK: Watching

  private func keepShowing() async throws {
    let console = Console.current
    var last = ""
    while !Task.isCancelled {
      let frame = try await frame()
      if console.isOutputTerminal, !output.json {
        // Home, every line cleared behind its end, then what is left below: nothing flickers.
        let lines = frame.split(separator: "\n", omittingEmptySubsequences: false)
        try console.print("\u{1b}[H" + lines.joined(separator: "\u{1b}[K\n") + "\u{1b}[J")
      } else if frame != last {
        try console.print(frame)
      }
      last = frame
      try await Task.sleep(for: Self.interval)
    }
  }

  private func frame() async throws -> String {
    do {
      let answer = try await home.asking { try await $0.status(wait: nil) }
      return try output.json ? JSONText.line(answer) : StatusText.text(answer)
    } catch let error as ControlError where error.code == .notRunning {
      return try output.json ? JSONText.line(Off()) : StatusText.off
    }
  }
}
