import MantelCore
import Testing

@testable import MantelDiscovery

@Suite struct SightingTests {
  @Test func anInstanceIsThereWhileOneOfItsLinksIs() {
    let driver = DiscoveryDriver.running()
    let (wired, wireless) = (SightingKey.on(2), SightingKey.on(3))
    #expect(driver.feed(.seen(wired)).resolved == [wired])
    _ = driver.feed(.seen(wireless, "wlan0"))
    #expect(driver.feed(.resolved(wired, .ipv4(9))).events.count == 1)
    #expect(
      driver.feed(.resolved(wireless, .ipv4(9))).events.isEmpty, "the same address again is no news")
    #expect(driver.feed(.vanished(.agents, wired)).events.count == 1, "now on the other interface")
    #expect(driver.feed(.vanished(.agents, wireless)).events == [.lost(instance: "abc")])
  }

  @Test func addressesComeInTheOrderToTryThemAndLinkLocalOnesWithTheirScope() throws {
    let driver = DiscoveryDriver.running()
    let (four, six) = (SightingKey.on(2), SightingKey.on(2, ipv6: true))
    _ = driver.feed(.seen(six), .seen(four), .resolved(six, .linkLocal))
    let service = try #require(driver.feed(.resolved(four, .ipv4(9, txt: ["p": "1"]))).found.last)
    #expect(service.addresses.map(\.description) == ["192.168.1.9:62683", "[fe80::9%eth0]:62683"])
  }

  @Test func onlyOurOwnRecordsAreSkippedNotThoseOfAnotherUserOfThisMachine() {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    #expect(driver.feed(.seen(key, isOurs: true)).isEmpty)
    #expect(driver.feed(.seen(key, isOurs: false)).resolved == [key])
  }

  @Test func anOpenInviteShowsAndGoes() {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    _ = driver.feed(.seen(key), .resolved(key, .ipv4(9)))
    #expect(driver.feed(.seen(key, kind: .inviters)).found.map(\.isJoin) == [true])
    #expect(driver.feed(.vanished(.inviters, key)).found.map(\.isJoin) == [false])
  }

  @Test func aFailedResolveIsTriedAgainWithGrowingPauses() throws {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    _ = driver.feed(.seen(key))
    var pauses: [Duration] = []
    for _ in 0..<3 {
      _ = driver.feed(.unresolved(key))
      let (waited, actions) = try #require(driver.feedDeadline())
      #expect(actions.resolved == [key])
      pauses.append(waited)
    }
    #expect(pauses == [1, 2, 4].map { .seconds($0) })
  }

  @Test func aResolverThatNeverAnswersIsFreed() throws {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    _ = driver.feed(.seen(key))
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited == DiscoveryLimits.resolverPatience)
    #expect(actions == [.freeResolver(key)])
  }

  @Test func resolversAreBoundedAndNoneIsForgotten() throws {
    let driver = DiscoveryDriver.running()
    var open = Set<SightingKey>()
    for index in 0..<100 { open.formUnion(driver.feed(.seen(.on(2, "i\(index)"))).resolved) }
    #expect(open.count == DiscoveryLimits.openResolvers)
    var done = Set<SightingKey>()
    while let key = open.popFirst() {
      done.insert(key)
      open.formUnion(driver.feed(.resolved(key, .ipv4(9))).resolved)
      #expect(open.count <= DiscoveryLimits.openResolvers)
    }
    #expect(done.count == 100)
  }

  @Test func aFloodOfNamesIsBoundedAndLookedAtAgainLater() throws {
    let driver = DiscoveryDriver.running()
    for index in 0..<(DiscoveryLimits.sightings + 50) { _ = driver.feed(.seen(.on(2, "i\(index)"))) }
    #expect(driver.feed(.seen(.on(2, "i\(DiscoveryLimits.sightings + 1)"))).isEmpty)
    for index in 0..<DiscoveryLimits.sightings { _ = driver.feed(.vanished(.agents, .on(2, "i\(index)"))) }
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited <= DiscoveryLimits.overflowRetry)
    #expect(actions.contains(.browse(.agents)))
  }

  @Test func aRestartOfTheDaemonLosesOnlyWhatDoesNotComeBack() throws {
    let driver = DiscoveryDriver.running()
    let (stays, goes) = (SightingKey.on(2, "stays"), SightingKey.on(2, "goes"))
    _ = driver.feed(.seen(stays), .seen(goes), .resolved(stays, .ipv4(8)), .resolved(goes, .ipv4(9)))
    #expect(
      driver.feed(.clientFailed(reason: "restart")).events
        == [.daemon(.unavailable(reason: "restart"))])
    _ = driver.feedDeadline()
    _ = driver.feed(.daemonRunning, .seen(stays), .resolved(stays, .ipv4(8)), .settled(.agents))
    let events = driver.feed(.deadline, after: DiscoveryLimits.settle).events
    #expect(events == [.lost(instance: "goes")])
  }

  @Test func withoutADaemonSightingsAgeAway() {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    _ = driver.feed(.seen(key), .resolved(key, .ipv4(9)), .clientFailed(reason: "gone"))
    var events: [DiscoveryEvent] = []
    while driver.now < Instant(nanoseconds: 0) + .seconds(70), let (_, actions) = driver.feedDeadline() {
      events += actions.events
      if actions.contains(.createClient) { _ = driver.feed(.clientFailed(reason: "gone")) }
    }
    #expect(events.contains(.lost(instance: "abc")))
  }

  @Test func aKnownServiceIsResolvedAgainForItsTXTLessOftenWhileItDoesNotChange() throws {
    let driver = DiscoveryDriver.running()
    let key = SightingKey.on(2)
    _ = driver.feed(.seen(key), .resolved(key, .ipv4(9, txt: ["h": "old"])))
    var pauses: [Duration] = []
    for _ in 0..<8 {
      let (waited, actions) = try #require(driver.feedDeadline())
      #expect(actions.resolved == [key])
      #expect(driver.feed(.resolved(key, .ipv4(9, txt: ["h": "old"]))).events.isEmpty)
      pauses.append(waited)
    }
    #expect(pauses == [5, 10, 20, 40, 80, 160, 300, 300].map { .seconds($0) })
    _ = driver.feedDeadline()
    #expect(driver.feed(.resolved(key, .ipv4(9, txt: ["h": "new"]))).found.map(\.txt) == [["h": "new"]])
    #expect(try #require(driver.feedDeadline()).waited == DiscoveryLimits.firstRefresh)
  }

  /// An address that is seen through a cable too counts as one of the cable's.
  @Test(
    arguments: [(77, ["192.168.1.77", "192.168.1.9"], ["192.168.1.9"]), (9, ["192.168.1.9"], [])]
      as [(UInt8, [String], Set<String>)])
  func addressesSeenThroughACableComeFirst(wired: UInt8, addresses: [String], wireless: Set<String>) throws {
    let driver = DiscoveryDriver.running(media: ["eth0": .wired, "wlan0": .wireless])
    let (air, cable) = (SightingKey.on(3), SightingKey.on(2))
    let alone = driver.feed(.seen(air, "wlan0"), .resolved(air, .ipv4(9))).found
    #expect(alone.map { $0.wireless.map(\.host) } == [["192.168.1.9"]])
    let both = try #require(driver.feed(.seen(cable, "eth0"), .resolved(cable, .ipv4(wired))).found.last)
    #expect(both.addresses.map(\.host) == addresses)
    #expect(both.wired.map(\.host) == ["192.168.1.\(wired)"])
    #expect(Set(both.wireless.map(\.host)) == wireless)
  }

  @Test(arguments: [
    ("docker0", false), ("br-0123456789ab", false), ("virbr0", false), ("eth0", true), ("veth1", true),
  ])
  func containerBridgesAreNotLookedAt(interface: String, isSeen: Bool) {
    let driver = DiscoveryDriver.running()
    #expect(driver.feed(.seen(.on(2), interface)).resolved.isEmpty == !isSeen)
  }
}

