import ArgumentParser
import Foundation

/// What the parts of Mantel cost, each alone.
@main
struct BenchmarkCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel-benchmarks", abstract: "Measures parts of Mantel, each alone.",
    subcommands: [SummaryCommand.self, PartsCommand.self], defaultSubcommand: SummaryCommand.self)
}

func warnOfDebugBuild() {
  #if DEBUG
    FileHandle.standardError.write(Data("this is a debug build: its times mean nothing\n".utf8))
  #endif
}

func write(_ report: some Encodable, to path: String) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
  try (encoder.encode(report) + Data("\n".utf8)).write(to: URL(filePath: path))
}

struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
}
