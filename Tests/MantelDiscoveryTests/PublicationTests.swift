import MantelCore
import Testing

@testable import MantelDiscovery

@Suite struct PublicationTests {
  private let mine = Advertisement(instance: "mine", port: 62683, txt: ["p": "1"], isInviting: false)

  @Test func waitsForTheDaemonThenPublishes() {
    let driver = DiscoveryDriver()
    #expect(driver.feed(.wanted(mine), .deadline, .daemonRegistering).announced.isEmpty)
    let actions = driver.feed(.daemonRunning)
    #expect(actions.announced == ["mine"])
    #expect(actions.events.isEmpty, "still registering")
    #expect(driver.feed(.groupEstablished).events == [.daemon(.running(.published(instance: "mine")))])
  }

  @Test func aChangeOfTXTAloneIsAnUpdateOnTheSameGroup() {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine), .groupEstablished)
    var changed = mine
    changed.txt["h"] = "0123456789abcdef"
    #expect(driver.feed(.wanted(changed)) == [.updateTXT(changed)])
    #expect(driver.feed(.wanted(changed)).isEmpty)
    changed.isInviting = true
    #expect(driver.feed(.wanted(changed)).first == .announce(changed))
    #expect(driver.feed(.wanted(nil)).first == .withdraw)
  }

  @Test func aCollisionTakesANewNameWithItsOwnTXT() {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine))
    let actions = driver.feed(.groupCollided)
    #expect(actions.announced == ["mine'"])
    #expect(actions.contains(.browse(.agents)), "the other bearer of the name may have been taken for us")
    let announced = actions.compactMap {
      if case .announce(let renamed) = $0 { renamed.txt["h"] } else { nil }
    }
    #expect(announced == ["for mine'"])
    #expect(driver.feed(.groupEstablished).events == [.daemon(.running(.published(instance: "mine'")))])
  }

  @Test func endlessCollisionsDoNotSpin() throws {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine))
    for _ in 0..<DiscoveryLimits.quickRenames { #expect(!driver.feed(.groupCollided).announced.isEmpty) }
    var pauses: [Duration] = []
    for _ in 0..<3 {
      #expect(driver.feed(.groupCollided).announced.isEmpty)
      let until = try #require(driver.core.nextDeadline)
      var waited = try #require(driver.feedDeadline())
      var total = waited.waited
      while waited.actions.announced.isEmpty {
        waited = try #require(driver.feedDeadline())
        total = total + waited.waited
      }
      #expect(driver.now >= until)
      pauses.append(total)
    }
    #expect(pauses == [1, 2, 4].map { .seconds($0) })
  }

  @Test func aGroupStuckInRegisteringIsCommittedAgain() throws {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine), .groupRegistering)
    let (waited, actions) = try #require(driver.feedDeadline())
    #expect(waited == DiscoveryLimits.registerPatience)
    #expect(actions.announced == ["mine"])
  }

  @Test func aRefusalIsToldAndTriedAgain() throws {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine))
    let actions = driver.feed(.groupRefused(reason: "Operation not permitted"))
    #expect(actions.events == [.daemon(.running(.refused(reason: "Operation not permitted")))])
    #expect(driver.feed(.wanted(mine)).announced.isEmpty, "the same wish again does not jump the queue")
    #expect(try #require(driver.feedDeadline()).actions.announced == ["mine"])
  }

  @Test func comesBackAfterARestartOfTheDaemon() throws {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine), .groupEstablished)
    _ = driver.feed(.clientFailed(reason: "Daemon connection failed"))
    #expect(driver.feed(.groupEstablished).events.isEmpty, "the group died with its client")
    #expect(try #require(driver.feedDeadline()).actions.contains(.createClient))
    #expect(driver.feed(.daemonRunning).announced == ["mine"])
  }

  @Test func withdrawsWhileTheDaemonRenamesItsHost() {
    let driver = DiscoveryDriver.running()
    _ = driver.feed(.wanted(mine), .groupEstablished)
    #expect(driver.feed(.daemonRegistering).first == .withdraw)
    #expect(driver.feed(.daemonRunning).announced == ["mine"])
  }
}
