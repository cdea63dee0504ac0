import MantelCore
import Testing

@testable import MantelReplication

/// A head that was shown is installed in the end, and never from a mixture.
@Suite struct InstallingTests {
  private let a = content("a")
  private let b = content("b")

  @Test(arguments: [LinkOutcome.busy, .failed, .notHeld, .cancelled])
  func aHeadThatALinkFailedToServeIsAskedForAgain(outcome: LinkOutcome) throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    _ = machine.take()
    let head = try machine.head(0, 1, [machine.entry("a.jpg", a)])
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    #expect(try machine.send(.jobEnded(link, job, outcome)).deltas(link).isEmpty)
    _ = machine.take()
    try machine.pass(machine.settings.retry)
    #expect(machine.take().deltas(link).count == 1)
  }

  /// An owner that publishes more often than a checkpoint is old, and a link that never serves it.
  @Test func headsThatKeepComingDoNotHideThatNoneIsInstalled() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    let peer = machine.peers[0].machine
    try machine.install(0, 1, [], over: link)
    func isIncomplete() throws -> Bool { try machine.report().reasons.contains(.headsArriving(peer)) }
    for sequence in 2...5 {
      let head = try machine.head(0, UInt64(sequence), [machine.entry("\(sequence).jpg", a)])
      let job = try machine.send(.headReceived(link, head)).deltas(link).first
      if let job { try machine.send(.jobEnded(link, job, .failed)) }
      try machine.pass(.seconds(15))
      #expect(try isIncomplete() == (sequence == 5), "\(15 * (sequence - 1)) s after the first")
    }
  }

  /// With every install the heads behind it have their time anew.
  @Test func heavyPublishingThatIsFollowedIsNoReason() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    let peer = machine.peers[0].machine
    func entry(_ number: UInt64) -> Entry { machine.entry("\(number).jpg", a) }
    try machine.install(0, 1, [entry(1)], over: link)
    var job = try machine.send(.headReceived(link, try machine.head(0, 2, [entry(2)]))).deltas(link).first
    for sequence in UInt64(3)...8 {
      try machine.pass(.seconds(30))
      try machine.send(.headReceived(link, try machine.head(0, sequence, [entry(sequence)])))
      #expect(try !machine.report().reasons.contains(.headsArriving(peer)))
      // What was asked for comes when a newer head is known already.
      try machine.send(
        .entriesReceived(
          link, try #require(job), added: [entry(sequence - 1)],
          removed: [EntryID(of: entry(sequence - 2))]))
      job = try machine.send(.jobEnded(link, try #require(job), .complete)).deltas(link).first
    }
  }

  @Test func aHeadThatWasHalfStagedIsStillMissedAfterARestart() throws {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 1
    let machine = try SingleMachine(settings: settings)
    let peer = machine.peers[0].machine
    let entries = [machine.entry("a.jpg", a), machine.entry("b.jpg", b)]
    var link = try machine.connect()
    try machine.install(0, 1, [], over: link)
    let head = try machine.head(0, 2, entries)
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    try machine.send(.entriesReceived(link, job, added: [entries[0]], removed: []))
    try machine.restart()
    #expect(try machine.report().reasons.contains(.headsArriving(peer)))
    link = try machine.connect()
    let compare = try #require(try machine.send(.headReceived(link, head)).reconciliations(link).first)
    try machine.send(
      .differenceFound(link, compare.job, theirsOnly: [EntryID(of: entries[1]).digest], mineOnly: []))
    let fetch = try #require(machine.take().entryFetches(link).first)
    try machine.send(.entriesReceived(link, fetch.job, added: [entries[1]], removed: []))
    try machine.send(.jobEnded(link, fetch.job, .complete))
    try machine.send(.jobEnded(link, compare.job, .complete))
    #expect(machine.replicator.installedHead(of: peer) == head.record)
    #expect(try !machine.report().reasons.contains(.headsArriving(peer)))
  }

  @Test func aDifferenceInManyPiecesIsFetchedInOneJobAtATime() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    let entries = (0..<6).map { machine.entry("\($0).jpg", content("\($0)")) }
    let head = try machine.head(0, 1, entries)
    let delta = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    let compare = try #require(
      try machine.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    _ = machine.take()
    for entry in entries {
      let id = EntryID(of: entry).digest
      try machine.send(.differenceFound(link, compare.job, theirsOnly: [id], mineOnly: []))
    }
    try machine.send(.jobEnded(link, compare.job, .complete))
    var asked = 0
    while let fetch = machine.take().entryFetches(link).first {
      asked += 1
      let found = entries.filter { fetch.ids.contains(EntryID(of: $0)) }
      try machine.send(.entriesReceived(link, fetch.job, added: found, removed: []))
      try machine.send(.jobEnded(link, fetch.job, .complete))
    }
    #expect(asked == 2, "the first piece, and all that came meanwhile")
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine) == head.record)
  }

  /// Many entries share a transaction; none is lost when the link is, and the last ones are staged with the end.
  @Test func entriesAreStagedManyAtOnce() throws {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 3
    let machine = try SingleMachine(settings: settings)
    let peer = machine.peers[0].machine
    let link = try machine.connect()
    let entries = (0..<8).map { machine.entry("\($0).jpg", content("\($0)")) }
    let head = try machine.head(0, 1, entries)
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    var staged: [Int] = []
    for entry in entries {
      try machine.send(.entriesReceived(link, job, added: [entry], removed: []))
      staged.append(try machine.catalog.staged(peer).added.count)
    }
    #expect(staged == [0, 0, 3, 3, 3, 6, 6, 6])
    try machine.send(.linkClosed(link))
    #expect(try machine.catalog.staged(peer).added.count == 8)
    let again = try machine.connect()
    let compare = try #require(try machine.send(.headReceived(again, head)).reconciliations(again).first)
    try machine.send(.jobEnded(again, compare.job, .complete))
    #expect(machine.replicator.installedHead(of: peer) == head.record)
  }

  /// A peer's late answers to a fetch that was given up are of another head.
  @Test func whatAnAbandonedFetchStillBringsIsNotStaged() throws {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 1
    let machine = try SingleMachine(settings: settings)
    let link = try machine.connect()
    let old = machine.entry("old.jpg", a)
    let new = machine.entry("new.jpg", b)
    let delta = try #require(
      try machine.send(.headReceived(link, try machine.head(0, 1, [old]))).deltas(link).first)
    let compare = try #require(
      try machine.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    let late = try #require(
      try machine.send(
        .differenceFound(link, compare.job, theirsOnly: [EntryID(of: old).digest], mineOnly: [])
      ).entryFetches(link).first)
    try machine.send(.jobEnded(link, compare.job, .failed))
    let head = try machine.head(0, 2, [new])
    let next = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    try machine.send(.entriesReceived(link, late.job, added: [old], removed: []))
    try machine.send(.jobEnded(link, late.job, .complete))
    try machine.send(.entriesReceived(link, next, added: [new], removed: []))
    #expect(try machine.catalog.staged(machine.peers[0].machine).added == [EntryID(of: new)])
    try machine.send(.jobEnded(link, next, .complete))
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine) == head.record)
  }

  /// To find that out takes as long as an install, and whoever has such a head has the same entries.
  @Test func aHeadThatIsNoLibraryIsTriedOnce() throws {
    let machine = try SingleMachine(peers: 2)
    let (owner, other) = (try machine.connect(0), try machine.connect(1))
    let double = [machine.entry("a.jpg", a), machine.entry("a.jpg", b)]
    let head = try machine.head(0, 1, double)
    let job = try #require(try machine.send(.headReceived(owner, head)).deltas(owner).first)
    try machine.send(.headReceived(other, head))
    try machine.send(.entriesReceived(owner, job, added: double, removed: []))
    _ = machine.take()
    try machine.send(.jobEnded(owner, job, .complete))
    try machine.send(.linkClosed(owner))
    let again = try machine.connect(0)
    try machine.send(.headReceived(again, head))
    try machine.pass(machine.settings.contradiction)
    let asked = machine.take()
    for link in [other, again] {
      #expect(asked.deltas(link).isEmpty && asked.reconciliations(link).isEmpty)
    }
    let next = try machine.head(0, 2, [double[0]])
    #expect(try machine.send(.headReceived(again, next)).reconciliations(again).count == 1)
  }

  /// A peer that repeats itself, or makes entries up, without end. The next one is asked.
  @Test func noMoreIsTakenThanAHeadHas() throws {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 1
    let machine = try SingleMachine(peers: 2, settings: settings)
    let peer = machine.peers[0].machine
    let (owner, other) = (try machine.connect(0), try machine.connect(1))
    let entry = machine.entry("a.jpg", a)
    let head = try machine.head(0, 1, [entry])
    let job = try #require(try machine.send(.headReceived(owner, head)).deltas(owner).first)
    try machine.send(.headReceived(other, head))
    for number in 0..<2 {
      let made = machine.entry("\(number).jpg", b)
      let actions = try machine.send(.entriesReceived(owner, job, added: [made], removed: []))
      #expect(actions.reconciliations(other).isEmpty)
    }
    let last = try machine.send(.entriesReceived(owner, job, added: [machine.entry("2.jpg", b)], removed: []))
    let compare = try #require(last.reconciliations(other).first)
    try machine.send(.entriesReceived(owner, job, added: [machine.entry("3.jpg", b)], removed: []))
    #expect(try machine.catalog.staged(peer).added.count == 2)
    let mine = try machine.catalog.staged(peer).added.map(\.digest)
    let asked = try machine.send(
      .differenceFound(other, compare.job, theirsOnly: [EntryID(of: entry).digest], mineOnly: mine))
    let fetch = try #require(asked.entryFetches(other).first)
    try machine.send(.entriesReceived(other, fetch.job, added: [entry], removed: []))
    try machine.send(.jobEnded(other, fetch.job, .complete))
    try machine.send(.jobEnded(other, compare.job, .complete))
    #expect(machine.replicator.installedHead(of: peer) == head.record)
  }

  /// The root does not follow, or more comes than twice what the head has. Fails where `giveUp` keeps it.
  @Test(arguments: [2, 5]) func whatWasRepeatedIsDiscardedWithItsContradiction(times: Int) throws {
    let (machine, link, job, entry) = try repeating()
    let peer = machine.peers[0].machine
    for _ in 2..<times { try machine.send(.entriesReceived(link, job, added: [entry], removed: [])) }
    let ended = try machine.send(.jobEnded(link, job, .complete))
    let compare = ended.reconciliations(link).first
    #expect((compare == nil) == (times == 5), "it was given up before its end")
    if let compare { try machine.send(.jobEnded(link, compare.job, .complete)) }
    #expect(try machine.catalog.staged(peer) == StagedView())
  }

  /// A peer that ends each connection before its head is judged. Fails where `startFetch` goes on from it.
  @Test func whatWasRepeatedIsDiscardedByTheNextFetch() throws {
    let (machine, link, _, entry) = try repeating()
    let peer = machine.peers[0].machine
    try machine.send(.linkClosed(link))
    #expect(try machine.catalog.staged(peer).added == [EntryID(of: entry)])
    let again = try machine.connect()
    let asked = try machine.send(.headReceived(again, try machine.head(0, 2, [entry])))
    #expect(asked.deltas(again).count == 1 && asked.reconciliations(again).isEmpty)
    #expect(try machine.catalog.staged(peer) == StagedView())
  }

  /// A peer that has sent one entry of its head of two, twice.
  private func repeating() throws -> (SingleMachine, LinkID, LinkJob, Entry) {
    var settings = ReplicationSettings()
    settings.stagedAtOnce = 1
    let machine = try SingleMachine(bulk: 1, settings: settings)
    let link = try machine.connect()
    let entry = machine.entry("a.jpg", a)
    let head = try machine.head(0, 1, [entry, machine.entry("b.jpg", b)])
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    for _ in 0..<2 { try machine.send(.entriesReceived(link, job, added: [entry], removed: [])) }
    #expect(try machine.catalog.staged(machine.peers[0].machine).repeats == 1)
    return (machine, link, job, entry)
  }

  // MARK: Room on the catalog's disk

  private func measure(_ machine: SingleMachine, free: UInt64) throws {
    let wide = DiskSpace(free: 1 << 40, total: 1 << 40)
    try machine.send(.diskRoom(DiskRoom(replica: wide, catalog: DiskSpace(free: free, total: 100_000))))
  }

  /// It would end as a failure of the catalog, again and again. Fails where `installIfWhole` does not ask for room, and in its end
  /// where the measured room installs nothing (`installAwaitingRoom`), or only over the link.
  @Test func anInstallWaitsForRoomOnTheCatalogsDisk() throws {
    let machine = try SingleMachine(bulk: 1)
    let peer = machine.peers[0].machine
    let needed = 3 * machine.settings.installedRowBytes
    try measure(machine, free: needed - 1)
    let link = try machine.connect()
    let entries = (0..<3).map { machine.entry("\($0).jpg", content("\($0)")) }
    try machine.install(0, 1, entries, over: link)
    #expect(machine.replicator.installedHead(of: peer) == nil)
    let report = try machine.report()
    #expect(report.reasons.contains(.catalogSpace(peer, bytes: needed)))
    #expect(report.state == .waiting && !report.isComplete)
    #expect(try machine.catalog.staged(peer).added.count == 3)

    let later = try machine.send(.headReceived(link, try machine.head(0, 2, [entries[0]])))
    #expect(later.deltas(link).isEmpty && later.reconciliations(link).isEmpty, "no more is staged meanwhile")
    try measure(machine, free: needed - 1)
    #expect(machine.replicator.installedHead(of: peer) == nil)
    try machine.send(.linkClosed(link))
    try measure(machine, free: needed)
    #expect(machine.replicator.installedHead(of: peer) == (try machine.head(0, 1, entries).record))
    #expect(try !machine.report().reasons.contains(.catalogSpace(peer, bytes: needed)))
    let again = try machine.connect()
    #expect(
      try machine.send(.headReceived(again, try machine.head(0, 2, [entries[0]]))).deltas(again).count == 1)
  }

  /// Its head has to be shown again, and nothing else. The replica's disk is away then: the catalog's is measured alone.
  @Test func whatWaitsForRoomIsInstalledAfterARestart() throws {
    let machine = try SingleMachine(bulk: 1)
    let peer = machine.peers[0].machine
    let needed = 3 * machine.settings.installedRowBytes
    try measure(machine, free: 0)
    let entries = (0..<3).map { machine.entry("\($0).jpg", content("\($0)")) }
    try machine.install(0, 1, entries, over: try machine.connect())
    try machine.restart()
    try machine.send(.catalogRoom(DiskSpace(free: needed - 1, total: 100_000)))
    let link = try machine.connect()
    let head = try machine.head(0, 1, entries)
    let compare = try #require(try machine.send(.headReceived(link, head)).reconciliations(link).first)
    try machine.send(.jobEnded(link, compare.job, .complete))
    #expect(machine.replicator.installedHead(of: peer) == nil)
    try machine.send(.catalogRoom(DiskSpace(free: needed, total: 100_000)))
    #expect(machine.replicator.installedHead(of: peer) == head.record)
    #expect(machine.take().entryFetches(link).isEmpty)
  }

  /// Two large heads within the time that a measure of the room counts. The second one needs more: the indexes have the rows of
  /// both. Fails where `installIfWhole` takes nothing off.
  @Test func anInstallTakesRoomUntilItIsMeasuredAgain() throws {
    let machine = try SingleMachine(peers: 2, bulk: 1)
    let room = 6 * machine.settings.installedRowBytes
    try measure(machine, free: room)
    let entries = (0..<3).map { machine.entry("\($0).jpg", content("\($0)")) }
    for peer in 0..<2 { try machine.install(peer, 1, entries, over: try machine.connect(peer)) }
    let installed = { machine.peers.map { machine.replicator.installedHead(of: $0.machine) != nil } }
    #expect(installed() == [true, false])
    try measure(machine, free: room)
    #expect(installed() == [true, true])
  }
}
