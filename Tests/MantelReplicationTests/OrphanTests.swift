import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Entries that fall out of a library without a word: kept and told by whoever notices, taken back by the owner.
@Suite struct OrphanTests {
  private let a = content("a")
  private let b = content("b")
  private let c = content("c")

  private func orphaned(_ desk: SingleMachine) throws -> StatusReason? {
    try desk.report().reasons.first { if case .orphaned = $0 { true } else { false } }
  }

  private func shown(_ actions: [ReplicationAction], _ link: LinkID) -> [Signed<Head>] {
    actions.commands(link).compactMap { if case .announceHead(let head) = $0 { head } else { nil } }
  }

  // MARK: Who keeps copies

  @Test func whatVanishesIsCountedAndShownToItsOwner() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    let (kept, gone) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.install(0, 1, [kept, gone], over: link)
    _ = desk.take()
    try desk.install(0, 2, [kept], removed: [gone], added: [], over: link)
    let peer = desk.peers[0].machine
    #expect(try orphaned(desk) == .orphaned(peer, files: 1))
    #expect(try desk.report().state == .attention)
    // Last: of heads of one library that wait to be sent the last counts.
    let former = try desk.head(0, 1, [kept, gone]).record
    #expect(shown(desk.take(), link).last?.record.root == former.root)

    // After a restart too, to each connection of the owner's.
    try desk.restart()
    #expect(try orphaned(desk) == .orphaned(peer, files: 1))
    let again = try desk.connect(heads: [peer: HeadOrder(epoch: 1, sequence: 2)])
    #expect(shown(desk.take(), again).map(\.record.order) == [former.order])

