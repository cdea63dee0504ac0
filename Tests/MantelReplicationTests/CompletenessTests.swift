import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// What has to be true before this machine says that all is complete. The trial judges what that claims of this machine alone;
/// what it waits for of others, it sees only by chance.
@Suite struct CompletenessTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine that has all of its peers' photos, and whose own one connected peer attests.
  private func machine(peers: Int = 1) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(peers: peers)
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(10))
    let link = try machine.connect(has: [a])
    try machine.install(0, 1, [], over: link)
    try attest(machine, number: 1, link)
    try machine.pass(.seconds(2))
    return (machine, link)
  }

  /// The peer holds all that the own library wants at its newest head.
  private func attest(
    _ machine: SingleMachine, number: UInt64, _ link: LinkID, held: [ContentID]? = nil
  ) throws {
    let order = try #require(machine.head?.order)
    let statement = machine.statement(machine.machine, order, held: held ?? [a])
    try machine.send(.attestationReceived(link, try machine.attestation(0, number: number, [statement])))
  }

  private func expectComplete(_ machine: SingleMachine) throws {
    let report = try machine.report()
    #expect(report.isComplete && report.state == .complete, "\(report.reasons)")
  }

  /// Nothing is vacuously complete. A source keeps no copies: whatever it attested, the next photo would be on one machine.
  @Test func twoMachinesKeepCopies() throws {
    for hasPhoto in [false, true] {
      let machine = try SingleMachine(peers: 0)
      try machine.send(.recovered)
      if hasPhoto { try machine.publish("a.jpg", a, machine.stamp(10)) }
      try machine.pass(.seconds(2))
      let report = try machine.report()
      #expect(report.reasons.contains(.noSecondMachine) && !report.isComplete && report.state == .waiting)
    }
    let (machine, link) = try machine()
    try expectComplete(machine)
    let record = try machine.peers[0].sign(
      MachineRecord(
        machine: machine.peers[0].machine, number: 1, name: "peer0", role: .source, program: "test",
        addresses: [], folders: []), in: machine.household)
    try machine.send(.recordReceived(link, record))
    let report = try machine.report()
    #expect(report.reasons.contains(.noSecondMachine) && !report.isComplete)
  }

  /// A member of which nothing was heard may have published anything. A newer head takes a while: until the checkpoint it is
  /// told beside the word, and then instead of it.
  @Test func everyMembersNewestHeadIsInstalled() throws {
    let (machine, link) = try machine(peers: 2)
    let unheard = try machine.report()
    #expect(unheard.reasons.contains(.noHead(machine.peers[1].machine)) && !unheard.isComplete)
    try machine.install(1, 1, [], over: link)
    try expectComplete(machine)
    try machine.send(.headReceived(link, try machine.head(0, 2, [machine.entry("b.jpg", b)])))
    try expectComplete(machine)
    let early = try machine.report()
    #expect(early.arriving == 1 && !early.isSettledEverywhere)
    try machine.pass(machine.settings.checkpointAge)
    let late = try machine.report()
    #expect(late.reasons.contains(.headsArriving(machine.peers[0].machine)) && !late.isComplete)
  }

  /// What `status --wait` returns 0 for: not a word on some earlier state, and not without anybody who could say it now.
  @Test func settledIsProvedOfTheNewestHeadByWhoCanBeReached() throws {
    let (machine, link) = try machine()
    #expect(try machine.report().isSettledEverywhere)
    try machine.delete("a.jpg")
    try expectComplete(machine)
    #expect(try !machine.report().isSettledEverywhere, "the word is on the head before")
    try attest(machine, number: 2, link)
    #expect(try machine.report().isSettledEverywhere)
    try machine.send(.linkClosed(link))
    try expectComplete(machine)
    #expect(try !machine.report().isSettledEverywhere, "nobody is there")
  }

  /// As a file of a network filesystem is: whether the server has it on its disk cannot be told.
  @Test func anOwnFileThatIsNotDurableIsServedAndNotHeld() throws {
    let (machine, _) = try machine()
    let stamp = machine.stamp(10, inode: 8)
    try machine.sight("b.jpg", .file(stamp, isClosed: true))
    try machine.finishHash("b.jpg", b, stamp, isHeld: false)
    try machine.pass(.seconds(3))
    #expect(try machine.ownEntries(of: b).map(\.state.isLive) == [true])
    #expect(machine.isAvailable(b) && !machine.isHeld(b))
    let (wanted, held, files) = machine.replicator.roots(of: machine.machine)
    #expect(files == 2 && wanted != held)
  }

  /// Others have it, and know that this machine has not. Fails where the own library counts as held (`notOnDisk`).
  @Test func ownPhotosOnNoDiskOfThisMachineAreOwed() throws {
    let (machine, link) = try machine()
    let stamp = machine.stamp(10, inode: 8)
    try machine.sight("b.jpg", .file(stamp, isClosed: true))
    try machine.finishHash("b.jpg", b, stamp, isHeld: false)
    let early = try machine.report().reasons
    #expect(early.contains(.pending(files: 1)) && !early.contains(.notOnDisk(files: 1)))
    try machine.pass(.seconds(3))
    try attest(machine, number: 2, link, held: [a, b])
    #expect(machine.isSafe(b))
    let report = try machine.report()
    #expect(report.reasons == [.notOnDisk(files: 1)])
    #expect(!report.isComplete && !report.isSettledEverywhere && report.state == .waiting)

    // It is on a disk of this machine from now on.
    let moved = machine.stamp(10, inode: 9)
    try machine.sight("b.jpg", .file(moved, isClosed: true))
    try machine.finishHash("b.jpg", b, moved)
    try machine.pass(.seconds(3))
    try expectComplete(machine)
  }

  /// It is not held meanwhile, and that has a reason which says more. Fails where `notOnDisk` asks for no other.
  @Test func whatIsHashedAnewOrHasRottenIsToldOnce() throws {
    let (machine, _) = try machine()
    func isTold(_ reason: (StatusReason) -> Bool) throws -> Bool {
      let report = try machine.report()
      return !report.isComplete && report.reasons.contains(where: reason)
        && !report.reasons.contains(.notOnDisk(files: 1))
    }
    let touched = machine.stamp(10, mtime: SingleMachine.oldTime + 5)
    try machine.sight("a.jpg", .file(touched, isClosed: true))
    #expect(try !machine.isHeld(a) && isTold { $0 == .pending(files: 1) })
    try machine.finishHash("a.jpg", a, touched)
    #expect(try !machine.isHeld(a) && isTold { $0 == .pending(files: 1) })
    try machine.pass(.seconds(3))
    try expectComplete(machine)

    let file = try #require(try machine.catalog.file(SingleMachine.folderID, bytes("a.jpg")))
    try machine.replicator.suspect(file, now: machine.now)
    #expect(try !machine.isHeld(a) && isTold { if case .suspectedRot = $0 { true } else { false } })
  }
}
