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
    _ = machine.take()
    return (machine, link)
  }

  private func attested(_ machine: SingleMachine) throws -> [MachineID] {
    try machine.pass(.seconds(2))
    return machine.take().attestations.last?.libraries.map(\.library) ?? []
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

  /// An old image of a machine that has become a source since, or whose record has a number twice.
  @Test(arguments: [(UInt64(5), Role.source), (1, .full)])
  func theRoleOfAForgottenTimeIsTheUsersLastWord(number: UInt64, role: Role) throws {
    let (machine, link) = try machine()
    let signed = try machine.key.sign(
      MachineRecord(
        machine: machine.machine, number: number, name: "old name", role: .source, program: "test",
        addresses: [],
        folders: []), in: machine.household)
    try machine.send(.recordReceived(link, signed))
    #expect(machine.replicator.role == role)
    let told = machine.take().commands(link).compactMap { command in
      if case .announceRecord(let record) = command { record.record } else { nil }
    }
    #expect(told.map(\.number) == [number + 1] && told.last?.name == "me" && told.last?.role == role)
    #expect(try attested(machine).count == (role == .full ? 2 : 1))
    try machine.restart()
    #expect(
      try machine.catalog.value(.role).map { String(decoding: $0, as: UTF8.self) } ?? "full" == role.name)
    // What is known already changes nothing.
    let again = try machine.connect(has: [a, b])
    _ = machine.take()
    try machine.send(.recordReceived(again, signed))
    #expect(!machine.take().commands(again).contains { if case .announceRecord = $0 { true } else { false } })
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
