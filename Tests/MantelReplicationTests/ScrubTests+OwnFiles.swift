import MantelCore
import Testing

@testable import MantelReplication

/// Files of the own folders that have other bytes than they were published with.
extension ScrubTests {
  private func machineWithRot() throws -> SingleMachine {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.pass(.seconds(16 * 86_400))
    let target = RereadTarget.own(SingleMachine.folderID, bytes("mine.jpg"))
    #expect(machine.take().rereads == [target])
    try machine.send(.reread(target, .read(content("rot"), machine.stamp(10))))
    return machine
  }

  @Test func suspectedRotIsReportedAndNotPublished() throws {
    let machine = try machineWithRot()
    let head = machine.head
    #expect(try machine.status("mine.jpg") == .pending(.suspectedRot))
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
    let report = try machine.report(tally: LedgerCounts(seen: 1, pending: 1))
    #expect(report.state == .attention)
    #expect(report.reasons.contains(.suspectedRot(files: 1, safe: 0)))
    #expect(!report.reasons.contains { if case .pending = $0 { true } else { false } })
    // A scan sees the same file; a restart knows of it.
    try machine.scan(["mine.jpg": machine.stamp(10)])
    try machine.restart()
    try machine.scan(["mine.jpg": machine.stamp(10)])
    try machine.pass(.seconds(60))
    #expect(try machine.status("mine.jpg") == .pending(.suspectedRot))
    #expect(machine.take().hashes.isEmpty)
    #expect(machine.head == head)
  }

  /// What `mantel restore --to` asks for then: the bytes that a peer has. The file that rotted stays as it is.
  @Test func theGoodBytesOfARottenOwnFileComeFromAPeer() throws {
    let machine = try machineWithRot()
    let head = machine.head
    let link = try machine.connect(has: [a])
    #expect(machine.take().orders(link).isEmpty, "nothing is fetched that nobody asked for")
    let entry = try #require(try machine.ownEntries(of: a).first)
    let missing = MissingContent(
      content: a, size: entry.size, manifest: nil, mtime: entry.mtime, library: machine.machine)
    let unit = UnitID(content: a, part: .whole)
    try machine.send(.recall(RecallID(1), RecallOrder(missing, isAfresh: true)))
    #expect(machine.take().orders(link).map(\.unit) == [unit])
    try machine.send(.unitVerified(link, unit))
    #expect(machine.take().recalled.map(\.outcome) == [.here])
    try machine.pass(.seconds(60))
    #expect(try machine.status("mine.jpg") == .pending(.suspectedRot))
    #expect(!machine.isHeld(a) && machine.head == head)
    try machine.send(.recallReleased(RecallID(1)))
    #expect(machine.take().discarded == [a])
  }

  @Test(arguments: ["a", "edited"]) func whatIsWrittenAnewIsAFileLikeAllOthers(name: String) throws {
    let machine = try machineWithRot()
    try machine.publish("mine.jpg", content(name), machine.stamp(11, ctime: 5))
    #expect(try machine.status("mine.jpg") == .published)
    #expect(machine.isHeld(content(name)))
    #expect(try machine.report().state != .attention)
  }

  @Test func aFileThatItsUserChangedIsLookedAt() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.pass(.seconds(16 * 86_400))
    _ = machine.take()
    let target = RereadTarget.own(SingleMachine.folderID, bytes("mine.jpg"))
    try machine.send(.reread(target, .read(b, machine.stamp(12))))
    #expect(machine.take().looks == [bytes("mine.jpg")])
    #expect(try machine.status("mine.jpg") == .published)
  }
}
