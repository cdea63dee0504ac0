import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// A disk that was copied with everything on it, and both machines run: one key, two installations.
  @Suite struct CloneLabTests {
    @Test func twoClonesStopPublishingUntilOneIsAMachineOfItsOwn() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        try anna.makePhotos((0..<5).map { 40_000 + $0 }, seed: 1)
        try ben.makePhotos((0..<10).map { 500_000 + $0 }, seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("ben")
        try await copy(ben, to: carl)
        let before = try await anna.linkBytes().received

        for name in ["ben", "carl"] { try await household.start(name) }
        for machine in [ben, carl] {
          try await eventually(within: .seconds(60), "\(machine.name) knows of the other copy") {
            let status = try await household.status(of: machine.name)
            return status.state == "attention" && status.reasons.contains { $0.code == "clone" }
          }
          let told = try await machine.mantel("status")
          #expect(told.exitCode == 2 && told.stdout.contains("mantel rekey"), "\(told)")
        }
        try await expectNothingPublished(household)

        try await household.stop("carl")
        let invite = try await household.invite("anna")
        try await carl.mantel(["rekey", invite.code, "--name", "carl", "--yes"], within: .seconds(90))
          .succeeded("rekey")
        try await household.stop("ben")
        for name in ["ben", "carl"] { try await household.start(name) }
        try await household.waitUntilAllKnowAll()
        try await household.waitUntilSettled()
        try household.expectReplicated()
        try await expectNothingLost(household)
        // Two new photos: all else both had before, and nothing of it is sent again.
        let received = try await anna.linkBytes().received - before
        #expect(received < 2_500_000, "anna got \(received) bytes")
      }
    }

    /// Everything of one machine, with times and rights, on the other, where it lies under the same paths.
    private func copy(_ original: LabMachine, to copy: LabMachine) async throws {
      try await copy.run(["cp", "-a", "\(original.home)/.", copy.home]).succeeded("a copy of the disk")
      try await copy.run(["mount", "--bind", copy.home, original.home]).succeeded("the paths of the original")
    }

    /// Both see a new photo each, and go on holding it back.
    private func expectNothingPublished(_ household: LabHousehold) async throws {
      for (seed, name) in ["ben", "carl"].enumerated() {
        let photo = try "\(household[name].photos)/new of \(name).jpg"
        try GeneratedPhotos.write(photo, bytes: 50_000, seed: 30 + UInt64(seed))
        try await eventually("\(name) has seen its new photo") {
          let ledger = try await household.status(of: name).ledger
          return ledger.seen == 11 && ledger.pending > 0
        }
      }
      // Each look takes a while: a head would have come by now.
      for _ in 0..<15 {
        for name in ["ben", "carl"] {
          let status = try await household.status(of: name)
          #expect(status.state == "attention" && status.ledger.pending > 0, "\(name): \(status)")
        }
        let listed = try await household["anna"].mantel("ls", "--machine", "ben", "--json").succeeded()
        #expect(try listed.jsonLines(FileJSON.self).count == 10)
      }
    }

    private func expectNothingLost(_ household: LabHousehold) async throws {
      for name in ["anna", "ben", "carl"] {
        let machine = try household[name]
        #expect(try await household.status(of: name).state == "complete", "\(name)")
        let all = try await machine.mantel("ls", "--retired", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(all.count == 5 + 11 + 11 && all.allSatisfy { $0.state == "live" }, "\(name): \(all.count)")
        let sums = try await machine.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(60))
        #expect(sums.exitCode == 0, "\(name): \(sums)")
      }
    }
  }
}
