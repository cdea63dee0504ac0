import ArgumentParser
import MantelControl

/// `mantel check`
struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Is every file of a directory (a camera card) safe on another machine?",
    discussion: """
      Reads every file and looks its bytes up, whatever its name; writes nothing. Prints what is not safe. Exit \
      code 0: there are files, and another machine holds each of them; 1: not.
      """)

  @Argument(help: "The directory.")
  var directory: String
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let request = JobRequest(
      check: JobRequest.Check(directoryBase64: RawArguments.absoluteBase64(directory)))
    let answer = try await home.asking { service in
      try await JobFollower(
        service: service, json: output.json, yes: false, text: JobText.checked, verb: "checking"
      ).follow(request)
    }
    try output.print(line: answer, JobText.checkSummary(answer))
    let isSafe = JobText.unsafeFiles(answer) == 0 && answer.files("safe") > 0
    if !isSafe { throw ExitCode(CommandStatus.notComplete.rawValue) }
  }
}

/// `mantel at-risk`
struct AtRiskCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "at-risk", abstract: "What would be lost if a machine died now.",
    discussion: """
      Photos that it may have and no other machine is known to hold: by its own check here, elsewhere by signed \
      statements that prove it and are not older than 14 days. Exit code 0: nothing; 1: something, or files of \
      this machine that are not in its library yet.
      """)

  @Option(help: "The machine (default: this one).")
  var machine: String?
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let count = try await home.asking { service in
      try await Listing.each { after in
        try await service.atRisk(machine: machine, after: after)
      } print: { file in
        Array((output.json ? try JSONText.line(file) : FilesText.line(file) + "\n").utf8)
      }
    }
    let isMore = count == 0 ? try await hasUnknown() : true
    if !isMore {
      if !output.json { Console.current.say("nothing would be lost") }
    } else {
      throw ExitCode(CommandStatus.notComplete.rawValue)
    }
  }

  /// Whether this machine has files of which its library says nothing yet: they are on no other machine.
  private func hasUnknown() async throws -> Bool {
    guard machine == nil else { return false }
    let status = try await home.asking { try await $0.status(wait: nil) }
    guard status.ledger.pending > 0 || status.reasons.contains(where: { $0.code == "scanning" }) else {
      return false
    }
    Console.current.say(
      "\(Quantity.files(status.ledger.pending)) pending, not looked at: see `mantel status`")
    return true
  }
}

/// `mantel drill`
struct DrillCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drill", abstract: "Restore some random photos of each machine, and compare them.",
    discussion: """
      From the replica here, and over the network from every machine that is connected, into a temporary \
      directory that goes again. Exit code 0: everything that was tried came back, and there was something to try.
      """)

  @Option(help: "Photos of each replica, and of each connected machine.")
  var photos = 5
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let answer = try await home.asking { service in
      try await JobFollower(
        service: service, json: output.json, yes: false, text: JobText.drilled, verb: "restoring"
      ).follow(JobRequest(drill: JobRequest.Drill(photos: photos)))
    }
    if output.json { try Console.current.print(JSONText.line(answer)) }
    let isRight =
      answer.files("right") > 0 && answer.files("wrong") == 0 && answer.files("unavailable") == 0
    if !isRight { throw ExitCode(CommandStatus.notComplete.rawValue) }
  }
}
