import Foundation
import Glibc
import MantelAgent
import MantelControl
import Synchronization

/// Three agents in a throw-away household below one temporary directory replicate photos, and prove it.
///
/// The first machine's folder is the user's directory (never written to) or a few generated photos, the other two have
/// generated ones. Agents are children of this process that end with it.
final class Demo: Sendable {
  private let root: String
  private let directory: String?
  private let console: Console
  /// Everything that was started, for the end.
  private let children = Mutex<[ChildProcess]>([])

  private static let names = ["attic", "laptop", "studio"]
  private static let pollInterval: Duration = .milliseconds(300)
  /// Without any change for so long, it has failed.
  private static let stall: Duration = .seconds(120)
  private static let settling = 120
  private static let discovering: Duration = .seconds(5)
  private static let joining: Duration = .seconds(15)
  private static let stopping: Duration = .seconds(10)
  private static let inviteSeconds = 300

  /// `directory`: photos for the first machine, absolute; nil: generated ones.
  init(directory: String?, console: Console) throws {
    self.directory = directory
    self.console = console
    root = try Self.temporaryDirectory(console.environment["TMPDIR"])
  }

  private static func temporaryDirectory(_ wish: String?) throws -> String {
    // A socket's path below it has to fit its limit.
    let parent = wish.flatMap { $0.hasPrefix("/") && $0.utf8.count <= 60 ? $0 : nil } ?? "/tmp"
    var template = Array("\(parent)/mantel-demo-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CommandFailure(
        .internalError, "no directory can be made in \(parent): \(String(cString: strerror(errno)))")
    }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Ends all agents, and removes what was made. Can be called at any time, and twice.
  func end(keep: Bool) {
    let children = children.withLock { children in
      defer { children = [] }
      return children
    }
    for child in children { child.signal(SIGTERM) }
    for child in children { child.end(patience: Self.stopping) }
    guard !keep else { return }
    do { try FileManager.default.removeItem(atPath: root) } catch {
      if FileManager.default.fileExists(atPath: root) {
        console.say("\(root) could not be removed: \(error.localizedDescription)")
      }
    }
  }

  // MARK: The play

  func play(keep: Bool) async throws -> DemoReport {
    let clock = ContinuousClock()
    let began = clock.now
    var machines = try prepare()
    do {
      console.say("founding a household on \(machines[0].name) ...")
      let result = try Setup.initialise(machines[0].request)
      machines[0].folder = result.folders.first?.name ?? ""
      try await start(&machines[0])
      var isDiscovered = try await discoveryRuns(machines[0])
      // Each through another member: one join, and all machines know.
      for index in machines.indices.dropFirst() {
        try await join(&machines[index], through: machines[index - 1], &isDiscovered)
        try await start(&machines[index])
      }
      if !isDiscovered { try await connectDirectly(machines) }
      let statuses = try await waitUntilComplete(machines)
      console.say("comparing every copy with its original ...")
      var proof = DemoProof(machines: machines)
      try await proof.check(statuses)
      return report(
        machines, statuses, proof, isDiscovered: isDiscovered, keep: keep,
        seconds: (clock.now - began) / .seconds(1))
    } catch {
      if !(error is CancellationError) { tell(machines) }
      throw error
    }
  }

  private func tell(_ machines: [DemoMachine]) {
    for machine in machines {
      console.say("--- last lines of the agent of \(machine.name)")
      machine.tailOfLog.forEach(console.say)
    }
  }

  private func prepare() throws -> [DemoMachine] {
    var machines: [DemoMachine] = []
    for (index, name) in Self.names.enumerated() {
      if index == 0, let directory {
        try checkRoom(for: directory)
        machines.append(try DemoMachine(name: name, root: root, source: directory))
      } else {
        let source = "\(root)/\(name)-photos"
        try DemoPhotos.write(below: source, seed: UInt64(index))
        machines.append(try DemoMachine(name: name, root: root, source: source))
      }
    }
    return machines
  }

  /// Two copies of everything have to fit, and some room to spare.
  private func checkRoom(for directory: String) throws {
    let bytes = try SourceTree.files(below: Array(directory.utf8)).reduce(0) { $0 + $1.size }
    var room = statvfs()
    guard statvfs(root, &room) == 0 else { return }
    let free = UInt64(room.f_bavail) * UInt64(room.f_frsize)
    guard bytes <= free / 10 * 4 else {
      throw CommandFailure(
        .usage,
        "two copies of \(directory) (\(Quantity.bytes(bytes))) do not fit into \(root) "
          + "(\(Quantity.bytes(free)) free): choose a smaller directory, or another TMPDIR")
    }
  }

  private func start(_ machine: inout DemoMachine) async throws {
    let child = try await machine.start(
      executable: try ServiceUnit.ownExecutable(), environment: console.environment)
    children.withLock { $0.append(child) }
    try await machine.waitUntilAnswering()
  }

