import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Machines set up as the README says end up with each other's photos, and prove it.
  @Suite struct ReplicationLabTests {
    @Test func twoMachinesFindEachOtherAndEndWithEverything() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let others = LabScale.of(30, long: 300)
        try anna.makePhotos((0..<40).map { 1_000 + 17_389 * $0 }, seed: 1)
        try anna.makePhotos([30_000_000], album: "films/summer", seed: 2)
        try ben.makePhotos((0..<others).map { LabScale.of(70_001 * $0 + 500, long: 3_000_000 + $0) }, seed: 3)
        if let photos = LabScale.photos {
          try await anna.run(["cp", "-a", photos, "\(anna.photos)/real"]).succeeded("copy \(photos)")
        }
        try await household.found("anna")

        let alone = try await anna.mantel("status", "--json")
        #expect(alone.exitCode == 1)
        let status = try alone.json(StatusJSON.self)
        #expect(!status.complete && status.state == "waiting")
        #expect(
          status.reasons.contains { $0.code == "noSecondMachine" && $0.message.contains("mantel invite") })
        #expect(try await anna.mantel("status").stdout.contains("no second machine"))

        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        for machine in household.lab.machines {
          #expect(try await machine.mantel("status").exitCode == 0)
          let status = try await household.status(of: machine.name)
          #expect(status.complete && status.ledger.closes && status.ledger.pending == 0)
          #expect(status.ledger.seen == (try FolderImage(machine.photos)).files.count)
          #expect(
            status.missing.files == 0 && status.reasons.isEmpty && status.peers.map(\.complete) == [true])
          let sums = try await machine.run(["sh", "-c", "mantel sums | sha256sum -c --strict"])
          #expect(sums.exitCode == 0, "\(sums)")
          let other = try #require(household.lab.machines.first { $0.name != machine.name })
          let files = try FolderImage(other.photos).files.count
          #expect(sums.stdout.split(separator: "\n").filter { $0.hasSuffix(": OK") }.count == files)
          let copies = try FolderImage(machine.copies(of: other))
          #expect(copies.files.values.allSatisfy { $0.permissions == 0o444 })
        }
        let listed = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(listed.allSatisfy { $0.heldBy == ["anna", "ben"] && $0.machines == 2 })
        #expect(
          listed.count == (try FolderImage(anna.photos).files.count)
            + (try FolderImage(ben.photos).files.count))
      }
    }

    @Test func threeMachinesThatJoinedThroughDifferentMembersEndWithEverything() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "cleo"]) { household in
        for (number, machine) in household.lab.machines.enumerated() {
          try machine.makePhotos((0..<20).map { 3_000 + 40_009 * $0 }, seed: UInt64(number))
        }
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("cleo", through: "ben")
        try await household.waitUntilSettled()
        try await household.waitUntilAllKnowAll()
        try household.expectReplicated()
        let listed = try await household["cleo"].mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(listed.count == 60 && listed.allSatisfy { $0.heldBy == ["anna", "ben", "cleo"] })
      }
    }

    @Test(.lab(needs: [.partition])) func fiveMachinesOfWhichTwoNeverMeetEndWithEverythingAndKnowIt()
      async throws
    {
      let names = ["anna", "ben", "cleo", "dora", "emil"]
      try await LabHousehold.withMachines(names) { household in
        let (anna, emil) = (try household["anna"], try household["emil"])
        try await household.lab.cut(between: anna, and: emil)
        for (number, machine) in household.lab.machines.enumerated() {
          try machine.makePhotos((0..<8).map { 2_000 + 90_017 * $0 }, seed: UInt64(number))
        }
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("cleo", through: "anna")
        try await household.join("dora", through: "ben")
        try await household.join("emil", through: "dora")
        try await household.waitUntilAllKnowAll()
        try household.expectReplicated()
        #expect(try await household.status(of: "anna").peer("emil")?.isConnected == false)
        #expect(try await household.status(of: "emil").peer("anna")?.isConnected == false)
        let listed = try await anna.mantel("ls", "--machine", "anna", "--json").succeeded()
          .jsonLines(FileJSON.self)
        #expect(listed.count == 8 && listed.allSatisfy { $0.heldBy.count == 5 }, "\(listed)")
      }
    }

    @Test func nothingToDoCostsNextToNothing() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos(Array(repeating: 2_000, count: 150), seed: 1)
        try ben.makePhotos(Array(repeating: 2_000, count: 150), seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        // Remembered addresses do; and what Avahi says is not to be counted.
        try await anna.stopAvahi()
        try await ben.stopAvahi()
        try await household.stop("ben")
        try await eventually("anna noticed that ben is gone") {
          try await household.status(of: "anna").peer("ben")?.isConnected == false
        }
        let before = try await ben.linkBytes()
        try await household.start("ben")
        try await household.waitUntilConnected("ben", to: "anna")
        try await household.waitUntilAllKnowAll()
        let after = try await ben.linkBytes()
        let (sent, received) = (after.sent - before.sent, after.received - before.received)
        print("nothing to do: ben sent \(sent) and received \(received) bytes, all included")
        #expect(sent < 16 << 10 && received < 16 << 10)
      }
    }
  }
}
