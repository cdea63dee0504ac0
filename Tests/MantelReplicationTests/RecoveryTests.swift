import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// A catalog that knows less than this machine has published: an old backup, or a new one after a loss.
@Suite struct RecoveryTests {
  let a = content("a")
  let b = content("b")

  /// What the machine published once, with the same key.
  func ownHead(
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

  func entry(
    _ path: String, _ content: ContentID, mtime: Int64 = SingleMachine.oldTime,
    folder: FolderID = SingleMachine.folderID
  ) -> Entry {
    Entry(
      folder: folder, path: bytes(path), content: content, size: 10, mtime: mtime, kind: .photo,
      state: .live, manifest: nil)
  }

  /// A peer connects, shows the head that it has of this machine, and serves it. `removed`: what the installed head has more.
  func show(
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
  let published = HeadOrder(epoch: 1 << 53, sequence: 9)
  let before = HeadOrder(epoch: 1 << 53, sequence: 8)

  func isInNewEpoch(_ desk: SingleMachine) -> Bool {
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

  /// One content that goes is too much.
  var holdsAtOnce: ReplicationSettings {
    var settings = ReplicationSettings()
    settings.massChange.contents = 0
    return settings
  }

  func retired(_ entry: Entry, _ reason: EntryState.RetireReason, _ desk: SingleMachine) -> Entry {
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
