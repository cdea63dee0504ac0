import ArgumentParser
import MantelTestSupport

/// What is compared.
enum Tool: String, CaseIterable, Codable, Sendable {
  case mantel
  case rsync
  case rsyncFsync = "rsync-fsync"
  case syncthing

  /// Copies the round's work from sender to receiver. Processes that it leaves behind are killed afterwards.
  func copy(_ round: Round) async throws -> Measurement {
    switch self {
    case .mantel: try await MantelRun(round).copy()
    case .rsync: try await RsyncRun(round, fsync: false).copy()
    case .rsyncFsync: try await RsyncRun(round, fsync: true).copy()
    case .syncthing: try await SyncthingRun(round).copy()
    }
  }

  /// As it calls itself, in one line.
  func version(on machine: LabMachine) async throws -> String {
    let command =
      switch self {
      case .mantel: ["mantel", "--version"]
      case .rsync, .rsyncFsync: ["rsync", "--version"]
      case .syncthing: ["syncthing", "--version"]
      }
    let result = try await machine.run(command)
    guard result.exitCode == 0, let line = result.stdout.split(separator: "\n").first else {
      throw CompareError("\(command.joined(separator: " ")): \(result)")
    }
    return String(line)
  }
}

/// One copying of one work by one tool.
struct Round: Sendable {
  let sender: LabMachine
  let receiver: LabMachine
  let work: PreparedWork
  /// Used in no other round: names the tool's directories on both machines.
  let name: String

  let rate: LinkRate?

  static let startPatience: Duration = .seconds(60)

  /// The longest that copying may take: what hangs shall not keep the others waiting for ever.
  var patience: Duration {
    let seconds = Double(work.original.bytes) * 8 / Double(rate?.bitsPerSecond ?? 100_000_000)
    return .seconds(300 + 5 * seconds)
  }

  func directory(on machine: LabMachine) -> String { "\(machine.home)/\(name)" }

  /// Runs a command to its end, which has to be a good one.
  func require(_ command: [String], on machine: LabMachine) async throws -> String {
    let result = try await machine.run(command, within: Self.startPatience)
    guard result.exitCode == 0 else {
      throw CompareError("\(command.joined(separator: " ")): \(result)")
    }
    return result.stdout
  }
}

/// What a tool needed.
struct Measurement: Sendable {
  /// Reading the files before anything can be sent; nil for a tool that does it while it sends.
  var scan: Phase?
  /// From connected to complete.
  var transfer: Phase
  /// The copy, and what in it is not the work's.
  var destination: String
  var ignoring: Set<String> = []
}

/// A span of time, and the processor time that both sides used in it.
struct Phase: Codable, Sendable {
  var seconds: Double
  var senderProcessorSeconds: Double
  var receiverProcessorSeconds: Double

  init(seconds: Double, from before: ProcessorTimes, to after: ProcessorTimes) {
    self.seconds = seconds
    senderProcessorSeconds = after.sender - before.sender
    receiverProcessorSeconds = after.receiver - before.receiver
  }

  init(seconds: Double, sender: Double, receiver: Double) {
    self.seconds = seconds
    senderProcessorSeconds = sender
    receiverProcessorSeconds = receiver
  }

  var processorSeconds: Double { senderProcessorSeconds + receiverProcessorSeconds }
}
