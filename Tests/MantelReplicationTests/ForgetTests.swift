import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// What becomes of entries and files that the user of their machine forgets, and takes back.
@Suite struct ForgetTests {
  private let a = content("a")
  private let b = content("b")
  private let path = "album/a.jpg"

  private func publishing(_ content: ContentID, at path: String) throws -> SingleMachine {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.publish(path, content, machine.stamp(1))
    return machine
  }

  /// Everything that the own library has of a content, but for what was dropped.
  private func ids(of content: ContentID, on machine: SingleMachine) throws -> [EntryID] {
    try machine.catalog.entries(machine.machine, of: content).map(\.id)
  }

  private func forget(_ content: ContentID, on machine: SingleMachine) throws {
    try machine.send(.forget(try ids(of: content, on: machine)))
  }

  private func undo(on machine: SingleMachine) throws {
    try machine.send(.unforget(try machine.catalog.forgotten(after: nil, limit: 100).map(\.id)))
  }

  private func dropped(_ content: ContentID, on machine: SingleMachine) throws -> [Entry] {
    try machine.catalog.droppedEntries(machine.machine, of: content).map(\.entry)
  }

  @Test func aForgottenPhotoLosesItsNameWithTheNextHeadWhichComesAtOnce() throws {
    let machine = try publishing(a, at: path)
    let before = machine.head?.order
    try forget(a, on: machine)
    #expect(machine.head?.order != before)
    #expect(try machine.ownEntries(of: a).isEmpty)
    let entry = try #require(try dropped(a, on: machine).first)
    #expect(entry.path.isEmpty && entry.folder == SingleMachine.folderID && entry.size == 1)
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    #expect(machine.head?.counts.live == 0 && machine.head?.counts.dropped == 1)
  }

