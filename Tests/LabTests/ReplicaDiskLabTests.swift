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
        // Each look takes a while: carl asks meanwhile, and ben takes back what cannot be had.
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

    /// Last month's image of the disk in its place: what is not on it is not claimed, and comes back; nothing is dropped.
    @Test func anOldImageOfTheDiskClaimsNothing() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let (disk, old, replica) = ("\(ben.home)/disk", "\(ben.home)/old", "\(ben.home)/Mantel")
        try anna.makePhotos((0..<10).map { 50_000 + $0 }, album: "last month", seed: 1)
        try await ben.run([
          "sh", "-c", "mkdir -p '\(disk)' '\(replica)' && mount --bind '\(disk)' '\(replica)'",
        ])
        .succeeded("mount")
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("ben")
        try await ben.run(["cp", "-a", disk, old]).succeeded("an image of the disk")
        try await household.start("ben")
        try anna.makePhotos((0..<10).map { 60_000 + $0 }, album: "since", seed: 2)
        try FileManager.default.removeItem(atPath: "\(anna.photos)/last month/IMG_0001.JPG")
        try await household.waitUntilSettled()
        try await household.stop("anna")
        try await household.stop("ben")
        try await ben.run(["sh", "-c", "umount '\(replica)' && mount --bind '\(old)' '\(replica)'"])
          .succeeded("the old image in its place")

        try await household.start("ben")
        // The one that was deleted since lies there under its old name: its last copy is found again.
        try await eventually(
          within: .seconds(60), "ben knows that ten photos are not there, and of all others"
        ) {
          try await household.status(of: "ben").missing.files == 10
        }
        let files = try await ben.mantel("ls", "--retired", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(files.count == 20)
        let claimed = files.filter { $0.heldBy.contains("ben") }.map {
          String(decoding: $0.path.bytes, as: UTF8.self)
        }
        #expect(claimed.count == 10)
        #expect(claimed.allSatisfy { !$0.hasPrefix("since/") }, "\(claimed)")

        try await household.start("anna")
        try await household.waitUntilSettled()
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(60))
        #expect(sums.exitCode == 0, "\(sums)")
        let all = try await ben.mantel("ls", "--retired", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(all.count == 20 && all.allSatisfy { $0.heldBy.contains("ben") })
      }
    }
  }
}