@Suite struct LocalNetworkTests {
  @Test func bridgesOfTheLANPassAndPortsDoNot() {
    let filter = InterfaceFilter.standard
    #expect(filter.admits("br-lan", isBridgePort: false))
    #expect(filter.admits("br0", isBridgePort: false))
    #expect(!filter.admits("veth12ab", isBridgePort: true))
    #expect(InterfaceFilter(denied: ["wg*"]).admits("docker0", isBridgePort: false))
    #expect(!InterfaceFilter(denied: ["wg*"]).admits("wg0", isBridgePort: false))
  }

  /// The kernel calls a second IPv4 address of an interface `eth0:1`, Avahi sees services on `eth0`.
  @Test(arguments: ["eth0", "eth0:1"]) func anAliasIsOnItsInterface(label: String) {
    let network = LocalNetwork(addresses: [
      LocalAddress(label: label, bytes: [192, 168, 7, 1], prefixBits: 24)
    ])
    let address = IPAddress(bytes: [192, 168, 7, 20], text: "192.168.7.20")
    #expect(network.admits(address, on: "eth0"))
    #expect(!network.admits(address, on: "eth1"))
  }

  @Test(
    arguments: [
      ([192, 168, 1, 77], "eth0", true), ([192, 168, 1, 77], "wlan0", false),
      ([172, 17, 0, 1], "eth0", false),
      ([169, 254, 3, 4], "eth0", true), ([0, 0, 0, 0], "eth0", false), ([224, 0, 0, 251], "eth0", false),
    ] as [([UInt8], String, Bool)])
  func anIPv4AddressIsDialledOnItsOwnLinkOnly(bytes: [UInt8], interface: String, isAdmitted: Bool) {
    let network = LocalNetwork(addresses: [
      LocalAddress(interface: "eth0", bytes: [192, 168, 1, 2], prefixBits: 25),
      LocalAddress(interface: "wlan0", bytes: [10, 1, 2, 3], prefixBits: 8),
    ])
    #expect(network.admits(IPAddress(bytes: bytes, text: ""), on: interface) == isAdmitted)
  }
}

