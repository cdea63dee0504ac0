import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What several machines lack, by way of each other too. How little the source sends depends on moments: that is measured
  /// by `mantel-swarm`, and decided by `SwarmTests`.
  @Suite struct SwarmLabTests {
    @Test(.lab(needs: [.shaping])) func twoThatLackTheSameEndWithAllAndNothingIsSentTwiceToOne() async throws
    {
      var swarm = LabSwarm()
      swarm.receivers = 2
      swarm.photos = LabScale.of(40, long: 300)
      swarm.photoBytes = 500_000
      swarm.rate = 40_000_000
      swarm.hasOwnDisks = false
      let outcome = try await swarm.run { household in
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
      print(outcome.text)
      #expect(outcome.sentRatio < 1.1 * Double(swarm.receivers))
    }

    /// Each gives the blocks that it has: without that the source sends all of it to each.
    @Test(.lab(needs: [.shaping])) func aVideoIsPassedOnWhileItComes() async throws {
      var swarm = LabSwarm()
      swarm.receivers = 3
      swarm.photos = 1
      swarm.photoBytes = LabScale.of(32, long: 200) << 20
      swarm.rate = 40_000_000
      swarm.hasOwnDisks = false
      let outcome = try await swarm.run { household in
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
      print(outcome.text)
      #expect(outcome.sentRatio < 1.6)
    }
  }
}
