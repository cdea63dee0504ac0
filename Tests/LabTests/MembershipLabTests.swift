import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// A machine that stops keeping copies, makes room, and leaves.
  @Suite struct MembershipLabTests {
    private struct Released: Decodable {
      struct Count: Decodable { let files: Int }
      struct Kept: Decodable {
        let reason: String
        let copies: Count
      }
      let state: String
      let released: Count
      let kept: [Kept]
    }
    private struct Left: Decodable {
      let household: String
      let told: [String]
      let onlyHere: Int
    }

    @Test func aSourceMakesRoomAndLeaves() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        try anna.makePhotos((0..<20).map { 30_000 + $0 }, seed: 1)
        try carl.makePhotos((0..<5).map { 20_000 + $0 }, seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("carl", through: "anna")
        try await household.waitUntilConnected("carl", to: "ben")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        let originals = try (FolderImage(anna.photos), FolderImage(carl.photos))

        // A machine that keeps copies has nothing to release.
        let refused = try await carl.mantel("release", "--yes")
        #expect(refused.exitCode == 1 && refused.stderr.contains("mantel role source"), "\(refused)")

        try await carl.mantel("role", "source", "--yes").succeeded("role on carl")
        try await eventually(within: .seconds(30), "anna knows that carl keeps nothing for her any more") {
          try await household.status(of: "anna").peer("carl")?.role == "source"
        }
        #expect(
          try originals.0.differences(from: FolderImage(carl.copies(of: anna))).isEmpty,
          "a role frees nothing")
        try await household.waitUntilSettled()

        let released: Released = try await carl.mantel(["release", "--yes", "--json"], within: .seconds(120))
          .succeeded("release on carl").json()
        #expect(released.state == "done" && released.released.files == 20 && released.kept.isEmpty)
        let left =
          FileManager.default.enumerator(atPath: carl.copies(of: anna))?.allObjects as? [String] ?? []
        #expect(!left.contains { $0.hasSuffix(".JPG") }, "\(left)")
        #expect(try originals.0.differences(from: FolderImage(ben.copies(of: anna))).isEmpty)
        #expect(
          try originals.1.differences(from: FolderImage(carl.photos)).isEmpty, "nothing is done to a folder")
        try await household.waitUntilSettled()

        let farewell: Left = try await carl.mantel("leave", "--yes", "--json").succeeded("leave of carl")
          .json()
        #expect(farewell.onlyHere == 0 && !farewell.told.isEmpty)
        for name in ["anna", "ben"] {
          try await eventually(within: .seconds(60), "\(name) knows that carl has left") {
            let peers = try await household.peers(of: name)
            return peers.removed.map(\.name) == ["carl"] && !peers.peers.contains { $0.name == "carl" }
          }
        }
        #expect(try await household.status(of: "carl").reasons.map(\.code).contains("removed"))
        let again = try await carl.mantel("leave", "--yes")
        #expect(again.exitCode != 0, "\(again)")
        // What it gave stays with the others.
        #expect(try originals.1.differences(from: FolderImage(ben.copies(of: carl))).isEmpty)
        try await household.stop("carl")
        try await household.waitUntilSettled()
      }
    }
  }
}