@Suite struct TXTRecordTests {
  @Test func aStrangersRecordIsReadWithinItsLimits() {
    #expect(
      TXTRecord.parse([Array("P=1".utf8), Array("p=2".utf8), Array("flag".utf8)]) == ["p": "1", "flag": ""])
    #expect(TXTRecord.parse([[], Array("=x".utf8), [0x61, 0x3D, 0xFF], [0x07, 0x3D, 0x31]]).isEmpty)
    let many = (0..<1_000).map { Array("key\($0)=value".utf8) }
    #expect(TXTRecord.parse(many).count == DiscoveryLimits.txtStrings)
    let long = [Array("a=1".utf8), Array("b=\(String(repeating: "x", count: 2_000))".utf8)]
    #expect(TXTRecord.parse(long) == ["a": "1"])
  }

  @Test func theVersionComesFirst() {
    let strings = TXTRecord.strings(of: ["h": "1", "txtvers": "1", "p": "1"])
    #expect(strings.map { String(decoding: $0, as: UTF8.self) } == ["txtvers=1", "h=1", "p=1"])
    #expect(!TXTRecord.isPublishable(["h": String(repeating: "x", count: 300)]))
    #expect(!TXTRecord.isPublishable(["a=b": "1"]))
  }
}

@Suite struct EventQueueTests {
  private func service(_ instance: String, port: UInt16 = 1) -> DiscoveredService {
    DiscoveredService(
      instance: instance, addresses: [NetworkAddress(host: "10.0.0.1", port: port)], txt: [:], isJoin: false,
      interface: "eth0")
  }

  @Test func aSlowReaderGetsTheLastStateOnly() {
    var queue = EventQueue()
    queue.push(.daemon(.starting))
    queue.push(.daemon(.running(.nothing)))
    queue.push(.found(service("a", port: 1)))
    queue.push(.found(service("a", port: 2)))
    #expect(queue.pop() == .daemon(.running(.nothing)))
    #expect(queue.pop() == .found(service("a", port: 2)))
    #expect(queue.pop() == nil)
    queue.push(.lost(instance: "a"))
    queue.push(.found(service("a", port: 2)))
    #expect(queue.pop() == nil, "nothing changed for the reader")
  }

  @Test func namesThatComeAndGoUnreadLeaveNothingBehind() {
    var queue = EventQueue()
    for index in 0..<10_000 {
      queue.push(.found(service("i\(index)")))
      queue.push(.lost(instance: "i\(index)"))
    }
    #expect(queue.waiting == 0)
    #expect(queue.pop() == nil)
  }
}
