import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Machines that are destroyed, and machines that forget.
  @Suite struct LossLabTests {
    /// A new machine takes the place of one that is gone, and gets every photo back from the others.
    @Test func aDestroyedMachineComesBackOnANewOne() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, carl) = (try household["anna"], try household["carl"])
        try anna.makePhotos((0..<20).map { 3_000 + 20_011 * $0 }, seed: 1)
        try anna.makePhotos([7_000_000], album: "films", seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()

        // Who lives cannot be replaced.
        let invite = try await household.invite("ben")
        let refused = try await carl.mantel(
          ["join", invite.code, "--replaces", "anna", "--yes"], within: .seconds(60))
        #expect(refused.exitCode == 1 && refused.stderr.contains("is running"), "\(refused)")

        try await household.stop("anna", SIGKILL)
        // Out of everybody's reach but the test's.
        let wreck = "\(carl.home)/wreck"
        try FileManager.default.moveItem(atPath: anna.home, toPath: wreck)
        let originals = try FolderImage("\(wreck)/Photos")
        try await eventually("ben knows that anna is gone") {
          try await household.status(of: "ben").peers.allSatisfy { $0.state != "connected" }
        }
        try await carl.mantel(
          ["join", invite.code, "--replaces", "anna", "--yes"], within: .seconds(60)
        ).succeeded("join of carl")
        try await household.start("carl")
        try await household.waitUntilConnected("carl", to: "ben")
        try await household.waitUntilSettled()
        // Not asked for by its name: carl is what anna was.
        let restored = try await carl.mantel(["restore", "--to", "back"], within: .seconds(120)).succeeded()
        #expect(restored.stdout.hasPrefix("restored 21 files"), "\(restored)")
        #expect(try originals.differences(from: FolderImage("\(carl.home)/back/Photos")) == [])
        #expect(try await household.status(of: "ben").peers.map(\.name) == ["carl"])
      }
    }

    /// Lost, damaged, or out of an old backup: the catalog is found again, and no photo is sent a second time.
    @Test func aCatalogThatForgetsIsFoundAgain() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<20).map { 3_000 + 20_011 * $0 }, seed: 1)
        try anna.makePhotos([9_000_000], album: "films", seed: 2)
        try ben.makePhotos((0..<10).map { 2_000 + 10_011 * $0 }, seed: 3)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("ben")
        try await ben.run(["cp", "-a", ".local/state/mantel", "backup"]).succeeded("backup")
        try await household.start("ben")
        try ben.makePhotos((0..<5).map { 7_000 + $0 }, album: "later", seed: 4)
        try await household.waitUntilSettled()
        let copies = try FolderImage(ben.copies(of: anna))

        let lose = [
          ("lost", "rm .local/state/mantel/catalog.sqlite*"),
          (
            "damaged",
            "dd if=/dev/zero of=.local/state/mantel/catalog.sqlite bs=4096 seek=1 count=20 conv=notrunc"
          ),
        ]
        for (what, script) in lose {
          try await household.stop("ben")
          try await ben.run(["sh", "-c", script]).succeeded(what)
          let run = try await ben.mantel("run")
          #expect([64, 70].contains(run.exitCode) && run.stderr.contains("replica adopt"), "\(what): \(run)")
          try await ben.mantel("replica", "adopt", "Mantel").succeeded("adopt, \(what)")
          try await expectNothingSentAgain(to: household, what)
        }
        try await household.stop("ben")
        try await ben.run(["sh", "-c", "rm -r .local/state/mantel && cp -a backup .local/state/mantel"])
          .succeeded("old backup")
        try await expectNothingSentAgain(to: household, "old backup")
        #expect(try copies.differences(from: FolderImage(ben.copies(of: anna))) == [])
        try household.expectReplicated()
        // Nothing was lost on the way, and nothing retired.
        let retired = try await anna.mantel("ls", "--machine", "ben", "--retired", "--json").succeeded()
        #expect(!retired.stdout.contains(#""retired""#), "\(retired)")
      }
    }

    /// Starts ben, which ends complete; what it learns costs less than its smallest photos.
    private func expectNothingSentAgain(to household: LabHousehold, _ what: String) async throws {
      let ben = try household["ben"]
      let before = try await ben.linkBytes()
      try await household.start("ben")
      try await household.waitUntilConnected("ben", to: "anna")
      try await household.waitUntilSettled()
      let after = try await ben.linkBytes()
      #expect(after.received - before.received < 200_000, "\(what)")
      #expect(try await household.status(of: "ben").complete, "\(what)")
    }
  }
}
