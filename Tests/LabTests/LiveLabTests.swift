import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What happens to photos while the agents run happens to their copies within seconds, and loses nothing.
  @Suite struct LiveLabTests {
    @Test func changesArriveWithinSecondsAndNothingIsLost() async throws {
      try await withTwoSettledMachines { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let album = "\(anna.photos)/2001"

        try GeneratedPhotos.write("\(album)/new.jpg", bytes: 300_000, seed: 91)
        try await untilEqual(anna, on: ben, "a photo is added")

        let old = try FolderImage(anna.photos).bytes(of: path("2001/IMG_0001.JPG"))
        try GeneratedPhotos.write("\(album)/IMG_0001.JPG", bytes: 310_000, seed: 92)
        try await untilEqual(anna, on: ben, "a photo is edited")
        try await untilRetired(old, of: anna, on: ben, "the bytes before the edit")

        let gone = try FolderImage(anna.photos).bytes(of: path("2001/IMG_0002.JPG"))
        try FileManager.default.removeItem(atPath: "\(album)/IMG_0002.JPG")
        try await untilEqual(anna, on: ben, "a photo is deleted")
        try await untilRetired(gone, of: anna, on: ben, "the deleted photo")

        // Two files trade their names, and a third takes a name that a deletion frees.
        for (from, to) in [("0003", "swap"), ("0004", "0003"), ("swap", "0004")] {
          try FileManager.default.moveItem(
            atPath: "\(album)/IMG_\(from).JPG", toPath: "\(album)/IMG_\(to).JPG")
        }
        try await untilEqual(anna, on: ben, "two photos trade names")

        try await household.waitUntilSettled()
        try household.expectReplicated()
        let retired = try await ben.mantel("ls", "--machine", "anna", "--retired", "--json").succeeded()
          .jsonLines(FileJSON.self).filter { $0.state == "retired" }
        #expect(Set(retired.map(\.path.bytes)) == [path("2001/IMG_0001.JPG"), path("2001/IMG_0002.JPG")])
        #expect(try await household.status(of: "anna").ledger.closes)
      }
    }

    @Test func movesAndCopiesSendNoContent() async throws {
      try await withTwoSettledMachines { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos([4_000_000], album: "big", seed: 5)
        try await untilEqual(anna, on: ben, "a large photo is added")
        try await household.waitUntilSettled()
        let before = try await ben.linkBytes()

        try FileManager.default.moveItem(
          atPath: "\(anna.photos)/big/IMG_0001.JPG", toPath: "\(anna.photos)/renamed.jpg")
        try await untilEqual(anna, on: ben, "a photo is renamed")
        try FileManager.default.moveItem(atPath: "\(anna.photos)/2001", toPath: "\(anna.photos)/2002 Crete")
        try await untilEqual(anna, on: ben, "a folder is renamed")
        // Of another machine's photo, from the copy that lies here.
        try await ben.run(["cp", "\(ben.copies(of: anna))/renamed.jpg", "\(ben.photos)/mine too.jpg"])
          .succeeded()
        try await untilEqual(ben, on: anna, "a photo of anna's is copied by ben")
        try await anna.run(["cp", "\(anna.photos)/renamed.jpg", "\(anna.photos)/twice.jpg"]).succeeded()
        try await untilEqual(anna, on: ben, "a photo is copied")

        try await household.waitUntilSettled()
        let after = try await ben.linkBytes()
        #expect(after.received - before.received < 200_000)
        #expect(after.sent - before.sent < 200_000)
        try household.expectReplicated()
        let retired = try await ben.mantel("ls", "--retired", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(retired.allSatisfy { $0.state == "live" }, "a move retires nothing")
      }
    }

    private func withTwoSettledMachines(_ body: (LabHousehold) async throws -> Void) async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        try household["anna"].makePhotos((0..<12).map { 200_000 + $0 }, seed: 1)
        try household["ben"].makePhotos([5_000], seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        try await body(household)
      }
    }

    private func path(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func untilEqual(_ owner: LabMachine, on holder: LabMachine, _ what: String) async throws {
      try await eventually(within: .seconds(30), "\(what): \(holder.name) has it too") {
        // The copies move while they are looked at; a look that failed is no answer.
        let copies = try? FolderImage(holder.copies(of: owner))
        guard let copies else { return false }
        return (try? FolderImage(owner.photos).differences(from: copies).isEmpty) ?? false
      }
    }

    private func untilRetired(
      _ bytes: [UInt8], of owner: LabMachine, on holder: LabMachine, _ what: String
    ) async throws {
      try await eventually(within: .seconds(30), "\(holder.name) keeps \(what)") {
        let retired = try FolderImage("\(holder.replica)/\(owner.name)/.retired")
        return try retired.files.filter { $0.value.size == bytes.count }.contains {
          try retired.bytes(of: $0.key) == bytes
        }
      }
    }
  }
}
