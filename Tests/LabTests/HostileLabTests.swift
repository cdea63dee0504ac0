import Foundation
import MantelTestSupport
import Testing

extension LabTests {
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
