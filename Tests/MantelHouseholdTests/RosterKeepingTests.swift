import MantelCore
import Testing

@testable import MantelHousehold

/// What is kept of what others say, whatever they say and in whatever order it comes.
@Suite struct RosterKeepingTests {
  // MARK: Removals stay

  /// How far the lamport of a removal is from the right one.
  @Test(arguments: [-2, -1, 0, 1, 6])
  func aRemovalStaysWhenItsMissingParentComes(_ error: Int) throws {
    let home = try TestHousehold(machines: 3)
    let last = try #require(home.everything.last)
    let withheld = try home.forge(by: 1, parents: [last], .rename(.household, "withheld"))
    let lamport = UInt64(Int(withheld.statement.lamport) + 1 + error)
    let removal = try home.forge(
      by: 1, parents: [withheld], .remove(home.id(2), head: .none, root: .zero), lamport: lamport)
    var late = home.rosters[0]
    #expect(late.merge([removal]) == [removal])
    #expect(!late.isMember(home.id(2)))
    #expect(late.merge([withheld]) == [withheld])
    #expect(late.contains(removal.id) && !late.isMember(home.id(2)))
    // Who had the parent first comes to the same.
    var early = home.rosters[0]
    #expect(early.merge([withheld]) == [withheld])
    #expect(early.merge([removal]) == [removal])
    #expect(early.hash == late.hash && early.members == late.members)
    #expect(Roster(stored: late.statements).hash == late.hash)
  }

