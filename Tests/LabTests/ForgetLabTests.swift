import Foundation
import MantelCatalog
import MantelCore
import MantelTestSupport
import Testing

extension LabTests {
  /// Photos that are forgotten, taken back, and forgotten for good.
  @Suite struct ForgetLabTests {
    private struct Forgotten: Decodable {
      let live: Int
      let dryRun: Bool
      let asksOthers: Bool
    }
    private struct Status: Decodable {
      struct Trash: Decodable {
        let machine: String
        let files: Int
        let daysLeft: Int
      }
      struct Kept: Decodable {
        let machine: String
        let reason: String
        let files: Int
      }
      let trash: [Trash]
      let forgotten: [Kept]
    }

    @Test func forgottenPhotosGoToTheTrashComeBackAndExpire() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<12).map { 40_000 + $0 }, album: "kept", seed: 1)
        try anna.makePhotos((0..<3).map { 50_000 + $0 }, album: "gone", seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        let (originals, copies) = (try FolderImage(anna.photos), try FolderImage(ben.copies(of: anna)))

        let dry: Forgotten = try await anna.mantel(
          "forget", "anna/Photos/gone/*", "--dry-run", "--json"
        ).succeeded().json()
        #expect(dry.live == 3 && dry.dryRun)
        #expect(
          try await anna.mantel("forget", "anna/Photos/gone/*").exitCode == 64, "nobody can be asked here")
        #expect(try await status(of: anna).forgotten.isEmpty)

        try await forgetGone(anna)
        try await eventually(within: .seconds(30), "ben has put three photos into its trash") {
          try await status(of: ben).trash.map(\.files) == [3] && files(inTrashOf: ben).count == 3
        }
        #expect(try await status(of: ben).trash.map(\.daysLeft) == [30])
        #expect(try await status(of: anna).forgotten.map(\.reason) == ["trash"])
        #expect(!FileManager.default.fileExists(atPath: ben.copies(of: anna) + "/gone"))
        let skipped: [SkippedJSON] = try await anna.mantel("skipped", "--json").succeeded().jsonLines()
        #expect(skipped.filter { $0.reason == "forgotten" }.count == 3)
        #expect(
          try originals.differences(from: FolderImage(anna.photos)).isEmpty, "nothing is done to a folder")
        try await household.waitUntilSettled()

        try await anna.mantel("forget", "--undo", "anna/Photos/gone/*").succeeded()
        try await household.waitUntilSettled()
        try await eventually(within: .seconds(30), "ben's copies are at their places again") {
          try copies.differences(from: FolderImage(ben.copies(of: anna))).isEmpty
            && files(inTrashOf: ben).isEmpty
        }

        try await forgetGone(anna)
        try await eventually(within: .seconds(30), "ben has put them into its trash again") {
          try await status(of: ben).trash.map(\.files) == [3]
        }
        try await runDays(31, of: ben, household)
        // A machine that starts hears the others first, for a minute.
        try await eventually(within: .seconds(150), "ben has deleted them, and anna knows") {
          let (there, here) = (try await status(of: ben), try await status(of: anna))
          return there.trash.isEmpty && files(inTrashOf: ben).isEmpty && here.forgotten.isEmpty
        }
        try await household.waitUntilSettled()
        #expect(try copies.differences(from: FolderImage(ben.copies(of: anna))).count == 3)
        #expect(try originals.differences(from: FolderImage(anna.photos)).isEmpty)
      }
    }

    /// The catalog is lost, and what lies in the trash is not.
    @Test func anAdoptedTrashIsTakenBack() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<12).map { 40_000 + $0 }, album: "kept", seed: 1)
        try anna.makePhotos((0..<3).map { 50_000 + $0 }, album: "gone", seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        let copies = try FolderImage(ben.copies(of: anna))
        try await forgetGone(anna)
        try await eventually(within: .seconds(30), "ben has put three photos into its trash") {
          try await status(of: ben).trash.map(\.files) == [3]
        }
        try await household.stop("ben")
        try await ben.run(["sh", "-c", "rm .local/state/mantel/catalog.sqlite*"]).succeeded("lost")
        try await ben.mantel("replica", "adopt", "Mantel").succeeded("adopt")
        try await household.start("ben")
        try await household.waitUntilConnected("ben", to: "anna")
        try await eventually(within: .seconds(60), "ben knows what lies in its trash") {
          try await status(of: ben).trash.map(\.files) == [3]
        }
        try await anna.mantel("forget", "--undo", "anna/Photos/gone/*").succeeded()
        try await household.waitUntilSettled()
        try await eventually(within: .seconds(30), "the copies are at their places again") {
          try copies.differences(from: FolderImage(ben.copies(of: anna))).isEmpty
            && files(inTrashOf: ben).isEmpty
        }
      }
    }

    @Test func tooManyAtOnceStayUntilSomebodyConfirms() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<15).map { 40_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        let copies = try FolderImage(ben.copies(of: anna))
        let answer: Forgotten = try await anna.mantel("forget", "anna/**", "--yes", "--json").succeeded()
          .json()
        #expect(answer.live == 15 && answer.asksOthers)
        try await eventually(within: .seconds(30), "ben asks") {
          try await household.status(of: "ben").reasons.contains { $0.code == "heldDrops" }
        }
        #expect(try await ben.mantel("status").exitCode == 2)
        #expect(try copies.differences(from: FolderImage(ben.copies(of: anna))).isEmpty)
        try await ben.mantel("forget", "--accept", "anna", "--yes").succeeded()
        try await eventually(within: .seconds(30), "all are in the trash") {
          try await status(of: ben).trash.map(\.files) == [15] && files(inTrashOf: ben).count == 15
        }
        try await household.waitUntilSettled()
      }
    }

    // MARK: Parts

    private func forgetGone(_ anna: LabMachine) async throws {
      let answer: Forgotten = try await anna.mantel("forget", "anna/Photos/gone/*", "--yes", "--json")
        .succeeded().json()
      #expect(answer.live == 3 && !answer.dryRun && !answer.asksOthers)
    }

    private func status(of machine: LabMachine) async throws -> Status {
      // A decision that is asked for is no failure here.
      try await machine.mantel("status", "--json").json()
    }

    private func files(inTrashOf machine: LabMachine) -> [String] {
      ((try? FileManager.default.contentsOfDirectory(atPath: machine.replica + "/.mantel/trash")) ?? [])
        .filter { $0 != "parked" }
    }

    /// As if the agent had run for so many days more: its count of them is moved while it is stopped.
    private func runDays(_ days: Int64, of machine: LabMachine, _ household: LabHousehold) async throws {
      let id = try #require(MachineID(hex: try await household.status(of: machine.name).machine.id))
      try await household.stop(machine.name)
      let path = try #require(try catalogPath(below: machine.home))
      let catalog = try Catalog(path: path, machine: id)
      let counted = (try catalog.value(.agentDay) ?? []).reduce(Int64(0)) { $0 << 8 | Int64($1) }
      let moved = UInt64(counted + days * 86_400_000_000_000)
      try catalog.setValue(
        .agentDay, (0..<8).map { UInt8(truncatingIfNeeded: moved >> (56 - 8 * UInt64($0))) })
      try catalog.close()
      try await household.start(machine.name)
    }

    private func catalogPath(below home: String) throws -> String? {
      let found = FileManager.default.enumerator(atPath: home)?.compactMap { $0 as? String }
      return found?.first { $0.hasSuffix("catalog.sqlite") }.map { home + "/" + $0 }
    }
  }
}
