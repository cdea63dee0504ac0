import MantelCore
import MantelHousehold
import MantelSession
import MantelWire
import NIOCore
import NIOSSL
import Synchronization
import Testing

@testable import MantelTransport

/// What those who are not members, and members that break the rules, get: a closed connection, and nobody else notices.
@Suite(.timeLimit(.minutes(1))) struct StrangerTests {
  enum Stranger: String, CaseIterable {
    case plainText, randomBytes, noCertificate, unknownKey, wrongCurve, twoCertificates, oldTLS, noProtocol
    case joinWithoutInvite

    func connect(to address: NetworkAddress, member: DeviceKey) async throws -> RawClient {
      switch self {
      case .plainText:
        let client = try await RawClient.connect(to: address)
        try await client.send(Array("GET / HTTP/1.1\r\nHost: mantel\r\n\r\n".utf8))
        return client
      case .randomBytes:
        let client = try await RawClient.connect(to: address)
        var generator = SplitMix(state: 1)
        try await client.send((0..<4_096).map { _ in .random(in: .min ... .max, using: &generator) })
        return client
      case .noCertificate:
        return try await RawClient.connect(to: address, tls: RawClient.configuration(chain: [], key: nil))
      case .unknownKey:
        return try await RawClient.connect(to: address, tls: RawClient.configuration(DeviceKey()))
      case .wrongCurve: return try await RawClient.connect(to: address, tls: Self.wrongCurveConfiguration())
      case .twoCertificates:
        return try await RawClient.connect(to: address, tls: RawClient.configuration(member, certificates: 2))
      case .oldTLS:
        var configuration = try RawClient.configuration(member)
        configuration.maximumTLSVersion = .tlsv12
        return try await RawClient.connect(to: address, tls: configuration)
      case .noProtocol:
        return try await RawClient.connect(
          to: address, tls: RawClient.configuration(member, protocols: ["h2"]))
      case .joinWithoutInvite:
        return try await RawClient.connect(
          to: address, tls: RawClient.configuration(DeviceKey(), protocols: ["mantel-join/1"]))
      }
    }

    private static func wrongCurveConfiguration() throws -> TLSConfiguration {
      RawClient.configuration(
        chain: [try NIOSSLCertificate(bytes: Array(wrongCurveCertificate.utf8), format: .pem)],
        key: try NIOSSLPrivateKey(bytes: Array(wrongCurveKey.utf8), format: .pem))
    }
  }

  @Test(arguments: Stranger.allCases) func strangersAreClosedAndMembersUnaffected(stranger: Stranger)
    async throws
  {
    let agents = Household.agents(2)
    try await Household.run(agents) { household in
      let session = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      let client = try await stranger.connect(to: household.address(of: 0), member: agents[1].key)
      let answer = try await client.receivedUntilClosed()
      // Over TLS not a single application byte; over plain TCP at most an alert.
      #expect(answer.readableBytes <= 7)
      await household.expectWorking(session, of: 1)
      #expect(household.transports[1].statistics().sessions.map(\.session) == [session])
      #expect(agents[0].journal.items.openedSessions.count == 1)
      let transport = household.transports[0]
      await eventually {
        transport.statistics().handshakesRefused + transport.statistics().handshakesFailed == 1
      }
      #expect(transport.statistics().handshakesSucceeded == 1)
    }
  }

  /// A member connects again and again out of one TLS context, and is removed. The contexts of this side stay the same, which is
  /// not so after a removal: whatever either side kept of earlier handshakes, each is judged by the members of its moment.
  @Test func everyHandshakeIsJudgedAnewWhateverIsKeptOfEarlierOnes() async throws {
    let agents = Household.agents(2)
    try await Household.run([agents[0]]) { household in
      let transport = household.transports[0]
      let context = try NIOSSLContext(configuration: RawClient.configuration(agents[1].key))
      for number in [1, 2] as [UInt64] {
        let client = try await RawClient.connect(to: household.address(of: 0), context: context)
        await eventually { transport.statistics().handshakesSucceeded == number }
        client.close()
        try await client.channel.closeFuture.get()
      }
      agents[0].members.withLock { _ = $0.remove(agents[1].key.machine) }
      let late = try await RawClient.connect(to: household.address(of: 0), context: context)
      #expect(try await late.receivedUntilClosed().readableBytes == 0)
      await eventually { transport.statistics().handshakesRefused == 1 }
      #expect(transport.statistics().handshakesSucceeded == 2)
    }
  }

  /// Neither one that never speaks nor one that stops in the middle of its first message outlasts the handshake's limit.
  @Test(arguments: [[], [0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] as [[UInt8]])
  func silenceEndsByItself(said: [UInt8]) async throws {
    var limits = TransportLimits()
    limits.handshake = .milliseconds(50)
    try await Household.run(Household.agents(1), limits: limits) { household in
      let client = try await RawClient.connect(to: household.address(of: 0))
      // On a busy machine the limit may be over before this is out.
      client.channel.writeAndFlush(ByteBuffer(bytes: said), promise: nil)
      #expect(try await client.receivedUntilClosed().readableBytes == 0)
      let transport = household.transports[0]
      await eventually { transport.statistics().handshakesFailed == 1 }
      await eventually { transport.state.withLock { $0.pending.isEmpty && $0.admission.pendingCount == 0 } }
    }
  }

  enum Crowd: CaseIterable {
    /// A hundred connections of many addresses; some of the member's own address, which fill its share.
    case manyAddresses, sharedAddress, sharedIPv6Address

    var host: String { self == .sharedIPv6Address ? "::1" : "127.0.0.1" }
    var sources: [String?] {
      self == .manyAddresses
        ? (0..<100).map { "127.0.1.\($0 / 4 + 1)" } : Array(repeating: nil, count: 10)
    }
  }

  @Test(arguments: Crowd.allCases) func idleConnectionsDoNotKeepAMemberOut(crowd: Crowd) async throws {
    let agents = Household.agents(2)
    try await Household.run(agents) { household in
      let address = household.address(of: 0, host: crowd.host)
      var idle: [RawClient] = []
      for source in crowd.sources { idle.append(try await RawClient.connect(to: address, from: source)) }
      let session = try await household.transports[1].dial(address, expecting: nil)
      await household.expectWorking(session, of: 1)
      // All but a few have lost their places by now, long before the time limit of the handshake.
      let connections = idle
      await eventually {
        connections.count(where: \.channel.isActive) <= Limits.unauthenticatedConnections
      }
      let pending = household.transports[0].state.withLock { ($0.pending.count, $0.admission.pendingCount) }
      #expect(
        pending.0 <= Limits.unauthenticatedConnections && pending.1 <= Limits.unauthenticatedConnections)
      for client in idle { client.close() }
    }
  }

  /// A member that opens connections and says nothing holds a few, and pays for the others like a stranger.
  @Test func aMembersSilentConnectionsAreFew() async throws {
    let agents = Household.agents(3)
    try await Household.run(agents) { household in
      let transport = household.transports[0]
      let limit = transport.limits.arrivalsPerPeer
      var silent: [RawClient] = []
      for number in 1...(limit + 6) {
        silent.append(
          try await RawClient.connect(
            to: household.address(of: 0), tls: RawClient.configuration(agents[2].key)))
        await eventually { transport.statistics().handshakesSucceeded == UInt64(number) }
      }
      let connections = silent
      await eventually { connections.count(where: \.channel.isActive) == limit }
      #expect(transport.statistics().connectionsRefused == 6)
      #expect(transport.statistics().sessions.count == limit)
      let session = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      await household.expectWorking(session, of: 1)
      for client in silent { client.close() }
    }
  }

  enum Broken: CaseIterable {
    case oversizedFrame, unknownCriticalType, frameBeforeHello, secondHello, garbageInHello
  }

  @Test(arguments: Broken.allCases) func aMemberThatBreaksTheProtocolIsClosed(broken: Broken) async throws {
    let agents = Household.agents(3)
    try await Household.run([agents[0], agents[1]]) { household in
      let session = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      let client = try await RawClient.connect(
        to: household.address(of: 0), tls: RawClient.configuration(agents[2].key))
      switch broken {
      case .oversizedFrame: try await client.send([0xFF, 0xFF, 0xFF, 0x00])
      case .unknownCriticalType: try await client.send([0, 0, 1, 0xFF, 0])
      case .frameBeforeHello: try await client.send(.ping(1))
      case .secondHello:
        try await client.send(.hello(agents[2].hello))
        try await client.send(.hello(agents[2].hello))
      case .garbageInHello:
        var hello = ByteBuffer()
        FrameEncoder.encode(.hello(agents[2].hello), into: &hello)
        try await client.send(Array(hello.readableBytesView.prefix(4)) + .random(hello.readableBytes - 4))
      }
      var received = try await client.receivedUntilClosed()
      var decoder = FrameDecoder()
      var frames: [Frame] = []
      while let frame = try decoder.decode(&received) { frames.append(frame) }
      guard case .hello = frames.first, case .close(let code, _) = frames.last else {
        Issue.record("\(frames)")
        return
      }
      #expect(code == .protocolError || broken == .garbageInHello)
      await agents[0].journal.wait { $0.endedSessions.count == 1 }
      await household.expectWorking(session, of: 1)
    }
  }
}

