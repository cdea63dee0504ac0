import MantelCore
import Testing

@testable import MantelDiscovery

@Suite struct ConnectionTests {
  @Test func retriesWithGrowingPausesWhileThereIsNoBus() throws {
    let driver = DiscoveryDriver()
    #expect(driver.feed(.deadline).contains(.createClient))
    var pauses: [Duration] = []
    for _ in 0..<9 {
      let actions = driver.feed(.clientFailed(reason: "Daemon not running"))
      #expect(actions.contains(.freeClient))
      let (waited, retried) = try #require(driver.feedDeadline())
      #expect(retried.contains(.createClient))
      pauses.append(waited)
    }
    #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .seconds($0) })
  }

  @Test func tellsWhyThereIsNoDiscoveryAndWhenThereIs() {
    let driver = DiscoveryDriver()
    #expect(driver.feed(.deadline).events == [.daemon(.starting)])
    #expect(
      driver.feed(.clientFailed(reason: "no bus")).events == [.daemon(.unavailable(reason: "no bus"))])
    _ = driver.feedDeadline()
    #expect(
      driver.feed(.clientConnecting).events
        == [.daemon(.unavailable(reason: "the Avahi daemon is not running"))])
    let actions = driver.feed(.daemonRunning)
    #expect(actions.events == [.daemon(.running(.nothing))])
    #expect(actions.contains(.browse(.agents)) && actions.contains(.browse(.inviters)))
  }

  @Test func makesANewClientWhenTheOldOneNeverReachesTheDaemon() throws {
    let driver = DiscoveryDriver()
    _ = driver.feed(.deadline, .clientConnecting)
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited == DiscoveryLimits.connectPatience)
    #expect(actions.contains(.freeClient))
    #expect(try #require(driver.feedDeadline()).actions.contains(.createClient))
  }

  @Test func backoffStartsAnewAfterTheDaemonRan() throws {
    let driver = DiscoveryDriver()
    _ = driver.feed(.deadline)
    for _ in 0..<4 {
      _ = driver.feed(.clientFailed(reason: "no bus"))
      _ = driver.feedDeadline()
    }
    _ = driver.feed(.daemonRunning)
    _ = driver.feed(.clientFailed(reason: "restart"), after: .seconds(5))
    #expect(try #require(driver.feedDeadline()).waited == .seconds(1))
  }

  @Test func browsesAgainOnceAfterABurstOfAddressChanges() throws {
    let driver = DiscoveryDriver.running()
    for last in 10..<13 as Range<UInt8> {
      let network = LocalNetwork(addresses: [
        LocalAddress(interface: "eth0", bytes: [10, 0, 0, last], prefixBits: 8)
      ])
      #expect(!driver.feed(.network(network), after: .seconds(1)).contains(.browse(.agents)))
      #expect(driver.feed(.network(network)).isEmpty, "the same addresses are no news")
    }
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited == DiscoveryLimits.networkSettle)
    #expect(actions.filter { $0 == .browse(.agents) }.count == 1)
    #expect(driver.core.nextDeadline == nil)
  }

  @Test func aFailedBrowserIsMadeAgain() throws {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.browserFailed(.inviters, reason: "Too many objects"))
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited == .seconds(1))
    #expect(actions == [.browse(.inviters)])
  }
}
