import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Removals that contradict each other: the household falls apart for a while, and in each part somebody removes somebody.
extension HouseholdTrial {
  /// Each of two machines removes the other, or anybody, the same one too. Photos travel on in both parts, with keepers of their
  /// own; when the parts meet again, the roster decides, and who is no member by that is treated like any removed machine.
  func contradict() throws {
    let free = present.filter { !rare.inviters.contains($0) }
    guard !rare.hasContested, let left = rare.later.element(of: free),
      let right = rare.later.element(of: free.filter { $0 != left })
    else { return }
    let isMutual = rare.later.oneIn(2)
    let first = isMutual ? right : rare.later.element(of: free.filter { $0 != left }) ?? right
    let second = isMutual ? left : rare.later.element(of: free.filter { $0 != right }) ?? left
    // Of two that remove each other one stays.
    let losses: [Set<Int>] = isMutual ? [[left], [right]] : [[first, second]]
    guard mayRemove(first, by: left), mayRemove(second, by: right),
      losses.allSatisfy({ gone in present.count { !gone.contains($0) && !isSource($0) } > 1 })
    else { return }
    rare.hasContested = true
    rare.isContested = true
    let apart = divide(left, from: right)
    // Neither has heard of the other's before it says so.
    try household.state(removalOf: first, by: left)
    try household.state(removalOf: second, by: right)
    let time = Duration.milliseconds(500 + rare.later.below(10_000))
    household.schedule(at: household.now.instant + time) { [self] in
      // It may have ended with all other faults.
      guard rare.isContested else { return }
      deafened.subtract(apart)
      try endContest()
    }
  }

  /// Everybody is on the side of one of the two, and nobody can connect the sides. Returns the pairs that were cut.
  private func divide(_ left: Int, from right: Int) -> Set<[Int]> {
    let side = household.machines.indices.filter { $0 == left || ($0 != right && rare.later.oneIn(2)) }
    var apart: Set<[Int]> = []
    for one in side {
      for other in household.machines.indices where !side.contains(other) {
        household.cut(one, other)
        let pair = [one, other].sorted()
        if deafened.insert(pair).inserted { apart.insert(pair) }
      }
    }
    return apart
  }

  /// What was stated is known to all from now on. In the end once more: an older catalog may have voted anew.
  func endContest() throws {
    guard rare.hasContested else { return }
    rare.isContested = false
    try household.judgeRemovals()
  }
}
