import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Permissions that an agent has not.
  @Suite struct UnreadableLabTests {
    @Test func aClosedDirectoryIsSkippedAndHoldsUpNothing() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let anna = try household["anna"]
        try anna.makePhotos([2_000, 3_000], album: "open", seed: 1)
        try anna.makePhotos([4_000], album: "closed", seed: 2)
        try anna.makePhotos([5_000], album: "removed", seed: 3)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("anna")

        try await anna.run(["chmod", "000", "\(anna.photos)/closed"]).succeeded()
        try FileManager.default.removeItem(atPath: "\(anna.photos)/removed")
        try await household.start("anna")
        try await household.waitUntilSettled()
        let skipped = try await anna.mantel("skipped", "--json").succeeded().jsonLines(SkippedJSON.self)
        #expect(skipped.map(\.path.bytes) == [Array("closed".utf8)])
        #expect(skipped.map(\.reason) == ["unreadable"])
        let status = try await household.status(of: "anna")
        #expect(status.complete && status.ledger.closes, "\(status)")
        let listed = try await household["ben"].mantel("ls", "--retired", "--json").succeeded()
          .jsonLines(FileJSON.self)
        let states = Dictionary(listed.map { (String(decoding: $0.path.bytes, as: UTF8.self), $0.state) }) {
          $1
        }
        #expect(states["closed/IMG_0001.JPG"] == "live", "what cannot be seen is not gone")
        #expect(states["removed/IMG_0001.JPG"] == "retired")

        try await anna.run(["chmod", "700", "\(anna.photos)/closed"]).succeeded()
        try await household.waitUntilSettled()
        #expect(try await anna.mantel("skipped", "--json").succeeded().stdout.isEmpty)
      }
    }
  }

  /// Whatever lies in a folder is safe, or skipped with its reason.
  @Suite struct HostileLabTests {
    @Test func everyFileIsSafeOrSkippedWithItsReason() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let anna = try household["anna"]
        let folder = try HostileFolder(anna.photos)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try household.expectReplicated(except: Set(folder.skipped.keys).union(folder.hidden))

        let skipped = try await anna.mantel("skipped", "--json").succeeded().jsonLines(SkippedJSON.self)
        #expect(
          Dictionary(skipped.map { ($0.path.bytes, $0.reason) }) { first, _ in first } == folder.skipped)
        #expect(skipped.allSatisfy { !$0.message.isEmpty && $0.folder == "Photos" })
        let ledger = try await household.status(of: "anna").ledger
        #expect(ledger.closes, "\(ledger)")
        #expect(ledger.safe == folder.files && ledger.pending == 0 && ledger.skipped == folder.skipped.count)

        let listed = try await household["ben"].mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(
          Set(listed.map(\.path.bytes))
            == Set(
              try FolderImage(anna.photos).files.keys.filter {
                folder.skipped[$0] == nil && !folder.hidden.contains($0)
              }))
        for arguments in [["ls"], ["skipped"], ["status"], ["peers"]] {
          let text = try await anna.mantel(arguments).stdout
          #expect(
            !text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 127 },
            "\(arguments) prints control characters")
        }
        // One path is too long for sha256sum to open; it can read all others by name.
        let sums = try await household["ben"].run(["sh", "-c", "mantel sums | sha256sum -c"])
        let failed = sums.stdout.split(separator: "\n").filter { !$0.hasSuffix(": OK") }
        #expect(failed.count == 1 && failed.allSatisfy { $0.contains("deep.jpg") }, "\(sums)")
      }
    }
  }
}
