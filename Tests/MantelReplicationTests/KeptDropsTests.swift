import MantelCore
import Testing

@testable import MantelReplication

/// What the keeper of a removed machine's library drops, on its own machine and on the others: peer 0 is removed.
@Suite struct KeptDropsTests {
  private let month: Duration = .agentDay * 30

  /// A machine with copies of these photos, whose owner peer 1 has removed; over the link to that.
  private func keptByAnother(
    _ photos: [ContentID], removedAt sequence: UInt64? = nil
  ) throws -> (SingleMachine, LinkID) {
    let (desk, link) = try SingleMachine.holding(photos, peers: 2)
    let last = try sequence.map { try desk.head(0, $0, desk.entries(photos)).record } ?? desk.keptHead
    try desk.send(.linkClosed(link))
    try desk.remove(0, by: desk.peers[1], last: last)
    return (desk, try desk.connect(1, has: photos))
  }

  /// The keeper's heads, of which each drops more.
  private func drop(
    _ photos: [ContentID], after before: [ContentID], of all: [ContentID], _ sequence: UInt64,
    on desk: SingleMachine, _ link: LinkID
  ) throws {
    let gone = before + photos
    let entries = desk.entries(all.filter { !gone.contains($0) }) + gone.map { desk.dropped($0) }
    let head = try desk.head(by: desk.peers[1], HeadOrder(epoch: 9, sequence: sequence), entries)
    try desk.bring(
      head, added: photos.map { desk.dropped($0) }, removed: desk.entries(photos), over: link)
    try desk.fileAll()
  }

  /// Fails where every drop of a removed machine's library asks.
  @Test(arguments: [true, false]) func whatTheKeeperForgetsGoesWithoutAQuestion(showsFirst: Bool) throws {
    let all = SingleMachine.photos(13)
    let (desk, link) = try keptByAnother(all)
    if showsFirst { try drop([], after: [], of: all, 1, on: desk, link) }
    try drop([all[0]], after: [], of: all, 2, on: desk, link)
    #expect(try desk.isInTrash(all[0]) && desk.replicator.undecidedDrops().isEmpty)

    // Within a month no more than of a member.
    try drop(Array(all[1...10]), after: [all[0]], of: all, 3, on: desk, link)
    #expect(try all[1...10].allSatisfy { try desk.file(of: $0)?.mark == .held })
    #expect(try desk.replicator.undecidedDrops()[desk.owner]?.files == 10)

    try desk.restart()
    try desk.send(.recovered)
    try desk.pass(month + .agentDay)
    #expect(try desk.fileAll().map(\.content) == [all[0]])
  }

  /// A source files nothing under the names of others: what a peer dropped stays in its trash as long as the kept library names it.
  /// Fails where its time counts since that drop (`judgeForgotten`).
  @Test func whatIsForgottenOfAKeptLibraryHasItsMonthWhoeverDroppedItFirst() throws {
    let desk = try SingleMachine(peers: 2)
    let a = content("a")
    try desk.send(.recovered)
    let link = try desk.connect(1, has: [a])
    let theirs = desk.entry("theirs.jpg", a)
    try desk.install(1, 1, [theirs], over: link)
    try desk.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try desk.fileAll()
    try desk.install(1, 2, [desk.dropped(a)], removed: [theirs], added: [desk.dropped(a)], over: link)
    try desk.fileAll()
    #expect(try desk.isInTrash(a))
    try desk.become(.source)

    let photo = desk.entry("a.jpg", a)
    let owners = try desk.connect()
    try desk.install(0, 1, [photo], over: owners)
    try desk.remove(0, last: desk.keptHead)
    try desk.send(.linkClosed(owners))
    #expect(desk.keptHead?.signer == desk.machine)
    try desk.pass(month * 2)
    #expect(try desk.fileAll().isEmpty && desk.isInTrash(a))

    try desk.send(.forgetKept([EntryID(of: photo)], in: desk.owner))
    try desk.pass(.agentDay * 2)
    #expect(try desk.fileAll().isEmpty && desk.isInTrash(a))
    try desk.pass(month)
    #expect(try desk.fileAll().map(\.content) == [a])
  }

