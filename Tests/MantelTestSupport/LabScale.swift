import Foundation

/// How much the lab tests do: a few minutes in all, or with `MANTEL_LAB_LONG=1` what a release is judged by.
package enum LabScale {
  package static let isLong = ProcessInfo.processInfo.environment["MANTEL_LAB_LONG"] == "1"

  package static func of<Value>(_ short: Value, long: Value) -> Value { isLong ? long : short }

  /// Real photos to try, besides the generated ones.
  package static let photos = ProcessInfo.processInfo.environment["MANTEL_TEST_PHOTOS"]
}
