import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Who goes away, or knows less, while a history is found again.
extension RecoveryTests {
  /// The newest head was shown by a member that went before all of its entries had come.
  private func cutOffMidway(_ desk: SingleMachine) throws {
    let head = try ownHead(desk, published, [entry("a.jpg", a), entry("b.jpg", b)])
    try desk.restart(hasHeard: false)
    let link = try desk.connect(0, heads: [desk.machine: published])
    let job = try #require(try desk.send(.headReceived(link, head)).deltas(link).first)
    try desk.send(.entriesReceived(link, job, added: [entry("a.jpg", a)], removed: []))
    try desk.send(.jobEnded(link, job, .cancelled))
    try desk.send(.linkClosed(link))
  }

  /// And another one knows less.
  private func lostMidway(_ desk: SingleMachine) throws -> LinkID {
    try cutOffMidway(desk)
    let other = try desk.connect(1, heads: [desk.machine: before])
    let older = try ownHead(desk, before, [entry("b.jpg", b)])
    #expect(try desk.send(.headReceived(other, older)).deltas(other).isEmpty)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
    #expect(try desk.report().state == .waiting)
    return other
  }

  /// Brings the older head, of which a part of the newer one is staged already.
  private func serve(_ desk: SingleMachine, _ link: LinkID) throws {
    let (job, mine) = try #require(desk.take().reconciliations(link).first)
    let (lacking, odd) = (EntryID(of: entry("b.jpg", b)).digest, EntryID(of: entry("a.jpg", a)).digest)
    #expect(mine.contains(odd) && !mine.contains(lacking))
    let fetches = try desk.send(.differenceFound(link, job, theirsOnly: [lacking], mineOnly: [odd]))
    try desk.send(.jobEnded(link, job, .complete))
    let fetch = try #require((fetches + desk.take()).entryFetches(link).first)
    try desk.send(.entriesReceived(link, fetch.job, added: [entry("b.jpg", b)], removed: []))
    try desk.send(.jobEnded(link, fetch.job, .complete))
  }

