import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Two households become one: the machines of one leave, join the other, and take over the copies that they have.
  @Suite struct MergedHouseholdsLabTests {
    @Test func copiesAreNotSentASecondTime() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl", "dora"]) { household in
        // What the two have to get is small beside what they keep: it may come twice, theirs not once.
        for (index, (name, size)) in [("anna", 100_000), ("carl", 1_000_000), ("dora", 1_000_000)]
          .enumerated()
        {
          try household[name].makePhotos((0..<10).map { size + $0 }, seed: UInt64(index + 1))
        }
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.found("carl")
        try await household.join("dora", through: "carl")
        try await household.waitUntilSettled()
        try household.expectReplicated(among: ["anna", "ben"])
        try household.expectReplicated(among: ["carl", "dora"])
        let originals = try FolderImage(household["carl"].photos)

        // The last one has nobody to tell.
        try await household["dora"].mantel("leave", "--yes").succeeded("leave of dora")
        try await eventually(within: .seconds(30), "carl knows that dora has left") {
          try await household.peers(of: "carl").peers.isEmpty
        }
        try await household["carl"].mantel("leave", "--yes").succeeded("leave of carl")
        let machines = try ["carl", "dora"].map { try household[$0] }
        var before: [Int] = []
        for machine in machines { before.append(try await machine.linkBytes().received) }
        for name in ["carl", "dora"] {
          try await household.stop(name)
          let machine = try household[name]
          let invite = try await household.invite("anna")
          let joined = try await machine.mantel(
            ["join", invite.code, "Photos", "--yes"], within: .seconds(60)
          )
          .succeeded("join of \(name)")
          #expect(joined.stderr.contains("mantel replica adopt"), "\(joined)")
          let adopted = try await machine.mantel("replica", "adopt", "Mantel").succeeded("adopt on \(name)")
          #expect(adopted.stdout.contains("10 files"), "\(adopted)")
          try await household.start(name)
        }
        try await household.waitUntilAllKnowAll()
        try household.expectReplicated()
        #expect(try originals.differences(from: FolderImage(household["carl"].photos)).isEmpty)
        // Anna's 1 MB; of their own 20 MB nothing. How often what is lacked comes is SwarmLabTests' matter.
        for (machine, before) in zip(machines, before) {
          let received = try await machine.linkBytes().received - before
          #expect(received < 5_000_000, "\(machine.name) got \(received) bytes")
        }
      }
    }
  }
}
