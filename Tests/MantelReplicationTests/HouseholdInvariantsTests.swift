import MantelCore
import Testing

@testable import MantelReplication

/// What the invariants of a household miss, and what they excuse.
@Suite struct HouseholdInvariantsTests {
  /// The home of m0 becomes an image of itself without the photo, and goes on with m2, which never heard of it. What m1 knows of
  /// it, it shows when the two meet again: what was wanted comes back, and of what was forgotten nothing but the word is lost.
  @Test(arguments: [false, true]) func whatALibraryLosesIsMissedUnlessItWasDropped(isForgotten: Bool) throws {
    let household = try SimulatedHousehold(machines: 3, seed: 1)
    var invariants = HouseholdInvariants(machines: 3)
    household.onStep = { [unowned household] index in try invariants.check(household, at: index) }
    defer { household.end() }
    let owner = household.machines[0]
    try owner.keepImage()
    owner.write("a.jpg", Array("a".utf8), mtime: 1_600_000_000_000_000_000)
    for index in 0...2 { try household.scan(index) }
    household.connect(0, 1)
    try household.settle()
    let entry = try #require(try owner.entries(of: owner.machine).first)
    #expect(try household.machines[1].entries(of: owner.machine) == [entry])
    if isForgotten {
      household.forgotten.insert(entry.content)
      owner.decide(Array("a.jpg".utf8))
      try household.handle(.forget([EntryID(of: entry)]), at: 0)
      try household.settle()
      let entries = try household.machines[1].entries(of: owner.machine)
      #expect(entries.map(\.content) == [entry.content] && entries.allSatisfy(\.isDropped))
    }
    owner.remove("a.jpg")
    try household.crash(0) { machine in
      invariants.forgive(0)
      let isRestored = try machine.restoreImage()
      #expect(isRestored)
    }
    household.connect(0, 2)
    try household.settle()
    #expect(owner.replicator.installedHead(of: owner.machine)?.counts.entries == 0)
    if isForgotten {
      try invariants.checkNamed(household)
    } else {
      #expect(throws: SimulationError.self) { try invariants.checkNamed(household) }
    }

    household.connect(0, 1)
    try household.settle()
    let entries = try owner.entries(of: owner.machine)
    #expect(entries.map(\.content) == (isForgotten ? [] : [entry.content]))
    #expect(entries.filter { !$0.state.isRetired } == [])
    let heads = household.machines.map { $0.replicator.installedHead(of: owner.machine)?.order }
    #expect(heads[0] == heads[1])
    try invariants.checkNamed(household)
  }

  /// m0 removes m2 without having heard of its photo: the keeper lacks what m1 knows, until m1 shows it.
  @Test func whatAKeeperLacksIsMissed() throws {
    let household = try SimulatedHousehold(machines: 3, seed: 1)
    var invariants = HouseholdInvariants(machines: 3)
    household.onStep = { [unowned household] index in try invariants.check(household, at: index) }
    defer { household.end() }
    let owner = household.machines[2]
    owner.write("a.jpg", Array("a".utf8), mtime: 1_600_000_000_000_000_000)
    for index in 0...2 { try household.scan(index) }
    household.connect(1, 2)
    try household.settle()
    household.cut(1, 2)
    try household.settle()
    try household.remove(2, by: 0)
    #expect(throws: SimulationError.self) { try invariants.checkKept(household) }

    household.connect(0, 1)
    try household.settle()
    #expect(try household.machines[0].entries(of: owner.machine).count == 1)
    try invariants.checkKept(household)
  }
}
