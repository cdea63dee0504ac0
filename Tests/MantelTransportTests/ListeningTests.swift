import Glibc
import Logging
import MantelCore
import MantelHousehold
import NIOCore
import Testing

@testable import MantelTransport

@Suite(.timeLimit(.minutes(1))) struct ListeningTests {
  private func transport(_ listen: ListenRequest) throws -> Transport {
    let agent = FakeAgent(household: HouseholdID(Digest256(4, 4, 4, 4)), members: [])
    return try Transport(
      TransportConfiguration(
        key: agent.key, listen: listen, now: { Instant(nanoseconds: 0) },
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
      environment: agent)
  }

  @Test func aTakenPortIsAnErrorWhenExactAndPassedOverWhenPreferred() async throws {
    let first = try transport(.exact(host: nil, port: 0))
    let taken = try await first.bind()
    #expect(taken > 0 && first.listeningPort == taken)
    #expect(try await first.bind() == taken)
    let exact = try transport(.exact(host: nil, port: taken))
    let error = await #expect(throws: TransportError.self) { _ = try await exact.run() }
    #expect(error?.code == .addressInUse)
    let preferring = try transport(.preferred(taken))
    let other = try await preferring.bind()
    #expect(other != taken)
    preferring.shutDown()
    first.shutDown()
    let mute = try transport(.none)
    #expect(try await mute.bind() == 0)
    #expect(mute.listeningPort == nil)
  }

  /// An agent may be told to stop while it starts.
  @Test func whatWasShutDownBeforeItRanEndsAtOnceAndRunsOnce() async throws {
    let early = try transport(.preferred(0))
    _ = try await early.bind()
    early.shutDown()
    try await early.run()
    let error = await #expect(throws: TransportError.self) { try await early.run() }
    #expect(error?.code == .notRunning)
  }

  private static let linkLocal = (try? System.enumerateDevices())?.first {
    $0.address?.ipAddress?.hasPrefix("fe80:") ?? false
  }

  @Test(.enabled(if: linkLocal != nil, "no interface has a link-local address"))
  func linkLocalAddressesAreDialledWithTheirInterface() async throws {
    let device = try #require(Self.linkLocal)
    let address = try #require(device.address?.ipAddress?.split(separator: "%").first)
    try await Household.run(Household.agents(2)) { household in
      let session = try await household.transports[0].dial(
        household.address(of: 1, host: "\(address)%\(device.name)"), expecting: nil)
      await household.expectWorking(session, of: 0)
    }
  }

  @Test func addressesCountByWhatAHouseholdGets() throws {
    func key(_ text: String, at local: String = "2001:db8::1") throws -> SourceKey {
      try SocketAddress(ipAddress: text, port: 1)
        .sourceKey(reachedAt: SocketAddress(ipAddress: local, port: 2))
    }
    #expect(try key("192.168.1.2").bytes == [192, 168, 1, 2])
    #expect(try key("::ffff:192.168.1.2") == key("192.168.1.2"))
    #expect(try key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff::9"))
    #expect(try key("2001:db8:1:2::1") != key("2001:db8:1:3::1"))
    #expect(try key("::1") != key("1::1"))
  }

  /// All machines of a LAN share its prefixes: none of them counts for another.
  @Test func onTheOwnLinkEachAddressCountsForItself() throws {
    func key(_ text: String, at local: String) throws -> SourceKey {
      try SocketAddress(ipAddress: text, port: 1)
        .sourceKey(reachedAt: SocketAddress(ipAddress: local, port: 2))
    }
    #expect(try key("fe80::1", at: "fe80::9") != key("fe80::2", at: "fe80::9"))
    #expect(
      try key("2001:db8:1:2::1", at: "2001:db8:1:2::9") != key("2001:db8:1:2::2", at: "2001:db8:1:2::9"))
    #expect(
      try key("2001:db8:1:3::1", at: "2001:db8:1:2::9") == key("2001:db8:1:3::2", at: "2001:db8:1:2::9"))
  }

  @Test func aLinkLocalAddressIsAnotherOneOnAnotherInterface() throws {
    func key(scope: UInt32) throws -> SourceKey {
      var address = try #require(
        Self.rawIPv6(SocketAddress(ipAddress: "fe80::1", port: 1)))
      address.sin6_scope_id = scope
      return SocketAddress(address, host: "").sourceKey(reachedAt: nil)
    }
    #expect(try key(scope: 1) != key(scope: 2))
    #expect(try key(scope: 2) == key(scope: 2))
  }

  private static func rawIPv6(_ address: SocketAddress) -> sockaddr_in6? {
    if case .v6(let address) = address { address.address } else { nil }
  }
}
