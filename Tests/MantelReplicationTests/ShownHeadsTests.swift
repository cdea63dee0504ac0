import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// The newest head of a removed machine's library is given up: its keeper goes on with the newest that somebody does have.
@Suite struct ShownHeadsTests {
  private let a = content("a")
  private let b = content("b")

  /// Heads of one, two and three photos, of which the first is installed and the removal names the last.
  private func three(_ desk: SingleMachine) throws -> (
    middle: Signed<Head>, named: Signed<Head>, second: Entry
  ) {
    let (first, second) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.send(.recovered)
    let owners = try desk.connect()
    try desk.install(0, 1, [first], over: owners)
    try desk.send(.linkClosed(owners))
    let named = try desk.head(0, 3, [first, second, desk.entry("c.jpg", content("c"))])
    try desk.remove(0, last: named.record)
    return (try desk.head(0, 2, [first, second]), named, second)
  }

  /// The only machine that has the newest is removed; another has one in between, and may be away by then.
  @Test(arguments: [false, true]) func whatSomebodyHasInBetweenIsInstalledFirst(isAway: Bool) throws {
    let desk = try SingleMachine(peers: 3)
    let (middle, named, second) = try three(desk)
    let gone = try desk.connect(1, heads: [desk.owner: named.record.order])
    try desk.send(.headReceived(gone, named))
    try desk.send(.linkClosed(gone))
    var link = try desk.connect(2, heads: [desk.owner: middle.record.order])
    try desk.send(.headReceived(link, middle))
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner, "peer 1 may come back with it")

