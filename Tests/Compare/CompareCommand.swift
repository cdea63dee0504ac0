import ArgumentParser
import Foundation

/// Mantel, rsync and Syncthing side by side: the same files, the same two machines, one after the other.
@main
struct CompareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel-compare",
    abstract: "Runs Mantel, rsync and Syncthing in turn on the same files, and prints times and ratios.",
    discussion: """
      Everything happens between two simulated machines (network namespaces) below TMPDIR, and is deleted \
      in the end. Exit code 1: something failed, or a copy was not equal to its original.
      """)

  @Option(help: "Works to do, separated by commas: photos (300 of 3 MB), small (20,000 of 1 to 30 KB).")
  var work = WorkList(names: Work.all.map(\.name))
  @Option(help: "So much of each work: 0.1 for a quick try.")
  var scale = 1.0
  @Option(help: "Only these tools, separated by commas; rsync-fsync can be asked for too.")
  var only = ToolList(tools: [.mantel, .rsync, .syncthing])
  @Option(help: ArgumentHelp("A bottleneck each way: 1gbit, 100mbit (default: none).", valueName: "rate"))
  var rate: LinkRate?
  @Option(help: "How often to run each; medians are printed.")
  var rounds = 1
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func validate() throws {
    guard scale > 0, scale <= 100 else { throw ValidationError("--scale is more than 0, at most 100") }
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds is 1 to 100") }
  }

  func run() async throws {
    #if DEBUG
      Self.say("this is a debug build: what it says of Mantel's speed means nothing")
    #endif
    let comparison = Comparison(
      works: work.works.map { $0.scaled(by: scale) }, tools: only.tools, rate: rate, rounds: rounds)
    let report = try await comparison.run()
    print(report.text, terminator: "")
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      try (encoder.encode(report) + Data("\n".utf8)).write(to: URL(filePath: json))
    }
    if !report.isFaultless { throw ExitCode(1) }
  }

  /// What happens meanwhile, for people: stdout is the result.
  static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}

/// `photos,small`
struct WorkList: ExpressibleByArgument, CustomStringConvertible {
  let names: [String]

  init(names: [String]) { self.names = names }

  init?(argument: String) {
    names = argument.split(separator: ",").map(String.init)
    let known = Set(Work.all.map(\.name))
    guard !names.isEmpty, names.allSatisfy(known.contains), Set(names).count == names.count else {
      return nil
    }
  }

  var works: [Work] { Work.all.filter { names.contains($0.name) } }
  var description: String { names.joined(separator: ",") }
}

/// `mantel,rsync`
struct ToolList: ExpressibleByArgument, CustomStringConvertible {
  let tools: [Tool]

  init(tools: [Tool]) { self.tools = tools }

  init?(argument: String) {
    let names = argument.split(separator: ",").map(String.init)
    tools = Tool.allCases.filter { names.contains($0.rawValue) }
    guard !tools.isEmpty, tools.count == names.count else { return nil }
  }

  var description: String { tools.map(\.rawValue).joined(separator: ",") }
}

/// `1gbit`, `100mbit`, `500kbit`: bits a second, as `tc` spells them.
struct LinkRate: ExpressibleByArgument {
  let bitsPerSecond: Int

  private static let factors = [("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1)]

  init?(argument: String) {
    let text = argument.lowercased()
    guard let (unit, factor) = Self.factors.first(where: { text.hasSuffix($0.0) }),
      let number = Double(text.dropLast(unit.count)), (1e5...1e12).contains(number * factor)
    else { return nil }
    bitsPerSecond = Int(number * factor)
  }
}
