import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Faults that one seed of five has, each, so that it is soon clear by which of them a seed fails. What they do is drawn
/// from a generator of their own, and changes nothing of the course of seeds without them.
struct RareFaults: CustomStringConvertible {
  enum Kind: String, CaseIterable {
    /// Wall clocks that are set wrong, and right again.
    case clocks
    /// Links that carry nothing one way for a while.
    case oneWay
    /// Links on which everything takes a hundred times as long.
    case slow
    /// Machines that are admitted.
    case joins
    /// A machine that is removed.
    case removals
    /// Catalogs whose disk is full for a while.
    case outages
    /// The library of a removed machine in the hands of its keeper, and of the next one.
    case keepers
    /// Removals by machines that do not hear of each other.
    case contradictions
    /// Machines that are suspended, for hours to weeks by their own clocks.
    case suspensions

    /// Came later, and is drawn from another generator: seeds without it stay as they were.
    var isLater: Bool {
      switch self {
      case .clocks, .oneWay, .slow, .joins, .removals, .outages: false
      case .keepers, .contradictions, .suspensions: true
      }
    }

    /// How rarely something of it happens; what a keeper does needs a removal first.
    var oneIn: UInt64 { self == .keepers ? 2 : 4 }
  }

  let kinds: [Kind]
  var random: SeededGenerator
  /// For the kinds that came later.
  var later: SeededGenerator
  /// Who admitted somebody: with whom it is removed by one who has not heard of that, those would have to be invited again.
  var inviters: Set<Int> = []
  var joined = 0
  /// Two have stated removals, and nobody knows yet which of them hold; once in a seed.
  var isContested = false
  var hasContested = false

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed ^ 0xA5A5_0F0F_3C3C_9696)
    var later = SeededGenerator(seed: seed ^ 0x0F0F_C3C3_A5A5_6969)
    var kinds: [Kind] = []
    for kind in Kind.allCases where kind.isLater ? later.oneIn(5) : random.oneIn(5) { kinds.append(kind) }
    self.kinds = kinds
    self.random = random
    self.later = later
  }

  var description: String {
    kinds.isEmpty ? "no rare faults" : kinds.map(\.rawValue).joined(separator: ", ")
  }
}

extension HouseholdTrial {
  func meddleRarely() throws {
    for kind in rare.kinds {
      guard kind.isLater ? rare.later.oneIn(kind.oneIn) : rare.random.oneIn(kind.oneIn) else { continue }
      switch kind {
      case .clocks: jumpClock()
      case .oneWay: try deafen()
      case .slow: slowDown()
      case .joins: try join()
      case .removals: try removeOne()
      case .outages: household.machines[rare.random.below(count)].eventsUntilFull = rare.random.below(60)
      case .keepers: try meddleWithKeepers()
      case .contradictions: try contradict()
      case .suspensions: suspend()
      }
    }
  }

  /// Clocks stay as they are.
  func endRareFaults() throws {
    deafened = []
    for index in 0..<count { try household.wake(index, after: .seconds(3_600)) }
    try endContest()
    household.slowness = [:]
    try household.endOutages()
    try household.endSilence(household.withheld.keys.sorted(), isCut: false)
  }

  // MARK: Clocks

  /// By an hour to ten years, forward or back, or to what is right. It stays so when the faults have ended.
  private func jumpClock() {
    let index = rare.random.below(count)
    let hours = [0, 1, 24, 1_000, 9_000, 90_000]
    let jump = (rare.random.element(of: hours) ?? 0) * (rare.random.oneIn(2) ? 1 : -1)
    household.setClock(of: index, aheadBy: .seconds(jump * 3_600))
  }

  /// The others live through up to ten seconds of it.
  private func suspend() {
    guard let index = rare.later.element(of: awake) else { return }
    household.suspend(index)
    let hours = [1, 9, 30, 100, 1_000]
    let sleep = Duration.seconds((rare.later.element(of: hours) ?? 1) * 3_600)
    let time = Duration.milliseconds(100 + rare.later.below(10_000))
    let life = household.machines[index].life
    household.schedule(at: household.now.instant + time) { [self] in
      // Its battery was empty before, and it has slept again since.
      guard household.machines[index].life == life else { return }
      try household.wake(index, after: sleep)
    }
  }

  // MARK: Links

  private func rareCable() -> [Int]? {
    rare.random.element(of: cables.sorted { $0.lexicographicallyPrecedes($1) })
  }

  /// One side hears nothing of the other any more, nor can anybody connect the two anew. In the end all of it comes, or one of them
  /// has hung up.
  private func deafen() throws {
    guard let cable = rareCable(), deafened.insert(cable.sorted()).inserted else { return }
    let ends: [Int] = rare.random.oneIn(2) ? cable : cable.reversed()
    let isCut = rare.random.oneIn(2)
    let ways = household.silence(ends[0], to: ends[1])
    let time = Duration.milliseconds(500 + rare.random.below(10_000))
    household.schedule(at: household.now.instant + time) { [self] in
      // It may have ended with all other faults.
      guard deafened.remove(cable.sorted()) != nil else { return }
      try household.endSilence(ways, isCut: isCut)
    }
  }

  private func slowDown() {
    guard let cable = rareCable() else { return }
    household.slowDown(cable[0], cable[1], times: 100)
  }
}