    if isAway { try desk.send(.linkClosed(link)) }
    _ = desk.take()
    try desk.remove(1)
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner, "peer 2 has some of it")
    if isAway { link = try desk.connect(2, heads: [desk.owner: middle.record.order]) }
    let job = try #require(desk.take().deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [second], removed: []))
    try desk.send(.jobEnded(link, job, .complete))
    try desk.pass(.seconds(3))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.counts.live == 2 && head.order > named.record.order)
  }

  /// It shows the keeper the newest too, of which it has only heard.
  @Test func whoHasOnlyHeardOfTheNewestIsAskedForWhatItHas() throws {
    let desk = try SingleMachine(peers: 2)
    let (middle, named, second) = try three(desk)
    let link = try desk.connect(1, heads: [desk.owner: middle.record.order])
    let first = try #require(try desk.send(.headReceived(link, middle)).deltas(link).first)
    try desk.send(.jobEnded(link, first, .failed))
    let delta = try #require(try desk.send(.headReceived(link, named)).deltas(link).first)
    let compare = try #require(
      try desk.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    let job = try #require(try desk.send(.jobEnded(link, compare.job, .unknownHead)).deltas(link).first)
    #expect(desk.keptHead?.signer == desk.owner)
    try desk.send(.entriesReceived(link, job, added: [second], removed: []))
    try desk.send(.jobEnded(link, job, .complete))
    try desk.pass(.seconds(3))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.counts.live == 2 && head.order > named.record.order)
  }

  /// The newest counts no more once the removal is known, and was shown before the one that does.
  @Test func whatCountsIsFetchedWhenTheNewestCountsNoMore() throws {
    let desk = try SingleMachine(peers: 2)
    let (first, second) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    let owners = try desk.connect()
    try desk.install(0, 1, [first], over: owners)
    try desk.send(.headReceived(owners, try desk.head(0, 3, [first])))
    try desk.send(.linkClosed(owners))
    let named = try desk.head(0, 2, [first, second])
    let link = try desk.connect(1, heads: [desk.owner: named.record.order])
    try desk.send(.headReceived(link, named))
    _ = desk.take()
    try desk.remove(0, by: desk.peers[1], last: named.record)
    let job = try #require(desk.take().deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [second], removed: []))
    try desk.send(.jobEnded(link, job, .complete))
    #expect(desk.keptHead == named.record)
  }

  /// It names the greatest that it may: the keeper signs above it as soon as it has heard that nobody has it.
  @Test func whatARemovalNamesInVainIsOutranked() throws {
    let desk = try SingleMachine(peers: 2)
    let owners = try desk.connect()
    try desk.install(0, 1, [desk.entry("a.jpg", a)], over: owners)
    try desk.send(.linkClosed(owners))
    let installed = try #require(desk.keptHead)
    let named = HeadOrder(epoch: RosterStatement.largestEpoch, sequence: Head.largestNumber)
    let removal = try desk.replicator.roster.removing(
      desk.owner, lastHead: named, lastRoot: .zero, by: desk.key, now: desk.now.wall)
    try desk.send(.rosterReceived(nil, [removal.bytes]))
    _ = desk.take()
    try desk.connect(1, heads: [desk.owner: installed.order])
    try desk.pass(.seconds(3))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.order > named)
    #expect(try Head(canonicalBytes: head.canonicalBytes) == head, "others can read it")
    #expect(try !desk.report().reasons.contains(.headsArriving(desk.owner)))
    let told = desk.take().count { if case .warn(.lastHeadUnseen(desk.owner)) = $0 { true } else { false } }
    #expect(told == 1)
  }

  /// The keeper's catalog was lost after it had signed a head. A late machine shows it that, and what fell out with it, which
  /// counts no more; it shows it once, and nothing is signed that would make it show it again.
  /// Fails where what is shown before there is a head above it is forgotten (`unread`), or not read once there is (`readUnread`).
  @Test(arguments: [false, true]) func whatIsShownTooEarlyIsReadOnceTheKeepersOwnHeadIsHere(isAgain: Bool)
    throws
  {
    let desk = try SingleMachine(peers: 2)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.send(.recovered)
    try desk.remove(0)
    let mine = try desk.head(by: desk.key, HeadOrder(epoch: 9, sequence: 1), [known])
    let late = try desk.head(0, 7, [known, more])
    let link = try desk.connect(1, heads: [desk.owner: mine.record.order])
    let fetch = try #require(try desk.send(.headReceived(link, mine)).deltas(link).first)
    for _ in 0...(isAgain ? 1 : 0) {
      #expect(try desk.send(.headReceived(link, late)).deltas(link).isEmpty)
    }
    try desk.send(.entriesReceived(link, fetch, added: [known], removed: []))
    let deltas = try desk.send(.jobEnded(link, fetch, .complete)).deltas(link)
    #expect(desk.keptHead == mine.record && deltas.count == 1)

    let delta = try #require(deltas.first)
    try desk.send(.entriesReceived(link, delta, added: [], removed: [EntryID(of: more)]))
    let job = try #require(try desk.send(.jobEnded(link, delta, .complete)).entryFetches(link).first?.job)
    try desk.send(.entriesReceived(link, job, added: [more], removed: []))
    #expect(try desk.send(.jobEnded(link, job, .complete)).deltas(link).isEmpty, "read twice")
    try desk.pass(.seconds(3))
    #expect(desk.keptHead?.counts.live == 1 && desk.keptHead?.counts.retired == 1)
    #expect(try desk.catalog.entries(desk.owner, of: b).map(\.entry.state.isRetired) == [true])
  }

  /// It claims a head that is signed by somebody who never kept the library.
  @Test func whoseClaimIsDisprovedIsNotWaitedFor() throws {
    let desk = try SingleMachine(peers: 3)
    let photo = desk.entry("a.jpg", a)
    try desk.keep([photo])
    let forged = try desk.head(by: desk.peers[2], HeadOrder(epoch: 1 << 53, sequence: 1), [photo])
    let link = try desk.connect(1, heads: [desk.owner: forged.record.order])
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner, "it may still show it")
    try desk.send(.headReceived(link, forged))
    try desk.pass(.seconds(3))
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 1)
  }
}
