import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Those who do not belong to the household get nothing and disturb nobody.
  @Suite struct StrangerLabTests {
    @Test func strangersOnThePortGetNothingAndDisturbNobody() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "mallory"]) { household in
        let (anna, mallory) = (try household["anna"], try household["mallory"])
        try anna.makePhotos((0..<20).map { 100_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
        let memory = try await anna.agentMemory()
        let port = try await household.status(of: "anna").listeningPort

        let noise = "for n in 1 2 3; do head -c 200000 /dev/urandom >/dev/tcp/$0/$1; done 2>&1; :"
        try await mallory.run(["bash", "-c", noise, anna.address, "\(port)"]).succeeded()
        try await expectNothingForAForeignCertificate(from: mallory, to: anna, port)
        let idle = try await mallory.spawn([
          "bash", "-c",
          "for n in {1..100}; do exec {connection}<>/dev/tcp/$0/$1 && echo open; done; echo all; sleep 1000",
          anna.address, "\(port)",
        ])
        try await idle.line("100 connections were tried") { $0 == "all" }
        #expect(idle.stdout.split(separator: "\n").count { $0 == "open" } == 100)

        // A member comes back while they hang there.
        try await household.stop("ben")
        try GeneratedPhotos.write("\(anna.photos)/new.jpg", bytes: 2_000_000, seed: 9)
        try await household.start("ben")
        try await household.waitUntilSettled()
        try household.expectReplicated(among: ["anna", "ben"])
        let grown = try await anna.agentMemory() - memory
        #expect(grown < 30 << 20)
        #expect(try household.agent(of: "anna").stderr.contains(mallory.address), "a line in the log")
        #expect(try household.agent(of: "anna").isRunning)
        #expect(try await household.status(of: "anna").peers.map(\.name) == ["ben"])
      }
    }

    @Test func onlyTheRightCodeLetsAMachineIn() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "mallory"]) { household in
        let (anna, mallory) = (try household["anna"], try household["mallory"])
        try await household.found("anna")
        let address = "\(anna.address):\(try await household.status(of: "anna").listeningPort)"
        func refused(_ code: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation)
          async throws
        {
          let result = try await mallory.mantel(
            ["join", code, "Photos", "--yes", "--peer", address], within: .seconds(60))
          #expect(result.exitCode != 0 && result.exitCode < 100, "\(result)", sourceLocation: sourceLocation)
          #expect(
            words.contains { result.stderr.contains($0) }, "\(result)", sourceLocation: sourceLocation)
          let left = try FolderImage(mallory.home).files.keys.filter {
            !$0.starts(with: Array("Photos/".utf8))
          }
          let names = left.map { String(decoding: $0, as: UTF8.self) }.filter { !$0.hasSuffix("/lock") }
          #expect(names.isEmpty, sourceLocation: sourceLocation)
          #expect(
            !FileManager.default.fileExists(atPath: mallory.replica), sourceLocation: sourceLocation)
          #expect(try await household.status(of: "anna").peers.isEmpty, sourceLocation: sourceLocation)
        }

        let brief = try await household.invite("anna", "--for", "10s")
        let expiry = ContinuousClock.now + .milliseconds(10_500)
        try await eventually("the invite is over") { ContinuousClock.now >= expiry }
        try await refused(brief.code, "expired", "no open invite", "no invite")

        let former = try await household.invite("anna")
        let current = try await household.invite("anna")
        try await refused(former.code, "code")
        let mistyped = String(current.code.dropLast()) + (current.code.last == "7" ? "8" : "7")
        try await refused(mistyped, "mistyped", "typed", "typing")
        try await refused("ABCD", "16")

        // The right code still opens, for one machine.
        try await household["ben"].mantel("join", current.code, "Photos", "--yes").succeeded("join of ben")
        let used = try await mallory.mantel(
          ["join", current.code, "Photos", "--yes", "--peer", address], within: .seconds(60))
        #expect(used.exitCode != 0 && !used.stderr.isEmpty, "\(used)")
        #expect(try await household.status(of: "anna").peers.map(\.name) == ["ben"])
        #expect(try await mallory.mantel("run").exitCode == 64, "it is no member")
      }
    }

    @Test func aRemovedMachineIsDisconnectedAndStaysOut() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "cleo"]) { household in
        let (anna, ben, cleo) = (try household["anna"], try household["ben"], try household["cleo"])
        try anna.makePhotos([10_000, 20_000], seed: 1)
        try cleo.makePhotos([30_000, 40_000], seed: 3)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("cleo", through: "ben")
        try await household.waitUntilSettled()
        try household.expectReplicated()

        try await anna.mantel("peers", "remove", "cleo", "--yes").succeeded()
        for name in ["anna", "ben"] {
          try await eventually("\(name) knows of the removal") {
            let peers = try await household.peers(of: name)
            return peers.removed.map(\.name) == ["cleo"] && !peers.peers.contains { $0.name == "cleo" }
          }
        }
        try await household.stop("cleo")
        try GeneratedPhotos.write("\(anna.photos)/secret.jpg", bytes: 100_000, seed: 8)
        try await household.start("cleo")
        try await household.stop("ben")
        try await household.start("ben")
        try await eventually(within: .seconds(30), "ben has the new photo") {
          try FolderImage(anna.photos).differences(from: FolderImage(ben.copies(of: anna))).isEmpty
        }
        try await eventually(within: .seconds(30), "cleo was turned away") {
          try household.agent(of: "anna").stderr.contains(cleo.address)
            || household.agent(of: "ben").stderr.contains(cleo.address)
        }
        #expect(try FolderImage(cleo.copies(of: anna)).files.count == 2)
        #expect(try FolderImage(anna.copies(of: cleo)).files.count == 2, "the copies stay")
        let peers = try await household.status(of: "cleo").peers
        #expect(peers.allSatisfy { !$0.isConnected })
      }
    }

    private func expectNothingForAForeignCertificate(
      from stranger: LabMachine, to member: LabMachine, _ port: Int
    ) async throws {
      let certificate = """
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out certificate.pem \
          -days 30 -subj /CN=mantel
        """
      try await stranger.run(["sh", "-c", certificate]).succeeded("openssl req")
      for protocolName in ["mantel/1", "mantel-join/1", "http/1.1"] {
        // Its input stays open until the member hangs up.
        let connect = """
          timeout 20 openssl s_client -connect "$0:$1" -alpn "$2" -cert certificate.pem -key key.pem -tls1_3 -quiet -brief \
            -no_ign_eof < <(exec sleep 30)
          echo ended >&2
          """
        let client = try await stranger.spawn([
          "bash", "-c", connect, member.address, "\(port)", protocolName,
        ])
        try await eventually(within: .seconds(25), "the member hangs up: \(client.stderr)") {
          client.stderr.contains("ended")
        }
        #expect(client.stderr.contains("TLSv1.3"), "TLS was spoken: \(protocolName): \(client.stderr)")
        #expect(client.stdout.isEmpty, "\(protocolName): application data for a stranger")
      }
    }
  }
}