  @Test func aRemovalStaysThoughItsWholePastDoesNotAdmitItsSigner() throws {
    // Its parent is older than the acceptance of who signs it, and comes after the removal.
    var home = try TestHousehold(machines: 2)
    let fork = try #require(home.everything.first { $0.statement.lamport == 1 })
    let withheld = try home.forge(by: 0, parents: [fork], .rename(.household, "withheld"))
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 0)
    home.synchronise([0, 1])
    let removal = try home.forge(
      by: newcomer, parents: [withheld], .remove(home.id(1), head: .none, root: .zero), lamport: 50)
    var roster = home.rosters[0]
    _ = roster.merge([removal])
    #expect(!roster.isMember(home.id(1)))
    #expect(roster.merge([withheld]) == [withheld])
    #expect(roster.contains(removal.id) && !roster.isMember(home.id(1)))
  }

  @Test(arguments: 1...24)
  func whatIsKeptIsAFunctionOfWhatCame(_ seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var home = try TestHousehold(machines: 4)
    _ = home.addMachine()
    var statements = home.everything
    for _ in 0..<12 { statements.append(try madeUp(home, after: statements, &random)) }
    let whole = Roster(statements, household: home.rosters[0].household)
    for _ in 0..<4 {
      var grown = home.rosters[0]
      for _ in statements.indices {
        for statement in statements.shuffled(using: &random) {
          let before = Set(grown.statements.map(\.id))
          let news = Set(grown.merge([statement]).map(\.id))
          #expect(Set(grown.statements.map(\.id)) == before.union(news), "what is kept stays kept")
        }
        if grown.hash == whole.hash { break }
      }
      #expect(grown.hash == whole.hash)
      #expect(grown.members == whole.members && grown.removed == whole.removed)
      let stored = Roster(stored: grown.statements)
      #expect(stored.hash == whole.hash && stored.members == whole.members)
    }
  }

  /// A statement that may be right, wrong in one thing, or by nobody at all.
  private func madeUp(
    _ home: TestHousehold, after statements: [SignedStatement], _ random: inout SplitMix
  ) throws -> SignedStatement {
    let signer = Int.random(in: 0..<5, using: &random)
    let subject = Int.random(in: 0..<5, using: &random)
    var parents: [SignedStatement] = []
    for _ in 0...Int.random(in: 0...1, using: &random) {
      guard let parent = statements.randomElement(using: &random), !parents.contains(parent) else { continue }
      parents.append(parent)
    }
    let right = (parents.map(\.statement.lamport).max() ?? 0) + 1
    let lamport = Bool.random(using: &random) ? right : UInt64.random(in: 1...right + 3, using: &random)
    let other = statements.randomElement(using: &random)?.id ?? statements[0].id
    let bodies: [RosterStatement.Body] = [
      .remove(home.id(subject), head: .none, root: .zero),
      .remove(home.id(subject), head: .none, root: .zero),
      .add(publicKey: home.keys[subject].publicKey, name: "again", replaces: nil),
      .rename(.household, "n\(right)"), .accept(other), .countersign(other),
    ]
    return try home.forge(
      by: signer, parents: parents, bodies.randomElement(using: &random) ?? bodies[0], lamport: lamport)
  }

  // MARK: Keys

  @Test func aStatementThatIsNotKeptGivesNobodyAKey() throws {
    let home = try TestHousehold(machines: 2)
    let last = try #require(home.everything.last)
    let stranger = DeviceKey()
    let genuine = try home.forge(by: 1, parents: [last], .rename(.household, "ours"))
    let add = try home.forge(
      by: 1, parents: [last], .add(publicKey: stranger.publicKey, name: "junk", replaces: nil))
    let unsigned = SignedStatement(statement: add.statement, signature: genuine.signature)
    var roster = home.rosters[0]
    #expect(roster.merge([unsigned, genuine]) == [genuine])
    let record = MachineRecord(
      machine: stranger.machine, number: 1, name: "junk", role: .full, program: "", addresses: [],
      folders: [])
    #expect(!roster.verify(try stranger.sign(record, in: roster.household)))
    #expect(roster.publicKey(of: stranger.machine) == nil)
  }

  @Test func aRemovalThatIsNotKeptExemptsNothing() throws {
    let home = try TestHousehold(machines: 2)
    var parents = [try #require(home.everything.last)]
    var flood: [SignedStatement] = []
    for number in 0..<100 {
      flood.append(try home.forge(by: 1, parents: parents, .rename(.household, "flood \(number)")))
      parents = [flood[number]]
    }
    // A key of its own, named by an addition that the bound holds up, removes the flooding machine.
    var forger = home
    let puppet = forger.addMachine()
    let add = try home.forge(
      by: 1, parents: parents,
      .add(publicKey: forger.keys[puppet].publicKey, name: "puppet", replaces: nil))
    let removal = try forger.forge(by: puppet, parents: [add], .remove(home.id(1), head: .none, root: .zero))
    var roster = home.rosters[0]
    #expect(roster.merge(flood + [add, removal]).count == Limits.statementsPerSigner - 1)
    // That of a member does, and takes all of it in.
    let kept = try home.forge(by: 0, parents: parents, .remove(home.id(1), head: .none, root: .zero))
    #expect(roster.merge(flood + [kept]).count == 100 - Limits.statementsPerSigner + 2)
  }

  // MARK: Standing

  @Test func whatAMachineIsToTheHousehold() throws {
    var home = try TestHousehold(machines: 2)
    let newcomer = home.addMachine()
    #expect(home.rosters[0].standing(of: home.id(newcomer)) == .stranger)
    try home.admit(newcomer, by: 0)
    #expect(home.rosters[0].standing(of: home.id(newcomer)) == .admitted)
    #expect(home.rosters[0].mayConnect(home.id(newcomer)) && !home.rosters[0].isListed(home.id(newcomer)))
    #expect(home.rosters[0].placesTaken == 3)
    // It never accepted: nothing of it stays but its spent key.
    try home.remove(newcomer, by: 0)
    #expect(home.rosters[0].standing(of: home.id(newcomer)) == .turnedAway)
    #expect(!home.rosters[0].mayConnect(home.id(newcomer)))
    #expect(home.rosters[0].removed.isEmpty && home.rosters[0].placesTaken == 2)
    #expect(home.rosters[0].machines(named: "m\(newcomer)").isEmpty)
    #expect(throws: RosterError.removedKey) { try home.admit(newcomer, by: 0) }

    home.synchronise([0, 1])
    let voided = home.addMachine()
    try home.join(voided, admittedBy: 1)
    try home.remove(1, by: 0)
    home.synchronise([0, 1])
    #expect(home.rosters[0].standing(of: home.id(voided)) == .voided)
    #expect(home.rosters[0].standing(of: home.id(1)) == .removed)
    #expect(home.rosters[0].isListed(home.id(1)) && !home.rosters[0].isListed(home.id(voided)))
    #expect(home.rosters[0].placesTaken == 2)
  }

  @Test func noMoreMachinesAreListedThanAHouseholdHas() throws {
    // Two members admit all the keys that they may, and those accept.
    var home = try TestHousehold(machines: 4)
    try home.remove(3, by: 0)
    home.synchronise()
    for member in [1, 2] {
      let last = try #require(home.everything.last)
      for _ in 0..<60 {
        let puppet = home.addMachine()
        let add = try home.forge(
          by: member, parents: [last],
          .add(publicKey: home.keys[puppet].publicKey, name: "puppet", replaces: nil))
        let accept = try home.forge(by: puppet, parents: [add], .accept(add.id))
        home.give([add, accept], to: 0)
      }
    }
    let roster = home.rosters[0]
    #expect(roster.members.count == Limits.machines)
    #expect(home.keys.count(where: { roster.isListed($0.machine) }) == Limits.machines)
    #expect([0, 1, 2].allSatisfy { roster.isListed(home.id($0)) })
    #expect(throws: RosterError.tooManyMachines) {
      let newcomer = home.addMachine()
      try home.admit(newcomer, by: 0)
    }
  }
}

/// A small generator of repeatable numbers.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
