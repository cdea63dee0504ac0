import Foundation

/// What one size cost. Times are seconds, memory is RssAnon in bytes; the limits are design.md's and those of a
/// comfortable daemon, for a million photos.
struct GrowthReport: Codable, Sendable {
  var photos: Int
  var startSeconds = 0.0
  var restartSeconds = 0.0
  var reconnectSeconds = 0.0
  var statusSeconds = 0.0
  var listPageSeconds = 0.0
  var peersSeconds = 0.0
  var aloneBytes = 0
  var askedBytes = 0
  var firstSyncSeconds = 0.0
  var ownerPeakBytes = 0
  var newcomerPeakBytes = 0
  var newPhotoSeconds = 0.0
  var quietSeconds = 0.0
  var idleBytes = 0
  var idleProcessorShare = 0.0
  var idleWakeupsPerSecond = 0.0
  var idleBytesPerSecond = 0.0

  init(photos: Int) { self.photos = photos }

  private struct Row {
    var name: String
    var limit: String
    var value: @Sendable (GrowthReport) -> String
  }

  private static let rows: [Row] = [
    Row(name: "start, until it answers (s)", limit: "3") { number($0.startSeconds) },
    Row(name: "start again (s)", limit: "3") { number($0.restartSeconds) },
    Row(name: "connected again (s)", limit: "-") { number($0.reconnectSeconds) },
    Row(name: "status (s)", limit: "-") { number($0.statusSeconds) },
    Row(name: "ls, first page (s)", limit: "-") { number($0.listPageSeconds) },
    Row(name: "peers (s)", limit: "-") { number($0.peersSeconds) },
    Row(name: "memory after the start (MB)", limit: "150") { megabytes($0.aloneBytes) },
    Row(name: "memory after questions (MB)", limit: "150") { megabytes($0.askedBytes) },
    Row(name: "first sync of the entries (s)", limit: "30") { number($0.firstSyncSeconds) },
    Row(name: "peak memory, owner (MB)", limit: "250") { megabytes($0.ownerPeakBytes) },
    Row(name: "peak memory, newcomer (MB)", limit: "250") { megabytes($0.newcomerPeakBytes) },
    Row(name: "new photo, until it has a copy (s)", limit: "1") { number($0.newPhotoSeconds) },
    Row(name: "asking for what is away (s)", limit: "-") { number($0.quietSeconds) },
    Row(name: "memory, idle (MB)", limit: "150") { megabytes($0.idleBytes) },
    Row(name: "idle, share of a core (%)", limit: "0.1") { number(100 * $0.idleProcessorShare) },
    Row(name: "idle, wake-ups a second", limit: "2") { number($0.idleWakeupsPerSecond) },
    Row(name: "idle, bytes a second", limit: "1000") { number($0.idleBytesPerSecond) },
  ]

  static func text(_ reports: [GrowthReport]) -> String {
    let header = ["photos"] + reports.map { "\($0.photos)" } + ["limit at 1e6"]
    let lines = [header] + rows.map { row in [row.name] + reports.map(row.value) + [row.limit] }
    let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { line in
      line.enumerated().map { column, text in
        let blanks = String(repeating: " ", count: widths[column] - text.count)
        return column == 0 ? text + blanks : blanks + text
      }.joined(separator: "  ") + "\n"
    }.joined()
  }

  private static func number(_ value: Double) -> String { String(format: "%.2f", value) }
  private static func megabytes(_ bytes: Int) -> String { String(format: "%.0f", Double(bytes) / 1e6) }
}
