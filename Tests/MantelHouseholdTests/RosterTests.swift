import MantelCore
import Testing

@testable import MantelHousehold

@Suite struct RosterTests {
  @Test func foundersAndNewcomers() throws {
    var home = try TestHousehold(machines: 1)
    #expect(home.members(at: 0) == [0])
    #expect(home.rosters[0].name == "home")
    let newcomer = home.addMachine()
    try home.admit(newcomer, by: 0)
    #expect(!home.rosters[0].isMember(home.id(1)))
    #expect(home.rosters[0].mayConnect(home.id(1)))
    try home.join(newcomer, admittedBy: 0)
    #expect(home.members(at: 0) == [0, 1])
    let member = try #require(home.rosters[0].member(home.id(1)))
    #expect(member.name == "m1" && member.addedBy == home.id(0))
    #expect(member.publicKey == home.keys[1].publicKey)
    #expect(home.rosters[0].members(admittedBy: home.id(0)).map(\.machine) == [home.id(1)])
    #expect(throws: RosterError.alreadyMember) { try home.admit(1, by: 0) }
    #expect(home.rosters[0].publicKey(of: DeviceKey().machine) == nil)
  }

  @Test func everyOrderOfArrivalGivesTheSame() throws {
    // Genesis, add 1, accept 1, remove 1 by 0, and concurrently: 1 admits 2, 2 accepts.
    var home = try TestHousehold(machines: 2)
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 1)
    try home.remove(1, by: 0)
    let statements = home.everything
    #expect(statements.count == 6)
    let whole = Roster(statements)
    #expect(home.members(of: statements) == [0])
    #expect(whole.voided.map(\.machine) == [home.id(2)])
    for (number, order) in permutations(statements).enumerated() {
      let roster = Roster(order)
      #expect(roster.hash == whole.hash)
      #expect(roster.members == whole.members && roster.removed == whole.removed)
      // Every seventh order also one by one, and sent again while anything is refused for missing ancestors.
      guard number % 7 == 0 else { continue }
      var grown = Roster([], household: whole.household)
      var rounds = 0
      while grown.statements.count < whole.statements.count, rounds < order.count {
        for statement in order { _ = grown.merge([statement]) }
        rounds += 1
      }
      #expect(grown.hash == whole.hash)
      #expect(grown.members == whole.members && grown.removed == whole.removed)
    }
  }

  @Test func everyOrderGivesTheSameInAContradiction() throws {
    var home = try TestHousehold(machines: 3)
    let old = home.everything
    try home.remove(1, by: 0)
    try home.remove(0, by: 1)
    try home.deliver(from: 1, to: 2)
    let renamed = try home.rosters[2].renaming(.signer, to: "third", by: home.keys[2], now: home.now)
    let news =
      Roster(home.everything + [renamed]).statements.filter { new in !old.contains { $0.id == new.id } }
    #expect(news.count == 4)
    let whole = Roster(old + news)
    #expect(home.members(of: old + news) == [1, 2])
    for order in permutations(news) {
      var grown = Roster(old)
      var rounds = 0
      while grown.statements.count < whole.statements.count, rounds < order.count {
        for statement in order { _ = grown.merge([statement]) }
        rounds += 1
      }
      #expect(grown.hash == whole.hash)
      #expect(grown.members == whole.members && grown.removed == whole.removed)
    }
  }

  @Test func mergingAgainChangesNothing() throws {
    let home = try TestHousehold(machines: 3)
    var roster = home.rosters[0]
    let hash = roster.hash
    #expect(roster.merge(home.everything + home.everything.reversed()).isEmpty)
    #expect(roster.hash == hash)
  }

  @Test func removedStaysRemoved() throws {
    var home = try TestHousehold(machines: 3)
    try home.remove(1, by: 0)
    home.synchronise()
    #expect(home.members(at: 2) == [0, 2])
    #expect(throws: RosterError.removedKey) { try home.admit(1, by: 2) }
    #expect(throws: RosterError.notMember) { try home.admit(2, by: 1) }
    // A member that ignores it, with the removal in its past, and one that has not seen it.
    let key = home.keys[1].publicKey
    for parents in [home.everything.suffix(1), home.everything.prefix(5).suffix(1)] {
      let again = try home.forge(
        by: 2, parents: Array(parents), .add(publicKey: key, name: "back", replaces: nil))
      let accept = try home.forge(by: 1, parents: [again], .accept(again.id))
      #expect(home.members(of: home.everything + [again, accept]) == [0, 2])
    }
  }

  @Test func admissionsByTheRemovedHoldOnlyIfTheRemoverKnewThem() throws {
    var home = try TestHousehold(machines: 3)
    let known = home.addMachine()
    try home.join(known, admittedBy: 1)
    home.synchronise()
    let unknown = home.addMachine()
    try home.join(unknown, admittedBy: 1)
    let below = home.addMachine()
    try home.join(below, admittedBy: unknown)
    try home.remove(1, by: 0)
    home.synchronise()
    for index in home.keys.indices { #expect(home.members(at: index) == [0, 2, known]) }
    #expect(Set(home.rosters[0].voided.map(\.machine)) == [home.id(unknown), home.id(below)])
    #expect(!home.rosters[0].mayConnect(home.id(unknown)))
    // Invited again, with the same key.
    try home.join(unknown, admittedBy: 2)
    home.synchronise()
    #expect(home.members(at: 0) == [0, 2, known, unknown])
    #expect(home.rosters[0].member(home.id(unknown))?.addedBy == home.id(2))
  }

  @Test func nothingVouchesForItselfThroughARemovalOfItsAdmitter() throws {
    // Machine 1 is removed, then admits a puppet whose own removal of 1 has that admission in its past.
    var home = try TestHousehold(machines: 3)
    try home.remove(1, by: 0)
    let puppet = home.addMachine()
    try home.join(puppet, admittedBy: 1)
    try home.remove(1, by: puppet)
    home.synchronise()
    #expect(home.members(at: 2) == [0, 2])
    #expect(home.rosters[2].removed.map(\.removedBy) == [home.id(0)])
  }

  @Test func strangersAndForgeriesAreNotKept() throws {
    let home = try TestHousehold(machines: 3)
    var other = home
    let stranger = other.addMachine()
    let last = try #require(home.everything.last)
    let strange = try other.forge(by: stranger, parents: [last], .rename(.household, "mine"))
    let wrongKey = SignedStatement(
      statement: try home.forge(by: 1, parents: [last], .rename(.household, "mine")).statement,
      signature: strange.signature)
    let genuine = try home.forge(by: 1, parents: [last], .rename(.household, "ours"))
    var changed = genuine.statement
    changed.body = .rename(.household, "mine")
    let wrongParent = try home.forge(by: 1, parents: [strange], .rename(.household, "mine"))
    let wrongLamport = try home.forge(
      by: 1, parents: [last], .rename(.household, "mine"), lamport: last.statement.lamport)
    let strangeAccept = try other.forge(by: stranger, parents: [last], .accept(last.id))
    let elsewhere = try Roster.found(
      name: "x", machineName: "x", key: home.keys[1], random: [UInt8](repeating: 1, count: 32),
      now: home.now)
    var roster = home.rosters[0]
    let refused =
      [
        strange, wrongKey, wrongParent, wrongLamport, strangeAccept,
        SignedStatement(statement: changed, signature: genuine.signature),
      ] + elsewhere
    #expect(roster.merge(refused).isEmpty)
    #expect(roster.merge(refused + [genuine]) == [genuine])
    #expect(roster.name == "ours")
  }

  @Test func aMemberMakesNoMoreThanItsShareOfStatements() throws {
    var home = try TestHousehold(machines: 3)
    let last = try #require(home.everything.last)
    let flood = try (0..<100).map {
      try home.forge(by: 1, parents: [last], .rename(.household, "flood \($0)"))
    }
    var roster = home.rosters[0]
    // Machine 1 has made its accept already.
    #expect(roster.merge(flood).count == Limits.statementsPerSigner - 1)
    #expect(Roster(home.everything + flood).hash == Roster(home.everything + flood.reversed()).hash)
    #expect(throws: RosterError.tooManyStatements) {
      try roster.renaming(.household, to: "x", by: home.keys[1], now: home.now)
    }
    // Others saw other parts of the flood. Still its removal reaches everyone, and is final.
    var second = home.rosters[2]
    #expect(second.merge(flood.suffix(60)).count == 60)
    let removal = try roster.removing(
      home.id(1), lastHead: .none, lastRoot: .zero, by: home.keys[0], now: home.now)
    _ = roster.merge([removal])
    #expect(second.merge([removal]) == [removal])
    #expect(!second.isMember(home.id(1)))
    _ = second.merge(roster.statements)
    _ = roster.merge(second.statements)
    #expect(roster.members == second.members)
    #expect(roster.name == second.name)
    // It can still remove others, though it has spent its share.
    try home.remove(2, by: 1)
    #expect(home.members(at: 1) == [0, 1])
  }

  @Test func aRemovalOnMissingGroundsWorksAndHoldsNobodyUp() throws {
    var home = try TestHousehold(machines: 3)
    let missing = try home.forge(
      by: 1, parents: [try #require(home.everything.last)], .rename(.household, "not sent"))
    let body = RosterStatement.Body.remove(home.id(2), head: .none, root: .zero)
    for lamport in [RosterStatement.maximumLamport, RosterGraph.uncheckedLamport + 1] {
      let absurd = try home.forge(by: 1, parents: [missing], body, lamport: lamport)
      var roster = home.rosters[0]
      #expect(roster.merge([absurd]).isEmpty)
    }
    let highest = try home.forge(
      by: 1, parents: [missing], body, lamport: RosterGraph.uncheckedLamport)
    home.give([highest], to: 0)
    home.give([highest], to: 1)
    #expect(home.members(at: 0) == [0, 1])
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 0)
    home.synchronise([0, 1])
    #expect(home.members(at: 1) == [0, 1, newcomer])
    #expect(Roster(stored: home.rosters[0].statements).hash == home.rosters[0].hash)
    #expect(Roster(stored: home.rosters[0].statements).members == home.rosters[0].members)
  }

  @Test func aLargeHouseholdKeepsGoing() throws {
    // Forty machines rename themselves at once: more tips than a statement has parents.
    var home = try TestHousehold(machines: 40)
    let renames = try home.keys.indices.dropFirst().map {
      try home.rosters[$0].renaming(.signer, to: "new \($0)", by: home.keys[$0], now: home.now)
    }
    home.give(renames, to: 0)
    for index in home.keys.indices.reversed() { home.give(renames, to: index) }
    try home.remove(7, by: 20)
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 33)
    home.synchronise()
    #expect(home.members(at: 5) == Set(0...40).subtracting([7]))
    #expect(home.rosters[5].member(home.id(39))?.name == "new 39")
  }

  @Test func leavingAndKeepers() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(1, by: 2, head: 7)
    home.synchronise()
    var roster = home.rosters[0]
    #expect(roster.removedMember(home.id(1))?.keeper == home.id(2))
    #expect(roster.mayPublish(library: home.id(1), signer: home.id(2)))
    #expect(!roster.mayPublish(library: home.id(1), signer: home.id(1)))
    #expect(!roster.mayPublish(library: home.id(1), signer: home.id(0)))
    #expect(roster.mayPublish(library: home.id(0), signer: home.id(0)))
    // The keeper is removed: its remover takes over both. Then that one leaves: the longest-standing member does.
    try home.remove(2, by: 3)
    home.synchronise()
    #expect(home.rosters[0].removed.map(\.keeper) == [home.id(3), home.id(3)])
    #expect(home.rosters[0].formerKeepers(of: home.id(1)) == [home.id(2)])
    try home.remove(3, by: 3)
    home.synchronise()
    #expect(home.rosters[0].removed.map(\.keeper) == [home.id(0), home.id(0), home.id(0)])
    // A newcomer replaces the first.
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 0, replaces: 1)
    roster = home.rosters[0]
    #expect(roster.removedMember(home.id(1))?.keeper == home.id(newcomer))
    #expect(
      roster.publisher(of: home.id(1)) == home.id(newcomer) && roster.publisher(of: home.id(0)) == home.id(0))
    #expect(roster.removedMember(home.id(2))?.keeper == home.id(0))
    #expect(roster.machines(named: "m1") == [home.id(1)])
  }

  @Test func bothWhoRemoveAMachineAtOnceMayHaveKeptIt() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(3, by: 1)
    try home.remove(3, by: 2)
    home.synchronise()
    let removers: Set = [home.id(1), home.id(2)]
    let keeper = try #require(home.rosters[0].removedMember(home.id(3))?.keeper)
    #expect(removers.contains(keeper))
    #expect(home.rosters[0].formerKeepers(of: home.id(3)) == removers.subtracting([keeper]))
  }

  @Test func formerKeepersAreAllOnTheWayToTheKeeper() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(1, by: 2)
    home.synchronise()
    try home.remove(2, by: 3)
    home.synchronise()
    // The second one has kept it, and then the third.
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 0, replaces: 1)
    #expect(home.rosters[0].removedMember(home.id(1))?.keeper == home.id(newcomer))
    #expect(home.rosters[0].formerKeepers(of: home.id(1)) == [home.id(2), home.id(3)])
    #expect(home.rosters[0].formerKeepers(of: home.id(2)).isEmpty)
    #expect(home.rosters[0].formerKeepers(of: home.id(0)).isEmpty)
  }

  /// The longest-standing member keeps what one leaves that goes by itself.
  @Test func whoKeptWhatSomebodyLeftIsAFormerKeeper() throws {
    var home = try TestHousehold(machines: 3)
    try home.remove(1, by: 1)
    home.synchronise()
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 2, replaces: 1)
    #expect(home.rosters[2].removedMember(home.id(1))?.keeper == home.id(newcomer))
    #expect(home.rosters[2].formerKeepers(of: home.id(1)) == [home.id(0)])
  }

  /// A removal that another one voids had its keeper, too, until that was known.
  @Test func headsOfAMemberThatSeemedToBeRemoved() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(2, by: 1)
    try home.remove(1, by: 0)
    home.synchronise()
    let roster = home.rosters[3]
    #expect(roster.isMember(home.id(2)))
    func head(_ epoch: UInt64, signer: Int) throws -> Signed<Head> {
      let head = Head(
        library: home.id(2), signer: home.id(signer), order: HeadOrder(epoch: epoch, sequence: 1),
        root: .zero, counts: LibraryCounts(), time: home.now)
      return try home.keys[signer].sign(head, in: roster.household)
    }
    let (former, own) = (try head(5, signer: 1), try head(5, signer: 2))
    #expect(roster.isOutdated(former) && !roster.accepts(former))
    #expect(!roster.isOutdated(own) && roster.accepts(own))
    // It never kept it; and whoever did leaves room for another epoch.
    #expect(!roster.isOutdated(try head(5, signer: 3)))
    // Nobody reads a head of a later epoch than the last one.
    #expect(!roster.isOutdated(try head(Head.largestNumber, signer: 1)))
  }

  @Test func headsOfARemovedMachine() throws {
    var home = try TestHousehold(machines: 3)
    try home.remove(1, by: 0, head: 5)
    home.synchronise()
    let roster = home.rosters[2]
    func head(_ order: UInt64, signer: Int, root: Digest256 = .zero) throws -> Signed<Head> {
      let head = Head(
        library: home.id(1), signer: home.id(signer), order: HeadOrder(epoch: 5, sequence: order),
        root: root, counts: LibraryCounts(), time: home.now)
      return try home.keys[signer].sign(head, in: roster.household)
    }
    #expect(roster.accepts(try head(4, signer: 1)))
    #expect(roster.accepts(try head(5, signer: 1)))
    #expect(!roster.accepts(try head(5, signer: 1, root: Digest256(1, 2, 3, 4))))
    #expect(!roster.accepts(try head(6, signer: 1)))
    #expect(!roster.accepts(try head(5, signer: 0)))
    #expect(roster.accepts(try head(6, signer: 0)))
    #expect(!roster.accepts(try head(6, signer: 2)))
    // What may have been installed somewhere, and is to be outranked.
    #expect(roster.isOutdated(try head(6, signer: 1)))
    #expect(roster.isOutdated(try head(5, signer: 1, root: Digest256(1, 2, 3, 4))))
    #expect(!roster.isOutdated(try head(5, signer: 1)))
    #expect(!roster.isOutdated(try head(6, signer: 2)))
  }

  @Test func signaturesHoldForOnePurposeHouseholdAndKey() throws {
    let home = try TestHousehold(machines: 2)
    let roster = home.rosters[0]
    let record = MachineRecord(
      machine: home.id(1), number: 1, name: "m1", role: .full, program: "mantel", addresses: [],
      folders: [])
    let signed = try home.keys[1].sign(record, in: roster.household)
    #expect(roster.verify(signed))
    var changed = signed
    changed.record.number = 2
    #expect(!roster.verify(changed))
    let foreign = try home.keys[1].sign(record, in: HouseholdID(Digest256(1, 2, 3, 4)))
    #expect(!roster.verify(foreign))
    let purpose = Array("mantel/head/1".utf8) + [0] + roster.household.bytes + record.canonicalBytes
    #expect(!roster.verify(Signed(record: record, signature: try home.keys[1].signature(over: purpose))))
    let bytes = record.signedBytes(in: roster.household)
    #expect(!roster.verify(Signed(record: record, signature: try home.keys[0].signature(over: bytes))))
    let stranger = DeviceKey()
    var strange = record
    strange.machine = stranger.machine
    #expect(!roster.verify(try stranger.sign(strange, in: roster.household)))
  }

  @Test func namesAndTheDiscoveryKey() throws {
    var home = try TestHousehold(machines: 3)
    let key = home.rosters[0].discoveryKey
    #expect(key == home.rosters[2].discoveryKey && key.count == DiscoveryTag.keyBytes)
    let tag = DiscoveryTag.tag(key: key, instanceName: "abc")
    #expect(tag.count == 16 && DiscoveryTag.matches(tag, key: key, instanceName: "abc"))
    #expect(!DiscoveryTag.matches(tag, key: key, instanceName: "abd"))
    try home.remove(1, by: 0)
    #expect(home.rosters[0].discoveryKey != key)
    #expect(throws: RosterError.invalidName) {
      try home.rosters[0].renaming(.signer, to: "", by: home.keys[0], now: home.now)
    }
    #expect(throws: RosterError.invalidName) {
      try home.rosters[0].renaming(
        .signer, to: String(repeating: "é", count: 101), by: home.keys[0], now: home.now)
    }
  }
}
