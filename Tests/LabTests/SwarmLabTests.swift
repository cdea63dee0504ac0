import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What several machines lack goes over the source's link about once.
  @Suite struct SwarmLabTests {
    @Test(.lab(needs: [.shaping])) func theSourceSendsWhatTwoLackAboutOnce() async throws {
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
      #expect(outcome.sentRatio <= 1.3)
    }
  }
}
