import Foundation
import Synchronization
package import Testing

/// What a lab test needs beyond machines on a network.
package enum LabFeature: Hashable, Sendable {
  /// `Lab.cut(between:and:)`
  case partition
  /// `LabMachine.shape(bitsPerSecond:)`
  case shaping
  /// An ext4 filesystem on a loop device.
  case loopDisk
}

extension Trait where Self == ConditionTrait {
  /// The test runs where a lab can; elsewhere it is skipped with the reason, unless `MANTEL_REQUIRE_LAB=1`: then it
  /// runs, and fails for that reason.
  package static var lab: Self { lab(needs: []) }

  package static func lab(needs features: Set<LabFeature>) -> Self {
    // Asked when such a test is about to run, so that runs of other tests do not pay for it.
    .enabled("a lab cannot run here; the reason is on stderr, and Tests/README.md says what it needs") {
      guard let obstacle = LabObstacles.of(features) else { return true }
      FileHandle.standardError.write(Data("lab tests cannot run: \(obstacle)\n".utf8))
      return LabObstacles.isRequired
    }
  }
}

/// What is in the way of labs here; looked at once for each set of features.
enum LabObstacles {
  private static let known = Mutex<[Set<LabFeature>: String?]>([:])

  static var isRequired: Bool { ProcessInfo.processInfo.environment["MANTEL_REQUIRE_LAB"] == "1" }

  static func of(_ features: Set<LabFeature>) -> String? {
    known.withLock { known in
      if let obstacle = known[features] { return obstacle }
      let obstacle = LabHost.obstacle(features)
      known[features] = .some(obstacle)
      return obstacle
    }
  }
}
