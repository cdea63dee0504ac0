import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// The disk of a replica that can only be read for a while, under a running agent.
  @Suite struct ReadOnlyReplicaLabTests {
    @Test(.lab(needs: [.loopDisk])) func aReplicaThatIsMountedReadOnlyIsToldAndGoesOn() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try await makeDisk(on: ben)
        try anna.makePhotos((0..<5).map { 50_000 + $0 }, album: "before", seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()

        // Refused while the agent is just writing something.
        try await eventually("the disk is mounted read-only") {
          try await remount("ro", on: ben).exitCode == 0
        }
        try anna.makePhotos((0..<5).map { 60_000 + $0 }, album: "since", seed: 2)
        try await eventually(within: .seconds(30), "ben tells that its replica can only be read") {
          let status = try await household.status(of: "ben")
          return status.missing.files == 5 && status.reasons.contains { $0.code == "replicaReadOnly" }
        }
        let status = try await household.status(of: "ben")
        #expect(status.state == "waiting" && !status.complete, "\(status)")
        let said = status.reasons.first { $0.code == "replicaReadOnly" }?.message ?? ""
        #expect(said.contains("mount -o remount,rw"), "what to do: \(said)")
        let files = try await anna.mantel("ls", "--json").succeeded("ls").jsonLines(FileJSON.self)
        #expect(files.count == 10)
        for file in files {
          let isNew = file.path.bytes.starts(with: Array("since/".utf8))
          #expect(file.heldBy.contains("ben") != isNew, "\(String(decoding: file.path.bytes, as: UTF8.self))")
        }
        let claimed = try await household.status(of: "anna")
        #expect(claimed.ledger.safe == 5 && !claimed.complete, "\(claimed)")
        #expect(claimed.peer("ben")?.complete == false, "\(claimed)")

        try await remount("rw", on: ben).succeeded("remount for writing")
        // It is looked at every half minute, for nothing tells of it.
        try await household.waitUntilSettled()
        #expect(try await !household.status(of: "ben").reasons.contains { $0.code == "replicaReadOnly" })
        // Ben's replica is seen inside of ben alone.
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --strict --quiet"], within: .seconds(60))
        #expect(sums.exitCode == 0, "\(sums)")
        let held = try await anna.mantel("ls", "--json").succeeded("ls").jsonLines(FileJSON.self)
        #expect(held.count == 10 && held.allSatisfy { $0.heldBy.contains("ben") })
      }
    }

    /// The catalog and the own photos lie elsewhere: only the replica is read-only.
    private func makeDisk(on machine: LabMachine) async throws {
      let make = """
        truncate -s 256M disk.img && mkfs.ext4 -q -m 0 disk.img && mkdir -p disk Mantel &&
          mount -o loop disk.img disk && mkdir -m 700 disk/replica && mount --bind disk/replica Mantel
        """
      try await machine.run(["sh", "-c", make]).succeeded("ext4 on a loop device")
    }

    /// The whole filesystem, as `mount` does it and the kernel after an error: of both places where it is mounted.
    private func remount(_ mode: String, on machine: LabMachine) async throws -> LabResult {
      try await machine.run(["mount", "-o", "remount,\(mode)", "disk"])
    }
  }
}