  @Test func afterADayItGoesOnWithTheNextBest() throws {
    let desk = try SingleMachine(peers: 2)
    let link = try lostMidway(desk)
    try desk.pass(.seconds(80_000))
    // The day is one of running, over all runs.
    try desk.send(.linkClosed(link))
    try desk.replicator.stop(now: desk.now)
    try desk.restart(
      guarded: try ownHead(desk, published, [entry("a.jpg", a), entry("b.jpg", b)]), hasHeard: false)
    let other = try desk.connect(1, heads: [desk.machine: before])
    try desk.send(.headReceived(other, try ownHead(desk, before, [entry("b.jpg", b)])))
    #expect(desk.take().reconciliations(other).isEmpty)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
    try desk.pass(.seconds(7_000))
    try serve(desk, other)
    #expect(desk.head?.order == before)
    try desk.scan(["b.jpg": desk.stamp(10)])
    try desk.finishHash("b.jpg", b, desk.stamp(10))
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 1)
  }

  /// The guard was restored with the catalog, and knows as little.
  @Test func aRestartForgetsNoRecovery() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.send(.linkClosed(try lostMidway(desk)))
    try desk.restart(hasHeard: false)
    let other = try desk.connect(1, heads: [desk.machine: before])
    try desk.send(.headReceived(other, try ownHead(desk, before, [entry("b.jpg", b)])))
    try desk.publish("new.jpg", content("new"), desk.stamp(10))
    try desk.pass(.seconds(60))
    #expect(desk.head?.counts.live == 0)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
  }

  /// Once the wait for the others has ended, who shows the newest head and fails to bring it holds nobody up for good.
  @Test func whoNeverBringsWhatItShowsIsPassedBy() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.send(.linkClosed(try lostMidway(desk)))
    try desk.pass(.seconds(90_000), limit: 1_000)
    _ = desk.take()
    let liar = try desk.connect(0, heads: [desk.machine: published])
    let head = try ownHead(desk, published, [entry("a.jpg", a), entry("b.jpg", b)])
    try desk.send(.headReceived(liar, head))
    let other = try desk.connect(1, heads: [desk.machine: before])
    try desk.send(.headReceived(other, try ownHead(desk, before, [entry("b.jpg", b)])))
    var (failures, isNext) = (0, false)
    for _ in 0..<100 where desk.replicator.isRecovering {
      let actions = desk.take()
      if !actions.reconciliations(other).isEmpty || !actions.deltas(other).isEmpty {
        isNext = true
        break
      }
      for job in actions.deltas(liar) + actions.reconciliations(liar).map(\.job) {
        failures += 1
        try desk.send(.jobEnded(liar, job, .failed))
      }
      try desk.pass(.seconds(6))
    }
    // The job that ran when the other one came may be one more.
    let attempts = desk.settings.recoveryAttempts
    #expect((attempts...attempts + 1).contains(failures), "\(failures)")
    #expect(isNext, "the other one is asked for what it has")
  }

  /// Who had shown the newest head comes back as an image of itself from before it heard of this machine: nobody can bring that
  /// head any more, and no day of waiting changes that.
  @Test func whatWasShownAndIsLostIsNotWaitedFor() throws {
    let desk = try SingleMachine()
    try cutOffMidway(desk)
    #expect(desk.replicator.isRecovering)
    try desk.connect()
    #expect(!desk.replicator.isRecovering)
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.finishHash("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 1)
  }

  /// An image that has an older head: that one is waited for, and fetched, before the history goes on.
  @Test func whoHasLostWhatItShowedIsAskedForWhatItHas() throws {
    let desk = try SingleMachine()
    try cutOffMidway(desk)
    _ = desk.take()
    let link = try desk.connect(heads: [desk.machine: before])
    #expect(desk.replicator.isRecovering)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
    try desk.send(.headReceived(link, try ownHead(desk, before, [entry("b.jpg", b)])))
    try serve(desk, link)
    #expect(desk.head?.order == before && !desk.replicator.isRecovering)
  }

  @Test func withNobodyThereItGoesOnWaiting() throws {
    let desk = try SingleMachine(peers: 2)
    try desk.send(.linkClosed(try lostMidway(desk)))
    try desk.pass(.seconds(30 * 86_400), limit: 2_000)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
    #expect(!isInNewEpoch(desk))
  }

  @Test func whoWasRemovedIsWaitedForNoMore() throws {
    let desk = try SingleMachine(peers: 2)
    let link = try lostMidway(desk)
    let removal = try desk.replicator.roster.removing(
      desk.peers[0].machine, lastHead: .none, lastRoot: .zero, by: desk.key, now: desk.now.wall)
    try desk.send(.rosterReceived(link, [removal.bytes]))
    try serve(desk, link)
    #expect(desk.head?.order == before)
  }

  /// A hello alone proves nothing: who claims a head has to show it.
  @Test func aClaimWithoutAHeadIsNotBelieved() throws {
    let desk = try SingleMachine()
    try desk.connect(heads: [desk.machine: HeadOrder(epoch: 1 << 53, sequence: 1)])
    try desk.publish("a.jpg", a, desk.stamp(10))
    #expect(try desk.report().reasons.allSatisfy { if case .restored = $0 { false } else { true } })
    #expect(desk.head?.counts.live == 1)
  }

  @Test func aMachineWithoutOthersGoesOnByItself() throws {
    let desk = try SingleMachine(peers: 0)
    try desk.publish("a.jpg", a, desk.stamp(10))
    let head = try ownHead(desk, published, [])
    try desk.restart(guarded: head)
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk))
    #expect(desk.head?.counts.live == 1)
  }

  @Test func aGuardOfAnotherMachineSaysNothing() throws {
    let desk = try SingleMachine()
    try desk.restart(guarded: try desk.head(0, 50, []))
    try desk.scan([:])
    try desk.publish("a.jpg", a, desk.stamp(10))
    #expect(!isInNewEpoch(desk) && desk.head?.counts.live == 1)
  }

  /// The process ends between the decision for a new epoch and its first head.
  @Test func anEpochThatWasBegunIsEnteredAfterARestart() throws {
    let desk = try SingleMachine()
    let entries = [entry("a.jpg", a)]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, to: desk)
    #expect(desk.head?.order == published)
    try desk.restart(guarded: head)
    try desk.scan([:])
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk))
    #expect(desk.head?.counts.live == 0)
  }

  /// Numbers of statements go on where the others have seen them, also after a time in which the clock was ahead.
  @Test func attestationsOutrankThoseOfTheForgottenTime() throws {
    let desk = try SingleMachine()
    try desk.send(.recovered)
    let link = try desk.connect()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let number: UInt64 = 1 << 53
    let old = try desk.key.sign(
      Attestation(
        holder: desk.machine, number: number, time: desk.now.wall, filesystem: FolderID(high: 1, low: 1),
        oldestReread: desk.now.wall, libraries: []), in: desk.household)
    _ = desk.take()
    try desk.send(.attestationReceived(link, old))
    try desk.pass(.seconds(2))
    let numbers = desk.take().attestations.map(\.number)
    #expect(numbers.count == 1 && numbers.allSatisfy { $0 > number && $0 <= number + 65_536 })
  }

  /// Who has the one of the forgotten time would never hear of another with its number.
  @Test func anAttestationBearsNoNumberOfTheForgottenTime() throws {
    let desk = try SingleMachine()
    func newest() throws -> Signed<Attestation> {
      try desk.send(.recovered)
      return try #require(desk.replicator.attesting.newest[desk.machine])
    }
    try desk.publish("a.jpg", a, desk.stamp(10))
    let kept = try newest()
    try desk.publish("b.jpg", b, desk.stamp(10))
    let forgotten = try newest()
    try desk.catalog.putAttestation(kept, received: desk.replicator.agentTime)
    try desk.restart()
    let next = try newest()
    #expect(forgotten.record.number > kept.record.number && next != kept)
    #expect(next.record.number > forgotten.record.number)
  }

  /// A catalog from a backup that says "published" of what the newest head does not name.
  @Test func rowsThatTheLibraryDoesNotBearOutAreHashedAgain() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    try desk.publish("b.jpg", b, desk.stamp(10))
    // Since the backup the user deleted b.jpg, and changed a.jpg; then the files were restored with the catalog.
    let entries = [entry("a.jpg", content("edited"), mtime: SingleMachine.oldTime + 5)]
    let former = try [a, b].flatMap { try desk.ownEntries(of: $0) }.map { EntryID(of: $0) }
    try show(try ownHead(desk, published, entries), entries, removed: former, to: desk)
    #expect(desk.head?.order == published)
    #expect(!desk.isHeld(a) && !desk.isHeld(b))
    let files = ["a.jpg": a, "b.jpg": b]
    for (path, content) in files {
      try desk.sight(path, .file(desk.stamp(10), isClosed: true))
      try desk.finishHash(path, content, desk.stamp(10))
    }
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 2)
    #expect(desk.isHeld(a) && desk.isHeld(b))
  }

  /// A mass change was held when the backup was made. What the library has lost since needs no decision any more.
  @Test func whatWasHeldAndIsRetiredSinceWaitsForNobody() throws {
    let c = content("c")
    let desk = try SingleMachine(settings: holdsAtOnce)
    for (path, content) in ["a.jpg": a, "b.jpg": b, "c.jpg": c] {
      try desk.publish(path, content, desk.stamp(10))
    }
    try desk.delete("b.jpg")
    let edited = desk.stamp(10, mtime: SingleMachine.oldTime + 5)
    try desk.publish("c.jpg", content("edited"), edited)
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 2)
    let former = try [b, c].flatMap { try desk.ownEntries(of: $0) }
    let new = former.map { retired($0, .deleted, desk) }
    let head = try ownHead(desk, published, [entry("a.jpg", a)] + new)
    try show(head, new, removed: former.map { EntryID(of: $0) }, to: desk)
    #expect(desk.head?.order == published)
    // Before any scan: the folder may be away for long.
    #expect(try desk.catalog.heldFiles(SingleMachine.folderID) == 0)
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
    #expect(try desk.status("b.jpg") == nil)
    #expect(try desk.status("c.jpg") == .pending(.hashing))
    try desk.scan(["a.jpg": desk.stamp(10), "c.jpg": edited])
    try desk.publish("c.jpg", content("edited"), edited)
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 2)
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
  }

  /// The user accepted it after the backup was made: the bytes that were held are the library's.
  @Test func whatWasHeldAndIsPublishedSinceIsHashedAgain() throws {
    let desk = try SingleMachine(settings: holdsAtOnce)
    for (path, content) in ["a.jpg": a, "b.jpg": b] { try desk.publish(path, content, desk.stamp(10)) }
    let edited = desk.stamp(10, mtime: SingleMachine.oldTime + 5)
    try desk.publish("b.jpg", content("edited"), edited)
    #expect(try desk.status("b.jpg") == .pending(.massChange))
    let former = try desk.ownEntries(of: b)
    let new =
      [entry("b.jpg", content("edited"), mtime: SingleMachine.oldTime + 5)]
      + former.map { retired($0, .replaced, desk) }
    let head = try ownHead(desk, published, [entry("a.jpg", a)] + new)
    try show(head, new, removed: former.map { EntryID(of: $0) }, to: desk)
    #expect(desk.head?.order == published)
    #expect(try desk.status("b.jpg") == .pending(.hashing))
    _ = desk.take()
    try desk.scan(["a.jpg": desk.stamp(10), "b.jpg": edited])
    #expect(desk.take().hashes == [bytes("b.jpg")])
    try desk.finishHash("b.jpg", content("edited"), edited)
    try desk.pass(.seconds(3))
    #expect(try desk.status("b.jpg") == .published)
    #expect(desk.isHeld(content("edited")))
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 2)
    #expect(try desk.catalog.losses()[SingleMachine.folderID]?.massChange == nil)
  }

  /// A deletion was accepted when the backup was made. The library has another file at that place by now: it is not gone unasked.
  @Test func whatWasAcceptedOfAFormerStateIsAskedAgain() throws {
    let desk = try SingleMachine(settings: holdsAtOnce)
    for (path, content) in ["a.jpg": a, "b.jpg": b] { try desk.publish(path, content, desk.stamp(10)) }
    try desk.delete("b.jpg")
    try desk.send(.folderAccepted(SingleMachine.folderID))
    #expect(try desk.catalog.file(SingleMachine.folderID, bytes("b.jpg"))?.isAccepted == true)
    let former = try desk.ownEntries(of: b).map { EntryID(of: $0) }
    let new = entry("b.jpg", content("new"), mtime: SingleMachine.oldTime + 5)
    try show(
      try ownHead(desk, published, [entry("a.jpg", a), new]), [new], removed: former, to: desk)
    #expect(desk.head?.order == published)
    #expect(try desk.catalog.file(SingleMachine.folderID, bytes("b.jpg"))?.isAccepted == false)
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.pass(.seconds(120))
    #expect(try desk.status("b.jpg") == .pending(.massChange))
    #expect(desk.head?.counts.live == 2)
  }

  /// And what the library has still is held, with nobody's word for it.
  @Test func whatIsHeldAndStillInTheLibraryStaysHeld() throws {
    let desk = try SingleMachine(settings: holdsAtOnce)
    for (path, content) in ["a.jpg": a, "b.jpg": b] { try desk.publish(path, content, desk.stamp(10)) }
    try desk.delete("b.jpg")
    let entries = [entry("a.jpg", a), entry("b.jpg", b), entry("c.jpg", content("c"))]
    try show(try ownHead(desk, published, entries), [entries[2]], to: desk)
    #expect(desk.head?.order == published)
    #expect(try desk.status("b.jpg") == .pending(.massChange))
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.pass(.seconds(120))
    // With what was not known to be there, and is not: the folder is losing still.
    #expect(try desk.status("c.jpg") == .pending(.massChange))
    #expect(try desk.status("b.jpg") == .pending(.massChange))
    #expect(desk.head?.counts.live == 3)
  }
}
