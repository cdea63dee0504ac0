import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// A machine that comes out of an old image, and meets first who had seen no more than that: it signs another history than
  /// the one that the rest of the household remembers.
  @Suite struct OrphanLabTests {
    @Test func whatFellOutOfALibraryIsKeptToldAndTakenBack() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        try anna.makePhotos((0..<10).map { 40_000 + $0 }, album: "before", seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("carl", through: "anna")
        try await household.waitUntilConnected("carl", to: "ben")
        try await household.waitUntilSettled()
        try await household.stop("carl")
        try await household.stop("anna")
        let image = "\(anna.home).image"
        try await anna.run(["cp", "-a", anna.home, image]).succeeded("an image of the whole machine")

        // Carl never hears of these.
        try await household.start("anna")
        try await household.waitUntilConnected("anna", to: "ben")
        try anna.makePhotos((0..<5).map { 50_000 + $0 }, album: "since", seed: 2)
        try await household.waitUntilSettled()
        let originals = "\(anna.home).since"
        try await anna.run(["cp", "-a", "\(anna.photos)/since", originals]).succeeded(
          "the photos, with their times")
        try await household.stop("ben")
        try await household.stop("anna")
        try await anna.run(
          ["sh", "-c", "find '\(anna.home)' -mindepth 1 -delete && cp -a '\(image)/.' '\(anna.home)'"]
        ).succeeded("the old image in its place")

        let lost = try FolderImage(originals)
        try await household.start("carl")
        try await household.start("anna")
        try anna.makePhotos([60_000], album: "after", seed: 3)
        try await eventually(within: .seconds(90), "carl has what anna took after that") {
          try FolderImage(anna.photos).differences(from: FolderImage(carl.copies(of: anna))).isEmpty
        }
        try await household.stop("anna")

        // Ben learns of it from carl; whose photos they are is away.
        try await household.start("ben")
        try await eventually(within: .seconds(90), "ben says that photos fell out of anna's library") {
          let status = try await household.status(of: "ben")
          return status.state == "attention" && status.reasons.contains { $0.code == "orphaned" }
        }
        let told = try await household.status(of: "ben").reasons.first { $0.code == "orphaned" }
        #expect(
          told?.message.contains("5") == true && told?.message.contains("anna") == true, "\(told as Any)")
        #expect(
          try lost.differences(from: FolderImage("\(ben.copies(of: anna))/since")).isEmpty,
          "nothing is touched")
        #expect(try await ben.mantel("status").exitCode == 2)

        try await household.start("anna")
        try await eventually(within: .seconds(90), "anna has taken them back") {
          try await retired(of: anna).count == 5
        }
        try await household.waitUntilSettled()
        #expect(try household.agent(of: "anna").stderr.contains("are in its library again, as retired"))
        for name in ["anna", "ben", "carl"] {
          let status = try await household.status(of: name)
          #expect(!status.reasons.contains { $0.code == "orphaned" }, "\(name): \(status)")
        }
        // Once more on two machines, with the bytes that they had.
        let back = try await retired(of: anna)
        #expect(back.allSatisfy { Set($0.heldBy) == ["ben", "carl"] }, "\(back)")
        try await anna.mantel(["restore", "--to", "back"], within: .seconds(120)).succeeded("restore on anna")
        #expect(try lost.differences(from: FolderImage("\(anna.home)/back/Photos/since")).isEmpty)
        for machine in [ben, carl] {
          let sums = try await machine.run(
            ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(60))
          #expect(sums.exitCode == 0, "\(machine.name): \(sums)")
        }
        #expect(try FolderImage(anna.photos).differences(from: FolderImage(ben.copies(of: anna))).isEmpty)
      }
    }

    private func retired(of machine: LabMachine) async throws -> [FileJSON] {
      try await machine.mantel("ls", "--machine", machine.name, "--retired", "--json").succeeded()
        .jsonLines(FileJSON.self).filter { $0.state == "retired" }
    }
  }
}
