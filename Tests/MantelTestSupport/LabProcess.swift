import Foundation

/// How a process in the lab ended.
package struct LabResult: Sendable, CustomStringConvertible {
  /// As a shell tells it: 128 + the signal for one that was killed.
  package let exitCode: Int32
  package let stdout: String
  package let stderr: String

  package var description: String { "exit \(exitCode)\nstdout: \(stdout)\nstderr: \(stderr)" }
}

/// A process inside a machine. Ends with the lab, however that ends.
package final class LabProcess: Sendable {
  package let command: [String]
  /// Where its output goes, readable while it runs.
  package let stdoutPath: String
  package let stderrPath: String
  private let id: Int
  private let supervisor: LabSupervisor

  init(id: Int, command: [String], machineDirectory: String, supervisor: LabSupervisor) {
    self.id = id
    self.command = command
    self.supervisor = supervisor
    stdoutPath = "\(machineDirectory)/\(id).out"
    stderrPath = "\(machineDirectory)/\(id).err"
  }

  package var stdout: String { Self.text(stdoutPath) }
  package var stderr: String { Self.text(stderrPath) }
  package var isRunning: Bool { get throws { try supervisor.exitStatus(id) == nil } }

  /// Waits until it has ended by itself.
  @discardableResult
  package func wait(within limit: Duration = .seconds(30)) async throws -> LabResult {
    let status = try await eventually(within: limit, "\(command) has ended") { try supervisor.exitStatus(id) }
    return LabResult(exitCode: status, stdout: stdout, stderr: stderr)
  }

  /// Sends a signal; nothing happens if it has ended.
  package func signal(_ number: Int32) async throws {
    let process = try await eventually("\(command) has started") { try supervisor.process(id) }
    guard try isRunning else { return }
    try await supervisor.execute("kill -s \(number) \(process) || true")
  }

  /// Ends it with a signal and waits for its end.
  @discardableResult
  package func stop(_ number: Int32 = SIGTERM, within limit: Duration = .seconds(30)) async throws
    -> LabResult
  {
    try await signal(number)
    return try await wait(within: limit)
  }

  package func freeze() async throws { try await signal(SIGSTOP) }
  package func thaw() async throws { try await signal(SIGCONT) }

  /// Waits for a whole line of stdout that satisfies `matches`, after the first `skipping` characters; returns it.
  @discardableResult
  package func line(
    _ what: String, within limit: Duration = .seconds(20), skipping: Int = 0,
    where matches: (Substring) -> Bool
  ) async throws -> String {
    try await eventually(within: limit, "\(what)\nstdout:\n\(stdout)\nstderr:\n\(stderr)") {
      let hasEnded = try !isRunning
      let lines = stdout.dropFirst(skipping).split(separator: "\n", omittingEmptySubsequences: false)
        .dropLast()
      if let line = lines.first(where: matches) { return String(line) }
      if hasEnded { throw DeadlineMissed(what: "\(what), and it ended:\n\(stdout)\(stderr)", limit: limit) }
      return nil
    }
  }

  private static func text(_ path: String) -> String {
    // It does not exist before the process has started, and may end in the middle of a character.
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

/// Words as one line of shell.
func quoted(_ words: [String]) -> String {
  words.map { word in
    let escaped = word.replacing("\\", with: "\\\\").replacing("'", with: "\\'").replacing("\n", with: "\\n")
    return "$'\(escaped)'"
  }
  .joined(separator: " ")
}
