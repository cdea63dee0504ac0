import MantelCore
import Testing

@testable import MantelReplication

/// Two libraries name a content and one of them lies about it: it is fetched all the same, and who has it is not blamed.
@Suite struct ClaimTests {
  private let photo = content("photo")
  private let film = Payload(Array("film".utf8), size: UInt64(Limits.wholeUnitBytes) + 1)

  /// Peer 0 tells the truth and has the content, peer 1 named it before, with a newer time. Returns peer 0's link.
  private func machine(_ truth: Entry, _ lie: Entry) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let liar = try machine.connect(1)
    try machine.install(1, 1, [lie], over: liar)
    let early = try machine.connect(0)
    try machine.install(0, 1, [truth], over: early)
    try machine.send(.linkClosed(early))
    _ = machine.take()
    return (machine, try machine.connect(0, has: [truth.content]))
  }

  private func entry(_ size: UInt64 = 10, mtime: Int64, manifest: Digest256? = nil) -> Entry {
    Entry(
      folder: SingleMachine.peerFolder, path: bytes("\(mtime)"),
      content: manifest == nil ? photo : film.content, size: size, mtime: mtime, kind: .photo,
      state: .live, manifest: manifest)
  }

  private func blamed(_ actions: [ReplicationAction], _ link: LinkID) -> Bool {
    actions.commands(link).contains { if case .close = $0 { true } else { false } }
      || !actions.warnings.isEmpty
  }

  @Test func aLieAboutTheSizeOfAPhotoCostsOneTry() throws {
    let (machine, link) = try machine(entry(mtime: 1), entry(11, mtime: 2))
    var actions = machine.take()
    let lied = try #require(actions.orders(link).first)
    #expect(lied.bytes == 11, "the first library is believed first")
    try machine.send(.unitEnded(link, lied.unit, .notHeld))
    actions = machine.take()
    let order = try #require(actions.orders(link).first)
    #expect(order.unit == lied.unit && order.bytes == 10)
    #expect(!blamed(actions, link))
    try machine.send(.unitVerified(link, order.unit))
    try machine.fileAll()
    #expect(machine.isHeld(photo))
  }

  @Test func whoHasNothingIsAskedByEachWordAndThenLater() throws {
    let (machine, link) = try machine(entry(mtime: 1), entry(11, mtime: 2))
    var asked: [UInt64] = []
    while let order = machine.take().orders(link).first, asked.count < 9 {
      asked.append(order.bytes)
      try machine.send(.unitEnded(link, order.unit, .notHeld))
    }
    #expect(asked == [11, 10])
    try machine.pass(machine.settings.retry)
    #expect(machine.take().orders(link).count == 1)
  }

  @Test func aLieAboutAManifestBlamesNobody() throws {
    let (machine, link) = try machine(
      entry(film.size, mtime: 1, manifest: film.manifestHash),
      entry(film.size, mtime: 2, manifest: content("another").digest))
    let lied = try #require(machine.take().orders(link).first)
    #expect(lied.unit.part == .manifest && lied.hash != film.manifestHash)
    try machine.send(.unitCorrupt(link, lied.unit))
    let actions = machine.take()
    #expect(actions.orders(link).map(\.hash) == [film.manifestHash])
    #expect(!blamed(actions, link))
  }

  @Test func aManifestThatContradictsItsEntryGivesWayToAnother() throws {
    let other = Payload(Array("film".utf8), size: film.size + 1)
    let (machine, link) = try machine(
      entry(film.size, mtime: 1, manifest: film.manifestHash),
      entry(film.size, mtime: 2, manifest: other.manifestHash))
    _ = machine.take()
    try machine.send(.manifestVerified(link, film.content, try #require(other.manifest)))
    #expect(machine.take().orders(link).map(\.hash) == [film.manifestHash])
  }

  /// The liar has a manifest for its lie, and no block that anybody else has fits it.
  @Test func blocksOfAFalseManifestBlameNobodyAndTheNextIsTried() throws {
    let wrong = Payload(Array("other film".utf8), size: film.size)
    let (machine, link) = try machine(
      entry(film.size, mtime: 1, manifest: film.manifestHash),
      entry(film.size, mtime: 2, manifest: wrong.manifestHash))
    _ = machine.take()
    try machine.send(.manifestVerified(link, film.content, try #require(wrong.manifest)))
    let block = try #require(machine.take().orders(link).first)
    try machine.send(.unitCorrupt(link, block.unit))
    var actions = machine.take()
    #expect(actions.orders(link).map(\.hash) == [film.manifestHash])
    #expect(!blamed(actions, link) && actions.discarded == [film.content])
    try machine.send(.manifestVerified(link, film.content, try #require(film.manifest)))
    for order in machine.take().orders(link) { try machine.send(.unitVerified(link, order.unit)) }
    actions = machine.take()
    #expect(actions.assembled == [film.content])
  }

  /// The size decides whether a content comes in blocks, and whether there is room for it.
  @Test func aLieAboutTheSizeOfAFilmHoldsItUpNoMore() throws {
    let total: UInt64 = 1 << 40
    let (machine, link) = try machine(
      entry(film.size, mtime: 1, manifest: film.manifestHash),
      entry(Limits.contentBytes, mtime: 2, manifest: content("another").digest))
    let space = DiskSpace(free: DiskSpace(free: 0, total: total).reserve + 2 * film.size, total: total)
    try machine.send(.diskRoom(DiskRoom(replica: space, catalog: space)))
    let lied = try #require(machine.take().orders(link).first)
    try machine.send(.unitEnded(link, lied.unit, .failed))
    try machine.pass(machine.settings.retry)
    #expect(machine.take().orders(link).map(\.hash) == [film.manifestHash])
  }
}
