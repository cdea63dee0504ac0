import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// A machine that was admitted, and of which nobody knows yet whether it accepted.
@Suite struct GuestTests {
  private let link = LinkID(90)
  private let newcomer = DeviceKey()

  /// Admits the newcomer.
  private func admit(on machine: SingleMachine) throws {
    let add = try machine.replicator.roster.admitting(
      subject: newcomer.machine, publicKey: newcomer.publicKey, name: "new", replaces: nil,
      by: machine.key, now: machine.now.wall)
    try machine.send(.rosterReceived(nil, [add.bytes]))
  }

  private func open(on machine: SingleMachine) throws -> [ReplicationAction] {
    try machine.send(
      .linkOpened(
        link,
        LinkOpening(
          machine: newcomer.machine, heads: [:], holdingsCount: 7, holdingsRoot: .zero,
          rosterHash: .zero, time: machine.now.wall, isDialer: true, saysItsWord: true)))
  }

  private func record(of key: DeviceKey, in household: HouseholdID) throws -> Signed<MachineRecord> {
    try key.sign(
      MachineRecord(
        machine: key.machine, number: 1, name: "x", role: .full, program: "", addresses: [],
        folders: []), in: household)
  }

  @Test func isToldNothingButTheRoster() throws {
    let machine = try SingleMachine()
    try machine.publish("a.jpg", content("photo"), machine.stamp(10))
    try machine.send(.recordReceived(link, try record(of: machine.peers[0], in: machine.household)))
    #expect(machine.greet(machine.peers[0].machine, over: LinkID(89))?.heads.isEmpty == false)
    #expect(machine.greet(newcomer.machine, over: link) == nil)
    try admit(on: machine)
    let greeting = try #require(machine.greet(newcomer.machine, over: link))
    #expect(greeting.isForGuest && greeting.holdings.count == 0)
    #expect(greeting.heads.isEmpty && greeting.records.isEmpty && greeting.attestations.isEmpty)
    #expect(try open(on: machine).isEmpty)
    // Neither is it asked for anything, nor is what it says looked at.
    try machine.publish("b.jpg", content("another"), machine.stamp(10))
    try machine.send(.recordReceived(link, try record(of: newcomer, in: machine.household)))
    #expect(machine.replicator.records[newcomer.machine] == nil)
    let told = machine.take().filter { if case .link(link, _) = $0 { true } else { false } }
    #expect(told.isEmpty)
  }

  @Test(arguments: [true, false])
  func itsAcceptanceLetsItConnectAsAMember(comesBeforeItsHello: Bool) throws {
    let machine = try SingleMachine()
    try admit(on: machine)
    let accept = try machine.replicator.roster.accepting(by: newcomer, now: machine.now.wall)
    _ = machine.greet(newcomer.machine, over: link)
    if !comesBeforeItsHello { #expect(try open(on: machine).isEmpty) }
    let closing = try machine.send(
      .rosterReceived(comesBeforeItsHello ? nil : link, [accept.bytes]))
    let actions = comesBeforeItsHello ? try open(on: machine) : closing
    #expect(actions.closings(of: link) == [.accepted])
    try machine.send(.linkClosed(link))
    let greeting = try #require(machine.greet(newcomer.machine, over: LinkID(91)))
    #expect(!greeting.isForGuest)
  }

  @Test func itsRemovalSendsItAway() throws {
    let machine = try SingleMachine()
    try admit(on: machine)
    _ = machine.greet(newcomer.machine, over: link)
    #expect(try open(on: machine).isEmpty)
    let removal = try machine.replicator.roster.removing(
      newcomer.machine, lastHead: .none, lastRoot: .zero, by: machine.key, now: machine.now.wall)
    let actions = try machine.send(.rosterReceived(nil, [removal.bytes]))
    #expect(actions.closings(of: link) == [.notMember])
    #expect(actions.contains { if case .link(link, .announceRoster) = $0 { true } else { false } })
    #expect(machine.greet(newcomer.machine, over: LinkID(91)) == nil)
  }

  /// One member signs additions of keys that it made up, and a record by each of them.
  @Test func madeUpMachinesLeaveNoTraceInHellos() throws {
    let machine = try SingleMachine()
    let member = machine.peers[0]
    let mine = try machine.connect()
    var roster = machine.replicator.roster
    for number in 1..<Limits.statementsPerSigner {
      let puppet = DeviceKey()
      let add = RosterStatement(
        by: member.machine, lamport: 3, date: machine.now.wall,
        parents: roster.statements.suffix(1).map(\.id),
        body: .add(publicKey: puppet.publicKey, name: "puppet \(number)", replaces: nil))
      let signed = SignedStatement(
        statement: add, signature: try member.signature(over: add.signedBytes(in: machine.household)))
      try machine.send(.rosterReceived(mine, [signed.bytes]))
      try machine.send(.recordReceived(mine, try record(of: puppet, in: machine.household)))
    }
    roster = machine.replicator.roster
    #expect(roster.admitted.count == Limits.statementsPerSigner - 1)
    #expect(machine.replicator.records.isEmpty)
    let greeting = try #require(machine.greet(member.machine, over: link))
    #expect(greeting.records.isEmpty)
    #expect(try machine.catalog.records().isEmpty)
  }
}

extension SingleMachine {
  fileprivate func greet(_ peer: MachineID, over link: LinkID) -> LinkGreeting? {
    replicator.greet(peer, over: link)
  }
}

extension [ReplicationAction] {
  fileprivate func closings(of link: LinkID) -> [LinkClosing] {
    compactMap { if case .link(link, .close(let closing)) = $0 { closing } else { nil } }
  }
}
