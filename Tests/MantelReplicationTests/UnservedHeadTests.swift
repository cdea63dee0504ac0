import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// A newer head that is known, and whose entries nobody brings: its owner comes from an image of before, and does not know of it.
@Suite struct UnservedHeadTests {
  private let a = content("a")
  private let first = HeadOrder(epoch: 1, sequence: 1)
  private let newest = HeadOrder(epoch: 1, sequence: 9)

  private func shown(_ desk: SingleMachine, _ link: LinkID) -> [Signed<Head>] {
    desk.take().commands(link).compactMap {
      if case .announceHead(let head) = $0 { head } else { nil }
    }
  }

  private func isArriving(_ desk: SingleMachine) throws -> Bool {
    try desk.report().reasons.contains(.headsArriving(desk.peers[0].machine))
  }

  // MARK: Who has heard of it

  /// The first head of a peer is installed; of the ninth nothing came before the connection ended.
  private func hear(_ desk: SingleMachine) throws -> Signed<Head> {
    let link = try desk.connect()
    try desk.install(0, 1, [], over: link)
    let head = try desk.head(0, newest.sequence, [desk.entry("a.jpg", a)])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    try desk.send(.jobEnded(link, job, .failed))
    try desk.send(.linkClosed(link))
    try desk.pass(.seconds(100))
    _ = desk.take()
    return head
  }

  @Test func itsOwnerIsShownIt() throws {
    let desk = try SingleMachine()
    let head = try hear(desk)
    #expect(try isArriving(desk))
    let link = try desk.connect(heads: [desk.peers[0].machine: first])
    #expect(shown(desk, link) == [head])
    #expect(try isArriving(desk))
    // Once.
    try desk.pass(.seconds(1_000))
    #expect(shown(desk, link).isEmpty)
    // The owner goes on behind it.
    try desk.install(0, 10, [desk.entry("b.jpg", content("b"))], over: link)
    #expect(desk.replicator.installedHead(of: desk.peers[0].machine)?.order.sequence == 10)
    #expect(try !isArriving(desk))
  }

  @Test func anOwnerThatHasItIsAskedForIt() throws {
    let desk = try SingleMachine()
    _ = try hear(desk)
    let link = try desk.connect(heads: [desk.peers[0].machine: newest])
    let actions = desk.take()
    #expect(actions.deltas(link).count == 1)
    #expect(!actions.commands(link).contains { if case .announceHead = $0 { true } else { false } })
  }

  /// What the owner lacks as well, and can be had here, goes first.
  @Test func anOwnerTakesWhatCanBeServedFirst() throws {
    let desk = try SingleMachine()
    let head = try hear(desk)
    let link = try desk.connect()
    #expect(shown(desk, link).isEmpty)
    try desk.send(.headReceived(link, try desk.head(0, 1, [])))
    #expect(shown(desk, link) == [head])
  }

  /// Of an owner whose clock went back, nobody would take a head.
  @Test func anOwnerThatGoesOnBeforeItIsShownIt() throws {
    let desk = try SingleMachine()
    let head = try hear(desk)
    let link = try desk.connect()
    try desk.send(.headReceived(link, try desk.head(0, 5, [])))
    #expect(shown(desk, link) == [head])
  }

  @Test func whileAnotherMemberHasItNobodyIsShownIt() throws {
    let desk = try SingleMachine(peers: 2)
    let owner = desk.peers[0].machine
    let head = try hear(desk)
    let other = try desk.connect(1, heads: [owner: newest])
    #expect(desk.take().deltas(other).count == 1)
    let link = try desk.connect(0, heads: [owner: first])
    try desk.pass(.seconds(100))
    #expect(shown(desk, link).isEmpty)
    try desk.send(.linkClosed(other))
    #expect(shown(desk, link) == [head])
  }