  @Test func aForgottenFileCostsNoMoreThanALook() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    _ = machine.take()
    try machine.scan([path: machine.stamp(1)])
    try machine.pass(.seconds(120))
    #expect(machine.take().hashes.isEmpty)
    #expect(try machine.status(path) == .skipped(.forgotten))
  }

  @Test func theSameBytesStayForgottenWhateverTheyAreCalled() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    // Touched, then under another name.
    try machine.publish(path, a, machine.stamp(1, mtime: SingleMachine.oldTime + 5))
    #expect(try machine.status(path) == .skipped(.forgotten))
    try machine.sight(path, .gone)
    try machine.publish("other/b.jpg", a, machine.stamp(1))
    #expect(try machine.status("other/b.jpg") == .skipped(.forgotten))
    #expect(try machine.status(path) == nil)
    try machine.restart()
    try machine.publish("third.jpg", a, machine.stamp(1))
    #expect(try machine.status("third.jpg") == .skipped(.forgotten))
    #expect(try machine.ownEntries(of: a).isEmpty)
  }

  /// An entry of the own folder, live.
  private func own(_ content: ContentID, at path: String) -> Entry {
    Entry(
      folder: SingleMachine.folderID, path: bytes(path), content: content, size: 1,
      mtime: SingleMachine.oldTime, kind: .photo, state: .live, manifest: nil)
  }

  /// A machine after a rekey: its library is a new one, with another photo, and its catalog knows that one was forgotten.
  private func rekeyed() throws -> SingleMachine {
    let machine = try publishing(b, at: "b.jpg")
    let entry = own(a, at: path)
    try machine.catalog.putForgotten([
      ForgottenEntry(id: EntryID(of: entry), entry: entry, forgotten: machine.replicator.agentTime)
    ])
    try machine.restart()
    try machine.scan(["b.jpg": machine.stamp(1)])
    #expect(machine.head?.counts.dropped == 0)
    return machine
  }

  @Test func whatWasForgottenStaysSoInALibraryThatHasDroppedNothing() throws {
    let machine = try rekeyed()
    let touched = machine.stamp(1, mtime: SingleMachine.oldTime + 5, inode: 8)
    try machine.publish(path, a, touched)
    try machine.publish("other/a.jpg", a, machine.stamp(1, inode: 9))
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(try machine.status("other/a.jpg") == .skipped(.forgotten))
    // It can be taken back as ever.
    try undo(on: machine)
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
    try machine.finishHash(path, a, touched)
    try machine.pass(.seconds(3))
    #expect(try machine.status(path) == .published && machine.isHeld(a))
  }

  /// The library of before has the bytes under another name, whose file is hashed for the new one: it is not the forgotten one.
  @Test func whatWasLiveUnderAnotherNameBeforeARekeyIsPublished() throws {
    let former = try publishing(a, at: path)
    try former.publish("second.jpg", a, former.stamp(1, inode: 8))
    let first = try #require(
      try former.catalog.liveEntry(former.machine, SingleMachine.folderID, bytes(path)))
    try former.send(.forget([first.id]))
    let machine = try SingleMachine(rekeyed: former)
    try machine.scan([path: machine.stamp(1), "second.jpg": machine.stamp(1, inode: 8)])
    try machine.publish("second.jpg", a, machine.stamp(1, inode: 8))
    #expect(try machine.status("second.jpg") == .published)
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(try machine.ownEntries(of: a).map(\.path) == [bytes("second.jpg")])
    // What is forgotten from now on is so, whatever the former library says.
    try forget(a, on: machine)
    try machine.publish("third.jpg", a, machine.stamp(1, inode: 9))
    #expect(try machine.status("third.jpg") == .skipped(.forgotten))
  }

  /// The former key's machine, which may be another's by now, takes it back; or a member names it under the same folder id.
  @Test(arguments: [0, 1]) func nobodyElseBringsBackWhatWasForgottenBeforeARekey(peer: Int) throws {
    let former = try publishing(a, at: path)
    try forget(a, on: former)
    let machine = try SingleMachine(rekeyed: former)
    try machine.scan([path: machine.stamp(1)])
    let link = try machine.connect(peer)
    let entry = own(a, at: "second.jpg")
    if peer == 0 {
      let order = try #require(former.head?.order)
      let next = HeadOrder(epoch: order.epoch, sequence: order.sequence + 1)
      let head = try machine.head(by: former.key, next, [entry])
      try machine.bring(head, added: [entry], removed: try dropped(a, on: former), over: link)
    } else {
      try machine.install(peer, 1, [entry], over: link)
    }
    #expect(try machine.catalog.entries(of: a).map(\.entry) == [entry])
    try machine.publish(path, a, machine.stamp(1, mtime: SingleMachine.oldTime + 5))
    try machine.publish("second.jpg", a, machine.stamp(1, inode: 8))
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(try machine.status("second.jpg") == .skipped(.forgotten))
    #expect(try machine.ownEntries(of: a).isEmpty)
  }

  @Test func newBytesAreBackedUp() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.publish(path, b, machine.stamp(2))
    #expect(try machine.status(path) == .published)
    #expect(try machine.ownEntries(of: b).map(\.state) == [.live])
  }

  @Test func bytesThatAreLiveUnderAnotherNameStayAndSoDoNewCopiesOfThem() throws {
    let machine = try publishing(a, at: path)
    try machine.publish("second.jpg", a, machine.stamp(1, inode: 8))
    let first = try #require(
      try machine.catalog.liveEntry(machine.machine, SingleMachine.folderID, bytes(path)))
    try machine.send(.forget([first.id]))
    #expect(try machine.ownEntries(of: a).map(\.path) == [bytes("second.jpg")])
    _ = machine.take()
    for _ in 0..<2 {
      #expect(try machine.status(path) == .skipped(.forgotten))
      try machine.scan([path: machine.stamp(1), "second.jpg": machine.stamp(1, inode: 8)])
      try machine.pass(.seconds(60))
    }
    #expect(machine.take().hashes.isEmpty, "no scan undoes it")
    #expect(machine.isHeld(a))
    try machine.publish("third.jpg", a, machine.stamp(1, inode: 9))
    #expect(try machine.ownEntries(of: a).count == 2)
  }

  @Test func deletedVersionsCanBeForgotten() throws {
    let machine = try publishing(a, at: path)
    // Somebody had it, so that it is kept.
    let link = try machine.connect(has: [a])
    try machine.send(.linkClosed(link))
    try machine.delete(path)
    #expect(try machine.ownEntries(of: a).first?.state.isRetired == true)
    try forget(a, on: machine)
    #expect(try machine.ownEntries(of: a).isEmpty && dropped(a, on: machine).count == 1)
    #expect(try machine.status(path) == nil)
  }

  @Test func whatForgottenBytesReplaceIsRetired() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.publish(path, b, machine.stamp(2))
    let link = try machine.connect(has: [b])
    try machine.send(.linkClosed(link))
    try machine.publish(path, a, machine.stamp(1, mtime: SingleMachine.oldTime + 9))
    try machine.pass(.seconds(5))
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(try machine.ownEntries(of: b).first?.state.isRetired == true)
    #expect(try machine.ownEntries(of: a).isEmpty)
  }

  @Test func aChangeThatWasOnItsWayGoesOn() throws {
    let machine = try publishing(a, at: path)
    try machine.write(path, b, machine.stamp(2))
    try forget(a, on: machine)
    try machine.pass(.seconds(3))
    #expect(try machine.ownEntries(of: b).map(\.state) == [.live])
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try machine.status(path) == .published)
  }

  @Test func forgottenBytesThatWereOnTheirWayGoNoFurther() throws {
    let machine = try publishing(a, at: path)
    // Touched, and hashed again.
    try machine.write(path, a, machine.stamp(1, mtime: SingleMachine.oldTime + 5))
    try forget(a, on: machine)
    try machine.pass(.seconds(3))
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try dropped(a, on: machine).count == 1)
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
  }

  /// The head with its new name would have published it again, forgotten as it is.
  @Test func aRenameThatWasOnItsWayIsForgottenToo() throws {
    let machine = try publishing(a, at: path)
    try machine.sight(path, .gone)
    try machine.write("other/b.jpg", a, machine.stamp(1))
    try forget(a, on: machine)
    try machine.pass(.seconds(9))
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try dropped(a, on: machine).count == 1)
    #expect(try machine.status("other/b.jpg") == .skipped(.forgotten))
    #expect(try machine.status(path) == nil)
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    try undo(on: machine)
    try machine.finishHash("other/b.jpg", a, machine.stamp(1))
    try machine.pass(.seconds(3))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live] && machine.isHeld(a))
  }

  // MARK: The way back

  @Test func undoBringsAFileBackAtOnceAndHashesItAgain() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    _ = machine.take()
    try undo(on: machine)
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
    #expect(try dropped(a, on: machine).isEmpty && machine.status(path) == .pending(.hashing))
    #expect(try machine.catalog.forgotten(after: nil, limit: 9).isEmpty)
    #expect(!machine.isHeld(a))
    #expect(machine.take().hashes == [bytes(path)])
    try machine.finishHash(path, a, machine.stamp(1))
    try machine.pass(.seconds(3))
    #expect(machine.isHeld(a))
    #expect(try machine.ownEntries(of: a).count == 1)
  }

  @Test func whatHasJustComeBackCanBeForgottenAgain() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try undo(on: machine)
    // It waits for the head that follows its hash.
    try machine.finishHash(path, a, machine.stamp(1))
    try forget(a, on: machine)
    try machine.pass(.seconds(3))
    #expect(try machine.ownEntries(of: a).isEmpty)
    #expect(try machine.status(path) == .skipped(.forgotten))
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    try undo(on: machine)
    try machine.finishHash(path, a, machine.stamp(1))
    try machine.pass(.seconds(3))
    #expect(try machine.status(path) == .published && machine.isHeld(a))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live] && dropped(a, on: machine).isEmpty)
  }

  @Test func undoOfAFileThatIsGoneBringsItBackAsDeleted() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.delete(path)
    try machine.restart()
    try undo(on: machine)
    let entry = try #require(try machine.ownEntries(of: a).first)
    #expect(entry.path == bytes(path) && entry.state == .retired(.deleted, at: machine.now.wall))
  }

  @Test func undoOfAFileThatHasOtherBytesBringsItBackAsReplaced() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.publish(path, b, machine.stamp(2))
    try undo(on: machine)
    #expect(try machine.ownEntries(of: a).map(\.state) == [.retired(.replaced, at: machine.now.wall)])
    #expect(try machine.ownEntries(of: b).map(\.state) == [.live])
  }

  @Test func undoFindsAFileUnderItsNewName() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.sight(path, .gone)
    try machine.publish("other/b.jpg", a, machine.stamp(1))
    #expect(try machine.status("other/b.jpg") == .skipped(.forgotten))
    try machine.restart()
    _ = machine.take()
    try undo(on: machine)
    #expect(machine.take().hashes == [bytes("other/b.jpg")])
    try machine.finishHash("other/b.jpg", a, machine.stamp(1))
    try machine.pass(.seconds(3))
    #expect(try machine.status("other/b.jpg") == .published)
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live] && machine.isHeld(a))
  }

  @Test func undoFindsAFileThatWasAboutToBeSkipped() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    try machine.publish("b.jpg", b, machine.stamp(2, inode: 8))
    // Forgotten bytes over another photo: the head that says so waits for a moment.
    try machine.write("b.jpg", a, machine.stamp(1, mtime: SingleMachine.oldTime + 9, inode: 9))
    _ = machine.take()
    try undo(on: machine)
    #expect(machine.take().hashes.contains(bytes("b.jpg")))
    try machine.finishHash("b.jpg", a, machine.stamp(1, mtime: SingleMachine.oldTime + 9, inode: 9))
    try machine.finishHash(path, a, machine.stamp(1))
    try machine.pass(.seconds(5))
    #expect(try machine.status("b.jpg") == .published)
    #expect(try machine.ownEntries(of: a).map(\.path).contains(bytes("b.jpg")))
  }

  @Test func undoOfOneNameLeavesTheOtherForgotten() throws {
    let machine = try publishing(a, at: path)
    try machine.publish("second.jpg", a, machine.stamp(1, inode: 8))
    try forget(a, on: machine)
    let first = try #require(try machine.catalog.forgotten(of: a).first { $0.entry.path == bytes(path) })
    try machine.send(.unforget([first.id]))
    #expect(try machine.status(path) == .pending(.hashing))
    try machine.finishHash(path, a, machine.stamp(1))
    for _ in 0..<2 {
      #expect(try machine.status("second.jpg") == .skipped(.forgotten))
      try machine.scan([path: machine.stamp(1), "second.jpg": machine.stamp(1, inode: 8)])
      try machine.pass(.seconds(60))
    }
  }

  @Test func whatIsForgottenIsNotSafe() throws {
    let machine = try publishing(a, at: path)
    let link = try machine.connect(has: [a])
    let order = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link, try machine.attestation(0, [machine.statement(machine.machine, order, held: [a])])))
    #expect(machine.isSafe(a))
    try forget(a, on: machine)
    #expect(!machine.isSafe(a))
  }

  @Test func aCrashBeforeTheHeadLeavesThePhotoLive() throws {
    let machine = try publishing(a, at: path)
    let id = try #require(try ids(of: a, on: machine).first)
    let entry = try #require(try machine.ownEntries(of: a).first)
    // The first of two transactions.
    try machine.catalog.putForgotten([
      ForgottenEntry(id: id, entry: entry, forgotten: machine.replicator.agentTime)
    ])
    try machine.restart()
    try machine.publish(path, a, machine.stamp(1, mtime: SingleMachine.oldTime + 5))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
    try undo(on: machine)
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
    #expect(try machine.catalog.forgotten(after: nil, limit: 9).isEmpty)
  }

  @Test func whatIsUnknownIsPassedOver() throws {
    let machine = try publishing(a, at: path)
    let before = machine.head?.order
    try machine.send(.forget([EntryID(b.digest)]))
    try machine.send(.unforget([EntryID(b.digest)]))
    try machine.pass(.seconds(10))
    #expect(machine.head?.order == before)
  }

  // MARK: Where the bytes still are

  @Test func itIsToldWhereTheBytesStillAre() throws {
    let machine = try SingleMachine(peers: 3)
    try machine.send(.recovered)
    try machine.publish(path, a, machine.stamp(1))
    let link = try machine.connect(0, has: [a])
    try forget(a, on: machine)
    #expect(
      Set(try machine.replicator.keepers(of: [machine.machine: [a]])) == [
        KeptBytes(machine: machine.peers[0].machine, why: .trash, files: 1),
        KeptBytes(machine: machine.peers[1].machine, why: .unaware, files: 1),
        KeptBytes(machine: machine.peers[2].machine, why: .unaware, files: 1),
      ])
    // Its trash is over.
    try machine.send(.availabilityChanged(link, added: [], removed: [a]))
    // Another one heard of it, and went away.
    let order = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link, try machine.attestation(1, [machine.statement(machine.machine, order, held: [])])))
    #expect(
      Set(try machine.replicator.keepers(of: [machine.machine: [a]])) == [
        KeptBytes(machine: machine.peers[1].machine, why: .away, files: 1, silent: .zero),
        KeptBytes(machine: machine.peers[2].machine, why: .unaware, files: 1),
      ])
    // Its trash counts the days in which it runs, not ours.
    try machine.pass(.agentDay * 40)
    #expect(
      try machine.replicator.keepers(of: [machine.machine: [a]]).contains {
        $0.machine == machine.peers[1].machine && $0.why == .away && $0.silent ?? .zero >= .agentDay * 40
      })
    // The same photo in somebody else's library: all keep it, whatever is forgotten here.
    try machine.install(2, 1, [machine.entry("theirs.jpg", a)], over: link)
    #expect(
      try machine.replicator.keepers(of: [machine.machine: [a]]) == [
        KeptBytes(machine: machine.peers[2].machine, why: .otherLibrary, files: 1)
      ])
  }

  /// It copied the photo and left before it said so: what it last said is of a head that did not have it.
  @Test func whoDidNotKnowThePhotoDoesNotKnowThatItIsForgotten() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect()
    let order = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link, try machine.attestation(0, [machine.statement(machine.machine, order, held: [])])))
    try machine.publish(path, a, machine.stamp(1))
    try machine.send(.linkClosed(link))
    try forget(a, on: machine)
    #expect(try machine.replicator.keepers(of: [machine.machine: [a]]).map(\.why) == [.unaware])
    try machine.pass(.agentDay * 40)
    #expect(try machine.replicator.keepers(of: [machine.machine: [a]]).map(\.why) == [.unaware])
  }

  /// Its disk is away, and somebody has asked for the photo in vain. Fails where only what a machine offers counts (`keepers`).
  @Test func whoHasWithdrawnWhatItAttestsIsNamedUntilItHasHeardOfIt() throws {
    let machine = try publishing(a, at: path)
    let link = try machine.connect(has: [a])
    let wanting = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link, try machine.attestation(0, [machine.statement(machine.machine, wanting, held: [a])])))
    try machine.send(.availabilityChanged(link, added: [], removed: [a]))
    try forget(a, on: machine)
    #expect(
      try machine.replicator.keepers(of: [machine.machine: [a]]) == [
        KeptBytes(machine: machine.peers[0].machine, why: .trash, files: 1)
      ])
    let dropping = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link,
        try machine.attestation(0, number: 2, [machine.statement(machine.machine, dropping, held: [])])))
    #expect(try machine.replicator.keepers(of: [machine.machine: [a]]).isEmpty)
  }

  @Test func aMachineThatTookCopiesOnceIsNamedAlsoWhenItIsRemoved() throws {
    let machine = try publishing(a, at: path)
    let link = try machine.connect(has: [a])
    let order = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link, try machine.attestation(0, [machine.statement(machine.machine, order, held: [a])])))
    try machine.send(.linkClosed(link))
    try machine.remove(0)
    try machine.restart()
    try machine.send(.recovered)
    try forget(a, on: machine)
    #expect(try machine.replicator.keepers(of: [machine.machine: [a]]).map(\.why) == [.removed])
  }

  @Test func dropsOfAMonthAreWarnedOfTogether() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let all = (0..<11).map { content("many \($0)") }
    for (number, photo) in all.enumerated() {
      try machine.publish("\(number).jpg", photo, machine.stamp(1, inode: UInt64(10 + number)))
    }
    #expect(try machine.replicator.asksOthers(dropping: all, in: machine.machine))
    for photo in all.prefix(10) { try forget(photo, on: machine) }
    #expect(try machine.replicator.asksOthers(dropping: [all[10]], in: machine.machine))
    #expect(try !machine.replicator.asksOthers(dropping: [all[0]], in: machine.machine))
    try machine.pass(.agentDay * 31)
    #expect(try !machine.replicator.asksOthers(dropping: [all[10]], in: machine.machine))
  }

  @Test func whatNobodyHasAnyMoreIsSaidNotToComeBack() throws {
    let machine = try publishing(a, at: path)
    try forget(a, on: machine)
    #expect(try machine.replicator.unfound(among: [a]).isEmpty, "its file lies there")
    try machine.delete(path)
    #expect(try machine.replicator.unfound(among: [a]) == [a])
    try machine.connect(has: [a])
    #expect(try machine.replicator.unfound(among: [a]).isEmpty)
  }
}
