import MantelCore
import Testing

@testable import MantelReplication

/// Full machines that become sources, and sources that become full.
@Suite struct RoleTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine that holds `a` of its peer, and was asked for nothing else; `b` is on its way.
  private func machine() throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.send(
      .recordChanged(
        MachineRecord(
          machine: machine.machine, number: 0, name: "me", role: .full, program: "test", addresses: [],
          folders: [])))
    let link = try machine.connect(has: [a, b])
    try machine.install(0, 1, [machine.entry("a.jpg", a), machine.entry("b.jpg", b)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    // What it owes was attested.
    try machine.pass(machine.settings.attestWhileIncomplete)
    _ = machine.take()
    return (machine, link)
  }

  private func attested(_ machine: SingleMachine) throws -> [MachineID] {
    try machine.pass(.seconds(2))
    return machine.replicator.attesting.newest[machine.machine]?.record.libraries.map(\.library) ?? []
  }

  @Test func whoBecomesASourceOwesNothingAndKeepsWhatItHas() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.source))
    let actions = machine.take()
    let told = actions.commands(link).compactMap { command in
      if case .announceRecord(let record) = command { record.record } else { nil }
    }
    #expect(told.last?.role == .source && told.last?.number == 2)
    #expect(try machine.catalog.value(.role) == Array("source".utf8))
    let cancelled = actions.commands(link).contains { command in
      if case .cancelFetch(let units) = command { units.map(\.content) == [b] } else { false }
    }
    #expect(cancelled)
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    #expect(try machine.catalog.replicaFiles(of: a).count == 1)
    #expect(try machine.report().missingFiles == 0)
    #expect(try attested(machine) == [machine.machine], "what it does not owe it does not attest")
  }

  private func own(_ machine: SingleMachine, _ number: UInt64, _ role: Role) throws -> Signed<MachineRecord> {
    try machine.key.sign(
      MachineRecord(
        machine: machine.machine, number: number, name: "old name", role: role, program: "test",
        addresses: [],
        folders: []), in: machine.household)
  }

  private func told(_ actions: [ReplicationAction], _ link: LinkID) -> [MachineRecord] {
    actions.commands(link).compactMap {
      if case .announceRecord(let record) = $0 { record.record } else { nil }
    }
  }

  /// An old image of a machine that has become a source since. At its start it has signed a record already.
  @Test(arguments: [UInt64(5), 1]) func theRoleOfAForgottenTimeIsTheUsersLastWord(number: UInt64) throws {
    let (machine, link) = try machine()
    let signed = try own(machine, number, .source)
    try machine.send(.recordReceived(link, signed))
    #expect(machine.replicator.role == .source)
    let record = told(machine.take(), link)
    #expect(record.map(\.number) == [number + 1])
    #expect(record.last?.name == "me" && record.last?.role == .source, "of all else this run knows better")
    #expect(try attested(machine) == [machine.machine])
    #expect(try machine.catalog.value(.role) == Array("source".utf8))
    // What is known already changes nothing.
    try machine.restart()
    let again = try machine.connect(has: [a, b])
    _ = machine.take()
    try machine.send(.recordReceived(again, signed))
    #expect(told(machine.take(), again).isEmpty && machine.replicator.role == .source)
  }

  @Test func theLastOfSeveralForgottenWordsCounts() throws {
    let (machine, link) = try machine()
    try machine.send(.recordReceived(link, try own(machine, 6, .source)))
    try machine.send(.recordReceived(link, try own(machine, 7, .full)))
    #expect(machine.replicator.role == .full)
    #expect(try machine.catalog.value(.role) == Array("full".utf8))
    // The second answer takes its time, also when the agent says what it says every half minute.
    let same = machine.replicator.records[machine.machine]?.record
    try machine.send(.recordChanged(try #require(same)))
    #expect(told(machine.take(), link).map(\.number) == [7])
    try machine.pass(machine.settings.retry)
    let last = told(machine.take(), link)
    #expect(last.map(\.number) == [8] && last.last?.role == .full)
  }

  @Test func whatItsUserSaysInThisRunCountsMore() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.full))
    try machine.send(.recordReceived(link, try own(machine, 5, .source)))
    #expect(machine.replicator.role == .full)
    #expect(told(machine.take(), link).map(\.number) == [6])
  }

  @Test func whatWasOnItsWayToASourceIsDiscarded() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.source))
    _ = machine.take()
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    try machine.pass(.seconds(1))
    #expect(machine.take().discarded == [b])
    #expect(!machine.isAvailable(b) && !machine.isHeld(b))
  }

  @Test func whoBecomesFullFilesAndFetchesWhatItMissed() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.source))
    let moved = machine.entry("moved.jpg", a)
    try machine.install(
      0, 2, [moved, machine.entry("b.jpg", b)], removed: [machine.entry("a.jpg", a)], added: [moved],
      over: link)
    #expect(try machine.fileAll().isEmpty, "a source puts nothing in its place")
    _ = machine.take()
    try machine.send(.roleChanged(.full))
    let actions = machine.take()
    #expect(actions.orders(link).map(\.unit.content) == [b])
    let moves = actions.batches.flatMap(\.operations).compactMap { operation -> [UInt8]? in
      if case .move(_, let path, a, _) = operation { path } else { nil }
    }
    #expect(moves == [bytes("peer0/folder/moved.jpg")])
    #expect(try machine.report().missingFiles == 1)
  }

  /// A role frees nothing, and holds up nothing that its owner lets go of.
  @Test func whatItsOwnerDropsLeavesASourceToo() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.source))
    var dropped = machine.entry("-", a, state: .dropped(at: WallTime(nanoseconds: 5)))
    dropped.path = []
    try machine.install(
      0, 2, [dropped, machine.entry("b.jpg", b)], removed: [machine.entry("a.jpg", a)], added: [dropped],
      over: link)
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).allSatisfy { $0.mark?.isInTrash == true })
  }

  @Test func theSameRoleAgainIsNoNews() throws {
    let (machine, link) = try machine()
    try machine.send(.roleChanged(.full))
    #expect(machine.take().commands(link).isEmpty)
  }
}