  // MARK: Finding each other

  private func discoveryRuns(_ machine: DemoMachine) async throws -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + Self.discovering
    while true {
      let discovery = try await machine.client.status(wait: nil).discovery
      if discovery == "running" {
        console.say("an Avahi daemon answers: the machines shall find each other by it")
        return true
      }
      if discovery != "starting" || clock.now >= deadline {
        console.say("no Avahi daemon answers (\(Printable.text(discovery))): direct addresses it is")
        return false
      }
      try await Task.sleep(for: Self.pollInterval)
    }
  }

  private func join(
    _ machine: inout DemoMachine, through member: DemoMachine, _ isDiscovered: inout Bool
  ) async throws {
    console.say("\(machine.name) joins through \(member.name) ...")
    let code = try await member.client.invite(seconds: Self.inviteSeconds).code
    if isDiscovered {
      do {
        machine.folder = try await join(machine, code, peer: nil)
        return
      } catch let error as AgentError where error.code == .joinFailed {
        console.say("Avahi did not show \(member.name) to \(machine.name): direct addresses it is")
        isDiscovered = false
      }
    }
    let port = try await member.client.status(wait: nil).listeningPort
    machine.folder = try await join(machine, code, peer: NetworkAddressText("127.0.0.1:\(port)"))
  }

  private func join(
    _ machine: DemoMachine, _ code: String, peer: NetworkAddressText?
  ) async throws -> String {
    let result = try await Setup.join(
      machine.request, code: code, peer: peer, replaces: nil, timeout: Self.joining,
      logger: .silent, progress: { _ in }, confirm: { _, _ in true })
    return result.folders.first?.name ?? ""
  }

  private func connectDirectly(_ machines: [DemoMachine]) async throws {
    for machine in machines {
      let port = try await machine.client.status(wait: nil).listeningPort
      for other in machines where other.name != machine.name {
        try await other.client.addPeer(address: "127.0.0.1:\(port)")
      }
    }
  }

  // MARK: Waiting

  private func waitUntilComplete(_ machines: [DemoMachine]) async throws -> [StatusAnswer] {
    let clock = ContinuousClock()
    var board = DemoBoard(console: console)
    var last: [StatusAnswer] = []
    var lastChange = clock.now
    console.say("copying ...")
    while true {
      let statuses = try await statuses(machines)
      board.show(statuses)
      if statuses.allSatisfy(\.complete) { break }
      if !Self.areAlike(statuses, last) { (last, lastChange) = (statuses, clock.now) }
      guard clock.now - lastChange < Self.stall else { throw Self.stalled(statuses) }
      try await Task.sleep(for: Self.pollInterval)
    }
    var settled: [StatusAnswer] = []
    for machine in machines {
      let status = try await machine.client.status(wait: Self.settling)
      guard status.settled else { throw Self.stalled([status]) }
      settled.append(status)
    }
    board.show(settled)
    return settled
  }

  private func statuses(_ machines: [DemoMachine]) async throws -> [StatusAnswer] {
    var statuses: [StatusAnswer] = []
    for machine in machines {
      try machine.checkAgent()
      statuses.append(try await machine.client.status(wait: nil))
    }
    return statuses
  }

  private static func areAlike(_ left: [StatusAnswer], _ right: [StatusAnswer]) -> Bool {
    left.elementsEqual(right) {
      $0.missing == $1.missing && $0.ledger == $1.ledger && $0.state == $1.state
        && $0.peers.map(\.lacks) == $1.peers.map(\.lacks)
    }
  }

  private static func stalled(_ statuses: [StatusAnswer]) -> CommandFailure {
    let reasons = statuses.filter { !$0.settled }.map { status in
      "\(status.machine.name) is \(status.state) ("
        + status.reasons.map(\.message).joined(separator: ", ") + ")"
    }
    return CommandFailure(.notComplete, "it does not become complete: \(reasons.joined(separator: "; "))")
  }

  // MARK: The report

  private func report(
    _ machines: [DemoMachine], _ statuses: [StatusAnswer], _ proof: DemoProof,
    isDiscovered: Bool, keep: Bool, seconds: Double
  ) -> DemoReport {
    let none = FileCount(files: 0, bytes: 0)
    return DemoReport(
      machines: zip(machines, statuses).map { machine, status in
        let own = proof.own[machine.name] ?? none
        let copies = proof.copies[machine.name] ?? none
        return DemoReport.Machine(
          name: machine.name, state: status.state, ownFiles: own.files, ownBytes: own.bytes,
          copies: copies.files, copiedBytes: copies.bytes, photos: machine.source,
          replica: machine.home.defaultReplica)
      },
      discovery: isDiscovered ? "avahi" : "direct", comparedCopies: proof.comparedCopies,
      comparedBytes: proof.comparedBytes, roots: proof.roots, skipped: proof.skipped, seconds: seconds,
      kept: keep ? root : nil)
  }
}