  /// What the removed machine itself dropped waits. Fails where its trash is left out of what has an end, or is in it as a whole
  /// (`trashReports`).
  @Test func whatTheKeeperForgetsHasAnEnd() throws {
    let all = SingleMachine.photos(3)
    let (desk, owners) = try SingleMachine.holding(all, peers: 2)
    try desk.drop([all[0]], of: all, 2, over: owners)
    try desk.send(.linkClosed(owners))
    try desk.remove(0, by: desk.peers[1], last: desk.keptHead)
    try desk.pass(.agentDay)
    #expect(try desk.report().trash.isEmpty)

    let link = try desk.connect(1, has: all)
    try drop([all[1]], after: [all[0]], of: all, 1, on: desk, link)
    #expect(try all.prefix(2).allSatisfy { try desk.isInTrash($0) })
    let listed = try desk.report().trash
    #expect(listed.map(\.library) == [desk.owner])
    #expect(listed.map(\.files) == [1] && listed.map(\.bytes) == [10] && listed.map(\.left) == [month])
    #expect(try desk.report().reasons.contains(.heldDrops(desk.owner, files: 1, bytes: 10)))

    try desk.send(.dropsConfirmed(desk.owner))
    let decided = try #require(try desk.report().trash.first)
    #expect(decided.files == 2 && decided.left < month)
  }

  /// This machine never saw it wanted when somebody else than the removed machine could sign.
  @Test func whatTheRemovedMachineMayHaveDroppedWaitsAllTheSame() throws {
    let all = SingleMachine.photos(3)
    let (desk, link) = try keptByAnother(all, removedAt: 2)
    try drop([all[0]], after: [], of: all, 1, on: desk, link)
    #expect(try desk.file(of: all[0])?.mark == .held)
    #expect(try desk.replicator.undecidedDrops()[desk.owner]?.files == 1)
    // Wanted in that head, so it is the keeper's to drop; but nothing passes what waits.
    try drop([all[1]], after: [all[0]], of: all, 2, on: desk, link)
    try desk.send(.dropsConfirmed(desk.owner))
    try desk.fileAll()
    try drop([all[2]], after: Array(all[..<2]), of: all, 3, on: desk, link)
    #expect(try desk.isInTrash(all[2]))
  }

  /// Nobody else takes copies. Fails where only as many are given up as an attestation names.
  @Test func allThatNobodyEverGotIsGivenUpAtOnce() throws {
    let desk = try SingleMachine()
    let photos = SingleMachine.photos(Limits.attestedMissing + 2)
    try desk.send(.recovered)
    let link = try desk.connect()
    try desk.install(0, 1, desk.entries(photos), over: link)
    try desk.remove(0, last: desk.keptHead)
    try desk.send(.linkClosed(link))
    #expect(desk.keptHead?.signer == desk.machine)
    try desk.pass(.agentDay * 7 + .seconds(120))
    #expect(desk.keptHead?.counts.unheld == UInt64(photos.count) && desk.keptHead?.counts.live == 0)
  }

