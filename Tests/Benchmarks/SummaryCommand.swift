import ArgumentParser
import Foundation

/// The summary, by number of ids: each figure beside its budget where there is one.
struct SummaryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary",
    abstract:
      "Measures the summary: build, insert, and reconciliation against the budgets of bytes and turns.",
    discussion:
      "Exit code 1: a budget of bytes or turns was not kept. Times are medians, and are never judged.")

  @Option(help: "Sizes of the set, separated by commas.")
  var sizes = NumberList([1_000, 10_000, 100_000, 1_000_000])
  @Option(help: "Sizes of the difference, separated by commas.")
  var differences = NumberList([0, 1, 100, 10_000])
  @Option(help: "How often each is timed.")
  var rounds = 3
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func validate() throws {
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds is 1 to 100") }
    guard sizes.numbers.allSatisfy({ (1...4_000_000).contains($0) }) else {
      throw ValidationError("--sizes are 1 to 4,000,000")
    }
  }

  func run() async throws {
    warnOfDebugBuild()
    var report = SummaryReport()
    for size in sizes.numbers {
      let benchmark = SummaryBenchmark(size: size, rounds: rounds)
      report.sets.append(benchmark.measureSet())
      for difference in differences.numbers where difference <= size {
        report.reconciliations.append(try benchmark.measureReconciliation(difference: difference))
      }
      report.reconciliations.append(try benchmark.measureFreshPeer())
    }
    print(report.text, terminator: "")
    if let json { try write(report, to: json) }
    if !report.keepsBudgets { throw ExitCode(1) }
  }
}

/// `1000,10000`
struct NumberList: ExpressibleByArgument, CustomStringConvertible {
  let numbers: [Int]

  init(_ numbers: [Int]) { self.numbers = numbers }

  init?(argument: String) {
    let parts = argument.split(separator: ",")
    numbers = parts.compactMap { Int($0) }
    guard !numbers.isEmpty, numbers.count == parts.count, numbers.allSatisfy({ $0 >= 0 }) else { return nil }
  }

  var description: String { numbers.map(String.init).joined(separator: ",") }
}
