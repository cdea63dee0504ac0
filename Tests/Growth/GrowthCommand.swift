import ArgumentParser
import Foundation
import MantelTestSupport

/// How the agent grows with its catalog: real agents with libraries of 1e4 to 1e6 photos that were never taken.
@main
struct GrowthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel-growth",
    abstract: "Measures start, memory, questions, first sync and idling of real agents with many photos.",
    discussion: """
      Two simulated machines (network namespaces) below TMPDIR, deleted in the end. The photos are entries \
      whose files are on a disk that is not there, so that a million of them need no disk. Times and memory \
      are printed beside their limits, and never judged.
      """)

  @Option(help: "Photos of the library, separated by commas.", transform: Self.numbers)
  var sizes = [10_000, 100_000, 1_000_000]
  @Option(help: "Seconds for which idling is measured.")
  var idle = 30
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func run() async throws {
    #if DEBUG
      Self.say("this is a debug build: its times mean nothing")
    #endif
    var reports: [GrowthReport] = []
    for size in sizes {
      try await Lab.withMachines(["owner", "newcomer"], daemons: false) { lab in
        let run = GrowthRun(
          photos: size, owner: try GrowthAgent(try lab["owner"], "home"),
          newcomer: try GrowthAgent(try lab["newcomer"], "home"), idle: .seconds(idle))
        reports.append(try await run.measure())
      }
    }
    print(GrowthReport.text(reports), terminator: "")
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      try (encoder.encode(reports) + Data("\n".utf8)).write(to: URL(filePath: json))
    }
  }

  static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }

  private static func numbers(_ text: String) throws -> [Int] {
    let parts = text.split(separator: ",")
    let numbers = parts.compactMap { Int($0) }
    guard !numbers.isEmpty, numbers.count == parts.count, numbers.allSatisfy({ (1...4_000_000).contains($0) })
    else { throw ValidationError("--sizes are 1 to 4,000,000") }
    return numbers
  }
}