private let wrongCurveKey = """
  -----BEGIN PRIVATE KEY-----
  MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBGapUbVGnn9hq2gm0f
  /fsulPUcTYJMWfUHFPakOZXqX0ktLfo/8oZ6lVFBqUbI0R2hZANiAAT2rv8Rw7pB
  0+KmUa0KeNYUNMV2lB+GmDFBpWJNIRSLAoluyKd+ScLvP2xWofODJ+6IuHxqFBye
  m9dLuXh6Nr9GeBGAE5QHBkp0Wk/cQI1eIYQ5zcUh7ZsWZkW9UlmNTQs=
  -----END PRIVATE KEY-----
  """

private let wrongCurveCertificate = """
  -----BEGIN CERTIFICATE-----
  MIIBtjCCATygAwIBAgIUWQ9I0FCZJY0wYRWMLcWFoLPj+kkwCgYIKoZIzj0EAwIw
  ETEPMA0GA1UEAwwGbWFudGVsMCAXDTI2MTEyMzA2MzQxMFoYDzIxMjYxMDMwMDYz
  NDEwWjARMQ8wDQYDVQQDDAZtYW50ZWwwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAAT2
  rv8Rw7pB0+KmUa0KeNYUNMV2lB+GmDFBpWJNIRSLAoluyKd+ScLvP2xWofODJ+6I
  uHxqFByem9dLuXh6Nr9GeBGAE5QHBkp0Wk/cQI1eIYQ5zcUh7ZsWZkW9UlmNTQuj
  UzBRMB0GA1UdDgQWBBRTRoDAtjFUUMFBSiO00TVSgk1LwzAfBgNVHSMEGDAWgBRT
  RoDAtjFUUMFBSiO00TVSgk1LwzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMC
  A2gAMGUCMQCT5Wr81VeH4Q5P8N/sQFVRYEKoip0rRU++LhlZNAuBTnxmk9ewiS/3
  CbweuhUOVuUCMCCHEvqvFMHtlkI7KwrGAp7mihJ4YgojGb6cyQPHzZ7vfvQV/GoQ
  gJq4KKO7W5M1xQ==
  -----END CERTIFICATE-----
  """
