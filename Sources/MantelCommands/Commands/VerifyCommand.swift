import ArgumentParser
import MantelControl
import UnixSignals

/// `mantel verify`
struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Re-read the copies now; heal what is bad.",
    discussion: """
      Reads what was not read in the last 30 days (--all: everything) from the disk, compares it with its SHA-256, \
      and fetches what is bad again from a machine whose copy is right. Interrupt to end it.
      Exit codes: 0 all is good, healed files too; 1 something is still bad, or not everything was read; \
      2 a file of this machine's own folders needs a decision.
      """)

  /// How often progress is asked for; also tells the agent that somebody waits.
  static let interval: Duration = .milliseconds(250)

  @Flag(help: "Also what was re-read lately.")
  var all = false
  @Option(help: "Only photos of this machine; of this very one, its own folders.")
  var machine: String?
  @Flag(help: "Only end the notices of files that were bad and are healed, and of photos that are lost.")
  var acknowledge = false
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if acknowledge, all || machine != nil {
      throw ValidationError("--acknowledge reads nothing: it goes without --all and --machine")
    }
  }

  func run() async throws {
    if acknowledge { return try await home.asking { try await $0.acknowledgeBadFiles() } }
    let answer = try await home.asking { service in
      let begun = try await service.startVerify(VerifyQuery(all: all, machine: machine))
      return try await withThrowingTaskGroup(of: VerifyAnswer?.self) { group in
        group.addTask { try await Self.follow(begun, service) }
        group.addTask { try await Self.stopOnInterrupt(service) }
        defer { group.cancelAll() }
        // The first that has an answer has the last word.
        while let ended = try await group.next() {
          if let ended { return ended }
        }
        return begun
      }
    }
    Progress.clear()
    try output.print(answer, VerifyText.summary(answer))
    throw ExitCode(CommandStatus(answer).rawValue)
  }

  private static func follow(_ begun: VerifyAnswer, _ service: any ControlService) async throws
    -> VerifyAnswer
  {
    var answer = begun
    while answer.isRunning {
      Progress.show(VerifyText.progress(answer))
      try await Task.sleep(for: interval)
      answer = try await service.verifyProgress()
    }
    return answer
  }

  /// The agent would find out by itself, a minute later.
  private static func stopOnInterrupt(_ service: any ControlService) async throws -> VerifyAnswer? {
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
      return try await service.stopVerify()
    }
    return nil
  }
}

extension CommandStatus {
  /// Of `mantel verify`.
  init(_ answer: VerifyAnswer) {
    if answer.suspected > 0 {
      self = .attention
    } else {
      self = answer.state == "done" && answer.stillBad == 0 ? .complete : .notComplete
    }
  }
}
