import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Two households become one: the machines of one leave, join the other, and take over the copies that they have.
  @Suite struct MergedHouseholdsLabTests {
    @Test func copiesAreNotSentASecondTime() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl", "dora"]) { household in
        for (index, name) in ["anna", "carl", "dora"].enumerated() {
          try household[name].makePhotos((0..<10).map { 400_000 + $0 }, seed: UInt64(index + 1))
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
        // Anna's 4 MB; they have each other's.
        for (machine, before) in zip(machines, before) {
          let received = try await machine.linkBytes().received - before
          #expect(received < 6_000_000, "\(machine.name) got \(received) bytes")
        }
      }
    }
  }
}
