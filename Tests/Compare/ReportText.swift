import Foundation

extension Report {
  /// For people.
  var text: String {
    var lines = [
      "\(host.processors) processors carry both machines, Linux \(host.kernel), \(host.filesystem), "
        + (host.isReleaseBuild ? "release build, " : "DEBUG BUILD, ")
        + (rateBitsPerSecond.map { "\(Double($0) / 1e6) Mbit/s" } ?? "unshaped")
        + (rounds > 1 ? ", medians of \(rounds)" : "")
    ]
    for work in works { lines += ["", work.title] + work.table + [""] + work.ratioTable }
    let versions = works.first?.results.map { "\($0.tool.rawValue): \($0.version)" } ?? []
    lines += [""] + versions
    return lines.joined(separator: "\n") + "\n"
  }
}

extension WorkReport {
  fileprivate var title: String { "\(name): \(files) files, \(Self.number(Double(bytes) / 1e6, 1)) MB" }

  fileprivate var table: [String] {
    let head = ["", "scan s", "CPU s", "transfer s", "MB/s", "CPU s", "sender", "receiver", "sent MB"]
    let rows = results.map { result -> [String] in
      guard let run = result.median else { return [result.tool.rawValue, "failed"] }
      return [
        result.tool.rawValue, Self.number(run.scan?.seconds, 2), Self.number(run.scan?.processorSeconds, 2),
        Self.number(run.transfer.seconds, 2), Self.number(Double(bytes) / 1e6 / run.transfer.seconds, 0),
        Self.number(run.transfer.processorSeconds, 2), Self.number(run.transfer.senderProcessorSeconds, 2),
        Self.number(run.transfer.receiverProcessorSeconds, 2), Self.number(Double(run.sentBytes) / 1e6, 1),
      ]
    }
    let faults = results.flatMap { result in result.faults.map { "\(result.tool.rawValue): FAULT: \($0)" } }
    return Self.aligned([head] + rows) + faults
  }

  fileprivate var ratioTable: [String] {
    guard !ratios.isEmpty else { return [] }
    let head = ["ratios", "scan", "CPU", "transfer", "CPU", "both", "CPU"]
    return Self.aligned(
      [head]
        + ratios.map { ratio in
          ["\(ratio.of.rawValue) / \(ratio.to.rawValue)"]
            + [
              ratio.scanSeconds, ratio.scanProcessorSeconds, ratio.transferSeconds,
              ratio.transferProcessorSeconds, ratio.allSeconds, ratio.allProcessorSeconds,
            ].map { Self.number($0, 2) }
        })
  }

  private static func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "-"
  }

  /// The first column to the left, the others to the right.
  private static func aligned(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }.joined(separator: "  ")
    }
  }
}
