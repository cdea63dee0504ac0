import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// The lab does what the other tests rely on.
  @Suite struct LabItselfTests {
    @Test func machinesReachEachOtherAndAvahiDoesToo() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        #expect(try await anna.reaches(ben))
        let service = try await ben.spawn(["avahi-publish", "-s", "Ben's", "_labtest._tcp", "4711"])
        let browse = try await anna.spawn(["avahi-browse", "-rp", "_labtest._tcp"])
        let line = try await browse.line("anna sees ben's service") {
          $0.hasPrefix("=;eth0;IPv4;") && $0.contains("4711")
        }
        #expect(line.contains("ben.local") && line.contains(ben.address))
        try await service.stop(SIGKILL)
        try await browse.line("anna sees it go") { $0.hasPrefix("-;eth0;IPv4;") }
      }
    }

    @Test func aCommandTellsItsExitCodeAndBothOutputs() async throws {
      try await Lab.withMachines(["anna"], daemons: false) { lab in
        let anna = try lab["anna"]
        let result = try await anna.run([
          "sh", "-c", "printf '%s\n' \"it's\n$1\"; echo no >&2; exit 7", "sh", "a\\b",
        ])
        #expect(result.exitCode == 7)
        #expect(result.stdout == "it's\na\\b\n")
        #expect(result.stderr == "no\n")
        let place = try await anna.run(["sh", "-c", "hostname; pwd; id -u; echo $HOME"])
        #expect(place.stdout == "anna\n\(anna.home)\n0\n\(anna.home)\n")
        await #expect(throws: DeadlineMissed.self) {
          try await anna.run(["sleep", "60"], within: .milliseconds(200))
        }
      }
    }

    @Test func aCutCableStopsTrafficUntilItIsHealed() async throws {
      try await Lab.withMachines(["anna", "ben"], daemons: false) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        try await ben.cut()
        #expect(try await !anna.reaches(ben))
        try await ben.heal()
        try await eventually("ben is back") { try await anna.reaches(ben) }
      }
    }

    @Test(.lab(needs: [.partition])) func twoMachinesApartAreStillSeenByTheThird() async throws {
      try await Lab.withMachines(["anna", "ben", "cleo"], daemons: false) { lab in
        let (anna, ben, cleo) = (try lab["anna"], try lab["ben"], try lab["cleo"])
        try await lab.cut(between: anna, and: ben)
        #expect(try await !anna.reaches(ben))
        #expect(try await anna.reaches(cleo))
        #expect(try await cleo.reaches(ben))
        try await lab.heal(between: anna, and: ben)
        try await eventually("anna reaches ben again") { try await anna.reaches(ben) }
      }
    }

    @Test(.lab(needs: [.shaping])) func aBottleneckSlowsTrafficAndBytesAreCounted() async throws {
      try await Lab.withMachines(["anna", "ben"], daemons: false) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        // 1,500 datagrams of 1,400 bytes. Through the bottleneck they take 15 s; what was not sent after 2 s never is.
        let pour = [
          "bash", "-c", "exec 5>/dev/udp/$0/9; for n in {1..1500}; do printf %1400s; done >&5 2>&1; :",
          ben.address,
        ]
        try await anna.shape(bitsPerSecond: 1_000_000)
        let start = try await ben.linkBytes()
        _ = try await anna.run(["timeout", "-s", "KILL", "2"] + pour)
        let shaped = try await ben.linkBytes()
        #expect((50_000..<1_500_000).contains(shaped.received - start.received))
        try await anna.shape(bitsPerSecond: nil)
        _ = try await anna.run(pour)
        try await eventually("all arrived") {
          try await ben.linkBytes().received - shaped.received >= 1_500 * 1_400
        }
      }
    }

    @Test func nothingIsLeftOfALabNotEvenOfItsProcessesThatIgnoreSignals() async throws {
      let home = try await Lab.withMachines(["anna"]) { lab in
        let anna = try lab["anna"]
        let stubborn = try await anna.spawn([
          "sh", "-c", "trap '' TERM INT HUP; echo here; sleep 1000 & wait", anna.home,
        ])
        try await stubborn.line("it runs") { $0 == "here" }
        return anna.home
      }
      let directory = (home as NSString).deletingLastPathComponent
      #expect(!FileManager.default.fileExists(atPath: (directory as NSString).deletingLastPathComponent))
      let commands = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { process in
        FileManager.default.contents(atPath: "/proc/\(process)/cmdline").map {
          String(decoding: $0, as: UTF8.self)
        }
      }
      #expect(!commands.contains { $0.contains(directory) })
    }

    @Test func frozenProcessesGoOnWhenThawed() async throws {
      try await Lab.withMachines(["anna"], daemons: false) { lab in
        let anna = try lab["anna"]
        let ticker = try await anna.spawn(["sh", "-c", "while :; do echo tick; sleep 0.01; done"])
        try await ticker.line("it ticks") { $0 == "tick" }
        try await anna.freeze()
        let stopped = try await anna.run(["sh", "-c", "cat /proc/[0-9]*/stat | grep -c '(sh) T'"])
        #expect(stopped.stdout == "1\n")
        let length = ticker.stdout.count
        try await anna.thaw()
        try await ticker.line("it ticks again", skipping: length) { $0 == "tick" }
        #expect(try await ticker.stop(SIGKILL).exitCode == 128 + SIGKILL)
      }
    }
  }
}

extension LabMachine {
  /// Whether a TCP packet comes back: nothing listens at port 9, so the answer is a refusal.
  fileprivate func reaches(_ other: LabMachine) async throws -> Bool {
    try await run(["timeout", "1", "bash", "-c", "</dev/tcp/\(other.address)/9"]).stderr.contains("refused")
  }
}
