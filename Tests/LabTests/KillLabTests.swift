import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// kill -9 at random moments, over and over, while files are copied and edited.
  @Suite struct KillLabTests {
    @Test(.lab(needs: [.shaping])) func killsAtAnyMomentLoseNothing() async throws {
      let cycles = LabScale.of(5, long: 200)
      var random = SeededGenerator(seed: UInt64(cycles))
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let photos = LabScale.of(20, long: 300)
        try anna.makePhotos([LabScale.of(20_000_000, long: 100_000_000)], album: "films", seed: 1)
        try anna.makePhotos((0..<photos).map { LabScale.of(1_000_000, long: 3_000_000) + 997 * $0 }, seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        // So slow that the last kill comes before the end.
        for machine in [anna, ben] {
          try await machine.shape(bitsPerSecond: LabScale.of(30, long: 15) * 1_000_000)
        }
        var (announced, files) = (Announced(), ReadFiles())
        for cycle in 0..<cycles {
          try await moment(after: random.below(1_500), "edit \(cycle)")
          try edit(anna, cycle, photos, &random)
          announced.published.formUnion(try await contents(toldBy: ben) { _ in true })
          announced.held.formUnion(try await contents(toldBy: anna) { $0.heldBy.contains("ben") })
          try await moment(after: random.below(300), "kill \(cycle)")
          let victims = [["anna"], ["ben"], ["anna", "ben"]][random.below(3)]
          for name in victims { try await household.stop(name, SIGKILL) }
          if victims.contains("ben") {
            let gone = announced.held.subtracting(try await files.contents(of: ben))
            #expect(gone.isEmpty, "kill \(cycle): ben had announced their bytes")
          }
          for name in victims { try await household.start(name) }
          try await expectKnown(announced, by: victims, household, "kill \(cycle)")
        }
        let missing = try await household.status(of: "ben").missing.files
        print(
          """
          \(cycles) kills, \(announced.held.count) of \(announced.published.count) contents announced as held, \
          \(missing) files to come
          """)
        #expect(!announced.held.isEmpty && !announced.published.isEmpty, "there was something to lose")
        for machine in [anna, ben] { try await machine.shape(bitsPerSecond: nil) }
        try await household.waitUntilSettled(within: LabScale.of(240, long: 900))
        try household.expectReplicated()
        try await expectKnown(announced, by: ["anna", "ben"], household, "at the end")
        // Each is read once more, whatever was read before.
        files = ReadFiles()
        let gone = announced.held.subtracting(try await files.contents(of: ben))
        #expect(gone.isEmpty, "at the end")
        let proven = try await contents(toldBy: anna) { $0.heldBy.contains("ben") }
        #expect(announced.held.isSubset(of: proven), "ben shows anna that it holds them still")
        // Every file of the replica, those of former versions too, has the bytes that the catalog says.
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(300))
        #expect(sums.exitCode == 0, "\(sums)")
        #expect(try await household.status(of: "anna").ledger.closes)
      }
    }

    /// What one had told the other by the time of a kill, by SHA-256: photos are kept for ever, so all of it stays true.
    private struct Announced {
      /// Of anna's library, as ben has heard of it.
      var published: Set<String> = []
      /// Held by ben, as anna has heard of it.
      var held: Set<String> = []
    }

    /// What started again knows at once what it had announced: from its own catalog, before anything can be fetched again.
    private func expectKnown(
      _ announced: Announced, by names: [String], _ household: LabHousehold, _ when: String
    ) async throws {
      for name in names {
        let machine = try household[name]
        let known = try await contents(toldBy: machine) { name == "anna" || $0.heldBy.contains(name) }
        let forgotten = (name == "anna" ? announced.published : announced.held).subtracting(known)
        #expect(forgotten.isEmpty, "\(when): \(name) had announced them")
      }
    }

    /// Contents of anna's library, those of former versions too, in what a machine says.
    private func contents(
      toldBy machine: LabMachine, where matches: (FileJSON) -> Bool
    ) async throws -> Set<String> {
      let listed = try await machine.mantel("ls", "--machine", "anna", "--retired", "--json").succeeded()
      return Set(try listed.jsonLines(FileJSON.self).filter(matches).map(\.sha256))
    }

    private func moment(after milliseconds: Int, _ what: String) async throws {
      let moment = ContinuousClock.now + .milliseconds(milliseconds)
      try await eventually("the moment of \(what)") { ContinuousClock.now >= moment }
    }

    /// What lies in a replica, wherever: each file is read once, as long as it looks the same.
    private struct ReadFiles {
      /// By inode, size and time.
      private var sums: [String: String] = [:]

      mutating func contents(of machine: LabMachine) async throws -> Set<String> {
        let list = ["find", "Mantel", "-type", "f", "-printf", #"%i %s %T@ %p\n"#]
        let lines = try await machine.run(list).succeeded("files of \(machine.name)").stdout
        var found: [String: String] = [:]
        for line in lines.split(separator: "\n") {
          let words = line.split(separator: " ", maxSplits: 3)
          found[words.prefix(3).joined(separator: " ")] = words.dropFirst(3).joined()
        }
        let unread = found.filter { sums[$0.key] == nil }
        if !unread.isEmpty {
          let read = try await machine.run(
            ["sha256sum", "--"] + unread.values.sorted(), within: .seconds(120)
          )
          .succeeded("sums of \(machine.name)").stdout.split(separator: "\n")
          let paths = Dictionary(
            read.map { (String($0.dropFirst(66)), String($0.prefix(64))) },
            uniquingKeysWith: { first, _ in first })
          for (facts, path) in unread { sums[facts] = paths[path] }
        }
        return Set(found.keys.compactMap { sums[$0] })
      }
    }

    /// A photo gets other bytes, a new one comes, or one gets another name.
    private func edit(_ machine: LabMachine, _ cycle: Int, _ photos: Int, _ random: inout SeededGenerator)
      throws
    {
      let number = "\(10_001 + random.below(photos))".dropFirst()
      let path = "\(machine.photos)/2001/IMG_\(number).JPG"
      switch random.below(3) {
      case 0 where FileManager.default.fileExists(atPath: path):
        try GeneratedPhotos.write(path, bytes: 400_000 + cycle, seed: 7_000 + UInt64(cycle))
      case 1 where FileManager.default.fileExists(atPath: path):
        try FileManager.default.moveItem(atPath: path, toPath: "\(machine.photos)/moved \(cycle).jpg")
      default:
        try GeneratedPhotos.write(
          "\(machine.photos)/new \(cycle).jpg", bytes: 300_000 + cycle, seed: 9_000 + UInt64(cycle))
      }
    }
  }
}
