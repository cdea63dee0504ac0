import Foundation
import MantelControl
import MantelTestSupport

/// Mantel on one of the machines, as its user runs it.
struct GrowthAgent {
  let machine: LabMachine
  let home: String
  let control: ControlClient

  static let patience: Duration = .seconds(900)
  private static let port = 62_683

  init(_ machine: LabMachine, _ name: String) throws {
    self.machine = machine
    home = "\(machine.home)/\(name)"
    control = try ControlClient(socket: "\(home)/agent.sock")
  }

  func require(_ command: [String]) async throws {
    let result = try await machine.run(command, within: Self.patience)
    guard result.exitCode == 0 else { throw GrowthError("\(command.joined(separator: " ")): \(result)") }
  }

  func initialise() async throws {
    try await require(["mantel", "init", "--home", home, "--name", machine.name])
  }

  func join(through inviter: GrowthAgent) async throws {
    let code = try await inviter.control.invite(seconds: 600).code
    try await require([
      "mantel", "join", code, "--home", home, "--name", machine.name, "--yes", "--peer",
      "\(inviter.machine.address):\(Self.port)",
    ])
  }

  /// Returns the process, and the seconds until it answered.
  func start() async throws -> (process: LabProcess, seconds: Double) {
    let watch = Stopwatch()
    let process = try await machine.spawn([
      "bash", "-c", "exec mantel run --home \"$1\" 2>>\"$1/log\"", "run", home,
    ])
    try await eventually(within: Self.patience, "the agent of \(machine.name) answers:\n\(log)") {
      try await status() != nil
    }
    return (process, watch.seconds)
  }

  /// Nil while no agent runs.
  func status() async throws -> StatusAnswer? {
    do {
      return try await control.status(wait: nil)
    } catch {
      guard error.code == .notRunning else { throw error }
      return nil
    }
  }

  func isConnected() async throws -> Bool {
    try await control.peers().peers.contains { $0.state == "connected" }
  }

  var log: String { (try? String(contentsOfFile: "\(home)/log", encoding: .utf8)) ?? "no log" }
}

struct Stopwatch {
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant

  init() { start = clock.now }

  var seconds: Double { (clock.now - start) / .seconds(1) }
}
