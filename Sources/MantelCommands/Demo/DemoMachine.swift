import Foundation
import MantelAgent
import MantelControl

/// One machine of the demo: its own state, photos and agent, below one directory.
struct DemoMachine: Sendable {
  let name: String
  let home: Home
  /// Where its photos lie.
  let source: String
  let client: ControlClient
  let log: String
  /// What its folder is called.
  var folder = ""
  var agent: ChildProcess?

  /// How long an agent may take until it answers.
  private static let starting: Duration = .seconds(30)
  private static let pollInterval: Duration = .milliseconds(100)
  private static let linesOfLog = 15

  init(name: String, root: String, source: String) throws {
    self.name = name
    self.source = source
    let directory = "\(root)/\(name)"
    home = Home(directory: directory)
    client = try ControlClient(socket: home.socket)
    log = "\(directory)/agent.log"
  }

  var request: Setup.Request {
    Setup.Request(home: home, name: name, replica: nil, directories: [Array(source.utf8)])
  }

  /// Starts the agent on any free port, on all interfaces as discovery announces them, and waits until it answers.
  mutating func start(executable: String, environment: [String: String]) async throws -> ChildProcess {
    var variables = environment
    // The supervisor that may have started the demo is told nothing by its children.
    for name in ["NOTIFY_SOCKET", "MANTEL_HOME", "MANTEL_LOG"] { variables[name] = nil }
    let directory = (log as NSString).deletingLastPathComponent
    let child = try ChildProcess(
      executable: executable,
      arguments: [
        "run", "--home", directory, "--listen", "0", "--log-level", "info", "--stop-with-input",
      ], environment: variables, log: log)
    agent = child
    return child
  }

  func waitUntilAnswering() async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + Self.starting
    while try await !answers() {
      try checkAgent()
      guard clock.now < deadline else {
        throw CommandFailure(.notComplete, "the agent of \(name) does not answer")
      }
      try await Task.sleep(for: Self.pollInterval)
    }
  }

  private func answers() async throws -> Bool {
    do {
      _ = try await client.status(wait: nil)
      return true
    } catch {
      guard error.code == .notRunning else { throw error }
      return false
    }
  }

  /// Throws when the agent has ended, which it never does by itself.
  func checkAgent() throws {
    if agent?.hasEnded == true { throw CommandFailure(.notComplete, "the agent of \(name) ended") }
  }

  /// The last lines of the agent's log, safe to print.
  var tailOfLog: [String] {
    guard let data = FileManager.default.contents(atPath: log) else { return ["(no log)"] }
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
    return lines.suffix(Self.linesOfLog).map { Printable.sentence(String($0)) }
  }
}
