import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// MantelDiscovery against real Avahi daemons; `mantel-lab-probe` prints what it is told.
  @Suite struct DiscoveryLabTests {
    @Test func findsAServiceOfAnotherMachineAndIsFoundByIt() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let published = try await ben.spawn([
          "avahi-publish", "-s", "bensname", "_mantel._tcp", "4711", "p=1",
        ])
        let probe = try await anna.spawn(["mantel-lab-probe", "annasname", "62683", "invite", "p=1", "h=abc"])
        let found = try await probe.line("anna finds ben, by IPv4 and IPv6") {
          $0.hasPrefix("found bensname") && $0.contains(ben.address) && $0.contains("fe80::")
        }
        #expect(found.contains(" - \(ben.address):4711,[fe80::") && found.contains("%eth0]:4711 p=1"))
        let browse = try await ben.spawn(["avahi-browse", "-rp", "_join._sub._mantel._tcp"])
        let seen = try await browse.line("ben finds anna's invite") { $0.hasPrefix("=;eth0;IPv4;annasname") }
        #expect(seen.contains(";\(anna.address);62683;"))
        for string in ["\"txtvers=1\"", "\"p=1\"", "\"h=abc\""] { #expect(seen.contains(string)) }
        try await published.stop(SIGKILL)
        try await probe.line("anna loses ben") { $0 == "lost bensname" }
        let ended = try await probe.stop()
        #expect(ended.exitCode == 0 && ended.stdout.hasSuffix("closed\n"))
        #expect(!ended.stdout.contains("annasname "), "its own record is no peer")
        try await browse.line("anna's record is withdrawn") { $0.hasPrefix("-;eth0;IPv4;annasname") }
      }
    }

    @Test func twoAgentsOfOneMachineFindEachOther() async throws {
      try await Lab.withMachines(["anna"]) { lab in
        let anna = try lab["anna"]
        let first = try await anna.spawn(["mantel-lab-probe", "first", "1001"])
        let second = try await anna.spawn(["mantel-lab-probe", "second", "1002"])
        try await first.line("the first finds the second") { $0.hasPrefix("found second") }
        try await second.line("the second finds the first") { $0.hasPrefix("found first") }
        #expect(!first.stdout.contains("found first") && !second.stdout.contains("found second"))
      }
    }

    @Test func aChangedTXTRecordIsPublishedWithoutANewName() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let probe = try await anna.spawn(["mantel-lab-probe", "annasname", "62683"])
        try await probe.line("published") { $0 == "published annasname" }
        try await probe.signal(SIGUSR1)
        try await eventually("ben sees the new TXT record") {
          try await ben.run(["avahi-browse", "-rpt", "_mantel._tcp"]).stdout.contains("\"u=1\"")
        }
        #expect(!probe.stdout.contains("lost"))
      }
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func survivesARestartOfTheDaemon(signal: Int32) async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let probe = try await anna.spawn(["mantel-lab-probe", "annasname", "62683"])
        let other = try await ben.spawn(["mantel-lab-probe", "bensname", "62684"])
        try await probe.line("anna finds ben") { $0.hasPrefix("found bensname") }
        try await other.line("ben finds anna") { $0.hasPrefix("found annasname") }
        try await anna.stopAvahi(signal)
        try await probe.line("the loss of the daemon is told") { $0.hasPrefix("daemon unavailable") }
        let read = probe.stdout.count
        try await anna.startAvahi()
        try await probe.line("published again", within: .seconds(40), skipping: read) {
          $0 == "published annasname"
        }
        #expect(
          !probe.stdout.contains("lost bensname"), "a restart of one's own daemon is not the end of all peers"
        )
      }
    }

    @Test func startsWithoutDBusAndWithoutADaemon() async throws {
      try await Lab.withMachines(["anna"], daemons: false) { lab in
        let anna = try lab["anna"]
        let probe = try await anna.spawn(["mantel-lab-probe", "annasname", "62683"])
        try await probe.line("no bus") { $0.hasPrefix("daemon unavailable") }
        try await anna.startBus()
        try await probe.line("no daemon", within: .seconds(40)) {
          $0 == "daemon unavailable: the Avahi daemon is not running"
        }
        try await anna.startAvahi()
        try await probe.line("published", within: .seconds(40)) { $0 == "published annasname" }
        try await anna.stopAvahi()
        try await anna.stopBus()
        let read = probe.stdout.count
        try await anna.startBus()
        try await anna.startAvahi()
        try await probe.line("published after all was gone", within: .seconds(40), skipping: read) {
          $0 == "published annasname"
        }
      }
    }

    @Test func aTakenNameIsReplacedAndItsBearerIsFound() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let bearer = try await ben.spawn(["avahi-publish", "-s", "taken", "_mantel._tcp", "4711"])
        try await eventually("ben has the name") { bearer.stderr.contains("Established") }
        let probe = try await anna.spawn(["mantel-lab-probe", "taken", "62683"])
        try await probe.line("anna takes another name") { $0.hasPrefix("published taken-") }
        try await probe.line("anna finds the bearer") { $0.hasPrefix("found taken - \(ben.address):4711") }
      }
    }

    @Test func aMachineThatWasAwayIsFoundAgain() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        try await ben.cut()
        let probe = try await anna.spawn(["mantel-lab-probe"])
        let other = try await ben.spawn(["mantel-lab-probe", "bensname", "62684"])
        try await eventually("both run") {
          probe.stdout.contains("daemon running") && other.stdout.contains("registering")
        }
        try await ben.heal()
        try await probe.line("anna finds ben", within: .seconds(60)) { $0.hasPrefix("found bensname") }
      }
    }

    @Test func aMachineThatCrashedIsFoundAtItsNewPort() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let probe = try await anna.spawn(["mantel-lab-probe"])
        _ = try await ben.spawn(["mantel-lab-probe", "bensname", "1001", "invite"])
        try await probe.line("anna finds ben") { $0.hasPrefix("found bensname inviting \(ben.address):1001") }
        try await ben.crash()
        try await ben.startBus()
        try await ben.startAvahi()
        _ = try await ben.spawn(["mantel-lab-probe", "bensname", "1002"])
        try await probe.line("anna finds ben anew") { $0.hasPrefix("found bensname - \(ben.address):1002") }
      }
    }

    @Test func aDaemonThatHangsIsWaitedFor() async throws {
      try await Lab.withMachines(["anna", "ben"]) { lab in
        let (anna, ben) = (try lab["anna"], try lab["ben"])
        let probe = try await anna.spawn(["mantel-lab-probe", "annasname", "62683"])
        try await probe.line("published") { $0 == "published annasname" }
        #expect(try await anna.run(["pkill", "-STOP", "avahi-daemon"]).exitCode == 0)
        try await probe.signal(SIGUSR1)
        #expect(try await anna.run(["pkill", "-CONT", "avahi-daemon"]).exitCode == 0)
        let browse = try await ben.spawn(["mantel-lab-probe"])
        try await browse.line("ben sees the new TXT record", within: .seconds(40)) {
          $0.hasPrefix("found annasname") && $0.contains("u=1")
        }
      }
    }
  }
}
