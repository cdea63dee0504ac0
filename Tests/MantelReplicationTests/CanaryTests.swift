import Foundation
import Testing

/// Whether the invariants can fail: each known mistake has to be seen by one of them.
///
/// At each run of the tests some of them, within a few seeds; `MANTEL_CANARY=all` (or the name of one) tries as many as 1,000 and prints
/// the first that fails and what failed.
@Suite struct CanaryTests {
  private static let environment = ProcessInfo.processInfo.environment
  private static let wanted = environment["MANTEL_CANARY"]

  private static var canaries: [Canary] {
    guard let wanted else { return Canary.quick }
    guard wanted != "all" else { return Canary.allCases }
    return Canary(rawValue: wanted).map { [$0] } ?? []
  }

  /// The most seeds that a mistake may take.
  private static let seeds: UInt64 = wanted == nil ? 60 : 1_000

  @Test func theCanaryIsKnown() {
    #expect(!Self.canaries.isEmpty, "MANTEL_CANARY=\(Self.wanted ?? "") is none of \(Canary.allCases)")
  }

  @Test(arguments: canaries) func isCaught(canary: Canary) throws {
    for seed in 1...Self.seeds {
      let trial = try HouseholdTrial(seed: seed, canary: canary)
      do {
        try trial.run()
      } catch let error as SimulationError {
        if Self.wanted != nil {
          let line = "canary \(canary): seed \(seed), step \(trial.household.steps): \(error)\n"
          // At once: the next may take minutes.
          FileHandle.standardOutput.write(Data(line.utf8))
        }
        return
      }
    }
    Issue.record("\(canary) was not caught within \(Self.seeds) seeds")
  }
}
