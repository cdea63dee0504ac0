import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// Statements come one by one: for a while somebody else seemed to keep the library of peer 0, and signed its heads.
@Suite struct FormerKeeperTests {
  private let a = content("a")
  private let b = content("b")

  private func isArriving(_ desk: SingleMachine) throws -> Bool {
    try desk.report().reasons.contains(.headsArriving(desk.owner))
  }

  /// Two members remove it at once, and each signs before it hears of the other. Both removals stand; the other's keeper has
  /// the faster clock.
  @Test(arguments: [false, true]) func ofTwoKeepersTheOneThatStandsFirstOutranksTheOther(restarts: Bool)
    throws
  {
    let desk = try SingleMachine(peers: 3)
    let known = desk.entry("a.jpg", a)
    let rival = desk.peers[1]
    var link = try rivalled(desk, [known])
    let mine = try #require(desk.keptHead)

    let order = HeadOrder(epoch: mine.order.epoch + 1_000_000_000, sequence: 1)
    if restarts {
      try desk.restart()
      link = try desk.connect(1, heads: [desk.owner: order])
    }
    try desk.send(.headReceived(link, try desk.head(by: rival, order, [known])))
    try desk.pass(.seconds(10))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.order > order)
  }

  /// Peer 1 removes it at once with this machine, which has signed its head and stands first. Returns the link to it.
  private func rivalled(_ desk: SingleMachine, _ entries: [Entry]) throws -> LinkID {
    let rival = desk.peers[1]
    var theirs = desk.replicator.roster
    let rename = try theirs.renaming(.signer, to: "later", by: rival, now: desk.now.wall)
    _ = theirs.merge([rename])
    let named = try desk.head(0, 1, entries).record
    let removal = try theirs.removing(
      desk.owner, lastHead: named.order, lastRoot: named.root, by: rival, now: desk.now.wall)
    let link = try desk.takeOver(entries)
    try desk.send(.rosterReceived(link, [rename.bytes, removal.bytes]))
    #expect(desk.replicator.keeps(desk.owner))
    return link
  }

  /// This machine removes it and signs its head, and has not heard that peer 1 has removed it before, naming that head. Returns the
  /// link to peer 1, and its removal, which stands first.
  private func takeOver(
    _ desk: SingleMachine, _ entries: [Entry], unaware named: Head
  ) throws -> (LinkID, SignedStatement) {
    let first = try desk.replicator.roster.removing(
      desk.owner, lastHead: named.order, lastRoot: named.root, by: desk.peers[1], now: desk.now.wall)
    try desk.send(.rosterReceived(nil, [try desk.rename("later").bytes]))
    return (try desk.takeOver(entries), first)
  }

  /// Both have signed at one place in the order, for their clocks agree, or both are behind the epoch of the removed machine: who
  /// has the other's takes in no other of that place. Fails where only what stands above is outranked (`isRivalled`).
  @Test(arguments: [false, true]) func whatStandsAtThePlaceOfTheKeepersHeadIsOutranked(namesMore: Bool) throws
  {
    let desk = try SingleMachine(peers: 3)
    let known = desk.entry("a.jpg", a)
    let link = try rivalled(desk, [known])
    let mine = try #require(desk.keptHead)
    let theirs = try desk.head(
      by: desk.peers[1], mine.order, namesMore ? [known, desk.entry("b.jpg", b)] : [known])
    #expect((theirs.record.root == mine.root) != namesMore)

    try desk.send(.headReceived(link, theirs))
    try desk.pass(.seconds(10))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.root == mine.root)
    #expect(head.order.epoch > mine.order.epoch, "the rival may have signed more in that epoch")

    // Once; and what only the other one names is asked for.
    #expect(try desk.send(.headReceived(link, theirs)).deltas(link).isEmpty != namesMore)
    try desk.pass(.seconds(60))
    #expect(desk.keptHead == head)
  }

  /// It was shown when it counted, and may stand where the other one's head stands. Fails where only orphans are shown again
  /// (`showWhoSignsNow`).
  @Test func whoSignsNowIsShownWhatCountsNoMore() throws {
    let desk = try SingleMachine(peers: 3)
    let known = desk.entry("a.jpg", a)
    let (link, first) = try takeOver(desk, [known], unaware: try desk.head(0, 1, [known]).record)
    let other = try desk.connect(2)
    let mine = try #require(desk.replicator.libraries[desk.owner]?.installed)
    #expect(mine.record.signer == desk.machine)

    let actions = try desk.send(.rosterReceived(nil, [first.bytes]))
    #expect(!desk.replicator.keeps(desk.owner))
    let news = actions.commands(link)
    let told = try #require(news.firstIndex { if case .announceRoster = $0 { true } else { false } })
    let shown = try #require(news.firstIndex { if case .announceHead(mine) = $0 { true } else { false } })
    #expect(told < shown, "else it would not know yet that it signs now")
    #expect(!actions.commands(other).contains { if case .announceHead = $0 { true } else { false } })
  }

  /// The one that does not keep it in the end has installed its own head, which counts nowhere.
  @Test func theOtherKeeperWaitsForTheHeadThatCounts() throws {
    let desk = try SingleMachine(peers: 3)
    let known = desk.entry("a.jpg", a)
    let (link, first) = try takeOver(desk, [known], unaware: try desk.head(0, 1, [known]).record)
    let mine = try #require(desk.keptHead)
    try desk.send(.rosterReceived(link, [first.bytes]))
    #expect(!desk.replicator.keeps(desk.owner))
    try desk.pass(.seconds(61))
    #expect(try isArriving(desk))

    let order = HeadOrder(epoch: mine.order.epoch + 1_000_000_000, sequence: 1)
    let head = try desk.head(by: desk.peers[1], order, [known])
    try desk.bring(head, over: link)
    #expect(try desk.keptHead == head.record && !isArriving(desk))
  }

  /// A removal that comes late and stands first names a newer head than the one that this machine has signed.
  @Test func aKeeperSignsAgainAboveWhatAnotherRemovalNames() throws {
    let desk = try SingleMachine(peers: 3)
    let known = desk.entry("a.jpg", a)
    let named = HeadOrder(epoch: 1 << 61, sequence: 1)
    let (link, first) = try takeOver(
      desk, [known], unaware: try desk.head(by: desk.peers[0], named, [known]).record)
    try desk.send(.rosterReceived(link, [first.bytes]))
    try desk.remove(1)
    try desk.send(.linkClosed(link))
    #expect(desk.replicator.keeps(desk.owner))
    try desk.connect(2)
    try desk.pass(.seconds(10))
    #expect(desk.keptHead.map { $0.signer == desk.machine && $0.order > named } == true)
  }

  /// The removal names an older head than the one that this machine, its keeper, has heard of and others have.
  @Test func aHeadThatCountedWhenItWasHeardOfIsOutranked() throws {
    let desk = try SingleMachine(peers: 2)
    let known = desk.entry("a.jpg", a)
    let owners = try desk.connect()
    try desk.install(0, 1, [known], over: owners)
    let named = try #require(desk.keptHead)
    let beyond = HeadOrder(epoch: 1 << 61, sequence: 1)
    try desk.send(
      .headReceived(owners, try desk.head(by: desk.peers[0], beyond, [known, desk.entry("b.jpg", b)])))
    try desk.remove(0, last: named)
    try desk.send(.linkClosed(owners))
    try desk.connect(1)
    try desk.pass(.seconds(10))
    #expect(desk.keptHead.map { $0.signer == desk.machine && $0.order > beyond } == true)
  }

  /// Whoever has this machine's key has signed in the last epoch, and that counts. Fails where there is always taken to be a place
  /// (`hasPlace`): what is forgotten then seems to be done, by a head that nobody takes in.
  @Test func aboveTheLastEpochNothingIsSignedBeforeAnotherStatement() throws {
    let desk = try SingleMachine(peers: 2)
    let known = desk.entry("a.jpg", a)
    let link = try desk.takeOver([known])
    let last = HeadOrder(epoch: desk.replicator.roster.lastEpoch, sequence: 1)
    try desk.bring(try desk.head(by: desk.key, last, [known]), over: link)
    #expect(desk.keptHead?.order == last && desk.replicator.isPublishingStopped(of: desk.owner))
    try desk.send(.forgetKept([EntryID(of: known)], in: desk.owner))
    #expect(desk.keptHead?.order == last && !desk.replicator.isWordPending(of: desk.owner))

    try desk.send(.rosterReceived(nil, [try desk.rename("later").bytes]))
    try desk.send(.forgetKept([EntryID(of: known)], in: desk.owner))
    let head = try #require(desk.keptHead)
    #expect(head.counts.dropped == 1 && head.order > last && desk.replicator.roster.counts(head))
  }

  // MARK: A machine that is a member after all

  @Test func whoIsAMemberAfterAllOutranksItsKeeper() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.publish("a.jpg", a, desk.stamp(10))
    let rival = desk.peers[1]
    let removal = try desk.replicator.roster.removing(
      desk.machine, lastHead: desk.head?.order ?? .none, lastRoot: desk.head?.root ?? .zero, by: rival,
      now: desk.now.wall)
    // The founder's removal of who removed it stands.
    try desk.remove(1)
    try desk.send(.rosterReceived(nil, [removal.bytes]))
    #expect(desk.replicator.roster.isMember(desk.machine))
    try desk.restart(hasHeard: false)
    try desk.scan(["a.jpg": desk.stamp(10)])
    if desk.take().hashes.contains(bytes("a.jpg")) { try desk.finishHash("a.jpg", a, desk.stamp(10)) }

    let before = try #require(desk.head)
    let order = HeadOrder(epoch: 1 << 61, sequence: 1)
    let kept = try rival.sign(
      Head(
        library: desk.machine, signer: rival.machine, order: order, root: before.root, counts: before.counts,
        time: desk.now.wall), in: desk.household)
    let link = try desk.connect(heads: [desk.machine: order])
    #expect(desk.head == before)
    try desk.send(.headReceived(link, kept))
    try desk.pass(.seconds(3))
    let after = try #require(desk.head)
    #expect(after.signer == desk.machine && after.order > order && after.root == before.root)
    // Once; and who has shown it was heard.
    try desk.send(.headReceived(link, kept))
    try desk.pass(.seconds(60))
    #expect(desk.head == after)
    try desk.publish("b.jpg", b, desk.stamp(10, inode: 8))
    #expect(desk.head?.counts.live == 2)
  }

  @Test func aMachineThatIsAMemberAfterAllIsWaitedFor() throws {
    // One vote more on either side decides nothing.
    let desk = try SingleMachine(peers: 4)
    let known = desk.entry("a.jpg", a)
    let owners = try desk.connect()
    try desk.install(0, 1, [known], over: owners)
    let counter = try desk.replicator.roster.removing(
      desk.peers[1].machine, lastHead: .none, lastRoot: .zero, by: desk.peers[0], now: desk.now.wall)
    try desk.remove(0, by: desk.peers[1], last: desk.keptHead)
    try desk.send(.linkClosed(owners))
    let link = try desk.connect(2)
    let kept = try desk.head(by: desk.peers[1], HeadOrder(epoch: 9, sequence: 1), [known])
    try desk.bring(kept, over: link)
    #expect(desk.keptHead == kept.record)

    try desk.send(.rosterReceived(link, [counter.bytes]))
    #expect(desk.replicator.roster.isMember(desk.owner))
    try desk.pass(.seconds(61))
    #expect(try isArriving(desk))
    let head = try desk.head(by: desk.peers[0], HeadOrder(epoch: 10, sequence: 1), [known])
    try desk.bring(head, over: try desk.connect())
    #expect(try desk.keptHead == head.record && !isArriving(desk))
  }

  // MARK: What the removal names

  @Test func whatTheRemovalNamesIsWaitedFor() throws {
    let desk = try SingleMachine(peers: 2)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.remove(0, by: desk.peers[1], last: try desk.head(0, 2, [known, more]).record)
    try desk.restart()
    #expect(try desk.report().reasons.contains(.noHead(desk.owner)))
    let link = try desk.connect(1)
    try desk.bring(try desk.head(0, 1, [known]), added: [known], over: link)
    try desk.pass(.seconds(61))
    #expect(try isArriving(desk) && !desk.report().reasons.contains(.noHead(desk.owner)))
    // Its keeper has not got it either, and signs above it.
    let head = try desk.head(by: desk.peers[1], HeadOrder(epoch: 9, sequence: 1), [known])
    try desk.bring(head, over: link)
    #expect(try desk.keptHead == head.record && !isArriving(desk))
  }

  @Test func whatNobodyHasOfItIsWaitedForNoLonger() throws {
    let desk = try SingleMachine(peers: 2)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    let owners = try desk.connect()
    try desk.install(0, 1, [known], over: owners)
    try desk.send(.linkClosed(owners))
    try desk.remove(0, last: try desk.head(0, 2, [known, more]).record)
    try desk.pass(.seconds(61))
    #expect(try isArriving(desk))
    try desk.connect(1)
    try desk.pass(.seconds(3))
    #expect(try desk.keptHead?.signer == desk.machine && !isArriving(desk))
  }
}

extension SingleMachine {
  /// What this machine signs after that stands later.
  fileprivate func rename(_ name: String) throws -> SignedStatement {
    try replicator.roster.renaming(.signer, to: name, by: key, now: now.wall)
  }
}
