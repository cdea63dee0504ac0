import Foundation
import MantelCore
import MantelReplication

/// What the user of this machine has set in `config` in the config directory: a line `key = value` each, `#` begins a comment.
///
/// `keep.photo`, `keep.raw`, `keep.video`, `keep.sidecar` and `keep.other` say how long replaced versions of a file are kept:
/// `forever`, `90 days`, `10 versions`, or `90 days, 10 versions`. Days are days in which the agent runs. Read at start.
struct AgentConfiguration: Hashable {
  var keep = KeepRules()

  /// Larger files are somebody else's.
  private static let maximumBytes = 64 << 10
  private static let daysBound = 36_500
  private static let versionsBound = 1_000_000

  init() {}

  /// The defaults where there is no file. Throws `AgentError`, which names the line: a setting that is not understood must
  /// not let anything expire.
  static func load(_ home: Home) throws -> AgentConfiguration {
    let path = home.config + "/config"
    guard FileManager.default.fileExists(atPath: path) else { return AgentConfiguration() }
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      guard data.count <= maximumBytes else { throw AgentError(.usage, "\(path) is too long for settings") }
      return try AgentConfiguration(text: String(decoding: data, as: UTF8.self), path: path)
    } catch let error as AgentError {
      throw error
    } catch {
      throw AgentError(.usage, "\(path) cannot be read: \(error.localizedDescription)")
    }
  }

  /// `path` is for messages.
  init(text: String, path: String) throws {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let setting = line.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces)
      if setting.isEmpty { continue }
      let parts = setting.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard parts.count == 2, let kind = Self.kinds[parts[0]], let rule = Self.rule(parts[1]) else {
        throw AgentError(
          .usage,
          "\(path), line \(index + 1): \(setting) is no setting; one is `keep.sidecar = 90 days, 10 versions` or "
            + "`keep.photo = forever`")
      }
      keep[kind] = rule
    }
  }

  private static let kinds: [String: EntryKind] = [
    "keep.photo": .photo, "keep.raw": .raw, "keep.video": .video, "keep.sidecar": .sidecar,
    "keep.other": .other,
  ]

  private static func rule(_ text: String) -> KeepRules.Rule? {
    if text == "forever" { return .forEver }
    var rule = KeepRules.Rule()
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = part.split(separator: " ")
      guard words.count == 2, let number = Int(words[0]), number > 0 else { return nil }
      switch words[1] {
      case "day", "days":
        guard rule.days == nil, number <= daysBound else { return nil }
        rule.days = number
      case "version", "versions":
        guard rule.versions == nil, number <= versionsBound else { return nil }
        rule.versions = number
      default: return nil
      }
    }
    return rule
  }
}
