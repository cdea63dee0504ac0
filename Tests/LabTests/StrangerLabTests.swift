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
        var messages: [String] = []
        func refused(_ code: String, _ words: String, sourceLocation: SourceLocation = #_sourceLocation)
          async throws
        {
          let result = try await mallory.mantel(
            ["join", code, "Photos", "--yes", "--peer", address], within: .seconds(60))
          #expect(result.exitCode != 0 && result.exitCode < 100, "\(result)", sourceLocation: sourceLocation)
          #expect(result.stderr.contains(words), "\(result)", sourceLocation: sourceLocation)
          messages.append(result.stderr)
          try expectNothingLeft(on: mallory, sourceLocation: sourceLocation)
          let peers = try await household.peers(of: "anna")
          #expect(peers.admitted.isEmpty && peers.removed.isEmpty, sourceLocation: sourceLocation)
          #expect(peers.peers.allSatisfy { $0.name == "ben" }, sourceLocation: sourceLocation)
        }

        try await refused("0123-4567-89AB-CDZX", "no open invite")
        let brief = try await household.invite("anna", "--for", "10s")
        let expiry = ContinuousClock.now + .milliseconds(10_500)
        try await eventually("the invite is over") { ContinuousClock.now >= expiry }
        try await refused(brief.code, "has expired")

        let former = try await household.invite("anna")
        let current = try await household.invite("anna")
        try await refused(former.code, "not the one of this invite")
        let mistyped = String(current.code.dropLast()) + (current.code.last == "7" ? "8" : "7")
        try await refused(mistyped, "mistyped")
        try await refused("ABCD", "16 letters")

        // The right code still opens, for one machine.
        try await household["ben"].mantel("join", current.code, "Photos", "--yes").succeeded("join of ben")
        try await refused(current.code, "was used already")
        #expect(Set(messages).count == messages.count, "each has words of its own: \(messages)")
        #expect(try await household.status(of: "anna").peers.map(\.name) == ["ben"])
        #expect(try await mallory.mantel("run").exitCode == 64, "it is no member")
      }
    }

    @Test func whoDeclinesLeavesNothingBehindOnEitherSide() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try await household.found("anna")
        let address = "\(anna.address):\(try await household.status(of: "anna").listeningPort)"
        let invite = try await household.invite("anna")
        // A terminal, for the question is asked of nobody else.
        let join = "echo n | script -qec \"mantel join $0 Photos --peer $1\" /dev/null"
        let declined = try await ben.run(
          ["bash", "-c", join, invite.code, address], within: .seconds(60))
        #expect(declined.exitCode != 0)
        #expect(declined.stdout.contains("join this household?"), "\(declined)")
        #expect(declined.stdout.contains("declined"), "\(declined)")
        try expectNothingLeft(on: ben)
        try await eventually("the admission is taken back") {
          let peers = try await household.peers(of: "anna")
          return peers.peers.isEmpty && peers.admitted.isEmpty && peers.removed.isEmpty
        }
        // The code is spent; with another one the machine can still join.
        let used = try await ben.mantel(
          ["join", invite.code, "Photos", "--yes", "--peer", address], within: .seconds(60))
        #expect(used.stderr.contains("was used already"), "\(used)")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()
      }
    }

    @Test func theRightInviterIsFoundAmongOthers() async throws {
      try await LabHousehold.withMachines(["anna", "ben", "mallory"]) { household in
        try await household.found("anna")
        try await household.found("mallory")
        _ = try await household.invite("mallory")
        let invite = try await household.invite("anna")
        let joined = try await household["ben"].mantel(
          ["join", invite.code, "Photos", "--yes"], within: .seconds(60))
        #expect(joined.exitCode == 0, "\(joined)")
        #expect(try await household.status(of: "anna").peers.map(\.name) == ["ben"])
        #expect(try await household.peers(of: "mallory").peers.isEmpty)
      }
    }

    /// Neither state nor replica: only what was there before, and the lock's file.
    private func expectNothingLeft(
      on machine: LabMachine, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let left = try FolderImage(machine.home).files.keys.filter {
        !$0.starts(with: Array("Photos/".utf8))
      }
      let names = left.map { String(decoding: $0, as: UTF8.self) }.filter { !$0.hasSuffix("/lock") }
      #expect(names.isEmpty, sourceLocation: sourceLocation)
      #expect(!FileManager.default.fileExists(atPath: machine.replica), sourceLocation: sourceLocation)
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
        // An invite ended a moment ago: whoever asks to join hears that its code was used (REFUSE 3), and nothing else.
        let answer = protocolName == "mantel-join/1" ? "\0\0\u{3}\u{1}\u{5}\u{3}" : ""
        #expect(client.stdout == answer, "\(protocolName): application data for a stranger")
      }
    }
  }
}
