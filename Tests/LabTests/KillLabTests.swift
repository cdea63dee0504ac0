import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// kill -9 at random moments, over and over, while files are copied and edited.
  @Suite struct KillLabTests {
    @Test(.lab(needs: [.shaping])) func killsAtAnyMomentLoseNothing() async throws {
      let cycles = LabScale.of(5, long: 200)
      var random = SeededGenerator(seed: UInt64(cycles))
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let photos = LabScale.of(20, long: 300)
        try anna.makePhotos([LabScale.of(20_000_000, long: 100_000_000)], album: "films", seed: 1)
        try anna.makePhotos((0..<photos).map { LabScale.of(1_000_000, long: 3_000_000) + 997 * $0 }, seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        // So slow that the last kill comes before the end.
        for machine in [anna, ben] {
          try await machine.shape(bitsPerSecond: LabScale.of(30, long: 15) * 1_000_000)
        }
        for cycle in 0..<cycles {
          let moment = ContinuousClock.now + .milliseconds(random.below(1_500))
          try await eventually("the moment of kill \(cycle)") { ContinuousClock.now >= moment }
          try edit(anna, cycle, photos, &random)
          let victims = [["anna"], ["ben"], ["anna", "ben"]][random.below(3)]
          for name in victims { try await household.stop(name, SIGKILL) }
          for name in victims { try await household.start(name) }
        }
        print("\(cycles) kills, \(try await household.status(of: "ben").missing.files) files to come")
        for machine in [anna, ben] { try await machine.shape(bitsPerSecond: nil) }
        try await household.waitUntilSettled(within: LabScale.of(240, long: 900))
        try household.expectReplicated()
        // Every file of the replica, those of former versions too, has the bytes that the catalog says.
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(300))
        #expect(sums.exitCode == 0, "\(sums)")
        #expect(try await household.status(of: "anna").ledger.closes)
      }
    }

    /// A photo gets other bytes, a new one comes, or one gets another name.
    private func edit(_ machine: LabMachine, _ cycle: Int, _ photos: Int, _ random: inout SeededGenerator)
      throws
    {
      let number = "\(10_001 + random.below(photos))".dropFirst()
      let path = "\(machine.photos)/2001/IMG_\(number).JPG"
      switch random.below(3) {
      case 0 where FileManager.default.fileExists(atPath: path):
        try GeneratedPhotos.write(path, bytes: 400_000 + cycle, seed: 7_000 + UInt64(cycle))
      case 1 where FileManager.default.fileExists(atPath: path):
        try FileManager.default.moveItem(atPath: path, toPath: "\(machine.photos)/moved \(cycle).jpg")
      default:
        try GeneratedPhotos.write(
          "\(machine.photos)/new \(cycle).jpg", bytes: 300_000 + cycle, seed: 9_000 + UInt64(cycle))
      }
    }
  }
}