  /// What is long missing, and cannot be said, has no event look for all that is. Fails where the time alone is asked.
  @Test func anAbsenceThatCannotBeSaidIsNotLookedAtByEveryEvent() throws {
    let desk = try SingleMachine(peers: 2)
    let (a, b) = (content("a"), content("b"))
    try desk.send(.recovered)
    let owners = try desk.connect()
    try desk.install(0, 1, desk.entries([a, b]), over: owners)
    try desk.remove(0, last: desk.keptHead)
    try desk.send(.linkClosed(owners))
    let first = try desk.connect(1)
    let order = try #require(desk.keptHead?.order)
    let statement = desk.statement(desk.owner, order, held: [], missing: [a, b])
    try desk.send(.attestationReceived(first, try desk.attestation(1, [statement])))
    try desk.pass(.agentDay * 6)
    #expect(desk.replicator.absences.since.count == 2)

    // A head that nobody shows is to come: none of this library is signed.
    try desk.restart()
    try desk.send(.recovered)
    let later = HeadOrder(epoch: order.epoch + 1_000_000_000, sequence: 1)
    let link = try desk.connect(1, has: [b], heads: [desk.owner: later])
    try desk.pass(.agentDay * 2)
    #expect(desk.replicator.isPublishingStopped(of: desk.owner))
    #expect(Set(desk.replicator.absences.since.keys) == [a])
    try desk.send(.availabilityChanged(link, added: [], removed: [b]))
    try desk.send(.tick)
    #expect(Set(desk.replicator.absences.since.keys) == [a])
  }

  /// As of the own library. Fails where what is forgotten is asked of the own one alone, and whoever is away by its word of
  /// that one.
  @Test func itIsToldWhereForgottenBytesOfAKeptLibraryAre() throws {
    let desk = try SingleMachine(peers: 3)
    let a = content("a")
    let photo = desk.entry("a.jpg", a)
    let link = try desk.takeOver([photo])
    try desk.send(.availabilityChanged(link, added: [a], removed: []))
    #expect(try desk.replicator.forgottenContents().isEmpty)
    try desk.send(.forgetKept([EntryID(of: photo)], in: desk.owner))
    #expect(try desk.replicator.forgottenContents() == [desk.owner: [a]])
    let trash = KeptBytes(machine: desk.peers[1].machine, why: .trash, files: 1)
    func keepers() throws -> Set<KeptBytes> {
      Set(try desk.replicator.keepers(of: desk.replicator.forgottenContents()))
    }
    #expect(try keepers() == [trash, KeptBytes(machine: desk.peers[2].machine, why: .unaware, files: 1)])

    let order = try #require(desk.keptHead?.order)
    try desk.send(
      .attestationReceived(link, try desk.attestation(2, [desk.statement(desk.owner, order, held: [])])))
    #expect(
      try keepers() == [
        trash, KeptBytes(machine: desk.peers[2].machine, why: .away, files: 1, silent: .zero),
      ])
    try desk.send(.unforgetKept([EntryID(of: photo)], in: desk.owner))
    #expect(try desk.replicator.forgottenContents().isEmpty)
  }

  /// Its user has said so.
  @Test func theKeeperAsksItselfNothing() throws {
    let all = SingleMachine.photos(13)
    let (desk, link) = try SingleMachine.holding(all, peers: 2)
    try desk.send(.linkClosed(link))
    try desk.remove(0, last: desk.keptHead)
    try desk.connect(1, has: all)
    #expect(desk.keptHead?.signer == desk.machine)
    let gone = Array(all.prefix(11))
    #expect(try desk.replicator.asksOthers(dropping: gone, in: desk.owner))
    #expect(try !desk.replicator.asksOthers(dropping: all.prefix(10), in: desk.owner))
    try desk.send(.forgetKept(desk.entries(gone).map { EntryID(of: $0) }, in: desk.owner))
    try desk.pass(.seconds(3))
    try desk.fileAll()
    #expect(try gone.allSatisfy { try desk.isInTrash($0) } && desk.replicator.undecidedDrops().isEmpty)
    #expect(try desk.report().trash.map(\.files) == [gone.count])
    // Counted in the library that it was, not in the own one.
    #expect(try desk.replicator.asksOthers(dropping: [all[12]], in: desk.owner))
    #expect(try !desk.replicator.asksOthers(dropping: [all[12]], in: desk.machine))
    try desk.pass(month + .agentDay)
    #expect(try Set(desk.fileAll().map(\.content)) == Set(gone))
  }
}
