import Foundation
import Synchronization
package import Testing

/// Machines of a lab with folders of photos and agents, operated as people do: through the command line.
package final class LabHousehold: Sendable {
  package let lab: Lab
  private let agents = Mutex<[String: LabProcess]>([:])

  private init(lab: Lab) { self.lab = lab }

  /// Runs `body` with machines that have an empty folder `Photos` and nothing of Mantel's yet. An error comes with the ends
  /// of the agents' logs.
  package static func withMachines<Result>(
    _ names: [String], daemons: Bool = true, _ body: (LabHousehold) async throws -> Result
  ) async throws -> Result {
    try await Lab.withMachines(names, daemons: daemons) { lab in
      let household = LabHousehold(lab: lab)
      for machine in lab.machines {
        try FileManager.default.createDirectory(atPath: machine.photos, withIntermediateDirectories: false)
      }
      do {
        return try await body(household)
      } catch {
        throw HouseholdFailure(cause: error, logs: household.logs)
      }
    }
  }

  package subscript(_ name: String) -> LabMachine { get throws { try lab[name] } }

  // MARK: Setting up

  /// Founds the household on a machine, and starts its agent.
  package func found(_ name: String) async throws {
    try await self[name].mantel("init", "Photos").succeeded("init on \(name)")
    try await start(name)
  }

  /// Lets a machine join through a member whose agent runs, and starts its agent.
  ///
  /// - Parameter byAddress: names the member's address instead of leaving it to discovery.
  package func join(_ name: String, through inviter: String, byAddress: Bool = false) async throws {
    let invite = try await invite(inviter)
    let peer =
      byAddress ? ["--peer", try await "\(self[inviter].address):\(status(of: inviter).listeningPort)"] : []
    try await self[name].mantel(["join", invite.code, "Photos", "--yes"] + peer, within: .seconds(60))
      .succeeded("join of \(name)")
    try await start(name)
  }

  package func invite(_ name: String, _ options: String...) async throws -> InviteJSON {
    try await self[name].mantel(["invite", "--json"] + options).succeeded("invite on \(name)").json()
  }

  // MARK: Agents

  /// The lab's user 0 without root's right to read and write everything: files can be unreadable for an agent.
  private static let unprivileged = [
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search",
  ]

  /// Starts an agent, and returns when it answers.
  package func start(_ name: String, _ options: String...) async throws {
    let machine = try self[name]
    let level = ProcessInfo.processInfo.environment["MANTEL_LOG"] ?? "notice"
    let agent = try await machine.spawn(
      Self.unprivileged + ["mantel", "run"] + options, environment: ["MANTEL_LOG": level])
    agents.withLock { $0[name] = agent }
    try await eventually(within: .seconds(60), "the agent of \(name) answers:\n\(agent.stderr)") {
      guard try agent.isRunning else {
        throw LabError.commandFailed(command: "mantel run on \(name)", status: 1, output: agent.stderr)
      }
      return try await machine.mantel("status", "--json").exitCode != 3
    }
  }

  package func agent(of name: String) throws -> LabProcess {
    guard let agent = agents.withLock({ $0[name] }) else {
      throw LabError.unavailable("no agent was started on \(name)")
    }
    return agent
  }

  /// Ends an agent; SIGKILL leaves it no time for anything.
  @discardableResult
  package func stop(_ name: String, _ signal: Int32 = SIGTERM) async throws -> LabResult {
    let result = try await agent(of: name).stop(signal)
    agents.withLock { $0[name] = nil }
    return result
  }

  /// Machines whose agents were started and not stopped.
  package var running: [String] { agents.withLock { $0.keys.sorted() } }

  // MARK: What they say

  package func status(of name: String) async throws -> StatusJSON {
    try await self[name].mantel("status", "--json").json()
  }

  package func peers(of name: String) async throws -> PeersJSON {
    try await self[name].mantel("peers", "--json").succeeded("peers on \(name)").json()
  }

  /// Until `mantel status --wait` of every running agent has ended with 0.
  package func waitUntilSettled(within limit: Int = 120) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for name in running {
        let machine = try self[name]
        group.addTask {
          try await machine.mantel(
            ["status", "--wait", "\(limit)", "--json"], within: .seconds(limit + 30)
          ).succeeded("status --wait \(limit) on \(name)")
        }
      }
      try await group.waitForAll()
    }
  }

  /// Until every running agent calls itself complete, and all others too, met or not.
  package func waitUntilAllKnowAll(within limit: Duration = .seconds(120)) async throws {
    for name in running {
      let last = Mutex("")
      try await eventually(within: limit, "\(name) knows that all are complete: \(last.withLock { $0 })") {
        let status = try await status(of: name)
        last.withLock { $0 = "\(status)" }
        return status.complete && status.peers.count == lab.machines.count - 1
          && status.peers.allSatisfy(\.complete)
      }
    }
  }

  package func waitUntilConnected(_ name: String, to other: String, within limit: Duration = .seconds(60))
    async throws
  {
    try await eventually(within: limit, "\(name) is connected to \(other)") {
      try await status(of: name).peer(other)?.isConnected == true
    }
  }

  // MARK: What the disk says

  /// Every machine has every other machine's photos: names, times to the nanosecond, all bytes, and nothing else.
  ///
  /// - Parameter skipped: paths in folders that are not backed up.
  package func expectReplicated(
    among names: [String]? = nil, except skipped: Set<[UInt8]> = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let machines = try names?.map { try self[$0] } ?? lab.machines
    for owner in machines {
      let originals = try FolderImage(owner.photos).without(skipped)
      for holder in machines where holder.name != owner.name {
        let differences = try originals.differences(from: FolderImage(holder.copies(of: owner)))
        if !differences.isEmpty {
          let shown = differences.prefix(10).joined(separator: "\n")
          Issue.record(
            "\(holder.name)'s copies of \(owner.name)'s photos: \(differences.count) differences\n\(shown)",
            sourceLocation: sourceLocation)
        }
      }
    }
  }

  private var logs: String {
    agents.withLock { $0 }.sorted { $0.key < $1.key }.map { name, agent in
      let end = agent.stderr.split(separator: "\n").suffix(30).joined(separator: "\n")
      return "--- agent of \(name)\n\(end)"
    }.joined(separator: "\n")
  }
}

/// Why a test with a household ended early, and what its agents logged last.
package struct HouseholdFailure: Error, CustomStringConvertible {
  package let cause: any Error
  package let logs: String

  package var description: String { "\(cause)\n\(logs)" }
}

extension LabMachine {
  /// Runs the command line on this machine to its end.
  package func mantel(_ arguments: String...) async throws -> LabResult { try await mantel(arguments) }

  package func mantel(_ arguments: [String], within limit: Duration = .seconds(30)) async throws -> LabResult
  {
    try await run(["mantel"] + arguments, within: limit)
  }

  /// Anonymous memory of the agents on this machine, in bytes.
  package func agentMemory() async throws -> Int {
    let script = """
      for process in /proc/[0-9]*; do
        [ "$(readlink $process/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ] && [ "$(cat $process/comm)" = mantel ] &&
          grep RssAnon $process/status
      done; :
      """
    let lines = try await run(["sh", "-c", script]).succeeded("memory of \(name)").stdout.split(
      separator: "\n")
    let kilobytes = lines.compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    guard !kilobytes.isEmpty else { throw LabError.unavailable("no agent runs on \(name)") }
    return kilobytes.reduce(0, +) << 10
  }
}
