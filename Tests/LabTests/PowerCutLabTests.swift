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
          "truncate -s 2G \"$0\" && mkfs.ext4 -q \"$0\" && mount -o loop \"$0\" \"$1\" && mkdir -m 700 \"$1/Photos\""
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
        for cut in 0..<cuts {
          try anna.makePhotos(
            (0..<30).map { 300_000 + 991 * $0 }, album: "cut \(cut)", seed: 100 + UInt64(cut))
          let write = "for n in 1 2 3 4 5; do head -c 50000 /dev/urandom >\"Photos/$0 $n.jpg\"; done"
          try await ben.run(["sh", "-c", write, "ben \(cut)"]).succeeded("photos of ben")
          let threshold = cut * 30 + 1 + random.below(28)
          try await eventually(within: .seconds(60), "anna knows \(threshold) photos to be safe") {
            try await household.status(of: "anna").ledger.safe >= threshold
          }
          let announced = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
          try await disk.cut()
          try await household.stop("ben", SIGKILL)
          try await disk.mountAgain()
          let lost = try await lost(announced, on: ben)
          #expect(lost.isEmpty, "cut \(cut): announced, and gone")
          try await household.start("ben")
          #expect(try await household.status(of: "ben").state != "attention", "cut \(cut)")
        }
        try await anna.shape(bitsPerSecond: nil)
        try await household.waitUntilSettled(within: 240)
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --quiet"], within: .seconds(120))
        #expect(sums.exitCode == 0, "\(sums)")
        let listed = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        #expect(listed.count == cuts * 35, "\(listed.count) photos are known")
        #expect(try await lost(listed, on: ben).isEmpty)
        print("\(cuts) power cuts, \(listed.count) photos")
      }
    }

    /// What anna had been told, and ben's disk has not: copies that ben said it holds, photos of a head of ben's.
    private func lost(_ announced: [FileJSON], on ben: LabMachine) async throws -> [String] {
      let list = "find Photos Mantel -type f -name '*.[jJ][pP][gG]' -exec sha256sum {} +"
      let lines = try await ben.run(["sh", "-c", list], within: .seconds(60)).succeeded("sums of ben").stdout
      let found = Set(lines.split(separator: "\n").map(String.init))
      return announced.compactMap { file in
        let path = String(decoding: file.path.bytes, as: UTF8.self)
        let place = file.machine == "ben" ? "Photos/\(path)" : "Mantel/anna/Photos/\(path)"
        guard file.machine == "ben" || file.heldBy.contains("ben") else { return nil }
        return found.contains("\(file.sha256)  \(place)") ? nil : place
      }
    }
  }
}
