import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// kill -9 in the middle of a transfer: it completes, and what was verified is not sent again.
  @Suite struct CrashLabTests {
    enum Victim: CaseIterable {
      case receiver
      case sender
      case both

      var names: [String] {
        switch self {
        case .receiver: ["ben"]
        case .sender: ["anna"]
        case .both: ["anna", "ben"]
        }
      }
    }

    /// Bytes that may be sent again after a kill: of units that were on their way, or not yet whole.
    private static let inFlight = 32 << 20

    @Test(.lab(needs: [.shaping])) func killedAgentsGoOnWhereTheyWere() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let large = LabScale.of(200_000_000, long: 500_000_000)
        let photos = (0..<LabScale.of(60, long: 300)).map { 300_000 + 997 * $0 }
        try anna.makePhotos([large], album: "films", seed: 1)
        try anna.makePhotos(photos, seed: 2)
        let content = large + photos.reduce(0, +)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        // Slow enough that each kill comes in the middle.
        for machine in [anna, ben] {
          try await machine.shape(bitsPerSecond: LabScale.of(200, long: 100) * 1_000_000)
        }
        let kills = LabScale.of(1, long: 10)
        let victims = Victim.allCases.flatMap { Array(repeating: $0, count: kills) }
        for (number, victim) in victims.enumerated() {
          let threshold = content * (number + 1) / (victims.count + 2)
          try await eventually(within: .seconds(120), "ben has received \(threshold) of \(content) bytes") {
            try await ben.linkBytes().received >= threshold
          }
          for name in victim.names { try await household.stop(name, SIGKILL) }
          for name in victim.names { try await household.start(name) }
        }
        #expect(try await ben.linkBytes().received < content, "the last kill came before the end")
        try await household.waitUntilSettled(within: LabScale.of(120, long: 600))
        try household.expectReplicated()
        let received = try await ben.linkBytes().received
        print("content \(content) bytes, received \(received) with \(victims.count) kills")
        #expect(received <= content + content / 25 + Self.inFlight * victims.count)
        #expect(try await household.status(of: "ben").missing.files == 0)
      }
    }

    @Test func aMachineThatCrashedWhileItsPhotosChangedComesBack() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<30).map { 100_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        // Both stop hard; while anna's agent is away a photo goes, one comes, one moves.
        try await household.stop("ben", SIGKILL)
        try await household.stop("anna", SIGKILL)
        try FileManager.default.removeItem(atPath: "\(anna.photos)/2001/IMG_0001.JPG")
        try FileManager.default.moveItem(
          atPath: "\(anna.photos)/2001/IMG_0002.JPG", toPath: "\(anna.photos)/moved.jpg")
        try GeneratedPhotos.write("\(anna.photos)/new.jpg", bytes: 50_000, seed: 77)
        // And a copy on ben's disk is lost.
        try FileManager.default.removeItem(atPath: "\(ben.copies(of: anna))/2001/IMG_0003.JPG")
        try await household.start("anna")
        try await household.start("ben")
        try await eventually(within: .seconds(60), "all is as it should be") {
          try FolderImage(anna.photos).differences(from: FolderImage(ben.copies(of: anna))).isEmpty
        }
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
    }
  }
}
