import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// A replica on a disk that is too small for what it owes.
  @Suite struct FullDiskLabTests {
    /// What has been asked for when the disk is found to be low still comes: a link's bytes, and a second of the line.
    private static let underWay = 90 << 20

    @Test(.lab(needs: [.loopDisk, .shaping])) func aFullDiskWaitsForRoomAndHoldsUpNobody() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "carl"]) { household in
        let (anna, ben, carl) = (try household["anna"], try household["ben"], try household["carl"])
        let reserve = try await makeDisk(on: ben)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("carl", through: "anna")
        try await household.waitUntilSettled()
        try await ben.shape(bitsPerSecond: 200_000_000)
        try anna.makePhotos((0..<90).map { 2_000_000 + $0 }, seed: 1)
        try await eventually(within: .seconds(90), "ben waits for room") {
          let status = try await household.status(of: "ben")
          return status.state == "waiting" && status.reasons.contains { $0.code == "diskSpace" }
            && status.missing.files > 0
        }

        // Nobody else waits for that, not for ben's own photos either.
        try ben.makePhotos([50_000], seed: 2)
        for name in ["anna", "carl"] {
          try await eventually(within: .seconds(90), "\(name) has all that it owes") {
            let status = try await household.status(of: name)
            let other = status.peer(name == "anna" ? "carl" : "anna")
            let copy = "\(try household[name].copies(of: ben))/2001/IMG_0001.JPG"
            return status.missing.files == 0 && other?.complete == true
              && FileManager.default.fileExists(atPath: copy)
          }
        }
        try household.expectReplicated(among: ["anna", "carl"])
        let full = try await household.status(of: "ben")
        #expect(full.state == "waiting" && full.missing.files > 0, "\(full)")
        let free = try await room(on: ben).free
        #expect(free > reserve - Self.underWay, "\(free) bytes are free, \(reserve) are the reserve")

        try await ben.run(["rm", "disk/ballast"]).succeeded("remove the ballast")
        // A batch ends with a look at the disk; without one the next look is within half a minute.
        try FileManager.default.moveItem(
          atPath: "\(anna.photos)/2001/IMG_0090.JPG", toPath: "\(anna.photos)/2001/moved.jpg")
        try await household.waitUntilAllKnowAll()
        // Ben's replica is seen inside of ben alone.
        let sums = try await ben.run(
          ["sh", "-c", "mantel sums | sha256sum -c --strict --quiet"], within: .seconds(60))
        #expect(sums.exitCode == 0, "\(sums)")
        let listed = try await ben.mantel("ls", "--machine", "anna", "--json").succeeded()
        let files = try listed.jsonLines(FileJSON.self)
        #expect(files.count == 90 && files.allSatisfy { $0.heldBy.contains("ben") })
        #expect(try FolderImage(carl.copies(of: anna)).files.count == 90)
      }
    }

    /// An ext4 disk with ballast on it: beside the reserve, 5 %, there is room for 40 MB. Returns the reserve. The disk is
    /// large for what it takes, so that the reserve is more than what may be under way; both files have holes.
    private func makeDisk(on machine: LabMachine) async throws -> Int {
      let make = """
        truncate -s 6G disk.img && mkfs.ext4 -q -m 0 -J size=16 disk.img && mkdir -p disk Mantel &&
          mount -o loop,noinit_itable disk.img disk && mkdir -m 700 disk/replica && mount --bind disk/replica Mantel
        """
      try await machine.run(["sh", "-c", make]).succeeded("ext4 on a loop device")
      let (free, total) = try await room(on: machine)
      let ballast = free - total / 20 - 40_000_000
      try await machine.run(["fallocate", "-l", "\(ballast)", "disk/ballast"]).succeeded("ballast")
      return total / 20
    }

    private func room(on machine: LabMachine) async throws -> (free: Int, total: Int) {
      let told = try await machine.run(["df", "-B1", "--output=avail,size", "disk"]).succeeded("df").stdout
      let numbers = told.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      try #require(numbers.count == 2, "\(told)")
      return (numbers[0], numbers[1])
    }
  }
}
