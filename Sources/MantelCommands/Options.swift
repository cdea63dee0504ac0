import ArgumentParser
import MantelAgent
import MantelControl

/// `--home`, on every command.
struct HomeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep everything below this directory, or use the agent that does (else MANTEL_HOME, else XDG).",
      valueName: "dir"))
  var home: String?

  func validate() throws {
    if home?.isEmpty == true { throw ValidationError("--home takes a directory") }
  }

  var value: Home { Home(option: home, environment: Console.current.environment) }

  /// Asks the running agent. Throws `notRunning` with what to do about it.
  func asking<Answer>(
    _ body: (any ControlService) async throws -> Answer
  ) async throws -> Answer {
    let home = value
    do {
      return try await body(try ControlClient(socket: home.socket))
    } catch let error as ControlError where error.code == .notRunning && !home.isInitialised {
      do { try home.requireInitialised() } catch let reason as AgentError {
        throw ControlError(code: .notRunning, message: "no agent is running, and \(reason.message)")
      }
      throw error
    }
  }

  /// Asks the running agent, or does it on the catalog when none runs.
  func changing<Answer>(
    _ body: (any ControlService) async throws -> Answer
  ) async throws -> Answer {
    let home = value
    do {
      return try await body(try ControlClient(socket: home.socket))
    } catch let error as ControlError where error.code == .notRunning {
      return try await body(try OfflineControl(home: home))
    }
  }
}

/// `--json`, on every command that prints data.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print JSON with stable keys.")
  var json = false

  /// Prints `value` as JSON, or the text for people.
  func print(_ value: some Encodable, _ text: @autoclosure () -> String) throws {
    if json {
      try Console.current.print(JSONText.pretty(value))
    } else {
      try Console.current.print(text())
    }
  }
}

extension OutputOptions {
  /// The same for what follows lines of JSON: one more line.
  func print(line value: some Encodable, _ text: @autoclosure () -> String) throws {
    try Console.current.print(json ? JSONText.line(value) : text())
  }
}

/// `--yes`, wherever a command would ask.
struct ConsentOptions: ParsableArguments {
  @Flag(help: "Answer yes to every question.")
  var yes = false
}

enum JSONText {
  static func pretty(_ value: some Encodable) throws -> String {
    String(decoding: try ControlCoding.data(value, .pretty), as: UTF8.self) + "\n"
  }

  static func line(_ value: some Encodable) throws -> String {
    String(decoding: try ControlCoding.data(value), as: UTF8.self) + "\n"
  }
}
