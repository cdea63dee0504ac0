import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Strangers and a member that has turned hostile, while photos are copied.
  @Suite struct AttackLabTests {
    /// What a stranger tries: noise, a connection that hangs, TLS with a key of its own. All run on one machine, which has an
    /// address for each: what goes to the victim takes the address of whoever set the route last.
    private static let stranger = """
      ip address add $2/24 dev eth0
      while :; do
        ip route replace $0/32 dev eth0 src $2
        head -c 100000 /dev/urandom >/dev/tcp/$0/$1
        timeout 2 bash -c 'exec 3<>/dev/tcp/$0/$1; cat <&3' $0 $1
        sleep 2 | timeout 3 openssl s_client -connect $0:$1 -alpn mantel/1 -cert certificate.pem -key key.pem -tls1_3 \
          -bind $2 -quiet
      done 2>/dev/null >/dev/null
      """
    /// A member's own key, a hello, and then whatever the probe makes up.
    private static let member = """
      while :; do
        mantel-lab-probe hostile "$2" $((seed += 1)) "$3" 2>>probe.log |
          timeout 5 openssl s_client -connect $0:$1 -alpn mantel/1 -cert "$3" -key "$3" -tls1_3 -quiet -no_ign_eof
        echo round >&2
      done 2>>rounds.log >/dev/null
      """

    @Test(.lab(needs: [.shaping])) func anAttackNeitherSlowsACopyNorFillsMemory() async throws {
      let bytes = LabScale.of(100_000_000, long: 3_000_000_000)
      try await LabHousehold.withMachines(["anna", "ben", "mallory", "mona"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        let (mallory, mona) = (try household["mallory"], try household["mona"])
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.join("mona", through: "anna")
        try await household.waitUntilSettled()
        let identity = try await household.status(of: "anna").household.id
        try await household.stop("mona")
        for machine in [anna, ben, mallory, mona] { try await machine.shape(bitsPerSecond: 100_000_000) }
        let undisturbed = try await speed(of: LabScale.of(100_000_000, long: 600_000_000), "first", household)
        let memory = try await [anna.agentMemory(), ben.agentMemory()]

        let certificate = """
          openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out certificate.pem \
            -days 30 -subj /CN=mantel
          """
        try await mallory.run(["sh", "-c", certificate]).succeeded("openssl req")
        var attackers: [LabProcess] = []
        for number in 0..<32 {
          let victim = number.isMultiple(of: 2) ? "anna" : "ben"
          let port = try await household.status(of: victim).listeningPort
          attackers.append(
            try await mallory.spawn([
              "nice", "-n", "19", "bash", "-c", Self.stranger, try household[victim].address, "\(port)",
              "10.77.0.\(100 + number)",
            ]))
        }
        for victim in ["anna", "ben"] {
          let port = try await household.status(of: victim).listeningPort
          attackers.append(
            try await mona.spawn([
              "nice", "-n", "19", "bash", "-c", Self.member, try household[victim].address, "\(port)",
              identity,
              "\(mona.home)/.local/state/mantel/device.key",
            ]))
        }
        let attacked = try await speed(of: bytes, "second", household)
        let grown = try await [anna.agentMemory() - memory[0], ben.agentMemory() - memory[1]]
        let rounds = try await mona.run(["sh", "-c", "grep -c round rounds.log"]).stdout
          .trimmingCharacters(in: .whitespacesAndNewlines)
        for attacker in attackers { try await attacker.signal(SIGKILL) }
        print(
          """
          undisturbed \(Int(undisturbed / 1_000)) kB/s, attacked \(Int(attacked / 1_000)) kB/s, \
          RssAnon grew by \(grown.map { $0 >> 10 }) KiB, the member came \(rounds) times
          """)
        #expect((Int(rounds) ?? 0) > 2, "the member has attacked")
        let unsigned = try await mona.run(["sh", "-c", "cat probe.log"]).stdout
        #expect(unsigned.isEmpty, "it signs its lies: \(unsigned)")
        let addresses = try await mallory.run(["sh", "-c", "ip -4 -o address show dev eth0 | wc -l"]).stdout
        #expect(addresses == "33\n", "each stranger has its address")
        #expect(attacked >= 0.8 * undisturbed)
        #expect(grown.allSatisfy { $0 < 50 << 20 })
        try household.expectReplicated(among: ["anna", "ben"])
        let status = try await household.status(of: "ben")
        #expect(status.ledger.closes && status.missing.files == 0)
      }
    }

    /// Bytes a second from ben's start to its last photo.
    private func speed(of bytes: Int, _ album: String, _ household: LabHousehold) async throws -> Double {
      let (anna, count) = (try household["anna"], bytes / 2_500_000)
      try await household.stop("ben")
      try anna.makePhotos(
        Array(repeating: 2_500_000, count: count), album: album, seed: UInt64(album.utf8.count))
      try await eventually(within: .seconds(300), "anna has published its photos") {
        let listed = try await anna.mantel("ls", "--json").succeeded().jsonLines(FileJSON.self)
        return listed.count { $0.path.bytes.starts(with: Array(album.utf8)) } == count
      }
      try await household.start("ben")
      let start = ContinuousClock.now
      let copies = "\(try household["ben"].copies(of: anna))/\(album)"
      try await eventually(within: .seconds(bytes / 1_000_000 + 60), "ben has the \(album) photos") {
        guard FolderImage.count(copies) == count else { return false }
        return try await household.status(of: "ben").missing.files == 0
      }
      return Double(bytes) / ((ContinuousClock.now - start) / .seconds(1))
    }
  }
}

extension FolderImage {
  /// Files of one directory.
  fileprivate static func count(_ directory: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: directory).count) ?? 0
  }
}
