import MantelCore
import MantelHousehold
import MantelSummary
import Testing

@testable import MantelReplication

/// What a peer has: how it becomes known, and what is read from it before.
@Suite struct LinkTests {
  private let photo = content("photo")

  private func opening(
    _ machine: SingleMachine, _ holdings: (count: Int, root: Digest256), isDialer: Bool = true
  ) -> LinkOpening {
    LinkOpening(
      machine: machine.peers[0].machine, heads: [:], holdingsCount: UInt64(holdings.count),
      holdingsRoot: holdings.root, rosterHash: machine.replicator.roster.hash, time: machine.now.wall,
      isDialer: isDialer, saysItsWord: true)
  }

  /// The peer said what this machine has by now, and was told what it had: it waits to be compared with.
  @Test func bothSidesJudgeByTheHellos() throws {
    let machine = try SingleMachine()
    let link = LinkID(1)
    machine.replicator.prepare(link)
    try machine.write("a.jpg", photo, machine.stamp(10))
    let actions = try machine.send(.linkOpened(link, opening(machine, machine.replicator.holdings())))
    #expect(actions.compared(link) != nil)
  }

  @Test func equalHellosNeedNoComparison() throws {
    let machine = try SingleMachine()
    let link = LinkID(1)
    try machine.write("a.jpg", photo, machine.stamp(10))
    machine.replicator.prepare(link)
    let said = machine.replicator.holdings()
    try machine.write("b.jpg", content("other"), machine.stamp(10))
    let actions = try machine.send(.linkOpened(link, opening(machine, said)))
    #expect(actions.compared(link) == nil)
    #expect(actions.told(link, of: content("other")) == true)
    #expect(machine.replicator.connectedHolders(of: photo) == [machine.peers[0].machine])
    #expect(machine.replicator.connectedHolders(of: content("other")).isEmpty)
  }

  @Test(arguments: [LinkOutcome.busy, .failed, .cancelled, .unsupported])
  func aComparisonThatCameToNothingIsStartedAgain(outcome: LinkOutcome) throws {
    let machine = try SingleMachine()
    let link = try machine.connect(compares: false)
    let (job, _) = try #require(machine.take().compared(link))
    try machine.send(.jobEnded(link, job, outcome))
    #expect(machine.take().compared(link) == nil)
    try machine.pass(machine.settings.retry)
    #expect(machine.take().compared(link) != nil)
  }

  @Test func nothingIsReadFromAnAbsenceBeforeAllIsCompared() throws {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", photo, machine.stamp(10))
    let link = try machine.connect(compares: false)
    let (job, _) = try #require(machine.take().compared(link))
    try machine.send(.differenceFound(link, job, theirsOnly: [], mineOnly: [content("x").digest]))
    #expect(machine.replicator.connectedHolders(of: photo).isEmpty, "it may be named as lacking yet")
    try machine.send(.jobEnded(link, job, .complete))
    #expect(machine.replicator.connectedHolders(of: photo) == [machine.peers[0].machine])
  }

