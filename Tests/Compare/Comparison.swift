import Foundation
import MantelTestSupport

/// All rounds of all tools on all works, between the same two machines.
struct Comparison: Sendable {
  let works: [Work]
  let tools: [Tool]
  let rate: LinkRate?
  let rounds: Int

  /// As old as this, a file is taken for settled by everyone who waits for writers to end.
  private static let settling: Duration = .seconds(12)

  func run() async throws -> Report {
    // Mantel is given an address; a daemon that nobody needs would only use time.
    try await Lab.withMachines(["sender", "receiver"], daemons: false) { lab in
      let (sender, receiver) = (try lab["sender"], try lab["receiver"])
      if let rate {
        for machine in [sender, receiver] { try await machine.shape(bitsPerSecond: rate.bitsPerSecond) }
      }
      var versions: [Tool: String] = [:]
      for tool in tools { versions[tool] = try await tool.version(on: sender) }
      var reports: [WorkReport] = []
      for work in works {
        CompareCommand.say("\(work.name): making \(work.files) files ...")
        let prepared = try PreparedWork(work, below: sender.home)
        try await ContinuousClock().sleep(for: Self.settling)
        var results = tools.map { ToolReport(tool: $0, version: versions[$0] ?? "") }
        for round in 1...rounds {
          for index in tools.indices {
            let round = Round(
              sender: sender, receiver: receiver, work: prepared,
              name: "\(work.name)-\(tools[index].rawValue)-\(round)", rate: rate)
            await results[index].add(tools[index], round)
          }
        }
        reports.append(WorkReport(prepared, results))
      }
      return Report(host: try Host(directory: sender.home), rate: rate, rounds: rounds, works: reports)
    }
  }
}

extension ToolReport {
  /// One tool's failure is a result, and the others go on.
  mutating func add(_ tool: Tool, _ round: Round) async {
    CompareCommand.say("\(round.work.work.name): \(tool.rawValue) ...")
    do {
      try round.work.warm()
      // What earlier rounds wrote would be written back in this one's time.
      sync()
      let before = try await round.sender.linkBytes()
      let measurement = try await tool.copy(round)
      let after = try await round.sender.linkBytes()
      try await round.end()
      let copy = try TreeDigest(of: measurement.destination, ignoring: measurement.ignoring)
      if copy != round.work.original {
        faults.append("the copy is not equal: \(copy) instead of \(round.work.original)")
      }
      runs.append(
        RunReport(
          scan: measurement.scan, transfer: measurement.transfer, sentBytes: after.sent - before.sent,
          receivedBytes: after.received - before.received))
    } catch {
      faults.append("\(error)")
      // What the round left behind would run beside the next one; a lab that cannot end it fails there.
      try? await round.end()
    }
  }
}

extension Round {
  /// Kills what runs on both machines. Copies that were complete have to be so without a farewell.
  fileprivate func end() async throws {
    for machine in [sender, receiver] { try await machine.crash() }
  }
}
