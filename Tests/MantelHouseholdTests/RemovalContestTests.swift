import MantelCore
import Testing

@testable import MantelHousehold

@Suite struct RemovalContestTests {
  /// Which of two machines that remove each other stays.
  struct Mutual: Sendable, CustomTestStringConvertible {
    var machines: Int
    var one: Int
    var other: Int
    /// Who learns of the removal by `one`, and by `other`, first.
    var learnOne: [Int]
    var learnOther: [Int]
    var stays: Int

    var testDescription: String { "\(machines) machines, \(one) against \(other), \(learnOne) \(learnOther)" }
  }

  static let table = [
    // Two: one vote each, so the senior stays.
    Mutual(machines: 2, one: 0, other: 1, learnOne: [], learnOther: [], stays: 0),
    // Three: the third decides, against seniority too.
    Mutual(machines: 3, one: 0, other: 1, learnOne: [2], learnOther: [], stays: 0),
    Mutual(machines: 3, one: 0, other: 1, learnOne: [], learnOther: [2], stays: 1),
    Mutual(machines: 3, one: 1, other: 2, learnOne: [], learnOther: [0], stays: 2),
    Mutual(machines: 3, one: 1, other: 2, learnOne: [], learnOther: [], stays: 1),
    // Four: two against two is no majority.
    Mutual(machines: 4, one: 2, other: 1, learnOne: [0], learnOther: [3], stays: 1),
    // Five: three of five.
    Mutual(machines: 5, one: 0, other: 4, learnOne: [1], learnOther: [2, 3], stays: 4),
    Mutual(machines: 5, one: 0, other: 4, learnOne: [1, 2], learnOther: [3], stays: 0),
    Mutual(machines: 5, one: 3, other: 4, learnOne: [], learnOther: [0], stays: 3),
  ]

