import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What several machines lack, by way of each other too. How little the source sends depends on moments: that is measured
  /// by `mantel-swarm`, and decided by `SwarmTests`.
  @Suite struct SwarmLabTests {
    @Test(.lab(needs: [.shaping])) func twoThatLackTheSameEndWithAllAndNothingIsSentTwiceToOne() async throws
    {
      let sent = try await sentRatio(to: 2, photos: LabScale.of(40, long: 300), bytes: 500_000)
      #expect(sent < 1.1 * 2)
    }

    /// Each gives the blocks that it has: without that the source sends all of it to each.
    @Test(.lab(needs: [.shaping])) func aVideoIsPassedOnWhileItComes() async throws {
      let sent = try await sentRatio(to: 3, photos: 1, bytes: LabScale.of(32, long: 200) << 20)
      #expect(sent < 1.6)
    }

    /// What the source's link carried, by what all receivers have in the end.
    private func sentRatio(to receivers: Int, photos: Int, bytes: Int) async throws -> Double {
      var swarm = LabSwarm()
      swarm.receivers = receivers
      swarm.photos = photos
      swarm.photoBytes = bytes
      swarm.rate = 40_000_000
      swarm.hasOwnDisks = false
      let outcome = try await swarm.run { household in
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
      print(outcome.text)
      return outcome.sentRatio
    }
  }
}
