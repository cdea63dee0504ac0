import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// The photos of a machine that was removed, and who decides about them.
  @Suite struct KeeperLabTests {
    private struct Forgotten: Decodable {
      let live: Int
      let asksOthers: Bool
    }
    private struct Status: Decodable {
      struct Trash: Decodable, Equatable {
        let machine: String
        let files: Int
      }
      let trash: [Trash]
    }
    private static let photo = "carl/Photos/trip/IMG_0002.JPG"

    @Test func theKeeperForgetsAPhotoOfARemovedMachineAndTakesThatBack() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        try anna.makePhotos([10_000, 20_000], seed: 1)
        try carl.makePhotos([30_000, 40_000, 50_000], album: "trip", seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("carl", through: "anna")
        try await household.waitUntilConnected("ben", to: "anna")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        let copies = try FolderImage(carl.photos)

        try await household.stop("carl")
        try await anna.mantel("peers", "remove", "carl", "--yes").succeeded("peers remove")
        for name in ["anna", "ben"] {
          try await eventually("\(name) knows who removed carl, and keeps its library") {
            let removed = try await household.peers(of: name).removed
            return removed.map(\.name) == ["carl"] && removed.map(\.removedBy) == ["anna"]
          }
        }
        try await household.waitUntilSettled()

        // Neither one that does not keep the library, nor a pattern that was written for the own photos.
        let foreign = try await ben.mantel("forget", Self.photo, "--yes")
        #expect(foreign.exitCode != 0 && foreign.stderr.contains("no photo of this machine"), "\(foreign)")
        let wild = try await anna.mantel("forget", "*/Photos/trip/*", "--yes")
        #expect(wild.exitCode != 0 && wild.stderr.contains("no photo of this machine"), "\(wild)")
        for holder in [anna, ben] {
          #expect(try copies.differences(from: FolderImage(holder.copies(of: carl))).isEmpty)
        }

        let answer: Forgotten = try await anna.mantel("forget", Self.photo, "--yes", "--json")
          .succeeded("forget on the keeper").json()
        #expect(answer.live == 1 && !answer.asksOthers)
        for holder in [anna, ben] {
          try await eventually(within: .seconds(30), "\(holder.name) has put the photo into its trash") {
            try await listedTrash(of: holder) == [Status.Trash(machine: "carl", files: 1)]
              && trash(of: holder).count == 1
              && !FileManager.default.fileExists(atPath: "\(holder.replica)/\(Self.photo)")
          }
          #expect(try copies.differences(from: FolderImage(holder.copies(of: carl))).count == 1)
        }
        try await household.waitUntilSettled()

        try await anna.mantel("forget", "--undo", Self.photo).succeeded("forget --undo on the keeper")
        for holder in [anna, ben] {
          try await eventually(within: .seconds(30), "\(holder.name) has the photo at its place again") {
            try await listedTrash(of: holder).isEmpty && trash(of: holder).isEmpty
              && copies.differences(from: FolderImage(holder.copies(of: carl))).isEmpty
          }
        }
        try await household.waitUntilSettled()
        for name in ["anna", "ben"] {
          let status = try await household.status(of: name)
          #expect(status.complete && status.missing.files == 0, "\(status)")
          #expect(status.ledger.closes && status.ledger.safe == status.ledger.seen, "\(status)")
        }
      }
    }

    private func listedTrash(of machine: LabMachine) async throws -> [Status.Trash] {
      let status: Status = try await machine.mantel("status", "--json").json()
      return status.trash
    }

    private func trash(of machine: LabMachine) throws -> [String] {
      let directory = "\(machine.replica)/.mantel/trash"
      guard FileManager.default.fileExists(atPath: directory) else { return [] }
      return try FileManager.default.contentsOfDirectory(atPath: directory)
    }
  }
}
