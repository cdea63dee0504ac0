import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// The disk with the replica goes away and comes back while the agent runs.
  @Suite struct ReplicaDiskLabTests {
    /// Whoever asks meanwhile gets nothing; nothing may be forgotten for that: the owner is away, and this is the only
    /// copy that is left.
    @Test func aReplicaThatIsNotMountedForgetsNothing() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        try anna.makePhotos((0..<10).map { 50_000 + $0 }, seed: 1)
        let (disk, replica) = ("\(ben.home)/disk", "\(ben.home)/Mantel")
        let mount = "mount --bind '\(disk)' '\(replica)'"
        try await ben.run(["sh", "-c", "mkdir -p '\(disk)' '\(replica)' && \(mount)"]).succeeded("mount")
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("anna")
        #expect(try await household.status(of: "ben").missing.files == 0)

        try await ben.run(["umount", "-l", replica]).succeeded("umount")
        try await household.join("carl", through: "ben")
        try await eventually(within: .seconds(60), "carl knows what it lacks, and asks ben") {
          try await household.status(of: "carl").missing.files == 10
        }
        // Each look takes a while: carl asks several times meanwhile.
        for _ in 0..<20 {
          #expect(try await household.status(of: "ben").missing.files == 0)
          #expect(try await household.status(of: "carl").missing.files == 10)
        }

        try await ben.run(["sh", "-c", mount]).succeeded("mount again")
        try await eventually(within: .seconds(90), "carl got everything from ben") {
          try await household.status(of: "carl").missing.files == 0
        }
        let differences = try FolderImage(anna.photos).differences(from: FolderImage(carl.copies(of: anna)))
        #expect(differences.isEmpty)
      }
    }
  }
}
