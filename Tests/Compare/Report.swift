import Foundation

/// What `--json` writes. Times are seconds, sizes bytes.
struct Report: Codable, Sendable {
  var time = Date.now.formatted(.iso8601)
  var host: Host
  var rateBitsPerSecond: Int?
  var rounds: Int
  var works: [WorkReport]

  init(host: Host, rate: LinkRate?, rounds: Int, works: [WorkReport]) {
    self.host = host
    rateBitsPerSecond = rate?.bitsPerSecond
    self.rounds = rounds
    self.works = works
  }

  /// Everything ran, and every copy was equal.
  var isFaultless: Bool { works.allSatisfy { $0.results.allSatisfy(\.faults.isEmpty) } }
}

/// Where it was measured.
struct Host: Codable, Sendable {
  var kernel: String
  var processors: Int
  /// Of the directory that both machines share.
  var filesystem: String
  var isReleaseBuild: Bool

  init(directory: String) throws {
    kernel = try String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    processors = ProcessInfo.processInfo.activeProcessorCount
    filesystem = try Self.filesystem(of: directory)
    #if DEBUG
      isReleaseBuild = false
    #else
      isReleaseBuild = true
    #endif
  }

  /// The type of the longest mount point above the directory; of several there, the last is on top.
  private static func filesystem(of directory: String) throws -> String {
    let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
      .split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count > 2 }
    let above = mounts.filter { mount in
      mount[1] == "/" || directory == mount[1] || directory.hasPrefix("\(mount[1])/")
    }
    let longest = above.map { $0[1].count }.max()
    return above.last { $0[1].count == longest }.map { String($0[2]) } ?? "unknown"
  }
}

/// One work, done by each tool.
struct WorkReport: Codable, Sendable {
  var name: String
  var files: Int
  var bytes: Int
  var results: [ToolReport]
  var ratios: [Ratio]

  init(_ work: PreparedWork, _ results: [ToolReport]) {
    name = work.work.name
    files = work.original.files
    bytes = work.original.bytes
    self.results = results
    ratios = results.indices.flatMap { first in
      results[(first + 1)...].compactMap { Ratio(results[first], to: $0) }
    }
  }
}

/// What one tool did in all rounds.
struct ToolReport: Codable, Sendable {
  var tool: Tool
  var version: String
  var runs: [RunReport] = []
  var faults: [String] = []

  init(tool: Tool, version: String) {
    self.tool = tool
    self.version = version
  }

  /// Each number by itself.
  var median: RunReport? {
    guard !runs.isEmpty else { return nil }
    let scans = runs.compactMap(\.scan)
    return RunReport(
      scan: scans.isEmpty ? nil : Phase(medianOf: scans), transfer: Phase(medianOf: runs.map(\.transfer)),
      sentBytes: Int(Self.median(runs.map { Double($0.sentBytes) })),
      receivedBytes: Int(Self.median(runs.map { Double($0.receivedBytes) })))
  }

  /// Of at least one number.
  fileprivate static func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}

struct RunReport: Codable, Sendable {
  var scan: Phase?
  var transfer: Phase
  /// Over the sender's network card, headers included, scan and connecting too.
  var sentBytes: Int
  var receivedBytes: Int
}

extension Phase {
  fileprivate init(medianOf phases: [Phase]) {
    self.init(
      seconds: ToolReport.median(phases.map(\.seconds)),
      sender: ToolReport.median(phases.map(\.senderProcessorSeconds)),
      receiver: ToolReport.median(phases.map(\.receiverProcessorSeconds)))
  }
}

/// One tool's medians, divided by another's: below 1, the first needs less.
struct Ratio: Codable, Sendable {
  var of: Tool
  var to: Tool
  var transferSeconds: Double
  var transferProcessorSeconds: Double?
  /// Nil where one of them does not scan apart.
  var scanSeconds: Double?
  var scanProcessorSeconds: Double?
  /// Scan, where there is one, and transfer: what a user waits for at the first time.
  var allSeconds: Double
  var allProcessorSeconds: Double?

  init?(_ first: ToolReport, to second: ToolReport) {
    guard let mine = first.median, let theirs = second.median else { return nil }
    of = first.tool
    to = second.tool
    transferSeconds = mine.transfer.seconds / theirs.transfer.seconds
    transferProcessorSeconds = Self.divide(mine.transfer.processorSeconds, theirs.transfer.processorSeconds)
    if let scan = mine.scan, let other = theirs.scan {
      scanSeconds = scan.seconds / other.seconds
      scanProcessorSeconds = Self.divide(scan.processorSeconds, other.processorSeconds)
    }
    allSeconds = mine.seconds / theirs.seconds
    allProcessorSeconds = Self.divide(mine.processorSeconds, theirs.processorSeconds)
  }

  /// Less than a tick of processor time is counted as none.
  private static func divide(_ first: Double, _ second: Double) -> Double? {
    second > 0 ? first / second : nil
  }
}

extension RunReport {
  var seconds: Double { (scan?.seconds ?? 0) + transfer.seconds }
  var processorSeconds: Double { (scan?.processorSeconds ?? 0) + transfer.processorSeconds }
}
