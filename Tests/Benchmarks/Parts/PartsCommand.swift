import ArgumentParser
import Foundation
import MantelTestSupport

/// Codec, hashing, catalog and transfer, each beside the plainest program that does the same.
struct PartsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parts",
    abstract: "Measures codec, hashing, catalog writes and transfer beside plain code that does the same.",
    discussion: """
      Each work is done in turn by Mantel and by the plain code, several times; medians. Files and the catalog lie below \
      TMPDIR, and go in the end.
      """)

  enum Part: String, CaseIterable, ExpressibleByArgument {
    case codec
    case hashing
    case catalog
    case transfer
  }

  @Option(help: "Only this part; may be given several times.")
  var only: [Part] = []
  @Option(help: "How often each is timed.")
  var rounds = 3
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func validate() throws {
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds is 1 to 100") }
  }

  func run() async throws {
    warnOfDebugBuild()
    let place = FileManager.default.temporaryDirectory.appending(path: "mantel-parts-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: place) }
    let timing = Timing(rounds: rounds)
    var report = PartsReport()
    for part in Part.allCases where only.isEmpty || only.contains(part) {
      let rows =
        switch part {
        case .codec: try await CodecBenchmark(timing: timing).measure()
        case .hashing: try await HashingBenchmark(timing: timing, place: place).measure()
        case .catalog: try await CatalogBenchmark(timing: timing, place: place).measure()
        case .transfer: try await TransferBenchmark(timing: timing).measure()
        }
      for row in rows { print(row.text) }
      report.rows += rows
    }
    if let json { try write(report, to: json) }
  }
}

/// Does works in turn, so that what else the machine does falls on all of them alike.
struct Timing {
  let rounds: Int

  /// Median seconds of each.
  func medians(_ works: [() async throws -> Void]) async throws -> [Double] {
    var seconds = works.map { _ in [Double]() }
    for _ in 0..<rounds {
      for (index, work) in works.enumerated() {
        let start = ContinuousClock.now
        try await work()
        seconds[index].append((ContinuousClock.now - start) / .seconds(1))
      }
    }
    return seconds.map { $0.sorted()[rounds / 2] }
  }
}

struct PartsReport: Codable, Sendable {
  struct Row: Codable, Sendable {
    var work: String
    /// Bytes, files or rows of it.
    var amount: Int
    var unit: String
    var seconds: Double
    var plain: String?
    var plainSeconds: Double?

    var text: String {
      let mine = "\(work): \(rate(seconds))"
      guard let plain, let plainSeconds else { return mine }
      return mine
        + ", \(plain): \(rate(plainSeconds)), \(String(format: "%.2f", seconds / plainSeconds)) x its time"
    }

    private func rate(_ seconds: Double) -> String {
      let perSecond = Double(amount) / seconds
      return unit == "bytes"
        ? String(format: "%.0f MB/s", perSecond / 1_000_000) : String(format: "%.0f %@/s", perSecond, unit)
    }
  }

  var rows: [Row] = []
}
