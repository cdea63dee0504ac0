import MantelCore
import Testing

@testable import MantelReplication

/// The library of a removed machine on real decisions of several machines, from keeper to keeper.
@Suite struct KeeperHouseholdTests {
  private let place = Array("m2/Photos/a.jpg".utf8)

  /// Of four machines m2 has photos, and all have its library; m3 is off from now on.
  private func settled() throws -> SimulatedHousehold {
    let household = try SimulatedHousehold(machines: 4, seed: 1)
    for name in ["a", "b", "c"] {
      household.machines[2].write("\(name).jpg", Array(name.utf8), mtime: 1_600_000_000_000_000_000)
    }
    for index in 0...3 { try household.scan(index) }
    for right in 0...3 {
      for left in 0..<right { household.connect(left, right) }
    }
    try household.settle()
    for other in 0...2 { household.cut(other, 3) }
    try household.settle()
    return household
  }

  private func head(_ household: SimulatedHousehold, at index: Int) -> Head? {
    household.machines[index].replicator.installedHead(of: household.machines[2].machine)
  }

  private func isInTrash(_ household: SimulatedHousehold, _ content: ContentID, at index: Int) -> Bool {
    household.machines[index].replica.files.contains {
      FilingPlan.isInTrash($0.key) && $0.value.content == content
    }
  }

  /// m0 removes m2, and forgets a photo of it; then m1 removes m0, and m3 comes back with the removed machine's own last head.
  /// Fails where a keeper goes on from heads of a former one without its own (`isTakenOver`), and where m3 asks nobody about
  /// what it never saw the keeper drop (`isDroppedByKeeper`).
  @Test func aLibraryGoesOnFromKeeperToKeeper() throws {
    let household = try settled()
    defer { household.end() }
    var invariants = HouseholdInvariants(machines: 4)
    household.onStep = { [unowned household] index in try invariants.check(household, at: index) }
    let machines = household.machines
    let library = machines[2].machine
    let old = try #require(head(household, at: 3))
    #expect(old.signer == library && old.counts.live == 3)

    try household.remove(2, by: 0)
    try household.settle()
    #expect(head(household, at: 0)?.signer == machines[0].machine)
    let photos = try machines[0].catalog.entries(of: library, states: .live, limit: 9).entries
    let photo = try #require(photos.first(where: { $0.entry.path == Array("a.jpg".utf8) }))
    let content = photo.entry.content
    household.forgotten.insert(content)
    try household.handle(.forgetKept([photo.id], in: library), at: 0)
    try household.settle()
    let former = try #require(head(household, at: 0))
    #expect(former.counts.live == 2 && former.counts.dropped == 1)
    #expect(head(household, at: 1) == former)
    for index in 0...1 {
      #expect(machines[index].replica.files[place] == nil && isInTrash(household, content, at: index))
    }

    try household.remove(0, by: 1)
    try household.settle()
    #expect(machines[1].replicator.keeps(library))
    #expect(head(household, at: 1) == former, "nobody was heard: m3 is off")
    #expect(head(household, at: 3) == old)

    household.connect(1, 3)
    try household.settle()
    let last = try #require(head(household, at: 1))
    #expect(last.signer == machines[1].machine && last.order > former.order && last.root == former.root)
    #expect(head(household, at: 3) == last)
    // Of a drop that it saw no keeper of now do, m3 asks its user.
    #expect(machines[3].replica.files[place] != nil)
    #expect(try machines[3].catalog.heldDrops().keys.sorted() == [library])
    try household.handle(.dropsConfirmed(library), at: 3)
    try household.settle()
    #expect(machines[3].replica.files[place] == nil && isInTrash(household, content, at: 3))
    try invariants.checkNamed(household)
    try invariants.checkKept(household)
  }

  /// A keeper that loses its catalog takes its own heads in first, and takes back what it forgot before.
  /// Fails where a run signs before a member was heard (`maySign`).
  @Test func aKeeperThatLosesItsCatalogGoesOn() throws {
    let household = try settled()
    defer { household.end() }
    let machines = household.machines
    let library = machines[2].machine
    try household.remove(2, by: 0)
    try household.settle()
    let photos = try machines[0].catalog.entries(of: library, states: .live, limit: 9).entries
    let photo = try #require(photos.first)
    try household.handle(.forgetKept([photo.id], in: library), at: 0)
    try household.settle()
    let before = try #require(head(household, at: 1))
    #expect(before.counts.dropped == 1)

    try household.crash(0) { machine in try machine.loseCatalog(now: household.clocks(of: 0)) }
    try household.settle()
    #expect(head(household, at: 0) == nil, "it is cut off")
    household.connect(0, 1)
    try household.settle()
    let after = try #require(head(household, at: 0))
    #expect(after.signer == machines[0].machine && after.order >= before.order && after.root == before.root)
    #expect(head(household, at: 1) == after)
  }
}
