import MantelCore
import MantelTestSupport
import Testing

@testable import MantelReplication

/// What may be asked of whom, and that nothing waits for nobody.
@Suite struct SharedUnitsTests {
  private let units = (0..<6).map { UnitID(content: content("unit \($0)"), part: .whole) }
  private let links = (1...4).map { LinkID(UInt64($0)) }

  private func order(_ unit: UnitID) -> UnitOrder {
    UnitOrder(unit: unit, bytes: 1, contentBytes: 1, hash: unit.content.digest)
  }

  private func shared(isAskedAll: Bool = false) -> SharedUnits {
    var shared = SharedUnits()
    for link in links { shared.opened(link, isAskedAll: isAskedAll) }
    return shared
  }

  @Test func whatCanBeAskedOfNobodyIsNotTaken() {
    var shared = shared()
    shared.insert(order(units[0]), rank: 0, holders: [])
    shared.insert(order(units[1]), rank: 0, holders: [LinkID(9)])
    #expect(shared.isEmpty)
  }

  @Test func whatCanBeAskedOfNobodyAnyMoreGoes() {
    var shared = shared()
    shared.insert(order(units[0]), rank: 0, holders: [links[0], links[1]])
    shared.note(links[0], lacks: units[0])
    #expect(shared.contains(units[0]))
    shared.closed(links[1])
    #expect(!shared.contains(units[0]) && !shared.contains(units[0].content))
  }

  @Test func whatIsAskedStaysUntilThatIsOver() {
    var shared = shared()
    shared.insert(order(units[0]), rank: 0, holders: [links[0]])
    shared.asked(units[0])
    shared.note(links[0], lacks: units[0])
    #expect(shared.contains(units[0]) && shared.offers(to: links[0], count: 9).isEmpty)
    shared.released(units[0])
    #expect(shared.isEmpty)
  }

  @Test func theRarestIsAskedByNameFirst() {
    var shared = shared()
    shared.insert(order(units[0]), rank: 1, holders: [links[0], links[1], links[2]])
    shared.insert(order(units[1]), rank: 3, holders: [links[0], links[1]])
    shared.insert(order(units[2]), rank: 2, holders: [links[0], links[2]])
    shared.insert(order(units[3]), rank: 0, holders: [links[0]])
    var asked: [UnitID] = []
    while let next = shared.nextNamed(of: links[0]) {
      asked.append(next.unit)
      shared.asked(next.unit)
    }
    #expect(asked == [units[2], units[1], units[0]])
  }

  @Test func whatNobodyElseHasIsOfferedFirst() {
    var shared = shared()
    for unit in units { shared.insert(order(unit), rank: 0, holders: [links[0], links[1]]) }
    shared.note(links[2], has: units[0])
    // The first two give for all, the third is still getting.
    #expect(shared.gives(links[0]) && shared.gives(links[1]) && !shared.gives(links[2]))
    #expect(shared.offers(to: links[0], count: 9).map(\.unit) == Array(units.dropFirst()))
    #expect(shared.offers(to: links[0], count: 2).map(\.unit) == [units[1], units[2]])
    #expect(shared.offers(to: links[2], count: 9).isEmpty)
    for unit in units.dropFirst() { shared.asked(unit) }
    #expect(shared.offers(to: links[0], count: 9).map(\.unit) == [units[0]])
  }

  @Test func whatOnlyAGetterHasIsOfferedToIt() {
    var shared = shared()
    shared.insert(order(units[0]), rank: 0, holders: [links[0]])
    shared.insert(order(units[1]), rank: 0, holders: [links[1]])
    #expect(shared.offers(to: links[1], count: 9).map(\.unit) == [units[1]])
    #expect(shared.nextNamed(of: links[1]) == nil)
  }

  /// Whatever happens in whichever order: each unit is found by those that can be asked for it.
  @Test(arguments: 0..<40) func nothingEverWaitsForNobody(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var shared = shared(isAskedAll: seed % 3 == 0)
    var asked: Set<UnitID> = []
    for _ in 0..<400 {
      let (unit, link) = (units[random.below(units.count)], links[random.below(links.count)])
      switch random.below(9) {
      case 0, 1:
        let holders = Set(links.filter { _ in random.oneIn(2) })
        if !shared.contains(unit) { asked.remove(unit) }
        shared.insert(order(unit), rank: UInt64(random.below(5)), holders: holders)
      case 2, 3: shared.note(link, has: unit)
      case 4: shared.note(link, lacks: unit)
      case 5:
        shared.asked(unit)
        if shared.contains(unit) { asked.insert(unit) }
      case 6:
        shared.released(unit)
        asked.remove(unit)
      case 7:
        guard let next = shared.nextNamed(of: link) else { break }
        #expect(next.holders.contains(link) && !asked.contains(next.unit))
        shared.asked(next.unit)
        asked.insert(next.unit)
      default:
        guard random.oneIn(4) else { break }
        if random.oneIn(2) { shared.remove(unit) }
        shared.closed(link)
        shared.opened(link, isAskedAll: seed % 3 == 0)
      }
      asked = asked.filter { shared.contains($0) }
      #expect(shared.contradiction() == nil)
      for unit in units where shared.contains(unit) {
        #expect(shared[unit]?.isAsked == asked.contains(unit))
        #expect(asked.contains(unit) || links.contains { canBeAsked(unit, of: $0, shared) })
      }
    }
  }

  private func canBeAsked(_ unit: UnitID, of link: LinkID, _ shared: SharedUnits) -> Bool {
    var rest = shared
    while let next = rest.nextNamed(of: link) {
      if next.unit == unit { return true }
      rest.asked(next.unit)
    }
    // Once all else is asked for, what is offered to a link comes down to this.
    rest = shared
    for other in units where other != unit { rest.asked(other) }
    return rest.offers(to: link, count: 9).contains { $0.unit == unit }
  }
}
