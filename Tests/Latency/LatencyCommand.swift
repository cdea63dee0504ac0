import ArgumentParser
import Foundation
import MantelTestSupport

/// What a large file on its way makes everything else wait.
@main
struct LatencyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel-latency",
    abstract: "Measures pings, and a new photo, while a video is on its way between two machines.",
    discussion: """
      The machines are sets of namespaces below TMPDIR, which needs room for three times the video. Pings are the \
      protocol's own, both ways (`mantel peers --ping`): on the idle link first, then beside the video. A photo comes into \
      the folder while the video is on its way. Exit code 1: more than the bounds.
      """)

  @Option(help: "Megabytes of the video.")
  var video = 2_000
  @Option(help: "Bytes of the photo.")
  var photo = 3_000_000
  @Option(help: "Pings each way, on the idle link and beside the video.")
  var pings = 200
  @Option(help: "Megabits a second of the links, each way.")
  var rate = 100
  @Option(help: "Bytes that the link lets pass at once.")
  var burst = 32 << 10
  @Option(help: "Milliseconds of the link's queue.")
  var queue = 20
  @Option(help: "The most that 99 of 100 pings beside the video may take, in milliseconds.")
  var mostPing = 50.0
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func validate() throws {
    guard video > 0, photo > 0, pings > 0, rate > 0, burst > 0, queue > 0 else {
      throw ValidationError("all sizes are more than 0")
    }
  }

  func run() async throws {
    let run = LatencyRun(
      videoBytes: video * 1_000_000, photoBytes: photo, pings: pings, bitsPerSecond: rate * 1_000_000,
      burst: burst, queue: queue)
    let outcome = try await run.measure()
    print(outcome.text, terminator: "")
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      try (encoder.encode(outcome) + Data("\n".utf8)).write(to: URL(filePath: json))
    }
    if outcome.beside.p99 * 1_000 > mostPing || !outcome.hasOvertaken { throw ExitCode(1) }
  }
}