  @Test(arguments: table)
  func mutualRemovals(_ example: Mutual) throws {
    var home = try TestHousehold(machines: example.machines)
    try home.remove(example.other, by: example.one)
    try home.remove(example.one, by: example.other)
    for voter in example.learnOne { try home.deliver(from: example.one, to: voter) }
    for voter in example.learnOther { try home.deliver(from: example.other, to: voter) }
    // The votes were cast before anyone saw both sides, and nobody votes again.
    home.synchronise()
    let gone = example.stays == example.one ? example.other : example.one
    let expected = Set(0..<example.machines).subtracting([gone])
    for index in home.keys.indices { #expect(home.members(at: index) == expected) }
    for voter in example.learnOne + example.learnOther {
      #expect(try home.rosters[voter].countersigning(by: home.keys[voter], now: home.now).isEmpty)
    }
  }

  @Test func aThiefThatStrikesBackChangesNothing() throws {
    // The founder's machine was stolen; 1 removes it, 2 learns that and votes; then the thief removes everyone, as if it
    // had never heard of that, and fetches itself voters.
    var home = try TestHousehold(machines: 3)
    try home.remove(0, by: 1)
    try home.deliver(from: 1, to: 2)
    for _ in 0..<4 { try home.join(home.addMachine(), admittedBy: 0) }
    let strike = try home.remove(1, by: 0)
    try home.remove(2, by: 0)
    for puppet in 3..<7 {
      home.give(home.rosters[0].statements, to: puppet)
      let parent = try #require(home.rosters[puppet].statements.last)
      let vote = try home.forge(by: puppet, parents: [parent], .countersign(strike.id))
      home.give([vote], to: puppet)
      #expect(home.rosters[puppet].contains(vote.id))
    }
    home.synchronise()
    for index in home.keys.indices { #expect(home.members(at: index) == [1, 2]) }
    #expect(home.rosters[1].removed.map(\.machine) == [home.id(0)])
  }

  @Test func aThiefCannotShrinkTheElectorate() throws {
    // It builds its removal on the oldest statements that still name its victim.
    var home = try TestHousehold(machines: 4)
    let early = try #require(home.everything.first { $0.statement.lamport == 2 })
    try home.remove(0, by: 1)
    for voter in [2, 3] { try home.deliver(from: 1, to: voter) }
    let strike = try home.forge(by: 0, parents: [early], .remove(home.id(1), head: .none, root: .zero))
    home.synchronise()
    #expect(home.members(of: home.everything + [strike]) == [1, 2, 3])
  }

  @Test func aRemovalKnownToItsVictimIsNotContradicted() throws {
    var home = try TestHousehold(machines: 5)
    try home.remove(0, by: 4)
    home.synchronise()
    #expect(throws: RosterError.notMember) { try home.remove(4, by: 0) }
    let last = try #require(home.everything.last)
    let late = try home.forge(by: 0, parents: [last], .remove(home.id(4), head: .none, root: .zero))
    #expect(home.members(of: home.everything + [late]) == [1, 2, 3, 4])
  }

  @Test func removalsInACircleOfThree() throws {
    // 1 removes 2, 2 removes 3, 3 removes 1: the senior's stands, which voids the second, so the third would
    // stand but for what it would void.
    var home = try TestHousehold(machines: 4)
    try home.remove(2, by: 1)
    try home.remove(3, by: 2)
    try home.remove(1, by: 3)
    home.synchronise()
    for index in home.keys.indices { #expect(home.members(at: index) == [0, 1, 3]) }
  }

  @Test func concurrentRemovalsOfOneMachineAgree() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(3, by: 1, head: 4)
    try home.remove(3, by: 2, head: 9)
    home.synchronise()
    let removed = home.rosters[0].removed
    #expect(removed.count == 1)
    for index in home.keys.indices { #expect(home.rosters[index].removed == removed) }
  }

  @Test func aLaterRemovalOfAVoterDoesNotReopenTheContest() throws {
    var home = try TestHousehold(machines: 5)
    try home.remove(1, by: 0)
    try home.remove(0, by: 1)
    for voter in [2, 3] { try home.deliver(from: 1, to: voter) }
    home.synchronise()
    #expect(home.members(at: 4) == [1, 2, 3, 4])
    try home.remove(3, by: 4)
    home.synchronise()
    #expect(home.members(at: 4) == [1, 2, 4])
    try home.remove(2, by: 4)
    home.synchronise()
    for index in home.keys.indices { #expect(home.members(at: index) == [1, 4]) }
  }

  @Test func whoVotesForBothSidesVotesForNone() throws {
    var home = try TestHousehold(machines: 3)
    let base = try #require(home.everything.last)
    let first = try home.remove(1, by: 0)
    let second = try home.remove(0, by: 1)
    let votes = [
      try home.forge(by: 2, parents: [second], .countersign(second.id)),
      try home.forge(by: 2, parents: [first], .countersign(first.id)),
    ]
    #expect(base.statement.lamport + 1 == first.statement.lamport)
    home.synchronise()
    #expect(home.members(of: home.everything + [votes[0]]) == [1, 2])
    #expect(home.members(of: home.everything + votes) == [0, 2])
    // A change of mind that knows the first vote does not count.
    let change = try home.forge(by: 2, parents: [votes[0], first], .countersign(first.id))
    #expect(home.members(of: home.everything + [votes[0], change]) == [1, 2])
  }

  @Test func aMemberVotesForTheFirstRemovalItLearnsOf() throws {
    var home = try TestHousehold(machines: 5)
    try home.remove(1, by: 0)
    try home.remove(0, by: 1)
    try home.deliver(from: 1, to: 2)
    try home.deliver(from: 0, to: 2)
    let votes = home.rosters[2].statements.filter {
      $0.statement.by == home.id(2) && $0.statement.isAboutRemoval
    }
    #expect(votes.count == 1)
    // Restarting, or hearing it all again, makes no second vote.
    let reloaded = Roster(home.rosters[2].statements.reversed())
    #expect(try reloaded.countersigning(by: home.keys[2], now: home.now).isEmpty)
    // Enough votes are enough, and newcomers do not vote on the past.
    for voter in [3, 4] { try home.deliver(from: 2, to: voter) }
    let cast = home.rosters[4].statements.filter {
      if case .countersign = $0.statement.body { true } else { false }
    }
    #expect(cast.count <= 2)
    let newcomer = home.addMachine()
    try home.join(newcomer, admittedBy: 4)
    #expect(try home.rosters[newcomer].countersigning(by: home.keys[newcomer], now: home.now).isEmpty)
  }
}
