import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// A catalog that knows less than this machine has published: an old backup, or a new one after a loss.
@Suite struct RecoveryTests {
  private let a = content("a")
  private let b = content("b")

  /// What the machine published once, with the same key.
  private func ownHead(
    _ desk: SingleMachine, _ order: HeadOrder, _ entries: [Entry]
  ) throws -> Signed<Head> {
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    let root = SetSnapshot(
      sorted: entries.map { EntryID(of: $0).digest }.sorted(),
      tag: .entries(desk.household, library: desk.machine)
    ).root
    return try desk.key.sign(
      Head(
        library: desk.machine, signer: desk.machine, order: order, root: root, counts: counts,
        time: desk.now.wall), in: desk.household)
  }

  private func entry(
    _ path: String, _ content: ContentID, mtime: Int64 = SingleMachine.oldTime,
    folder: FolderID = SingleMachine.folderID
  ) -> Entry {
    Entry(
      folder: folder, path: bytes(path), content: content, size: 10, mtime: mtime, kind: .photo,
      state: .live, manifest: nil)
  }

  /// A peer connects, shows the head that it has of this machine, and serves it. `removed`: what the installed head has more.
  private func show(
    _ head: Signed<Head>, _ entries: [Entry], removed: [EntryID] = [], by peer: Int = 0,
    has: [ContentID] = [],
    to desk: SingleMachine
  ) throws {
    let link = try desk.connect(peer, has: has, heads: [desk.machine: head.record.order])
    let job = try desk.send(.headReceived(link, head)).deltas(link).first
    guard let job else { return }
    try desk.send(.entriesReceived(link, job, added: entries, removed: removed))
    try desk.send(.jobEnded(link, job, .complete))
  }

  /// Of a run whose clock was ahead: later than what the machine publishes before it is restored.
  private let published = HeadOrder(epoch: 1 << 53, sequence: 9)
  private let before = HeadOrder(epoch: 1 << 53, sequence: 8)

  private func isInNewEpoch(_ desk: SingleMachine) -> Bool {
    desk.head.map { $0.order.epoch > published.epoch } ?? false
  }

  @Test func nothingIsPublishedBeforeAMemberHasShownWhatWas() throws {
    let desk = try SingleMachine()
    let entries = [entry("a.jpg", a), entry("b.jpg", b)]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try desk.publish("new.jpg", content("new"), desk.stamp(10))
    #expect(desk.take().published.isEmpty)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[0].machine])))
    #expect(try desk.report().state == .waiting)

    try show(head, entries, to: desk)
    // What had waited goes out at once, and no place of the order gets a second head.
    #expect(desk.head?.order.sequence == 1 && isInNewEpoch(desk))
    let files = ["a.jpg": a, "b.jpg": b, "new.jpg": content("new")]
    try desk.scan(files.mapValues { _ in desk.stamp(10) })
    for (path, content) in files { try desk.finishHash(path, content, desk.stamp(10)) }
    try desk.pass(.seconds(10))
    #expect(desk.head?.counts.live == 3)
    #expect(try desk.report().state != .attention)
  }

  /// Until a file was hashed, it is not held, whatever the entry says.
  @Test func whatIsFoundInTheLibraryIsHashedBeforeItCounts() throws {
    let desk = try SingleMachine()
    let entries = [entry("a.jpg", a)]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, to: desk)
    #expect(!desk.isHeld(a))
    #expect(desk.take().contains { if case .rescan = $0 { true } else { false } })
    try desk.scan(["a.jpg": desk.stamp(10)])
    #expect(desk.take().hashes == [bytes("a.jpg")])
    try desk.finishHash("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(1))
    #expect(desk.isHeld(a))
  }

  @Test func whatIsNotThereIsRetiredAsMissing() throws {
    let desk = try SingleMachine()
    let gone = entry("gone.jpg", b)
    let entries = [entry("a.jpg", a), gone]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, has: [b], to: desk)
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.finishHash("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(10))
    let former = try desk.ownEntries(of: b)
    #expect(former.count == 1)
    guard case .retired(.missing, _) = former.first?.state else {
      Issue.record("\(former)")
      return
    }
  }

  /// Given up in the time that the catalog has forgotten, while a machine that was not heard then has it.
  @Test func whatWasGivenUpInTheForgottenTimeIsFoundAgain() throws {
    let desk = try SingleMachine()
    var gone = entry("gone.jpg", b)
    gone.state = .unheld(at: desk.now.wall)
    let entries = [entry("a.jpg", a), gone]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, has: [b], to: desk)
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.finishHash("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(10))
    let states = try desk.ownEntries(of: b).map(\.state)
    guard states.count == 1, case .retired(.missing, _)? = states.first else {
      Issue.record("\(states)")
      return
    }
  }

