import Foundation

/// What the benchmark of the summary prints, and writes as JSON.
struct SummaryReport: Codable, Sendable {
  struct Set: Codable, Sendable {
    var ids: Int
    /// From sorted ids to the root.
    var buildMilliseconds: Double
    /// One more id, and the new root.
    var insertMicroseconds: Double
  }

  struct Reconciliation: Codable, Sendable {
    var ids: Int
    var difference: Int
    /// Both directions together.
    var bytes: Int
    var lowerBound: Double
    var byteBudget: Double?
    /// One-way messages.
    var legs: Int
    var legBudget: Int
    var milliseconds: Double

    var keepsBudget: Bool {
      Double(bytes) <= byteBudget ?? .infinity && legs <= (difference == 0 ? 0 : legBudget)
    }
  }

  var sets: [Set] = []
  var reconciliations: [Reconciliation] = []

  var keepsBudgets: Bool { reconciliations.allSatisfy(\.keepsBudget) }

  var text: String {
    var lines = [Self.row(["ids", "build ms", "insert us"])]
    lines += sets.map {
      Self.row(["\($0.ids)", Self.number($0.buildMilliseconds), Self.number($0.insertMicroseconds)])
    }
    lines += ["", Self.row(["ids", "difference", "bytes", "x bound", "budget", "legs", "ms", "within"])]
    lines += reconciliations.map {
      Self.row([
        "\($0.ids)", "\($0.difference)", "\($0.bytes)",
        $0.lowerBound > 0 ? Self.number(Double($0.bytes) / $0.lowerBound) : "-",
        $0.byteBudget.map { "\(Int($0))" } ?? "-", "\($0.legs)", Self.number($0.milliseconds),
        $0.keepsBudget ? "yes" : "NO",
      ])
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func number(_ value: Double) -> String { String(format: "%.2f", value) }

  private static func row(_ cells: [String]) -> String {
    cells.map { String(repeating: " ", count: max(0, 11 - $0.count)) + $0 }.joined(separator: " ")
  }
}
