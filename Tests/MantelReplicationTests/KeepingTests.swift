import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary
import Testing

@testable import MantelReplication

/// The library of a removed machine, which its keeper signs: peer 0 is removed, by this machine or by peer 1.
@Suite struct KeepingTests {
  private let a = content("a")
  private let b = content("b")

  // MARK: Taking over

  @Test func theKeeperSignsOneHeadOnceAMemberWasHeard() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.keep([desk.entry("a.jpg", a)])
    try desk.pass(.seconds(60))
    let former = try #require(desk.keptHead)
    #expect(former.signer == desk.owner, "nobody was heard")

    let link = try desk.connect(1, heads: [desk.owner: former.order])
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.order.epoch > former.order.epoch)
    #expect(head.root == former.root && head.counts == former.counts)
    let signed = try #require(desk.replicator.libraries[desk.owner]?.installed)
    #expect(desk.replicator.roster.accepts(signed))
    #expect(
      desk.take().commands(link).contains { if case .announceHead(signed) = $0 { true } else { false } })

    // Once: neither later nor after a restart.
    try desk.pass(.seconds(60))
    try desk.restart()
    try desk.connect(1, heads: [desk.owner: head.order])
    try desk.pass(.seconds(60))
    #expect(desk.keptHead == head)
    #expect(try desk.catalog.publishedHeads(of: desk.owner, limit: 10).map(\.order) == [head.order])
  }

  @Test func nothingIsSignedOfALibraryThatNobodyKnows() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.remove(0)
    try desk.connect(1)
    try desk.pass(.seconds(60))
    #expect(desk.keptHead == nil)
  }

  /// The removal names a head of two photos, of which only the first is here.
  private func lacking(_ desk: SingleMachine) throws -> (named: Signed<Head>, second: Entry) {
    let (first, second) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.send(.recovered)
    let owners = try desk.connect()
    try desk.install(0, 1, [first], over: owners)
    try desk.send(.linkClosed(owners))
    let named = try desk.head(0, 2, [first, second])
    try desk.remove(0, last: named.record)
    return (named, second)
  }

  /// What the removal names has to be here first, while somebody may bring it.
  @Test func theNewestHeadThatCountsIsInstalledFirst() throws {
    let desk = try SingleMachine(peers: 2)
    let (newest, second) = try lacking(desk)
    let link = try desk.connect(1, heads: [desk.owner: newest.record.order])
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner, "it was not shown yet")
    try desk.bring(newest, added: [second], over: link)
    try desk.pass(.seconds(3))
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 2)
  }

  /// Peer 1 shows the head that is lacking, and goes before it has served it.
  private func interrupted(_ desk: SingleMachine) throws -> (named: Signed<Head>, second: Entry) {
    let (named, second) = try lacking(desk)
    // All others have nothing of it.
    for peer in desk.peers.indices.dropFirst(2) { try desk.connect(peer) }

    let link = try desk.connect(1, heads: [desk.owner: named.record.order])
    try desk.send(.headReceived(link, named))
    try desk.send(.linkClosed(link))
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner, "peer 1 may come back with it")
    return (named, second)
  }

  @Test func whoHasShownTheNewestHeadIsWaitedFor() throws {
    let desk = try SingleMachine(peers: 2)
    let (named, second) = try interrupted(desk)
    _ = desk.take()
    let link = try desk.connect(1, heads: [desk.owner: named.record.order])
    let job = try #require(desk.take().deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [second], removed: []))
    try desk.send(.jobEnded(link, job, .complete))
    try desk.pass(.seconds(3))
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 2)
  }

  /// It comes from an image of before, so nobody has it.
  @Test func whoHasLostTheNewestHeadIsNotWaitedFor() throws {
    let desk = try SingleMachine(peers: 2)
    _ = try interrupted(desk)
    let order = try #require(desk.keptHead?.order)
    try desk.connect(1, heads: [desk.owner: order])
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 1)
  }

  @Test func whoIsRemovedIsNotWaitedFor() throws {
    let desk = try SingleMachine(peers: 3)
    _ = try interrupted(desk)
    try desk.remove(1)
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 1)
  }

  /// It was heard before with less, and its connection ends before it shows what it has come with.
  @Test func whoClaimsANewerHeadIsWaitedFor() throws {
    let desk = try SingleMachine(peers: 3)
    let (named, _) = try lacking(desk)
    let installed = try #require(desk.keptHead?.order)
    for order in [installed, named.record.order] {
      let link = try desk.connect(1, heads: [desk.owner: order])
      try desk.send(.linkClosed(link))
    }
    try desk.connect(2)
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner)
    try desk.connect(1, heads: [desk.owner: installed])
    #expect(desk.keptHead?.signer == desk.machine)
  }

  /// Nothing is signed above it before somebody has answered, also when nobody is known any more who has it.
  @Test func aNewestHeadOfTooMuchGrowthIsWaitedFor() throws {
    var settings = ReplicationSettings()
    settings.growthLimit = GrowthLimit(entries: 1, window: .agentDay)
    let desk = try SingleMachine(peers: 3, settings: settings)
    _ = try interrupted(desk)
    #expect(desk.replicator.heldGrowth()[desk.owner] == 2)
    try desk.remove(1)
    try desk.pass(.seconds(10))
    #expect(desk.keptHead?.signer == desk.owner)
    try desk.send(.growthAccepted(desk.owner))
    #expect(desk.keptHead?.signer == desk.machine && desk.keptHead?.counts.live == 1)
  }

  /// The place of a head is its own for good, also of a run whose catalog has forgotten what it signed.
  @Test func noPlaceGetsTwoHeads() throws {
    let desk = try SingleMachine(peers: 2)
    let photos = [desk.entry("a.jpg", a), desk.entry("b.jpg", b)]
    _ = try desk.takeOver(photos)
    let first = try #require(desk.keptHead)
    try desk.send(.forgetKept([EntryID(of: photos[0])], in: desk.owner))
    try desk.pass(.seconds(3))
    let second = try #require(desk.keptHead)
    #expect(second.order == first.order.next(in: first.order.epoch))

    try desk.restart()
    try desk.send(.forgetKept([EntryID(of: photos[1])], in: desk.owner))
    try desk.pass(.seconds(60))
    #expect(desk.keptHead == second, "nobody was heard in this run")

    // A member has what this machine has signed in the time that its catalog has forgotten.
    let later = HeadOrder(epoch: second.order.epoch + 1_000_000_000, sequence: 3)
    let link = try desk.connect(1, heads: [desk.owner: later])
    try desk.send(.forgetKept([EntryID(of: photos[1])], in: desk.owner))
    try desk.pass(.seconds(10))
    #expect(desk.keptHead == second, "it was not shown")
    try desk.bring(
      try desk.head(by: desk.key, later, photos), added: [photos[0]],
      removed: try desk.catalog.droppedEntries(desk.owner, of: a).map(\.entry), over: link)
    #expect(desk.keptHead?.order == later)
    try desk.send(.forgetKept([EntryID(of: photos[1])], in: desk.owner))
    try desk.pass(.seconds(3))
    let last = try #require(desk.keptHead)
    #expect(last.order.epoch > later.epoch && last.counts.live == 1 && last.counts.dropped == 1)
  }

  // MARK: What nobody has

  @Test func whatNobodyEverGotIsGivenUpAndTakenBack() throws {
    let desk = try SingleMachine(peers: 2)
    let link = try desk.takeOver([desk.entry("a.jpg", a)])
    #expect(try desk.report().missingFiles == 1)
    let order = try #require(desk.keptHead?.order)
    try desk.send(
      .attestationReceived(
        link, try desk.attestation(1, [desk.statement(desk.owner, order, held: [], missing: [a])])))
    try desk.pass(.agentDay * 6)
    #expect(try desk.report().missingFiles == 1)
    try desk.pass(.agentDay + .seconds(120))
    let report = try desk.report()
    #expect(report.missingFiles == 0 && report.reasons.contains(.lost(files: 1)))
    #expect(desk.keptHead?.counts.unheld == 1 && desk.keptHead?.counts.live == 0)

    // A machine turns up with it, also when this one was started anew since.
    try desk.restart()
    try desk.send(.recovered)
    try desk.connect(1, has: [a])
    try desk.pass(.seconds(3))
    #expect(try desk.catalog.entries(desk.owner, of: a).map(\.entry.state.isRetired) == [true])
    #expect(try desk.report().missingFiles == 1 && desk.catalog.lostCounts() == LostContents())
  }

  @Test func whatAMemberHasIsNotGivenUp() throws {
    let desk = try SingleMachine(peers: 2)
    let link = try desk.takeOver([desk.entry("a.jpg", a)])
    let order = try #require(desk.keptHead?.order)
    try desk.send(
      .attestationReceived(
        link, try desk.attestation(1, [desk.statement(desk.owner, order, held: [a])])))
    try desk.pass(.agentDay * 8)
    #expect(desk.keptHead?.counts.live == 1)
  }

  // MARK: Forgetting

  @Test func theKeeperForgetsAndTakesItBack() throws {
    let desk = try SingleMachine(peers: 2)
    let photo = desk.entry("a.jpg", a)
    try desk.publish("mine.jpg", a, desk.stamp(10))
    // Its own library has dropped something too: what comes is compared with what was forgotten.
    try desk.publish("c.jpg", content("c"), desk.stamp(10, inode: 8))
    try desk.send(.forget(try desk.ownEntries(of: content("c")).map { EntryID(of: $0) }))
    try desk.pass(.seconds(3))
    #expect(desk.head?.counts.dropped == 1)
    _ = try desk.takeOver([photo, desk.entry("b.jpg", b)])
    try desk.send(.forgetKept([EntryID(of: photo)], in: desk.owner))
    try desk.pass(.seconds(3))
    #expect(try desk.catalog.entries(desk.owner, of: a).isEmpty)
    #expect(try desk.catalog.droppedEntries(desk.owner, of: a).count == 1)
    #expect(!desk.replicator.contents.isWanted(a, in: desk.owner))

    // Own files of the same bytes are another matter, also when they are found anew.
    try desk.publish("again.jpg", a, desk.stamp(10, inode: 9))
    #expect(try desk.status("mine.jpg") == .published && desk.status("again.jpg") == .published)

    try desk.restart()
    try desk.connect(1)
    try desk.send(.unforgetKept([EntryID(of: photo)], in: desk.owner))
    try desk.pass(.seconds(3))
    #expect(try desk.catalog.entries(desk.owner, of: a).map(\.entry) == [photo])
    #expect(try desk.catalog.droppedEntries(desk.owner, of: a).isEmpty)
    #expect(try desk.catalog.forgotten(in: desk.owner, after: nil, limit: 10).isEmpty)
    #expect(desk.replicator.contents.isWanted(a, in: desk.owner))
  }

  /// Whoever is told that it is done may pull the plug. Fails where both wait for the interval.
  @Test func whatIsForgottenOrTakenBackGoesOutAtOnce() throws {
    let desk = try SingleMachine(peers: 2)
    let photo = desk.entry("a.jpg", a)
    _ = try desk.takeOver([photo])
    try desk.send(.forgetKept([EntryID(of: photo)], in: desk.owner))
    #expect(desk.keptHead?.counts.dropped == 1)
    try desk.send(.unforgetKept([EntryID(of: photo)], in: desk.owner))
    #expect(desk.keptHead?.counts.dropped == 0 && desk.keptHead?.counts.live == 1)
    #expect(try desk.catalog.entries(desk.owner, of: a).map(\.entry) == [photo])
    #expect(try desk.catalog.forgotten(in: desk.owner, after: nil, limit: 10).isEmpty)
  }

  /// The removed machine has signed the last place there is. Fails where that is believed (`Roster.isOutdated`): nobody could
  /// sign above it, and what the user says would be taken in and never told.
  @Test func theLastPlaceThereIsHoldsNoWordUp() throws {
    let desk = try SingleMachine(peers: 2)
    let photo = desk.entry("a.jpg", a)
    let link = try desk.takeOver([photo])
    let last = HeadOrder(epoch: Head.largestNumber, sequence: 1)
    try desk.send(.headReceived(link, try desk.head(by: desk.peers[0], last, [photo])))
    #expect(!desk.replicator.isPublishingStopped(of: desk.owner))
    try desk.send(.forgetKept([EntryID(of: photo)], in: desk.owner))
    #expect(desk.keptHead?.counts.dropped == 1)
    #expect(!desk.replicator.isWordPending(of: desk.owner))
  }

  /// A request names bytes, and no machine. Fails where granting it lets go of what a removed machine left.
  @Test func aRequestConcernsTheOwnLibraryAlone() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.publish("mine.jpg", b, desk.stamp(10))
    let link = try desk.takeOver([desk.entry("a.jpg", a), desk.entry("b.jpg", b)])
    let peer = desk.peers[1]
    let request = try peer.sign(
      ForgetRequest(
        requester: peer.machine, number: 1, time: desk.now.wall, isWithdrawn: false, contents: [a, b]),
      in: desk.household)
    try desk.send(.forgetRequestReceived(link, request))
    #expect(try desk.replicator.openForgetRequests().map(\.contents) == [[b]])
    #expect(try desk.replicator.ownEntries(of: b).map(\.library) == [desk.machine])
    #expect(try desk.replicator.ownEntries(of: a).isEmpty)
  }

  /// Whoever forgets the same bytes is told who can. Fails where the keeper is asked, who is shown nothing of it.
  @Test func theKeeperIsNamedAndNotAsked() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.send(.recovered)
    let owners = try desk.connect()
    try desk.install(0, 1, [desk.entry("a.jpg", a)], over: owners)
    try desk.remove(0, by: desk.peers[1], last: desk.keptHead)
    try desk.connect(1)
    try desk.send(.askToForget([a], isWithdrawn: false))
    #expect(try desk.catalog.forgetRequests(of: nil).isEmpty)
    #expect(
      try desk.replicator.keepers(of: [desk.machine: [a]]) == [
        KeptBytes(machine: desk.owner, why: .otherLibrary, files: 1, keeper: desk.peers[1].machine)
      ])
  }

  // MARK: What only a late machine knows

  /// It has installed a head that the removed machine signed after the one that the removal names.
  @Test func whatALateMachineHasMoreIsOutrankedAndTakenBack() throws {
    let desk = try SingleMachine(peers: 2)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    let first = try desk.takeOver([known])
    try desk.send(.linkClosed(first))
    let epoch = try #require(desk.keptHead?.order.epoch)
    let order = HeadOrder(epoch: epoch + 1_000_000_000, sequence: 2)
    let late = try desk.head(by: desk.peers[0], order, [known, more])

    let link = try desk.connect(1, heads: [desk.owner: order])
    try desk.send(.headReceived(link, late))
    try desk.pass(.seconds(3))
    #expect(desk.keptHead.map { $0.signer == desk.machine && $0.order > order } == true)
    #expect(desk.keptHead?.counts.entries == 1)

    // It has installed that, and shows what it lacks.
    let job = try #require(try desk.send(.headReceived(link, late)).deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [], removed: [EntryID(of: more)]))
    let fetch = try #require(try desk.send(.jobEnded(link, job, .complete)).entryFetches(link).first)
    try desk.send(.entriesReceived(link, fetch.job, added: [more], removed: []))
    try desk.send(.jobEnded(link, fetch.job, .complete))
    try desk.pass(.seconds(3))
    #expect(desk.keptHead?.counts.live == 1 && desk.keptHead?.counts.retired == 1)
    #expect(try desk.catalog.entries(desk.owner, of: b).map(\.entry.state.isRetired) == [true])
  }

  @Test func aLateMachineShowsTheKeeperWhatFellOut() throws {
    let desk = try SingleMachine(peers: 2)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    let owners = try desk.connect()
    try desk.install(0, 1, [known, more], over: owners)
    let late = try #require(desk.keptHead)
    try desk.remove(0, by: desk.peers[1])
    try desk.send(.linkClosed(owners))

    let order = HeadOrder(epoch: 9, sequence: 1)
    let link = try desk.connect(1, heads: [desk.owner: order])
    _ = desk.take()
    let head = try desk.head(by: desk.peers[1], order, [known])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    // Like a member's head, the keeper's is to be installed before anything is complete.
    try desk.pass(.seconds(61))
    #expect(try desk.report().reasons.contains(.headsArriving(desk.owner)))
    try desk.send(.entriesReceived(link, job, added: [], removed: [EntryID(of: more)]))
    try desk.send(.jobEnded(link, job, .complete))
    #expect(try !desk.report().reasons.contains(.headsArriving(desk.owner)))
    #expect(desk.keptHead?.order == order)
    #expect(desk.replicator.orphans.counts[desk.owner]?.files == 1)
    let shown = desk.take().commands(link).compactMap { command -> Head? in
      if case .announceHead(let head) = command { head.record } else { nil }
    }
    #expect(shown.last == late)
  }

  /// A head that was only heard of, and counts no more, is waited for no longer: it must not outrank the keeper's.
  @Test func aHeadThatCountsNoMoreIsForgotten() throws {
    let desk = try SingleMachine(peers: 2)
    let known = desk.entry("a.jpg", a)
    let owners = try desk.connect()
    try desk.install(0, 1, [known], over: owners)
    let named = try #require(desk.keptHead)
    let beyond = HeadOrder(epoch: 99, sequence: 1)
    try desk.send(
      .headReceived(owners, try desk.head(by: desk.peers[0], beyond, [known, desk.entry("b.jpg", b)])))
    try desk.remove(0, by: desk.peers[1], last: named)
    #expect(desk.replicator.lastHead(of: desk.owner) == named)
    try desk.send(.linkClosed(owners))

    let link = try desk.connect(1)
    let head = try desk.head(by: desk.peers[1], HeadOrder(epoch: 9, sequence: 1), [known])
    try desk.bring(head, over: link)
    #expect(desk.keptHead == head.record)
  }

  // MARK: Another keeper

  /// The former keeper's heads count no more, but the new one goes on from them.
  @Test func theNextKeeperTakesInWhatTheFormerOneSigned() throws {
    let desk = try SingleMachine(peers: 3)
    let (known, more) = (desk.entry("a.jpg", a), desk.entry("b.jpg", b))
    try desk.send(.recovered)
    let owners = try desk.connect()
    try desk.install(0, 1, [known], over: owners)
    try desk.remove(0, by: desk.peers[1], last: desk.keptHead)
    try desk.send(.linkClosed(owners))
    #expect(!desk.replicator.keeps(desk.owner))
    let order = HeadOrder(epoch: 1 << 61, sequence: 1)
    let former = try desk.head(by: desk.peers[1], order, [known, more])
    try desk.remove(1)
    #expect(desk.replicator.keeps(desk.owner))

    let link = try desk.connect(2, heads: [desk.owner: order])
    #expect(desk.keptHead?.signer == desk.owner)
    try desk.bring(former, added: [more], over: link)
    try desk.pass(.seconds(3))
    let head = try #require(desk.keptHead)
    #expect(head.signer == desk.machine && head.order.epoch > order.epoch)
    #expect(head.root == former.record.root)
    // From now on it is this machine's alone to sign.
    let rival = try desk.head(by: desk.peers[1], HeadOrder(epoch: head.order.epoch, sequence: 9), [known])
    try desk.send(.headReceived(link, rival))
    #expect(desk.replicator.lastHead(of: desk.owner)?.signer == desk.machine)
  }
}
