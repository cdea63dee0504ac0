import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What a slip of the hand, or ransomware, does to a folder: the other machines keep every photo, and `restore` brings it back.
  @Suite struct MassChangeLabTests {
    private static let photos = 120

    @Test func aFolderEmptiedInPlaceIsHeldUntilItIsAccepted() async throws {
      try await withReplicatedPhotos { household, anna, ben in
        let photos = try await keepOriginals(of: anna)
        let originals = try FolderImage(ben.copies(of: anna))
        try await anna.run(["sh", "-c", "rm -rf \(anna.photos)/*"]).succeeded()
        try await household.waitForAttention("anna")
        let status = try await household.status(of: "anna")
        let reason = try #require(status.reasons.first { $0.code == "massChange" })
        #expect(reason.message.contains("Photos") && reason.message.contains("\(Self.photos)"))
        #expect(reason.message.contains("mantel folder accept Photos"))
        #expect(status.ledger.closes && status.ledger.pending >= Self.photos)

        try await expectNewPhotoArrives(from: anna, on: ben)
        #expect(try originals.differences(from: FolderImage(ben.copies(of: anna)).without(Self.new)).isEmpty)
        #expect(try retired(of: anna, on: ben).isEmpty)
        // A restart forgets nothing.
        try await household.stop("anna")
        try await household.start("anna")
        try await household.waitForAttention("anna")
        #expect(try originals.differences(from: FolderImage(ben.copies(of: anna)).without(Self.new)).isEmpty)

        let refused = try await anna.mantel("folder", "accept", "Photos")
        #expect(refused.exitCode == 64, "nobody can be asked here: \(refused)")
        let accepted: Accepted = try await anna.mantel("folder", "accept", "Photos", "--yes", "--json")
          .succeeded().json()
        #expect(accepted == Accepted(name: "Photos", accepted: Self.photos))
        try await household.waitUntilSettled()
        try await waitUntilRetired(from: anna, on: ben)
        try household.expectReplicated()
        try await expectRestored(photos, on: anna)
      }
    }

    @Test func whatIsHeldCanBeAcceptedWithoutAnAgent() async throws {
      try await withReplicatedPhotos { household, anna, ben in
        try await anna.run(["sh", "-c", "rm -rf \(anna.photos)/*"]).succeeded()
        try await household.waitForAttention("anna")
        try await household.stop("anna")
        let listed = try await anna.mantel("folder", "list").succeeded()
        #expect(listed.stdout.contains("\(Self.photos) held"), "\(listed)")
        try await anna.mantel("folder", "accept", "Photos", "--yes").succeeded()
        try await household.start("anna")
        try await household.waitUntilSettled()
        try await waitUntilRetired(from: anna, on: ben)
      }
    }

    /// Thirty files a second, each overwritten in place.
    @Test func encryptionInPlaceTakesNoOriginalFromAReplica() async throws {
      try await withReplicatedPhotos { household, anna, ben in
        let photos = try await keepOriginals(of: anna)
        let originals = try contents(below: anna.photos)
        let before = Date.now.formatted(.iso8601)
        let script = """
          find "\(anna.photos)" -type f | sort | while read file; do
            head -c 60000 /dev/urandom | dd of="$file" conv=notrunc status=none; sleep 0.033
          done
          """
        try await anna.run(["sh", "-c", script], within: .seconds(120)).succeeded()
        try await household.waitForAttention("anna")
        try await expectNewPhotoArrives(from: anna, on: ben)
        let kept = try contents(below: "\(ben.replica)/\(anna.name)")
        #expect(originals.isSubset(of: kept), "\(originals.subtracting(kept).count) originals are gone")
        #expect(try retired(of: anna, on: ben).count <= 50, "most are still at their places")
        // Some were replaced, most are held; nobody has accepted anything.
        try await expectRestored(photos, on: anna, "--as-of", before)
      }
    }

    /// The disk is away, and an empty directory in its place: nothing was deleted.
    @Test func aFolderThatIsNotMountedIsOffline() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try await anna.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", anna.photos]).succeeded()
        try await anna.run(
          ["sh", "-c", "for i in $(seq 60); do head -c 20000 /dev/urandom > \(anna.photos)/$i.jpg; done"]
        ).succeeded()
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        let copies = try FolderImage(ben.copies(of: anna))
        try await anna.run(["umount", "--lazy", anna.photos]).succeeded()
        try await eventually(within: .seconds(30), "anna says that the folder is offline") {
          _ = try await anna.mantel("status", "--wait", "0")
          let status = try await household.status(of: "anna")
          return status.state == "waiting" && status.reasons.contains { $0.code == "folderOffline" }
        }
        #expect(try copies.differences(from: FolderImage(ben.copies(of: anna))).isEmpty)
        #expect(try retired(of: anna, on: ben).isEmpty)
      }
    }

    // MARK: Parts

    private struct Accepted: Decodable, Equatable {
      let name: String
      let accepted: Int
    }

    private static let new: Set<[UInt8]> = [Array("new.jpg".utf8)]

    private func withReplicatedPhotos(
      _ body: (LabHousehold, _ anna: LabMachine, _ ben: LabMachine) async throws -> Void
    ) async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<Self.photos).map { 60_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        try await body(household, anna, ben)
      }
    }

    /// Settled is when all is held, wherever it lies: what was retired may still be on its way to its other name.
    private func waitUntilRetired(from machine: LabMachine, on other: LabMachine) async throws {
      try await eventually("all copies on \(other.name) are where what was retired lies") {
        try retired(of: machine, on: other).count == Self.photos
      }
    }

    /// A copy that no agent knows of: what has to come back.
    private func keepOriginals(of machine: LabMachine) async throws -> FolderImage {
      try await machine.run(["cp", "-a", "Photos", "original"]).succeeded("copy of the originals")
      return try FolderImage("\(machine.home)/original")
    }

    /// Each photo comes back with its name, time and bytes; so does the one that was new meanwhile.
    private func expectRestored(
      _ originals: FolderImage, on machine: LabMachine, _ options: String...
    ) async throws {
      let restored = try await machine.mantel(
        ["restore", "--to", "back"] + options, within: .seconds(120)
      ).succeeded("restore")
      #expect(restored.stdout.hasPrefix("restored \(Self.photos + 1) files"), "\(restored)")
      let back = try FolderImage("\(machine.home)/back/Photos")
      #expect(back.files.count == Self.photos + 1)
      #expect(try originals.differences(from: back.without(Self.new)) == [])
    }

    private func expectNewPhotoArrives(from anna: LabMachine, on ben: LabMachine) async throws {
      try GeneratedPhotos.write("\(anna.photos)/new.jpg", bytes: 70_000, seed: 99)
      try await eventually(within: .seconds(30), "a new photo arrives meanwhile") {
        FileManager.default.fileExists(atPath: "\(ben.copies(of: anna))/new.jpg")
      }
    }

    private func retired(of owner: LabMachine, on holder: LabMachine) throws -> Set<[UInt8]> {
      let directory = "\(holder.replica)/\(owner.name)/.retired/Photos"
      guard FileManager.default.fileExists(atPath: directory) else { return [] }
      return try Set(FolderImage(directory).files.keys)
    }

    private func contents(below directory: String) throws -> Set<[UInt8]> {
      let image = try FolderImage(directory)
      return try Set(image.files.keys.map { try image.bytes(of: $0) })
    }
  }
}

extension LabHousehold {
  /// Until `mantel status` exits with 2.
  fileprivate func waitForAttention(_ name: String) async throws {
    let machine = try self[name]
    try await eventually(within: .seconds(60), "\(name) asks for a decision") {
      try await machine.mantel("status").exitCode == 2
    }
  }
}
