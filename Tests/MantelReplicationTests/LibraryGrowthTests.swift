import MantelCore
import Testing

@testable import MantelReplication

/// A library that grows by too much in a day waits until somebody on this machine confirms.
@Suite struct LibraryGrowthTests {
  private let hour: Duration = .seconds(3_600)

  /// Five entries a day go without a question.
  private func machine(peers: Int = 1) throws -> SingleMachine {
    var settings = ReplicationSettings()
    settings.growthLimit = GrowthLimit(entries: 5, window: .agentDay)
    return try SingleMachine(peers: peers, settings: settings)
  }

  private func entries(_ machine: SingleMachine, _ count: Int) -> [Entry] {
    (0..<count).map { machine.entry("\($0).jpg", content("photo \($0)")) }
  }

  /// The peer goes on from a head of `before` entries to one of `after`.
  private func grow(
    _ machine: SingleMachine, peer: Int = 0, _ sequence: UInt64, from before: Int = 0, to after: Int,
    over link: LinkID
  ) throws {
    let all = entries(machine, after)
    try machine.install(peer, sequence, all, added: Array(all.dropFirst(before)), over: link)
  }

  private func installed(_ machine: SingleMachine, _ peer: Int = 0) -> UInt64 {
    machine.replicator.installedHead(of: machine.peers[peer].machine)?.counts.entries ?? 0
  }

  private func isHeld(_ machine: SingleMachine, _ entries: Int, isFirst: Bool = false) throws -> Bool {
    let report = try machine.report()
    let isNamed = report.reasons.contains(
      .heldGrowth(machine.peers[0].machine, entries: entries, isFirst: isFirst))
    return isNamed && report.state == .attention && !report.isComplete
  }

  @Test func whatPassesTheLimitWaitsAndNothingElseDoes() throws {
    let machine = try machine(peers: 2)
    let link = try machine.connect(0)
    let other = try machine.connect(1)
    try grow(machine, 1, to: 4, over: link)
    #expect(installed(machine) == 4)
    try grow(machine, 2, from: 4, to: 6, over: link)
    #expect(try installed(machine) == 4 && isHeld(machine, 6))
    // Of another library, with the same names.
    try grow(machine, peer: 1, 1, to: 5, over: other)
    #expect(installed(machine, 1) == 5)
    // Who takes it back waits for nobody.
    try grow(machine, 3, from: 4, to: 5, over: link)
    #expect(installed(machine) == 5)
    #expect(try machine.report().state != .attention)
  }

  @Test func theFirstHeadOfANewcomerIsGrowthToo() throws {
    let machine = try machine()
    let link = try machine.connect()
    let head = try machine.head(0, 1, entries(machine, 6))
    #expect(try machine.send(.headReceived(link, head)).deltas(link).isEmpty)
    #expect(try isHeld(machine, 6, isFirst: true))
    #expect(try machine.send(.growthAccepted(machine.peers[0].machine)).deltas(link).count == 1)
    #expect(try machine.report().state != .attention)
  }

  @Test func whatWasAcceptedIsAcceptedAfterARestartAndNoMore() throws {
    let machine = try machine()
    var link = try machine.connect()
    try machine.send(.headReceived(link, try machine.head(0, 1, entries(machine, 6))))
    try machine.send(.growthAccepted(machine.peers[0].machine))
    try machine.restart()
    link = try machine.connect()
    // It goes on from there by what goes without a question.
    try grow(machine, 2, to: 11, over: link)
    #expect(installed(machine) == 11)
    try grow(machine, 3, from: 11, to: 12, over: link)
    #expect(try installed(machine) == 11 && isHeld(machine, 6))
  }

  @Test func theDayIsRememberedOverARestartAndEnds() throws {
    let machine = try machine()
    var link = try machine.connect()
    try grow(machine, 1, to: 5, over: link)
    try machine.restart()
    link = try machine.connect()
    try grow(machine, 2, from: 5, to: 6, over: link)
    #expect(try installed(machine) == 5 && isHeld(machine, 6))
    try machine.pass(.agentDay + hour)
    try machine.send(.tick)
    #expect(machine.take().deltas(link).count == 1)
    #expect(try machine.report().state != .attention)
  }

  /// A later day's growth is asked about again.
  @Test func anAcceptanceEndsWithTheHeadThatItWasOf() throws {
    let machine = try machine()
    let link = try machine.connect()
    try machine.send(.headReceived(link, try machine.head(0, 1, entries(machine, 20))))
    let job = try #require(try machine.send(.growthAccepted(machine.peers[0].machine)).deltas(link).first)
    try machine.send(.entriesReceived(link, job, added: entries(machine, 20), removed: []))
    try machine.send(.jobEnded(link, job, .complete))
    #expect(installed(machine) == 20)
    try machine.install(
      0, 2, entries(machine, 2), removed: Array(entries(machine, 20).dropFirst(2)), added: [], over: link)
    #expect(installed(machine) == 2)
    try machine.pass(.agentDay + hour)
    try grow(machine, 3, from: 2, to: 20, over: link)
    #expect(try installed(machine) == 2 && isHeld(machine, 18))
  }

  /// It ends with the machine: the head that nobody here has accepted is waited for no longer.
  @Test func aRemovalNamesTheHeadThatIsInstalled() throws {
    let machine = try machine()
    let owner = machine.peers[0].machine
    let link = try machine.connect()
    try grow(machine, 1, to: 4, over: link)
    try grow(machine, 2, from: 4, to: 6, over: link)
    #expect(try isHeld(machine, 6))
    let last = machine.replicator.lastHead(of: owner)
    #expect(last?.order.sequence == 1 && last == machine.replicator.installedHead(of: owner))
    try machine.remove(0, last: last)
    let report = try machine.report()
    #expect(report.state != .attention && !report.reasons.contains(.headsArriving(owner)))
    #expect(machine.replicator.heldGrowth().isEmpty)
  }

  @Test func aRemovalNamesWhatWasAcceptedAndIsStillToCome() throws {
    let machine = try machine()
    let owner = machine.peers[0].machine
    let link = try machine.connect()
    let head = try machine.head(0, 1, entries(machine, 6))
    try machine.send(.headReceived(link, head))
    #expect(machine.replicator.lastHead(of: owner) == nil)
    try machine.send(.growthAccepted(owner))
    #expect(machine.replicator.lastHead(of: owner) == head.record)
  }

  /// Whoever removed it had accepted that head, which counts: it is asked about as before, and can still be had.
  @Test func aHeadThatARemovalNamesIsAskedAboutHereToo() throws {
    let machine = try machine(peers: 2)
    let link = try machine.connect(0)
    let head = try machine.head(0, 1, entries(machine, 6))
    try machine.send(.headReceived(link, head))
    try machine.remove(0, by: machine.peers[1], last: head.record)
    try machine.send(.linkClosed(link))
    #expect(try isHeld(machine, 6, isFirst: true))
    let other = try machine.connect(1)
    try machine.send(.headReceived(other, head))
    let actions = try machine.send(.growthAccepted(machine.peers[0].machine))
    #expect(actions.deltas(other).count == 1)
    #expect(try machine.report().state != .attention)
  }

  @Test func deletedAndReplacedPhotosAreNoGrowth() throws {
    let machine = try machine()
    let link = try machine.connect()
    try grow(machine, 1, to: 5, over: link)
    let before = entries(machine, 5)
    let after = (0..<5).map { machine.entry("moved/\($0).jpg", content("photo \($0)")) }
    try machine.install(0, 2, after, removed: before, added: after, over: link)
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine)?.order.sequence == 2)
  }
}