    // The owner has taken it back.
    let retired = desk.entry("b.jpg", b, state: .retired(.missing, at: desk.now.wall))
    try desk.install(0, 3, [kept, retired], added: [retired], over: again)
    #expect(try orphaned(desk) == nil)
    #expect(try desk.report().state != .attention)
  }

  /// An owner may never come back for them.
  @Test func whoeverKnowsOfThemEndsTheComplaintAndNothingElse() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    let (kept, gone, next) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b), desk.entry("c.jpg", c))
    let peer = desk.peers[0].machine
    try desk.install(0, 1, [kept, gone, next], over: link)
    try desk.install(0, 2, [kept, next], removed: [gone], added: [], over: link)
    #expect(try orphaned(desk) == .orphaned(peer, files: 1))
    try desk.send(.orphansAcknowledged)
    #expect(try orphaned(desk) == nil)
    #expect(try desk.report().state != .attention)
    try desk.restart()
    #expect(try orphaned(desk) == nil)
    let again = try desk.connect(heads: [peer: HeadOrder(epoch: 1, sequence: 2)])
    #expect(
      shown(desk.take(), again).map(\.record.order.sequence) == [1], "its owner is shown it all the same")

    // What nobody knows of yet is told.
    try desk.install(0, 3, [kept], removed: [next], added: [], over: again)
    #expect(try orphaned(desk) == .orphaned(peer, files: 1))
  }

  @Test(arguments: [EntryState.dropped(at: WallTime(nanoseconds: 5)), .unheld(at: WallTime(nanoseconds: 5))])
  func whatWasDroppedIsNoOrphan(state: EntryState) throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    let live = desk.entry("b.jpg", b)
    try desk.install(0, 1, [live], over: link)
    var after = live
    after.state = state
    if after.isDropped { after.path = [] }
    try desk.install(0, 2, [after], removed: [live], over: link)
    #expect(desk.replicator.installedHead(of: desk.peers[0].machine)?.order.sequence == 2)
    #expect(try orphaned(desk) == nil)
  }

  @Test func aMoveLeavesNoOrphan() throws {
    let desk = try SingleMachine()
    let link = try desk.connect()
    let (from, to) = (desk.entry("b.jpg", b), desk.entry("c.jpg", b))
    try desk.install(0, 1, [from], over: link)
    try desk.install(0, 2, [to], removed: [from], over: link)
    #expect(try orphaned(desk) == nil)
  }

  // MARK: The owner

  private func own(_ path: String, _ content: ContentID, _ state: EntryState = .live) -> Entry {
    Entry(
      folder: SingleMachine.folderID, path: bytes(path), content: content, size: 10,
      mtime: SingleMachine.oldTime,
      kind: .photo, state: state, manifest: nil)
  }

  /// A head that this machine's key has signed once.
  private func former(_ desk: SingleMachine, _ order: HeadOrder, _ entries: [Entry]) throws -> Signed<Head> {
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    let root = SetSnapshot(
      sorted: entries.map { EntryID(of: $0).digest }.sorted(),
      tag: .entries(desk.household, library: desk.machine)
    ).root
    return try desk.key.sign(
      Head(
        library: desk.machine, signer: desk.machine, order: order, root: root, counts: counts,
        time: desk.now.wall
      ), in: desk.household)
  }

  /// Answers what the owner asks of a head that it is shown: `mine` is what it has published since.
  private func serve(
    _ desk: SingleMachine, _ entries: [Entry], mine: [Entry] = [], _ job: LinkJob, over link: LinkID
  ) throws {
    try desk.send(.entriesReceived(link, job, added: mine, removed: entries.map { EntryID(of: $0) }))
    let fetch = try #require(try desk.send(.jobEnded(link, job, .complete)).entryFetches(link).first)
    #expect(fetch.ids == entries.map { EntryID(of: $0) })
    try desk.send(.entriesReceived(link, fetch.job, added: entries, removed: []))
    try desk.send(.jobEnded(link, fetch.job, .complete))
    try desk.pass(.seconds(3))
  }

  private let long = HeadOrder(epoch: 1, sequence: 7)

  @Test func theOwnerTakesBackWhatItDoesNotKnow() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let dropped = own("", content("d"), .dropped(at: desk.now.wall))
    let gone = [
      own("b.jpg", b), own("c.jpg", c, .retired(.replaced, at: desk.now.wall)), own("old.jpg", a), dropped,
    ]
    let link = try desk.connect(heads: [desk.machine: try #require(desk.head?.order)])
    let job = try #require(
      try desk.send(.headReceived(link, try former(desk, long, gone))).deltas(link).first)
    try serve(desk, gone, mine: try desk.ownEntries(of: a), job, over: link)
    #expect(desk.head?.counts.live == 1 && desk.head?.counts.retired == 2 && desk.head?.counts.dropped == 0)
    guard case .retired(.missing, _) = try desk.ownEntries(of: b).first?.state,
      case .retired(.replaced, _) = try desk.ownEntries(of: c).first?.state
    else {
      Issue.record("\(try desk.ownEntries(of: b) + desk.ownEntries(of: c))")
      return
    }
    #expect(desk.take().contains { if case .warn(.orphansTakenBack(2)) = $0 { true } else { false } })
  }

  /// A moment apart, before the next head is out. Fails where entries are told apart by when they were taken back (`takeBack`).
  @Test func whatTwoPeersShowIsTakenBackOnce() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.publish("a.jpg", a, desk.stamp(10))
    let (gone, mine) = (own("b.jpg", b), try desk.ownEntries(of: a))
    let order = try #require(desk.head?.order)
    let head = try former(desk, long, [gone])
    for peer in 0...1 {
      let link = try desk.connect(peer, heads: [desk.machine: order])
      let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
      try desk.send(.entriesReceived(link, job, added: mine, removed: [EntryID(of: gone)]))
      let fetch = try #require(try desk.send(.jobEnded(link, job, .complete)).entryFetches(link).first)
      try desk.send(.entriesReceived(link, fetch.job, added: [gone], removed: []))
      try desk.send(.jobEnded(link, fetch.job, .complete))
      #expect(desk.head?.order == order)
      try desk.pass(.milliseconds(300))
    }
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: b).map(\.state.isRetired) == [true])
    #expect(desk.head?.counts.live == 1 && desk.head?.counts.retired == 1)
    #expect(desk.take().contains { if case .warn(.orphansTakenBack(1)) = $0 { true } else { false } })
  }

  @Test func aHeadThatItHasPublishedIsNoNews() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let old = try #require(try desk.catalog.libraries().first { $0.machine == desk.machine }?.installed)
    try desk.publish("b.jpg", b, desk.stamp(10))
    let link = try desk.connect(heads: [desk.machine: try #require(desk.head?.order)])
    #expect(try desk.send(.headReceived(link, old)).deltas(link).isEmpty)
  }

  @Test(arguments: [LinkOutcome.busy, .failed, .unknownHead])
  func aPeerThatDoesNotServeItIsAskedAgain(outcome: LinkOutcome) throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let link = try desk.connect(heads: [desk.machine: try #require(desk.head?.order)])
    let head = try former(desk, long, [own("b.jpg", b)])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    #expect(try desk.send(.jobEnded(link, job, outcome)).deltas(link).isEmpty)
    _ = desk.take()
    try desk.pass(desk.settings.retry)
    let again = try #require(desk.take().deltas(link).first)
    try serve(desk, [own("b.jpg", b)], mine: try desk.ownEntries(of: a), again, over: link)
    #expect(desk.head?.counts.retired == 1)
  }

  /// A member cannot make entries up: what it says has to have the root that this machine once signed.
  @Test func whatTheFormerHeadDidNotNameIsNotTakenBack() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let link = try desk.connect(heads: [desk.machine: try #require(desk.head?.order)])
    let head = try former(desk, long, [own("b.jpg", b)])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    let mine = try desk.ownEntries(of: a)
    try desk.send(.entriesReceived(link, job, added: mine, removed: [EntryID(of: own("c.jpg", c))]))
    #expect(try desk.send(.jobEnded(link, job, .complete)).entryFetches(link).isEmpty)
    _ = desk.take()
    try desk.pass(desk.settings.longestRetry)
    #expect(desk.take().deltas(link).isEmpty)

    // Nor what it adds to an answer that was right.
    try desk.pass(desk.settings.contradiction)
    let again = try #require(desk.take().deltas(link).first)
    try desk.send(.entriesReceived(link, again, added: mine, removed: [EntryID(of: own("b.jpg", b))]))
    let fetch = try #require(try desk.send(.jobEnded(link, again, .complete)).entryFetches(link).first)
    try desk.send(
      .entriesReceived(link, fetch.job, added: [own("b.jpg", b), own("c.jpg", c)], removed: []))
    try desk.send(.jobEnded(link, fetch.job, .complete))
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: b).count == 1)
    #expect(try desk.ownEntries(of: c).isEmpty)
  }

  /// What its user forgot stays forgotten.
  @Test func whatTheLibraryDroppedIsNotTakenBack() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let entry = try #require(try desk.ownEntries(of: a).first)
    try desk.send(.forget([EntryID(of: entry)]))
    let dropped = try desk.catalog.droppedEntries(desk.machine, of: a).map(\.entry)
    #expect(dropped.count == 1)
    let link = try desk.connect(heads: [desk.machine: try #require(desk.head?.order)])
    let head = try former(desk, HeadOrder(epoch: 1, sequence: 7), [entry])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    try serve(desk, [entry], mine: dropped, job, over: link)
    try desk.pass(.seconds(3))
    #expect(try desk.ownEntries(of: a).isEmpty)
  }

  /// Its keeper takes them back (`KeepingTests`); the copies stay meanwhile, and nobody is asked for a decision.
  @Test func ofARemovedMachineThereIsNothingToDecide() throws {
    let desk = try SingleMachine(peers: 2)
    let link = try desk.connect()
    try desk.install(0, 1, [desk.entry("a.jpg", a), desk.entry("b.jpg", b)], over: link)
    try desk.install(0, 2, [desk.entry("a.jpg", a)], removed: [desk.entry("b.jpg", b)], added: [], over: link)
    #expect(try orphaned(desk) != nil)
    try desk.remove(0)
    #expect(try orphaned(desk) == nil)
  }

  /// Two heads of one place: nothing of the other branch is lost.
  @Test func theOtherBranchOfAForkIsTakenBack() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let order = try #require(desk.head?.order)
    let fork = try former(desk, order, [own("b.jpg", b)])
    let link = try desk.connect(heads: [desk.machine: order])
    try desk.send(.headReceived(link, fork))
    try desk.scan(["a.jpg": desk.stamp(10)])
    if desk.take().hashes.contains(bytes("a.jpg")) { try desk.finishHash("a.jpg", a, desk.stamp(10)) }
    try desk.pass(.seconds(3))
    #expect(desk.head.map { $0.order.epoch > order.epoch } == true)
    // The peer has installed that, and shows what it lacks.
    let job = try #require(try desk.send(.headReceived(link, fork)).deltas(link).first)
    try serve(desk, [own("b.jpg", b)], mine: try desk.ownEntries(of: a), job, over: link)
    #expect(desk.head?.counts.live == 1 && desk.head?.counts.retired == 1)
  }
}
