import Foundation
import Synchronization

/// What went wrong with a lab itself.
package enum LabError: Error, CustomStringConvertible {
  case unavailable(String)
  case commandFailed(command: String, status: Int32, output: String)
  /// The lab's process 1 ended; everything in the lab is dead.
  case ended(log: String)

  package var description: String {
    switch self {
    case .unavailable(let reason): "the lab cannot run here: \(reason)"
    case .commandFailed(let command, let status, let output): "\(command): status \(status): \(output)"
    case .ended(let log): "the lab ended: \(log)"
    }
  }
}

/// The line to the shell inside the lab; see `LabScript`.
///
/// Nothing in the lab outlives the write end of its input, which this process alone holds.
final class LabSupervisor: Sendable {
  private struct State {
    var nextNumber = 1
    /// Status of finished commands, until it is fetched.
    var done: [Int: Int32] = [:]
    var processes: [Int: Int32] = [:]
    var exits: [Int: Int32] = [:]
    var hasEnded = false
    var isClosed = false
  }

  let directory: String
  private let state = Mutex(State())
  private let shell: Process
  private let commands: FileHandle

  /// Starts the shell in its namespaces.
  init(directory: String) throws {
    self.directory = directory
    try LabScript.text.write(toFile: "\(directory)/supervisor.sh", atomically: false, encoding: .utf8)
    signal(SIGPIPE, SIG_IGN)
    let (input, output) = (Pipe(), Pipe())
    // No other child may hold the write end, or the lab would outlive this process.
    _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    shell = LabHost.unshare(["bash", "\(directory)/supervisor.sh", directory])
    shell.standardInput = input
    shell.standardOutput = output
    commands = input.fileHandleForWriting
    try shell.run()
    let answers = output.fileHandleForReading
    Thread { self.read(answers) }.start()
  }

  /// Runs a line of shell in the lab, outside of its machines; returns what it printed.
  @discardableResult
  func execute(_ command: String, within limit: Duration = .seconds(20)) async throws -> String {
    let number = state.withLock { state in
      defer { state.nextNumber += 1 }
      return state.nextNumber
    }
    try state.withLock { _ in try commands.write(contentsOf: Data("\(number) \(command)\n".utf8)) }
    let status = try await finished(number, command, within: limit)
    let reply = "\(directory)/replies/\(number)"
    guard status == 0 else {
      throw LabError.commandFailed(
        command: command, status: status, output: read("\(reply).out") + read("\(reply).err"))
    }
    return read("\(reply).out")
  }

  /// Waits until the shell is ready for commands.
  func ready() async throws {
    let status = try await finished(0, "prepare", within: .seconds(20))
    guard status == 0 else {
      throw LabError.commandFailed(
        command: "prepare", status: status, output: read("\(directory)/supervisor.log"))
    }
  }

  func takeID() -> Int {
    state.withLock { state in
      defer { state.nextNumber += 1 }
      return state.nextNumber
    }
  }

  func process(_ id: Int) throws -> Int32? {
    try checkRunning()
    return state.withLock { $0.processes[id] }
  }

  func exitStatus(_ id: Int) throws -> Int32? {
    if let status = state.withLock({ $0.exits[id] }) { return status }
    try checkRunning()
    return nil
  }

  /// Ends everything in the lab, and waits for it. More than once is fine.
  func close() async throws {
    let isFirst = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    guard isFirst else { return }
    try commands.close()
    do {
      // Deleting tens of thousands of files takes a busy disk its time.
      try await eventually(within: .seconds(300), "the lab has ended") { !shell.isRunning }
    } catch {
      // `unshare --kill-child` takes the lab with it; only its files are left, if whoever was deleting them is gone.
      kill(shell.processIdentifier, SIGKILL)
      shell.waitUntilExit()
      try FileManager.default.removeItem(atPath: directory)
      throw error
    }
  }

  private func finished(_ number: Int, _ command: String, within limit: Duration) async throws -> Int32 {
    try await eventually(within: limit, "the lab has done: \(command)") {
      if let status = state.withLock({ $0.done.removeValue(forKey: number) }) { return status }
      try checkRunning()
      return nil
    }
  }

  private func checkRunning() throws {
    if state.withLock({ $0.hasEnded }) { throw LabError.ended(log: read("\(directory)/supervisor.log")) }
  }

  private func read(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  /// On a thread of its own, until the shell ends.
  private func read(_ answers: FileHandle) {
    var rest = Data()
    while true {
      let piece = answers.availableData
      guard !piece.isEmpty else { break }
      rest.append(piece)
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        note(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
        rest = Data(rest[rest.index(after: end)...])
      }
    }
    state.withLock { $0.hasEnded = true }
  }

  private func note(_ line: String) {
    let words = line.split(separator: " ")
    guard words.count == 3, let id = Int(words[1]), let value = Int32(words[2]) else { return }
    state.withLock { state in
      switch words[0] {
      case "done": state.done[id] = value
      case "pid": state.processes[id] = value
      case "exit": state.exits[id] = value
      default: break
      }
    }
  }
}

/// What this host offers.
enum LabHost {
  static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// `unshare` into fresh namespaces: directly as root, through a user namespace as anybody else.
  static func unshare(_ command: [String]) -> Process {
    let process = Process()
    let isRoot = geteuid() == 0 && ProcessInfo.processInfo.environment["MANTEL_LAB_ROOTLESS"] == nil
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      ["unshare"] + (isRoot ? [] : ["--user", "--map-root-user"])
      + ["--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"] + command
    process.environment = ["PATH": searchPath, "LANG": "C.UTF-8"]
    return process
  }

  /// Why a lab with these features cannot run here; nil if it can.
  static func obstacle(_ features: Set<LabFeature>) -> String? {
    var tools = ["avahi-daemon", "bash", "dbus-daemon", "ip", "nsenter", "sysctl", "unshare"]
    if features.contains(.partition) { tools.append("nft") }
    if features.contains(.shaping) { tools.append("tc") }
    if features.contains(.loopDisk) { tools.append("mkfs.ext4") }
    let missing = tools.filter { tool in
      !searchPath.split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
    }
    guard missing.isEmpty else { return "not installed: \(missing.joined(separator: ", "))" }
    let (trial, output) = (unshare(["bash", "-c", LabScript.trial(features)]), Pipe())
    trial.standardOutput = output
    trial.standardError = output
    trial.standardInput = FileHandle.nullDevice
    do {
      try trial.run()
    } catch {
      return "unshare does not start: \(error)"
    }
    let said = output.fileHandleForReading.readDataToEndOfFile()
    trial.waitUntilExit()
    guard trial.terminationStatus != 0 else { return nil }
    return "namespaces: "
      + String(decoding: said, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
