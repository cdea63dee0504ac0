import Foundation

/// Numbers as people read them.
enum Quantity {
  private static let units = ["kB", "MB", "GB", "TB", "PB", "EB"]

  /// Powers of 1000, as disks are sold: `999 B`, `1.5 kB`, `34 MB`.
  static func bytes(_ bytes: UInt64) -> String {
    guard bytes >= 1_000 else { return "\(bytes) B" }
    var value = Double(bytes) / 1_000
    var index = 0
    while value >= 999.5, index + 1 < units.count {
      value /= 1_000
      index += 1
    }
    // 9.95 would be shown as 10.0.
    guard value < 9.95 else { return "\(Int(value.rounded())) \(units[index])" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[index])"
  }

  static func rate(_ bytesPerSecond: Double) -> String {
    "\(bytes(UInt64(max(0, min(bytesPerSecond, 1e18)))))/s"
  }

  /// With a comma between thousands.
  static func count(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var result = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result += "," }
      result.append(digit)
    }
    return result
  }

  static func files(_ number: Int) -> String { number == 1 ? "1 file" : "\(count(number)) files" }

  /// The two largest units at most: `51 s`, `3 min`, `2 h 5 min`, `4 d`.
  static func duration(_ seconds: Double) -> String {
    let total = Int(max(0, min(seconds, 1e12)).rounded())
    switch total {
    case ..<100: return "\(total) s"
    case ..<6_000: return "\((total + 30) / 60) min"
    case ..<172_800:
      let minutes = total / 60
      return minutes % 60 == 0 ? "\(minutes / 60) h" : "\(minutes / 60) h \(minutes % 60) min"
    default: return "\(total / 86_400) d"
    }
  }

  /// How long before `now` a moment was; both ISO 8601. Nil when either cannot be read.
  static func age(_ moment: String?, now: String) -> String? {
    guard let moment, let then = date(moment), let now = date(now) else { return nil }
    let seconds = now.timeIntervalSince(then)
    return seconds < 1 ? "now" : "\(duration(seconds)) ago"
  }

  /// The day of an ISO 8601 moment.
  static func day(_ moment: String) -> String { String(moment.prefix(10)) }

  private static func date(_ text: String) -> Date? { try? Date(text, strategy: .iso8601) }
}
