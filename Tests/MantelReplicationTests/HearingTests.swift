import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// Nothing is signed before another member was heard, and no two runs of an agent sign in one epoch.
@Suite struct HearingTests {
  private let a = content("a")

  private func awaited(_ desk: SingleMachine) throws -> [MachineID] {
    try desk.report().reasons.lazy.compactMap { if case .unheard(let awaited) = $0 { awaited } else { nil } }
      .first ?? []
  }

  /// However long it takes: the file is hashed and waits, and status says for whom.
  @Test func aMachineThatHeardNobodySignsNothing() throws {
    let desk = try SingleMachine(hasHeard: false)
    try desk.publish("a.jpg", a, desk.stamp(10))
    try desk.pass(.seconds(30 * 86_400))
    #expect(desk.take().published.isEmpty && desk.head == nil)
    #expect(try awaited(desk) == [desk.peers[0].machine])
    #expect(try desk.report().state == .waiting)
    #expect(desk.isAvailable(a))

    try desk.connect()
    #expect(desk.head?.counts.live == 1)
    #expect(try awaited(desk).isEmpty)
    #expect(try desk.status("a.jpg") == .published)
  }

  @Test func aMachineThatIsAloneSignsAtOnce() throws {
    let desk = try SingleMachine(peers: 0, hasHeard: false)
    try desk.publish("a.jpg", a, desk.stamp(10))
    #expect(desk.head?.counts.live == 1)
  }

  /// Nothing new, nothing to wait for.
  @Test func whoHasNothingToSayWaitsForNobody() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    try desk.restart(hasHeard: false)
    try desk.scan(["a.jpg": desk.stamp(10)])
    #expect(try awaited(desk).isEmpty)
  }

  /// A member that takes nothing back knows what was published, too, but nobody waits for it.
  @Test func onlyFullMembersAreWaitedFor() throws {
    let desk = try SingleMachine(peers: 1, hasHeard: false)
    try desk.write("a.jpg", a, desk.stamp(10))
    let record = try desk.peers[0].sign(
      MachineRecord(
        machine: desk.peers[0].machine, number: 1, name: "peer0", role: .source, program: "test",
        addresses: [],
        folders: []), in: desk.household)
    try desk.send(.recordReceived(LinkID(7), record))
    try desk.pass(.seconds(3))
    #expect(desk.head?.counts.live == 1)
  }

  /// Who claims to know more than this machine is heard when it has shown it.
  @Test func aClaimIsNotHeardBeforeItIsShown() throws {
    let desk = try SingleMachine(peers: 2, hasHeard: false)
    try desk.write("a.jpg", a, desk.stamp(10))
    try desk.connect(0, heads: [desk.machine: HeadOrder(epoch: 1 << 53, sequence: 1)])
    try desk.pass(.seconds(3))
    #expect(desk.head == nil)
    #expect(try awaited(desk).count == 2)
    try desk.connect(1)
    #expect(desk.head?.counts.live == 1)
  }

  enum Lie: CaseIterable { case signer, signature }

  /// What it shows in the end counts for nothing, and will not: it knows no more than it can prove.
  @Test(arguments: Lie.allCases) func aClaimThatIsDisprovedIsNotWaitedFor(lie: Lie) throws {
    let desk = try SingleMachine(hasHeard: false)
    try desk.write("a.jpg", a, desk.stamp(10))
    let liar = desk.peers[0]
    func forged(_ sequence: UInt64) throws -> Signed<Head> {
      let head = Head(
        library: desk.machine, signer: lie == .signer ? liar.machine : desk.machine,
        order: HeadOrder(epoch: 1 << 53, sequence: sequence), root: .zero, counts: LibraryCounts(),
        time: desk.now.wall)
      let signature = try liar.signature(over: head.signedBytes(in: desk.household))
      return Signed(record: head, signature: signature)
    }
    let claimed = try forged(9)
    let link = try desk.connect(heads: [desk.machine: claimed.record.order])
    try desk.send(.headReceived(link, try forged(8)))
    try desk.pass(.seconds(3))
    #expect(try desk.head == nil && awaited(desk) == [liar.machine], "what it claims may still come")
    try desk.send(.headReceived(link, claimed))
    try desk.pass(.seconds(3))
    #expect(try desk.head?.counts.live == 1 && awaited(desk).isEmpty)
  }

  /// The image of a home is started twice: what it signs the second time has places of its own.
  @Test func eachRunSignsInAnEpochOfItsOwn() throws {
    let desk = try SingleMachine()
    try desk.publish("a.jpg", a, desk.stamp(10))
    let first = try #require(desk.head?.order)
    try desk.publish("b.jpg", content("b"), desk.stamp(10))
    #expect(desk.head?.order == HeadOrder(epoch: first.epoch, sequence: first.sequence + 1))
    try desk.restart()
    try desk.scan(["a.jpg": desk.stamp(10), "b.jpg": desk.stamp(10)])
    #expect(desk.head?.order.epoch == first.epoch)
    try desk.publish("c.jpg", content("c"), desk.stamp(10))
    let second = try #require(desk.head?.order)
    #expect(second.epoch > first.epoch && second.sequence == 1)
  }

  /// A clock that went back: epochs only count.
  @Test func anEpochIsLaterThanAllBefore() {
    var publication = Publication()
    let now = Now(instant: Instant(nanoseconds: 0), wall: WallTime(nanoseconds: 5_000))
    #expect(publication.openEpoch(after: HeadOrder(epoch: 9, sequence: 4), now: now) == 10)
    #expect(publication.openEpoch(after: .none, now: now) == 10)
    publication = Publication()
    publication.leastEpoch = 12
    #expect(publication.openEpoch(after: HeadOrder(epoch: 9, sequence: 4), now: now) == 12)
  }
}
