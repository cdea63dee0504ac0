import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// The power fails: a real filesystem that loses all that was not flushed to its disk.
  @Suite struct PowerCutLabTests {
    /// A machine whose home (catalog, key, photos and replica) lies on an ext4 disk of its own.
    private struct Disk {
      let machine: LabMachine
      private var image: String { "\(machine.home).img" }

      func make() async throws {
        let make =
          "truncate -s 6G \"$0\" && mkfs.ext4 -q \"$0\" && mount -o loop \"$0\" \"$1\" && mkdir -m 700 \"$1/Photos\""
        try await machine.run(["sh", "-c", make, image, machine.home]).succeeded("ext4 on a loop device")
      }

      /// No write reaches the disk from now on, not even the journal's: `EXT4_IOC_SHUTDOWN` without a flush.
      func cut() async throws {
        try await machine.run(["mantel-lab-probe", "power-cut", machine.home]).succeeded("power cut")
      }

      /// Needs all that used it to be gone.
      func mountAgain() async throws {
        try await eventually("nobody uses the disk") {
          try await machine.run(["sh", "-c", "cd / && umount \"$0\"", machine.home]).exitCode == 0
        }
        try await machine.run(["sh", "-c", "cd / && mount -o loop \"$0\" \"$1\"", image, machine.home])
          .succeeded("mount after the power cut")
      }
    }

    private static let photos = 30

    /// In its long form under a transfer of more than 1 GB, with a cut about every 50 MB of it. Photos are edited on both
    /// sides meanwhile: some edits are published by the cut, some have not settled.
    @Test(.lab(needs: [.loopDisk, .shaping])) func whatWasAnnouncedIsThereAfterwards() async throws {
      let cuts = LabScale.of(2, long: 20)
      var random = SeededGenerator(seed: UInt64(cuts))
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let disk = Disk(machine: ben)
        try await disk.make()
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        try await anna.shape(bitsPerSecond: 80_000_000)
        let before = try await ben.linkBytes().received
        for cut in 0..<cuts {
          let sizes = (0..<Self.photos).map { LabScale.of(300_000, long: 1_900_000) + 991 * $0 }
          try anna.makePhotos(sizes, album: "cut \(cut)", seed: 100 + UInt64(cut))
          let write = "for n in 1 2 3 4 5; do head -c 50000 /dev/urandom >\"Photos/$0 $n.jpg\"; done"
          try await ben.run(["sh", "-c", write, "ben \(cut)"]).succeeded("photos of ben")
          // Half of the way to the cut, then the rest; one edit before each.
          let threshold = cut * Self.photos + 1 + random.below(Self.photos - 2)
          for (step, safe) in [max(1, threshold - 5), threshold].enumerated() {
            try edit(anna, cut, step, &random)
            try await waitUntilSafe(safe, of: anna, household)
          }
          let announced = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
          try edit(anna, cut, 2, &random)
          let replaced = try await replace(on: ben, cut)
          try await disk.cut()
          try await household.stop("ben", SIGKILL)
          try await disk.mountAgain()
          let lost = try await lost(announced.filter { !replaced.contains($0.name) }, on: ben, anywhere: true)
          #expect(lost.isEmpty, "cut \(cut): announced, and gone")
          try await household.start("ben")
          #expect(try await household.status(of: "ben").state != "attention", "cut \(cut)")
        }
        try await anna.shape(bitsPerSecond: nil)
        try await household.waitUntilSettled(within: 240)
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(300))
        #expect(sums.exitCode == 0, "\(sums)")
        let listed = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(listed.count == cuts * (Self.photos + 5), "\(listed.count) photos are known")
        #expect(try await lost(listed, on: ben).isEmpty)
        let moved = try await ben.linkBytes().received - before
        #expect(moved > LabScale.of(10_000_000, long: 1_000_000_000))
        print("\(cuts) power cuts, \(listed.count) photos, \(moved / 1_000_000) MB to ben")
      }
    }

    private func waitUntilSafe(_ photos: Int, of owner: LabMachine, _ household: LabHousehold) async throws {
      try await eventually(within: .seconds(90), "\(owner.name) knows \(photos) photos to be safe") {
        try await household.status(of: owner.name).ledger.safe >= photos
      }
    }

    /// A photo of this or an earlier album gets other bytes, or another name.
    private func edit(
      _ machine: LabMachine, _ cut: Int, _ step: Int, _ random: inout SeededGenerator
    ) throws {
      let number = "\(10_001 + random.below(Self.photos))".dropFirst()
      let album = "\(machine.photos)/cut \(random.below(cut + 1))"
      let path = "\(album)/IMG_\(number).JPG"
      // It has another name already.
      guard FileManager.default.fileExists(atPath: path) else { return }
      if random.oneIn(2) {
        try GeneratedPhotos.write(path, bytes: 200_000 + cut, seed: 50_000 + UInt64(cut * 3 + step))
      } else {
        try FileManager.default.moveItem(atPath: path, toPath: "\(album)/moved \(cut) \(step).jpg")
      }
    }

    /// Ben edits a photo of his that was announced at an earlier cut, as programs do that mind a power cut. Returns its name:
    /// of the bytes that it had nothing is left, whether or not anybody has heard of the new ones.
    private func replace(on ben: LabMachine, _ cut: Int) async throws -> Set<String> {
      guard cut > 0 else { return [] }
      let name = "ben \(cut - 1) 1.jpg"
      let edit = "head -c 60000 /dev/urandom >\"$1\" && sync \"$1\" && mv \"$1\" \"Photos/$0\" && sync Photos"
      try await ben.run(["sh", "-c", edit, name, ".edited"]).succeeded("an edit of ben's")
      return [name]
    }

    /// What anna had been told, and ben's disk has not: copies that ben said it holds, photos of a head of ben's.
    ///
    /// - Parameter anywhere: anna's photos may lie under any name, for some were edited since anna was told.
    private func lost(
      _ announced: [FileJSON], on ben: LabMachine, anywhere: Bool = false
    ) async throws -> [String] {
      let list = "find Photos Mantel -type f -name '*.[jJ][pP][gG]' -exec sha256sum {} +"
      let lines = try await ben.run(["sh", "-c", list], within: .seconds(120)).succeeded("sums of ben").stdout
      let found = Set(lines.split(separator: "\n").map(String.init))
      let sums = Set(found.map { String($0.prefix(64)) })
      return announced.compactMap { file in
        let isBens = file.machine == "ben"
        let place = isBens ? "Photos/\(file.name)" : "Mantel/anna/Photos/\(file.name)"
        guard isBens || file.heldBy.contains("ben") else { return nil }
        if anywhere, !isBens { return sums.contains(file.sha256) ? nil : place }
        return found.contains("\(file.sha256)  \(place)") ? nil : place
      }
    }
  }
}

extension FileJSON {
  fileprivate var name: String { String(decoding: path.bytes, as: UTF8.self) }
}
