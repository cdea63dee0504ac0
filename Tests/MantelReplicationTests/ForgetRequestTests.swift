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
    #expect(try open(machine) == [OpenForgetRequest(requester: machine.peers[0].machine, contents: [a])])
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
  }

  @Test func whatIsWithdrawnOrDecidedIsNotAskedAnyMore() throws {
    let (machine, link, _) = try machine()
    try machine.send(.forgetRequestReceived(link, try request(machine, [a, b])))
    try machine.send(
      .forgetRequestReceived(link, try request(machine, number: 2, [a], isWithdrawn: true)))
    #expect(try open(machine).map(\.contents) == [[b]])
    try machine.replicator.decideForgetRequests(of: machine.peers[0].machine, .declined)
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
    #expect(try machine.catalog.forgetRequests().isEmpty)
  }

  @Test func oneMachineCannotFillTheCatalog() throws {
    var settings = ReplicationSettings()
    settings.requestsKept = 2
    let machine = try SingleMachine(peers: 2, settings: settings)
    let link = try machine.connect(0)
    for number in 1...3 {
      try machine.send(.forgetRequestReceived(link, try request(machine, number: UInt64(number), [a])))
    }
    try machine.send(.forgetRequestReceived(link, try request(machine, from: 1, [a])))
    #expect(try machine.catalog.forgetRequests().count == 3)
  }

  @Test func theOwnersOfTheSameBytesAreAskedAndAskedAgainWhenTheyConnect() throws {
    let (machine, link, other) = try machine()
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: other)
    _ = machine.take()
    let asked = try machine.send(.askToForget([a, b], isWithdrawn: false))
    // What nobody else names is nobody else's business.
    #expect(asked.requests(other).map(\.record.contents) == [[a]])
    #expect(asked.requests(link).count == 1)
    try machine.restart()
    try machine.connect(0)
    #expect(machine.take().requests(machine.lastLinkID).isEmpty)
    try machine.connect(1)
    #expect(machine.take().requests(machine.lastLinkID).map(\.record.number) == [1])
    try machine.send(.askToForget([a], isWithdrawn: true))
    #expect(try machine.catalog.forgetRequests().map(\.request.record.number) == [1, 2])
  }
}

extension [ReplicationAction] {
  fileprivate func requests(_ link: LinkID) -> [Signed<ForgetRequest>] {
    commands(link).compactMap { if case .announceForgetRequest(let request) = $0 { request } else { nil } }
  }
}
