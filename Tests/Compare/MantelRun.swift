import Foundation
import MantelControl
import MantelTestSupport

/// Mantel as a user runs it, encrypted and durable: one machine has a folder, the other keeps its copy.
struct MantelRun {
  private let round: Round

  private static let port = 62_683
  private static let shortestPause: Duration = .milliseconds(25)
  /// A status costs the agent something with many files: it shall not spend more than a tenth of its time on them.
  private static let pauseFactor = 9
  /// ... but what is measured must not wait for the next look.
  private static let longestPause: Duration = .milliseconds(100)

  init(_ round: Round) { self.round = round }

  func copy() async throws -> Measurement {
    let sender = try MantelInstance(round, round.sender)
    let receiver = try MantelInstance(round, round.receiver)
    try await found(sender)
    let first = try await join(receiver, through: sender)
    // The scan is measured alone, as Syncthing's is: nobody is there to send to.
    try await first.stop()
    try await eventually("\(sender.machine.name) is alone") { try await !sender.isConnected() }
    let scan = try await scan(sender)
    let transfer = try await transfer(from: sender, to: receiver)
    return Measurement(
      scan: scan, transfer: transfer,
      destination: "\(receiver.home)/Mantel/\(sender.machine.name)/\(round.work.work.name)")
  }

  /// From adding the folder to all of it published.
  private func scan(_ sender: MantelInstance) async throws -> Phase {
    let (clock, files) = (ContinuousClock(), round.work.original.files)
    let before = try await ProcessorTimes(round)
    let start = clock.now
    _ = try await sender.control.addFolder(
      FolderRequest(
        directoryBase64: Data(round.work.directory.utf8).base64EncodedString(), name: nil, excludes: []))
    while true {
      let asked = clock.now
      let status = try await sender.control.status(wait: nil)
      let isBusy = status.reasons.contains { $0.code == "scanning" || $0.code == "pending" }
      if !isBusy, status.ledger.seen == files { break }
      guard clock.now - start < round.patience else {
        throw CompareError("Mantel has not published: \(status)")
      }
      let pause = max(Self.shortestPause, (clock.now - asked) * Self.pauseFactor)
      try await clock.sleep(for: min(pause, Self.longestPause))
    }
    let seconds = (clock.now - start) / .seconds(1)
    return Phase(seconds: seconds, from: before, to: try await ProcessorTimes(round))
  }

  /// From connected to settled, which is: all is durable on the receiver, and proved to the sender. The clock starts
  /// with the last look that did not find them connected; the processor time has the receiver's start in it.
  private func transfer(from sender: MantelInstance, to receiver: MantelInstance) async throws -> Phase {
    let clock = ContinuousClock()
    let before = try await ProcessorTimes(round)
    _ = try await receiver.start()
    var start = clock.now
    try await eventually(within: Round.startPatience, "the receiver is connected:\n\(receiver.log)") {
      let look = clock.now
      if try await receiver.isConnected() { return true }
      start = look
      return false
    }
    let status = try await sender.control.status(wait: Int(round.patience / .seconds(1)))
    let seconds = (clock.now - start) / .seconds(1)
    guard status.settled, status.complete else { throw CompareError("Mantel is not complete: \(status)") }
    return Phase(seconds: seconds, from: before, to: try await ProcessorTimes(round))
  }

  // MARK: Setting up

  private func found(_ sender: MantelInstance) async throws {
    _ = try await round.require(
      ["mantel", "init", "--home", sender.home, "--name", sender.machine.name], on: sender.machine)
    _ = try await sender.start()
    try await eventually(within: Round.startPatience, "the first agent answers:\n\(sender.log)") {
      try await sender.isAnswering()
    }
  }

  /// Returns the receiver's agent, connected.
  private func join(
    _ receiver: MantelInstance, through sender: MantelInstance
  ) async throws -> LabProcess {
    let code = try await sender.control.invite(seconds: 600).code
    _ = try await round.require(
      [
        "mantel", "join", code, "--home", receiver.home, "--name", receiver.machine.name, "--yes",
        "--peer", "\(sender.machine.address):\(Self.port)",
      ], on: receiver.machine)
    let agent = try await receiver.start()
    try await eventually(within: Round.startPatience, "the two are connected:\n\(receiver.log)") {
      guard try await receiver.isConnected() else { return false }
      return try await sender.isConnected()
    }
    return agent
  }
}

/// Mantel on one of the machines. Its socket is a file, and so can be reached from outside.
private struct MantelInstance {
  let machine: LabMachine
  let home: String
  let control: ControlClient

  init(_ round: Round, _ machine: LabMachine) throws {
    self.machine = machine
    home = round.directory(on: machine)
    control = try ControlClient(socket: "\(home)/agent.sock")
  }

  func start() async throws -> LabProcess {
    try await machine.spawn(["bash", "-c", "exec mantel run --home \"$1\" 2>\"$1/log\"", "run", home])
  }

  var log: String { (try? String(contentsOfFile: "\(home)/log", encoding: .utf8)) ?? "no log" }

  func isAnswering() async throws -> Bool { try await peers() != nil }

  /// To the other one; false too while the agent does not answer yet.
  func isConnected() async throws -> Bool {
    try await peers()?.peers.contains { $0.state == "connected" } ?? false
  }

  /// Nil while no agent runs.
  private func peers() async throws -> PeersAnswer? {
    do {
      return try await control.peers()
    } catch {
      guard error.code == .notRunning else { throw error }
      return nil
    }
  }
}
