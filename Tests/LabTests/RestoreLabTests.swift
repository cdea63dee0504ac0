import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// What was lost comes back: over the network, from the replica here, and never over what is there.
  @Suite struct RestoreLabTests {
    @Test func deletedPhotosComeBackAsTheyWere() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<24).map { 2_000 + 30_011 * $0 }, seed: 1)
        try anna.makePhotos([9_000_000, 5_000_000], album: "films", seed: 2)
        try FileManager.default.createDirectory(
          atPath: "\(anna.photos)/odd", withIntermediateDirectories: false)
        try await anna.run(
          [
            "sh", "-c",
            "cd Photos/odd && printf odd > \"$(printf 'caf\\351 \\n\\033[2J.jpg')\" && printf x > ' '",
          ]
        ).succeeded("odd names")
        try ben.makePhotos((0..<10).map { 1_000 + 9_001 * $0 }, seed: 3)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await anna.run(["cp", "-a", "Photos", "original"]).succeeded("copy of the originals")
        let originals = try FolderImage("\(anna.home)/original")

        // Fewer than a mass change, one of a large file among them.
        let script = "cd Photos && rm -r odd films 2001/IMG_001*.JPG && find . -type f | wc -l"
        let left = try await anna.run(["sh", "-c", script]).succeeded("deleting")
        try await household.waitUntilSettled()
        #expect(left.stdout == "14\n")

        let told = try await anna.mantel("restore", "--to", "back", "--dry-run").succeeded("dry run")
        #expect(told.stdout.contains("(from ben)") && told.stdout.contains("would restore 28 files"))
        #expect(try FolderImage("\(anna.home)/back").files.isEmpty)
        let restored = try await anna.mantel("restore", "--to", "back").succeeded("restore")
        #expect(restored.stdout.hasPrefix("restored 28 files"), "\(restored)")
        #expect(try originals.differences(from: FolderImage("\(anna.home)/back/Photos")) == [])
        let again = try await anna.mantel("restore", "--to", "back").succeeded("restore again")
        #expect(again.stdout == "restored nothing, 28 already there\n")
        #expect(try await stagedFiles(on: anna) == "")

        try await expectNothingReplaced(on: anna, originals)
        try await expectBensPhotosFromTheReplica(on: anna, of: ben)
        try await expectBackInPlace(on: anna, originals)
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
    }

    /// Somebody else's file at a photo's place stays, and the photo gets a name of its own.
    private func expectNothingReplaced(on anna: LabMachine, _ originals: FolderImage) async throws {
      let place = "\(anna.home)/back/Photos/2001/IMG_0011.JPG"
      try Data("mine".utf8).write(to: URL(fileURLWithPath: place))
      let beside = try await anna.mantel("restore", "anna/*/2001/IMG_0011.JPG", "--to", "back").succeeded(
        "beside")
      #expect(beside.stdout.contains("under another name: anna/Photos/2001/IMG_0011.JPG -> "))
      #expect(beside.stdout.contains("restored 1 file"))
      #expect(FileManager.default.contents(atPath: place) == Data("mine".utf8))
      let image = try FolderImage("\(anna.home)/back/Photos")
      #expect(image.files.count == originals.files.count + 1)
      let suffixed = try #require(image.files.keys.first { originals.files[$0] == nil })
      let path = Array("2001/IMG_0011.JPG".utf8)
      #expect(try image.bytes(of: suffixed) == originals.bytes(of: path))
      #expect(image.files[suffixed]?.mtime == originals.files[path]?.mtime)
    }

    private func expectBensPhotosFromTheReplica(on anna: LabMachine, of ben: LabMachine) async throws {
      let before = try await anna.linkBytes()
      try await anna.mantel("restore", "--machine", "ben", "--to", "bens").succeeded("ben's photos")
      let after = try await anna.linkBytes()
      #expect(try FolderImage(ben.photos).differences(from: FolderImage("\(anna.home)/bens/Photos")) == [])
      #expect(after.received - before.received < 50_000, "from the replica here, not from ben")
      let both = try await anna.mantel("restore", "*/Photos/2001/IMG_000*", "--to", "both", "--json")
        .succeeded()
      #expect(both.stdout.contains(#""restored":{"#))
      #expect(try FolderImage("\(anna.home)/both/ben/Photos/2001").files.count == 9)
      #expect(try FolderImage("\(anna.home)/both/anna/Photos/2001").files.count == 9)
    }

    private func expectBackInPlace(on anna: LabMachine, _ originals: FolderImage) async throws {
      let unasked = try await anna.mantel("restore", "--to", ".")
      #expect(unasked.exitCode == 64 && unasked.stderr.contains("--yes"))
      #expect(try await anna.mantel("restore", "--to", "Mantel/x", "--yes").exitCode == 64)
      try await anna.mantel("restore", "--to", ".", "--yes").succeeded("restore in place")
      #expect(try originals.differences(from: FolderImage(anna.photos)) == [])
    }

    /// What lies in the staging area of a machine's replica.
    private func stagedFiles(on machine: LabMachine) async throws -> String {
      try await machine.run(["ls", "Mantel/.mantel/staging"]).succeeded("list").stdout
    }

    @Test func whatIsSafeIsToldAndTried() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<8).map { 20_000 + $0 }, seed: 1)
        try ben.makePhotos((0..<8).map { 30_000 + $0 }, seed: 2)
        try await household.found("anna")
        let alone = try await anna.mantel("drill")
        #expect(alone.exitCode == 1 && alone.stderr.contains("no other machine"))
        #expect(try await anna.mantel("at-risk").exitCode == 1, "also while nothing is hashed yet")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()

        #expect(try await anna.mantel("at-risk").exitCode == 0)
        #expect(try await anna.mantel("at-risk", "--machine", "ben").exitCode == 0)
        for (machine, other) in [(anna, "ben"), (ben, "anna")] {
          let drill = try await machine.mantel("drill").succeeded("drill on \(machine.name)")
          #expect(
            drill.stdout.hasPrefix("\(other): right: 5 of 5 of its photos came back from the replica here"))
          #expect(drill.stdout.contains("5 of 5 photos came back over the network"), "\(drill)")
        }

        // A camera card: copies under other names, and one photo that nobody has.
        try await anna.run([
          "sh", "-c", "mkdir -p card/DCIM && cp Photos/2001/IMG_0001.JPG card/DCIM/DSC_1.JPG",
        ])
        .succeeded()
        let safe = try await anna.mantel("check", "card").succeeded("check")
        #expect(safe.stdout == "the one file is safe on another machine\n")
        try GeneratedPhotos.write("\(anna.home)/card/DCIM/DSC_2.JPG", bytes: 40_000, seed: 99)
        let unsafe = try await anna.mantel("check", "card")
        #expect(unsafe.exitCode == 1)
        #expect(unsafe.stdout.hasPrefix("not safe: DCIM/DSC_2.JPG: in no library of the household\n"))

        // Ben goes away: what is deleted and what is new now depends on one machine alone.
        try await household.stop("ben")
        try await anna.run(["rm", "Photos/2001/IMG_0001.JPG"]).succeeded("delete")
        try GeneratedPhotos.write("\(anna.photos)/new.jpg", bytes: 40_000, seed: 98)
        try await eventually("the new photo is at risk") {
          try await anna.mantel("at-risk").stdout.contains("anna/Photos/new.jpg")
        }
        try await eventually("the deleted photo is at risk with ben") {
          try await anna.mantel("at-risk", "--machine", "ben").stdout.contains("IMG_0001.JPG  [retired]")
        }
        let back = try await anna.mantel("restore", "--to", "back")
        #expect(back.exitCode == 1)
        #expect(
          back.stdout.contains(
            "not restored: anna/Photos/2001/IMG_0001.JPG: not reachable: last attested by ben"),
          "\(back)")
        #expect(back.stdout.contains("restored 8 files"))
        let drill = try await anna.mantel("drill").succeeded("drill alone")
        #expect(drill.stdout.contains("not connected"))

        try await household.start("ben")
        try await household.waitUntilConnected("anna", to: "ben")
        let rest = try await anna.mantel("restore", "--to", "back").succeeded("the rest")
        #expect(rest.stdout.hasPrefix("restored 1 file (20 kB), 8 already there"), "\(rest)")
      }
    }
  }
}
