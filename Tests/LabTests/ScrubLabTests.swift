import Foundation
import Glibc
import MantelTestSupport
import Testing

extension LabTests {
  /// Disks that change bytes, unseen by `stat`: found when the copies are read again, and healed from the others.
  @Suite struct ScrubLabTests {
    @Test func fiftyRottenCopiesOnTwoOfFourMachinesAreFoundAndHealed() async throws {
      let names = ["anna", "ben", "cleo", "dora"]
      try await LabHousehold.withMachines(names) { household in
        for (number, machine) in household.lab.machines.enumerated() {
          try machine.makePhotos((0..<30).map { 2_000 + 7_919 * $0 }, seed: UInt64(number))
        }
        try household["anna"].makePhotos([9_000_000], album: "films", seed: 9)
        try await household.found("anna")
        for name in names.dropFirst() { try await household.join(name, through: "anna") }
        try await household.waitUntilSettled()
        try await household.waitUntilAllKnowAll()

        var random = SystemRandomNumberGenerator()
        for name in ["ben", "dora"] {
          let machine = try household[name]
          let copies = try names.filter { $0 != name }.flatMap { owner in
            let root = machine.copies(of: try household[owner])
            return try FolderImage(root).files.keys.map { root + "/" + String(decoding: $0, as: UTF8.self) }
          }
          for path in copies.shuffled(using: &random).prefix(50) { try flipByte(of: path) }
          let sums = try await machine.run(["sh", "-c", "mantel sums | sha256sum -c --quiet"])
          #expect(sums.exitCode != 0, "the copies are rotten")
        }
        for name in names {
          let result = try await household[name].mantel(["verify", "--all", "--json"], within: .seconds(180))
          let verified: VerifyJSON = try result.succeeded("verify on \(name)").json()
          let expected = ["ben", "dora"].contains(name) ? 50 : 0
          #expect(verified.state == "done" && verified.bad == expected, "\(name): \(verified)")
          #expect(verified.healed == expected && verified.stillBad == 0 && verified.suspected == 0)
          #expect(verified.files == 121)
        }
        try await household.waitUntilSettled()
        try await household.waitUntilAllKnowAll()
        try household.expectReplicated()
        for machine in household.lab.machines {
          let sums = try await machine.run(["sh", "-c", "mantel sums | sha256sum -c --strict --quiet"])
          #expect(sums.exitCode == 0, "\(sums)")
        }
        let ben = try household["ben"]
        let aside = try await ben.run(["sh", "-c", "ls \(ben.replica)/.mantel/quarantine | wc -l"])
        #expect(aside.stdout == "50\n", "bad bytes are kept")
        #expect(try await ben.mantel("status").stdout.contains("50 bad copies were found and healed"))
        try await ben.mantel("verify", "--acknowledge").succeeded()
        let status = try await ben.mantel("status").stdout
        #expect(!status.contains("bad copies"))
      }
    }

    @Test func whatIsDoneToCopiesByHandIsFoundAtTheNextStart() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<6).map { 5_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await household.stop("ben")
        let album = "\(ben.copies(of: anna))/2001"
        try await ben.run(["rm", "-f", "\(album)/IMG_0001.JPG"]).succeeded("remove a copy")
        try await ben.run([
          "sh", "-c", "chmod u+w \(album)/IMG_0002.JPG && echo more >> \(album)/IMG_0002.JPG",
        ])
        .succeeded("change a copy")
        try await household.start("ben")
        try await eventually("both copies are as they were") {
          try FolderImage(anna.photos).differences(from: FolderImage(ben.copies(of: anna))).isEmpty
        }
        try await household.waitUntilSettled()
        #expect(try await ben.mantel("status").stdout.contains("2 bad copies were found and healed"))
      }
    }

    /// Changes one bit, and gives the file back the times that it had.
    private func flipByte(of path: String) throws {
      var facts = stat()
      try #require(stat(path, &facts) == 0, "\(path)")
      let descriptor = open(path, O_RDWR)
      try #require(descriptor >= 0, "\(path)")
      defer { close(descriptor) }
      var byte: UInt8 = 0
      let offset = facts.st_size / 2
      try #require(pread(descriptor, &byte, 1, offset) == 1)
      byte ^= 1
      try #require(pwrite(descriptor, &byte, 1, offset) == 1 && fsync(descriptor) == 0)
      try #require(utimensat(AT_FDCWD, path, [facts.st_atim, facts.st_mtim], 0) == 0)
    }
  }
}

private struct VerifyJSON: Decodable {
  let state: String
  let files: Int
  let bad: Int
  let healed: Int
  let stillBad: Int
  let suspected: Int
}
