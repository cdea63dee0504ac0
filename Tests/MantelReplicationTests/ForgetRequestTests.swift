import MantelCore
import Testing

@testable import MantelReplication

/// What one machine's user asks another's to forget.
@Suite struct ForgetRequestTests {
  private let a = content("a")
  private let b = content("b")

  private func request(
    _ machine: SingleMachine, from peer: Int = 0, number: UInt64 = 1, _ contents: [ContentID],
    isWithdrawn: Bool = false
  ) throws -> Signed<ForgetRequest> {
    try machine.peers[peer].sign(
      ForgetRequest(
        requester: machine.peers[peer].machine, number: number, time: machine.now.wall,
        isWithdrawn: isWithdrawn, contents: contents), in: machine.household)
  }

  private func open(_ machine: SingleMachine) throws -> [OpenForgetRequest] {
    try machine.replicator.openForgetRequests()
  }

  /// A machine that has both photos, and links to two peers.
  private func machine() throws -> (SingleMachine, LinkID, LinkID) {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(1))
    try machine.publish("b.jpg", b, machine.stamp(2, inode: 8))
    let links = (try machine.connect(0), try machine.connect(1))
    _ = machine.take()
    return (machine, links.0, links.1)
  }

  @Test func aRequestIsKeptSpreadsOnceAndDoesNothing() throws {
    let (machine, link, other) = try machine()
    let request = try request(machine, [a, content("not here")])
    #expect(try machine.send(.forgetRequestReceived(link, request)).requests(other) == [request])
    #expect(try machine.send(.forgetRequestReceived(other, request)).requests(link).isEmpty)
    try machine.restart()
    #expect(
      try open(machine) == [
        OpenForgetRequest(requester: machine.peers[0].machine, contents: [a], numbers: [1])
      ])
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
  }

  @Test func whatIsWithdrawnOrDecidedIsNotAskedAnyMore() throws {
    let (machine, link, _) = try machine()
    try machine.send(.forgetRequestReceived(link, try request(machine, [a, b])))
    try machine.send(
      .forgetRequestReceived(link, try request(machine, number: 2, [a], isWithdrawn: true)))
    #expect(try open(machine).map(\.contents) == [[b]])
    try machine.replicator.decideForgetRequests(of: machine.peers[0].machine, [1], .declined)
    #expect(try open(machine).isEmpty)
    // Asked once more, and granted.
    try machine.send(.forgetRequestReceived(link, try request(machine, number: 3, [b])))
    #expect(try open(machine).map(\.contents) == [[b]])
    try machine.send(.forget(try machine.replicator.ownEntries(of: b).map(\.id)))
    #expect(try open(machine).isEmpty)
  }

  @Test func onlyMembersAskAndOnlyInTheirOwnName() throws {
    let (machine, link, _) = try machine()
    var forged = try request(machine, [a])
    forged.record.requester = machine.peers[1].machine
    #expect(try machine.send(.forgetRequestReceived(link, forged)).requests(link).isEmpty)
    #expect(try machine.catalog.forgetRequests(of: nil).isEmpty)
  }

  @Test func oneMachineCannotFillTheCatalogAndItsNewestWordCounts() throws {
    var settings = ReplicationSettings()
    settings.requestsKept = 2
    let machine = try SingleMachine(peers: 2, settings: settings)
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(1))
    let link = try machine.connect(0)
    for number in 1...3 as ClosedRange<UInt64> {
      try machine.send(.forgetRequestReceived(link, try request(machine, number: number, [a])))
    }
    try machine.send(.forgetRequestReceived(link, try request(machine, from: 1, [a])))
    #expect(try machine.catalog.forgetRequests(of: nil).count == 3)
    #expect(try open(machine).count == 2)
    // What takes it back is never refused, and what it takes back does not return.
    try machine.send(.forgetRequestReceived(link, try request(machine, number: 4, [a], isWithdrawn: true)))
    try machine.send(.forgetRequestReceived(link, try request(machine, number: 1, [a])))
    #expect(try open(machine).map(\.requester) == [machine.peers[1].machine])
  }

  /// A request that came while its user decided on others is not decided.
  @Test func onlyWhatWasShownIsDecided() throws {
    let (machine, link, _) = try machine()
    try machine.send(.forgetRequestReceived(link, try request(machine, [a])))
    let shown = try #require(try open(machine).first)
    try machine.send(.forgetRequestReceived(link, try request(machine, number: 2, [b])))
    try machine.replicator.decideForgetRequests(of: shown.requester, shown.numbers, .declined)
    #expect(try open(machine).map(\.contents) == [[b]])
  }

  @Test func nobodyIsAskedForBytesThatTheAskerKeeps() throws {
    let (machine, _, other) = try machine()
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: other)
    _ = machine.take()
    #expect(try machine.send(.askToForget([a], isWithdrawn: false)).requests(other).isEmpty)
    try machine.send(.forget(try machine.replicator.ownEntries(of: a).map(\.id)))
    #expect(try machine.send(.askToForget([a], isWithdrawn: false)).requests(other).count == 1)
  }

  @Test func theOwnersOfTheSameBytesAreAskedAndAskedAgainWhenTheyConnect() throws {
    let (machine, link, other) = try machine()
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: other)
    _ = machine.take()
    for photo in [a, b] { try machine.send(.forget(try machine.replicator.ownEntries(of: photo).map(\.id))) }
    _ = machine.take()
    let asked = try machine.send(.askToForget([a, b], isWithdrawn: false))
    // What nobody else names is nobody else's business.
    #expect(asked.requests(other).map(\.record.contents) == [[a]])
    #expect(asked.requests(link).count == 1)
    try machine.restart()
    try machine.connect(0)
    #expect(machine.take().requests(machine.lastLinkID).isEmpty)
    try machine.connect(1)
    let number = try #require(machine.take().requests(machine.lastLinkID).map(\.record.number).first)
    try machine.send(.askToForget([a], isWithdrawn: true))
    let numbers = try machine.catalog.forgetRequests(of: nil).map(\.request.record.number)
    #expect(numbers.first == number && numbers.count == 2 && numbers[1] > number)
    // Also after the catalog was lost: others know higher numbers than 1.
    #expect(number >= UInt64(machine.now.wall.nanoseconds / 1_000_000) - 3_600_000)
  }
}

extension [ReplicationAction] {
  fileprivate func requests(_ link: LinkID) -> [Signed<ForgetRequest>] {
    commands(link).compactMap { if case .announceForgetRequest(let request) = $0 { request } else { nil } }
  }
}