  /// After a restart the head itself is forgotten.
  @Test func whatWasStagedOfItIsNotWaitedForOnceItsOwnerHasLess() throws {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 1
    let desk = try SingleMachine(peers: 2, settings: settings)
    let owner = desk.peers[0].machine
    let link = try desk.connect()
    try desk.install(0, 1, [], over: link)
    let entries = [desk.entry("a.jpg", a), desk.entry("b.jpg", content("b"))]
    let head = try desk.head(0, newest.sequence, entries)
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [entries[0]], removed: []))
    try desk.restart()
    try desk.connect(1, heads: [owner: first])
    #expect(try isArriving(desk), "another member may just not have it yet")
    try desk.connect(0, heads: [owner: first])
    #expect(try !isArriving(desk))
  }

  // MARK: Its owner

  private func isRecovering(_ desk: SingleMachine) -> Bool { desk.replicator.isRecovering }

  /// A head that the machine signed in a time that it has forgotten.
  private func forgotten(_ desk: SingleMachine, _ entries: [Entry]) throws -> Signed<Head> {
    let ids = entries.map { EntryID(of: $0).digest }.sorted()
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    return try desk.key.sign(
      Head(
        library: desk.machine, signer: desk.machine, order: HeadOrder(epoch: 1 << 53, sequence: 9),
        root: SetSnapshot(sorted: ids, tag: .entries(desk.household, library: desk.machine)).root,
        counts: counts, time: desk.now.wall), in: desk.household)
  }

  /// A member shows it, and has it not.
  private func show(_ head: Signed<Head>, by peer: Int = 0, to desk: SingleMachine) throws {
    let order = try #require(desk.head?.order)
    let link = try desk.connect(peer, heads: [desk.machine: order])
    let delta = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    let compare = try #require(
      try desk.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    #expect(isRecovering(desk))
    try desk.send(.jobEnded(link, compare.job, .unknownHead))
  }

  @Test func whatNobodyHasIsPassedAtOnce() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let head = try forgotten(desk, [])
    try show(head, to: desk)
    #expect(!isRecovering(desk))
    // Nothing has changed, and everybody has to hear of a later head all the same.
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.pass(.seconds(10))
    #expect(desk.head.map { $0.order.epoch > head.record.order.epoch } == true)
    #expect(desk.head?.counts.live == 1)
  }

  @Test func aMemberThatIsAwayMayHaveIt() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.publish("a.jpg", a, desk.stamp(10))
    let mine = try desk.ownEntries(of: a)
    let lost = Entry(
      folder: SingleMachine.folderID, path: bytes("b.jpg"), content: content("b"), size: 10,
      mtime: SingleMachine.oldTime, kind: .photo, state: .live, manifest: nil)
    let head = try forgotten(desk, mine + [lost])
    try show(head, to: desk)
    try desk.pass(.seconds(1_000))
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[1].machine])))
    let link = try desk.connect(1, heads: [desk.machine: head.record.order])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [lost], removed: []))
    try desk.send(.jobEnded(link, job, .complete))
    #expect(desk.head?.order == head.record.order)
    #expect(!isRecovering(desk))
  }

  // MARK: Both

  /// Nothing is there to be published after the image came back: only what is shown makes the owner go on.
  @Test(arguments: UInt64(1)...4) func anOldImageHoldsNobodyUp(seed: UInt64) throws {
    let household = try SimulatedHousehold(machines: 2, seed: seed)
    let (keeper, owner) = (household.machines[0], household.machines[1])
    owner.write("a.jpg", bytes("a"), mtime: SingleMachine.oldTime)
    for index in 0...1 { try household.scan(index) }
    household.connect(0, 1)
    try household.settle()
    try owner.keepImage()
    owner.write("b.jpg", bytes("b"), mtime: SingleMachine.oldTime)
    try household.scan(1)
    func installed(at machine: SimulatedMachine) -> Head? {
      machine.ask { $0.installedHead(of: owner.machine) }
    }
    func newest() -> Head? { keeper.ask { $0.lastHead(of: owner.machine) } }
    let before = try #require(installed(at: keeper))
    let end = household.now.instant + .seconds(60)
    while newest() == before { try #require(try household.step(until: end)) }
    #expect(installed(at: keeper) == before, "only heard of")
    let lost = try #require(newest())
    #expect(lost.order > before.order)
    owner.remove("b.jpg")
    try household.crash(1) { _ = try $0.restoreImage() }
    try household.settle()
    household.connect(0, 1)
    try household.settle()
    let head = try #require(installed(at: owner))
    #expect(head.order > lost.order)
    #expect(installed(at: keeper) == head)
    for machine in household.machines {
      let report = try machine.trueReport(now: household.now)
      #expect(report.isComplete, "\(report.reasons)")
    }
  }
}