  /// Forgotten by an old catalog's word, and taken back in the time that it does not know of.
  @Test func whatWasTakenBackInTheForgottenTimeIsAFileLikeAllOthers() throws {
    let desk = try SingleMachine()
    try desk.send(.recovered)
    try desk.publish("a.jpg", a, desk.stamp(10))
    try desk.send(.forget(try desk.catalog.entries(desk.machine, of: a).map(\.id)))
    #expect(try desk.status("a.jpg") == .skipped(.forgotten))
    let entries = [entry("a.jpg", a)]
    let head = try ownHead(desk, published, entries)
    let dropped = try desk.catalog.droppedEntries(desk.machine, of: a).map(\.id)
    try desk.restart(guarded: head)
    try show(head, entries, removed: dropped, to: desk)
    _ = desk.take()
    try desk.scan(["a.jpg": desk.stamp(10)])
    try desk.pass(.seconds(3))
    try desk.scan(["a.jpg": desk.stamp(10)])
    #expect(desk.take().hashes == [bytes("a.jpg")])
    try desk.finishHash("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(3))
    #expect(try desk.status("a.jpg") == .published)
    #expect(desk.isHeld(a))
    #expect(try desk.catalog.forgotten(after: nil, limit: 10).isEmpty)
  }

  /// Same path, size and time, other bytes: the disk may have lost them, and the peers' copy is not overwritten.
  @Test func otherBytesUnderTheSameTimeAreNotPublished() throws {
    let desk = try SingleMachine()
    let entries = [entry("a.jpg", a)]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, to: desk)
    let restored = desk.stamp(10, ctime: desk.now.wall.nanoseconds)
    for _ in 0..<2 {
      try desk.scan(["a.jpg": restored])
      try desk.pass(.seconds(2))
    }
    try desk.finishHash("a.jpg", b, restored)
    try desk.pass(.seconds(10))
    #expect(try desk.status("a.jpg") == .pending(.suspectedRot))
    #expect(
      try desk.catalog.liveEntry(desk.machine, SingleMachine.folderID, bytes("a.jpg"))?.entry.content == a)
  }

  /// A folder that nobody remembers: its photos stay with the others, retired.
  @Test func photosOfAFolderThatIsForgottenAreRetired() throws {
    let desk = try SingleMachine()
    let entries = [entry("a.jpg", a, folder: FolderID(high: 5, low: 5))]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    try show(head, entries, to: desk)
    try desk.scan([:])
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk))
    #expect(desk.head?.counts.live == 0)
    #expect(desk.head?.counts.entries == 1)
  }

  /// Of several members one may have seen less.
  @Test func whoHasSeenLessThanTheGuardIsNotEnough() throws {
    let desk = try SingleMachine(peers: 2)
    let entries = [entry("a.jpg", a), entry("b.jpg", b)]
    let head = try ownHead(desk, published, entries)
    try desk.restart(guarded: head)
    let older = try ownHead(desk, before, [entries[0]])
    try show(older, [entries[0]], to: desk)
    try desk.scan([:])
    try desk.pass(.seconds(10))
    #expect(desk.head?.counts.entries == 0 && desk.take().published.isEmpty)
    #expect(try desk.report().reasons.contains(.restored(waitingFor: [desk.peers[1].machine])))
    // The other one shows the end of it; or, if it knows no more, there is no more to know.
    try show(head, entries, by: 1, to: desk)
    #expect(desk.head?.order == published)
  }

  @Test func ifNobodyKnowsMoreWhatIsKnownHasToDo() throws {
    let desk = try SingleMachine()
    let head = try ownHead(desk, published, [entry("a.jpg", a), entry("b.jpg", b)])
    try desk.restart(guarded: head)
    let older = try ownHead(desk, before, [entry("a.jpg", a)])
    try show(older, [entry("a.jpg", a)], to: desk)
    #expect(desk.head?.order.sequence == 8)
    try desk.scan(["a.jpg": desk.stamp(10), "b.jpg": desk.stamp(10)])
    for (path, content) in [("a.jpg", a), ("b.jpg", b)] { try desk.finishHash(path, content, desk.stamp(10)) }
    try desk.pass(.seconds(10))
    #expect(isInNewEpoch(desk) && desk.head?.counts.live == 2)
  }

  // MARK: Who goes away

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

  /// One content that goes is too much.
  private var holdsAtOnce: ReplicationSettings {
    var settings = ReplicationSettings()
    settings.massChange.contents = 0
    return settings
  }

  private func retired(_ entry: Entry, _ reason: EntryState.RetireReason, _ desk: SingleMachine) -> Entry {
    var entry = entry
    entry.state = .retired(reason, at: desk.now.wall)
    return entry
  }

  /// Files of equal bytes that are all of them other ones by what the newest head says, or gone from it: none of them stands
  /// in for the others.
  @Test(arguments: [true, false]) func equalFilesDoNotBearEachOtherOut(areNamed: Bool) throws {
    let desk = try SingleMachine()
    for path in ["a.jpg", "copy.jpg"] { try desk.publish(path, a, desk.stamp(10)) }
    #expect(desk.isHeld(a))
    let names = areNamed ? ["a.jpg", "copy.jpg"] : []
    let entries = names.map { entry($0, content("edited \($0)"), mtime: SingleMachine.oldTime + 5) }
    let former = try desk.ownEntries(of: a).map { EntryID(of: $0) }
    try show(try ownHead(desk, published, entries), entries, removed: former, to: desk)
    #expect(desk.head?.order == published)
    #expect(!desk.isHeld(a) && !desk.isAvailable(a))
    #expect(desk.take().told(desk.lastLinkID, of: a) == false)
  }
}