  @Test func whatThePeerHasIsAskedForBeforeAllIsCompared() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(compares: false)
    let (job, _) = try #require(machine.take().compared(link))
    try machine.install(0, 1, [machine.entry("a.jpg", photo)], over: link)
    try machine.send(.differenceFound(link, job, theirsOnly: [photo.digest], mineOnly: []))
    #expect(machine.take().orders(link).map(\.unit.content) == [photo])
  }

  @Test func anAnnouncementIsNewerThanTheComparison() throws {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", photo, machine.stamp(10))
    try machine.publish("b.jpg", content("b"), machine.stamp(10))
    let link = try machine.connect(compares: false)
    let (job, _) = try #require(machine.take().compared(link))
    try machine.send(.availabilityChanged(link, added: [content("b")], removed: [photo]))
    try machine.send(.differenceFound(link, job, theirsOnly: [], mineOnly: [content("b").digest]))
    try machine.send(.jobEnded(link, job, .complete))
    #expect(machine.replicator.connectedHolders(of: photo).isEmpty)
    #expect(machine.replicator.connectedHolders(of: content("b")) == [machine.peers[0].machine])
  }

  /// The other side's part: it is asked for a snapshot, even before it heard that the link is open.
  @Test(arguments: [false, true]) func theSideThatWasDialledComesToKnow(isEarly: Bool) throws {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", photo, machine.stamp(10))
    let link = LinkID(1)
    machine.replicator.prepare(link)
    if isEarly { _ = machine.replicator.snapshot(of: .holdings, for: link) }
    try machine.send(.linkOpened(link, opening(machine, (9, .zero), isDialer: false)))
    if !isEarly { _ = machine.replicator.snapshot(of: .holdings, for: link) }
    // What is gone here since was compared, and the peer has it.
    try machine.sight("a.jpg", .gone)
    try machine.send(.differenceFound(link, nil, theirsOnly: [content("x").digest], mineOnly: []))
    #expect(machine.replicator.connectedHolders(of: photo).isEmpty)
    try machine.send(.holdingsCompared(link))
    #expect(machine.replicator.connectedHolders(of: photo) == [machine.peers[0].machine])
  }

  // MARK: Bounds

  private func isClosedOverLimit(_ actions: [ReplicationAction], _ link: LinkID) -> Bool {
    actions.commands(link).contains { if case .close(.overLimit) = $0 { true } else { false } }
  }

  enum Naming: CaseIterable { case announced, compared, removedWhileComparing }

  /// Random ids cost a peer nothing, and this machine memory.
  @Test(arguments: Naming.allCases) func aPeerNamesNoMoreThanItsLibrariesDo(naming: Naming) throws {
    var settings = ReplicationSettings()
    settings.unlistedContents = 100
    let machine = try SingleMachine(settings: settings)
    let link = try machine.connect(compares: naming == .announced)
    // Each head makes room for its entries.
    let entries = (0..<50).map { machine.entry("\($0).jpg", content("known \($0)")) }
    try machine.install(0, 1, entries, over: link)
    let job = machine.take().compared(link)?.0
    var named = 0
    while named < 1_000 {
      let contents = (0..<10).map { content("made up \(named + $0)") }
      let actions =
        switch naming {
        case .announced: try machine.send(.availabilityChanged(link, added: contents, removed: []))
        case .compared:
          try machine.send(
            .differenceFound(link, job, theirsOnly: contents.map(\.digest), mineOnly: []))
        case .removedWhileComparing:
          try machine.send(.availabilityChanged(link, added: [], removed: contents))
        }
      if isClosedOverLimit(actions, link) { break }
      named += 10
    }
    #expect(named == 150)
    // Nothing more is taken, and it is told once.
    let more = try machine.send(.availabilityChanged(link, added: [content("more")], removed: []))
    #expect(!isClosedOverLimit(more, link))
    #expect(machine.replicator.connectedHolders(of: content("more")).isEmpty)
    let known = machine.replicator.links[link].map {
      machine.replicator.contents.index.count(of: $0.contents)
    }
    #expect((known ?? 0) <= 150)
  }

  // MARK: Removal

  @Test func aRemovedMachineIsToldBeforeItsConnectionEnds() throws {
    let machine = try SingleMachine(peers: 2)
    let link = try machine.connect(0)
    _ = machine.take()
    let removal = try machine.replicator.roster.removing(
      machine.peers[0].machine, lastHead: .none, lastRoot: .zero, by: machine.key, now: machine.now.wall)
    let actions = try machine.send(.rosterReceived(nil, [removal.bytes]))
    let told = actions.firstIndex {
      if case .link(link, .announceRoster(let statements)) = $0 {
        statements.contains(removal.bytes)
      } else {
        false
      }
    }
    // The agent drops the connections of machines that are none any more when the roster changes.
    let changed = actions.firstIndex { if case .rosterChanged = $0 { true } else { false } }
    let closed = actions.firstIndex { if case .link(link, .close(.notMember)) = $0 { true } else { false } }
    #expect(try #require(told) < #require(changed))
    #expect(try #require(told) < #require(closed))
  }

  /// Else it hears of the vote with the next change, or connection. Fails where nothing goes back to who has brought something
  /// (`tell(_:ofVotes:)`).
  @Test func whoBringsARemovalIsToldOfTheVoteOnIt() throws {
    let machine = try SingleMachine(peers: 4)
    let link = try machine.connect(1)
    let other = try machine.connect(2)
    let removal = try machine.replicator.roster.removing(
      machine.peers[0].machine, lastHead: .none, lastRoot: .zero, by: machine.peers[1],
      now: machine.now.wall)
    let actions = try machine.send(.rosterReceived(link, [removal.bytes]))
    let vote = try #require(
      machine.replicator.roster.statements.first { $0.statement.body == .countersign(removal.id) })
    #expect(vote.statement.by == machine.machine)
    #expect(actions.statements(link) == [[vote.bytes]], "nothing that it brought itself")
    #expect(actions.statements(other).map { Set($0) } == [[removal.bytes, vote.bytes]])

    // What comes back is no news, and another one's vote needs no answer.
    #expect(try machine.send(.rosterReceived(link, [removal.bytes, vote.bytes])).statements(link).isEmpty)
    let theirs = try #require(
      try machine.replicator.roster.countersigning(by: machine.peers[2], now: machine.now.wall).first)
    let answers = try machine.send(.rosterReceived(other, [theirs.bytes]))
    #expect(answers.statements(other).isEmpty && answers.statements(link) == [[theirs.bytes]])
  }

  @Test func aRemovedMachineSaysSo() throws {
    let machine = try SingleMachine(peers: 2)
    let link = try machine.connect(0)
    let removal = try machine.replicator.roster.removing(
      machine.machine, lastHead: .none, lastRoot: .zero, by: machine.peers[0], now: machine.now.wall)
    try machine.send(.rosterReceived(link, [removal.bytes]))
    let report = try machine.report()
    #expect(report.state == .attention)
    #expect(report.reasons.contains(.removed))
    #expect(!report.isComplete)
  }
}

extension [ReplicationAction] {
  /// What one link is told of the roster.
  fileprivate func statements(_ link: LinkID) -> [[[UInt8]]] {
    commands(link).compactMap { if case .announceRoster(let statements) = $0 { statements } else { nil } }
  }
}
