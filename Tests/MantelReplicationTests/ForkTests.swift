import MantelCore
import Testing

@testable import MantelReplication

/// One machine signs two histories of its library.
@Suite struct ForkTests {
  private let a = content("a")
  private let b = content("b")

  private func isForked(_ desk: SingleMachine) throws -> Bool {
    let report = try desk.report()
    let isNamed = report.reasons.contains(.forked(desk.peers[0].machine))
    #expect(!isNamed || report.state == .attention)
    return isNamed
  }

  /// The peer's first head has been installed, and another first head is shown by somebody else.
  private func forked() throws -> SingleMachine {
    let desk = try SingleMachine(peers: 2)
    let link = try desk.connect(has: [a])
    try desk.install(0, 1, [desk.entry("a.jpg", a)], over: link)
    let other = try desk.connect(1)
    _ = desk.take()
    try desk.send(.headReceived(other, try desk.head(0, 1, [desk.entry("b.jpg", b)])))
    return desk
  }

  @Test func whatWasInstalledStaysAndTheMachineIsNamed() throws {
    let desk = try forked()
    #expect(try isForked(desk))
    #expect(desk.take().warnings == [.forked(desk.peers[0].machine)])
    #expect(try desk.catalog.entries(desk.peers[0].machine, of: a).count == 1)
    #expect(try desk.catalog.entries(desk.peers[0].machine, of: b).isEmpty)
    // Told once, and nothing is fetched of it.
    try desk.send(.headReceived(desk.lastLinkID, try desk.head(0, 1, [desk.entry("b.jpg", b)])))
    let actions = desk.take()
    #expect(actions.warnings.isEmpty && actions.deltas(desk.lastLinkID).isEmpty)
  }

  @Test func aHeadThatIsOnlyKnownContradictsToo() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    try desk.send(.headReceived(link, try desk.head(0, 1, [desk.entry("a.jpg", a)])))
    #expect(try !isForked(desk))
    try desk.send(.headReceived(link, try desk.head(0, 1, [desk.entry("b.jpg", b)])))
    #expect(try isForked(desk))
  }

  @Test func theSameHeadAgainIsNone() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    let head = try desk.head(0, 1, [desk.entry("a.jpg", a)])
    try desk.install(0, 1, [desk.entry("a.jpg", a)], over: link)
    try desk.install(0, 2, [desk.entry("b.jpg", b)], removed: [desk.entry("a.jpg", a)], over: link)
    try desk.send(.headReceived(link, head))
    #expect(try !isForked(desk))
    // One of before, with other entries.
    try desk.send(.headReceived(link, try desk.head(0, 1, [desk.entry("c.jpg", b)])))
    #expect(try isForked(desk))
  }

  @Test func itIsRememberedUntilSomebodyAcknowledges() throws {
    let desk = try forked()
    try desk.restart()
    #expect(try isForked(desk))
    try desk.send(.orphansAcknowledged)
    #expect(try !isForked(desk))
    try desk.restart()
    #expect(try !isForked(desk))
  }

  @Test func aRemovedMachineIsDealtWith() throws {
    let desk = try forked()
    try desk.remove(0)
    #expect(try !isForked(desk))
  }
}
