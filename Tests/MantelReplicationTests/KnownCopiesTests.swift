import MantelCore
import Testing

@testable import MantelReplication

/// Whether a deleted photo is kept for ever or taken for lost: it hangs on what the others may have.
@Suite struct KnownCopiesTests {
  private let a = content("a")
  private let b = content("b")

  private func fresh(_ desk: SingleMachine, _ inode: UInt64 = 7) -> FileStamp {
    desk.stamp(10, mtime: desk.now.wall.nanoseconds, inode: inode)
  }

  /// A machine that published a photo; the head that has it.
  private func machine(peers: Int = 1) throws -> (SingleMachine, HeadOrder) {
    let desk = try SingleMachine(peers: peers)
    try desk.publish("a", a, fresh(desk))
    return (desk, try #require(desk.head).order)
  }

  private func attest(_ desk: SingleMachine, number: UInt64 = 1, _ statement: LibraryAttestation) throws {
    let link = try desk.connect()
    try desk.send(.attestationReceived(link, try desk.attestation(0, number: number, [statement])))
    try desk.send(.linkClosed(link))
  }

  private func isRetired(_ desk: SingleMachine) throws -> Bool {
    try desk.delete("a")
    let counts = try #require(desk.head).counts
    #expect(counts.retired + counts.unheld == 1)
    return counts.retired == 1
  }

  /// A laptop away from home: it was restarted, and has published since its peer attested.
  @Test func whatWasAttestedOfAnOlderHeadIsRetiredAfterARestart() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [a]))
    try desk.publish("b", b, fresh(desk, 8))
    try desk.restart()
    #expect(desk.isSafe(a) && !desk.isSafe(b))
    try desk.send(.folderAdded(desk.folder))
    #expect(try isRetired(desk))
  }

  /// However many heads the machine has published since.
  @Test func whatWasAttestedOfAHeadLongAgoIsSafe() throws {
    let (desk, order) = try machine()
    for number in 0..<40 { try desk.publish("b", content("b\(number)"), fresh(desk, 8)) }
    try attest(desk, desk.statement(desk.machine, order, held: [a]))
    #expect(desk.isSafe(a))
    #expect(!desk.isSafe(content("b39")))
  }

  /// The statement was about a head that wanted what is gone by now.
  @Test func anAttestationIsReadByItsHeadsOwnContents() throws {
    let (desk, _) = try machine()
    try desk.publish("b", b, fresh(desk, 8))
    let order = try #require(desk.head).order
    try desk.delete("b")
    try attest(desk, desk.statement(desk.machine, order, held: [a], missing: [b]))
    #expect(desk.isSafe(a))
  }

  /// A peer that lacks very much does not say what.
  @Test func aPeerThatDoesNotNameWhatItLacksMayHaveIt() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [], missingCount: 5_000))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    #expect(try isRetired(desk))
  }

  /// Unless it is here and does.
  @Test func aConnectedPeerTellsWhatItDoesNotHave() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [], missingCount: 5_000))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    try desk.connect(has: [])
    #expect(try !isRetired(desk))
  }

  /// Its disk is away: what lies there it may have withdrawn, and it does not say its word. Fails where whoever is compared tells
  /// what it lacks (`compared`).
  @Test func aConnectedPeerThatDoesNotSayItsWordMayHaveIt() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [], missingCount: 5_000))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    try desk.connect(has: [], saysItsWord: false)
    #expect(try isRetired(desk))
  }

  /// The disk is back. Fails where only a word that is news counts (`received`), or anybody's who brings it.
  @Test(arguments: [0, 1]) func itTellsWhatItLacksAsSoonAsItSaysItsWord(speaker: Int) throws {
    let (desk, order) = try machine(peers: 2)
    let statement = desk.statement(desk.machine, order, held: [], missingCount: 5_000)
    let word = try desk.attestation(0, [statement])
    let first = try desk.connect()
    try desk.send(.attestationReceived(first, word))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    let links = [try desk.connect(0, saysItsWord: false), try desk.connect(1)]
    try desk.send(.attestationReceived(links[speaker], word))
    #expect(try isRetired(desk) == (speaker == 1))
  }

  @Test func whatAPeerLackedWhenItLastSaidSoIsUnheld() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [], missing: [a]))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    #expect(try !isRetired(desk))
  }

  @Test func whatCameAfterThePeersLastWordIsUnheld() throws {
    let desk = try SingleMachine()
    let order = try #require(desk.head).order
    try attest(desk, desk.statement(desk.machine, order, held: []))
    try desk.publish("a", a, fresh(desk))
    #expect(try !isRetired(desk))
  }

  /// It lies in the trash there: the statement is of a head that had dropped it.
  @Test func whatWasForgottenAndTakenBackMayBeInATrash() throws {
    let (desk, _) = try machine()
    try desk.send(.recovered)
    let entry = try #require(try desk.catalog.entries(desk.machine, of: a).first)
    try desk.send(.forget([entry.id]))
    let order = try #require(desk.head).order
    try attest(desk, desk.statement(desk.machine, order, held: []))
    try desk.send(.unforget([entry.id]))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    #expect(try isRetired(desk))
  }

  /// It was copied, and the connection broke before the peer had attested it.
  @Test func whatAPeerHadOnItsLastConnectionIsRetired() throws {
    let (desk, _) = try machine()
    let link = try desk.connect()
    try desk.send(.availabilityChanged(link, added: [a], removed: []))
    try desk.send(.linkClosed(link))
    #expect(try isRetired(desk))
  }

  /// While a fresh connection's comparison runs, nothing is read from what it has not said yet.
  @Test func aRunningComparisonProvesNoAbsence() throws {
    let (desk, order) = try machine()
    try attest(desk, desk.statement(desk.machine, order, held: [], missingCount: 5_000))
    try desk.restart()
    try desk.send(.folderAdded(desk.folder))
    try desk.connect(compares: false)
    #expect(try isRetired(desk))
  }

  @Test func aPhotoInSomebodyElsesFolderIsACopy() throws {
    let (desk, _) = try machine()
    let link = try desk.connect()
    try desk.install(0, 1, [desk.entry("theirs", a)], over: link)
    try desk.send(.linkClosed(link))
    #expect(try isRetired(desk))
  }
}
