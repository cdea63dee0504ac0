import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Machines that keep copies no more, or again, and let go of what they do not owe.
extension HouseholdTrial {
  func isSource(_ index: Int) -> Bool { household.machines[index].ask { $0.role == .source } }

  /// Two machines at least keep copies, whatever users want.
  func changeRole(_ index: Int) throws {
    if isSource(index) { return try household.handle(.roleChanged(.full), at: index) }
    let full = present.count { !isSource($0) }
    guard full > 2, !rare.isContested else { return }
    try household.handle(.roleChanged(.source), at: index)
    // Some make room at once.
    guard oneIn(2) else { return }
    household.later(within: 3_000) { [self] in try release(index) }
  }

  func release(_ index: Int) throws { try household.handle(.releaseWanted, at: index) }
}
