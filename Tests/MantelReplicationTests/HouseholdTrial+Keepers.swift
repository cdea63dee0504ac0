import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Keepers of removed machines' libraries: they forget photos, take that back, fail, and have to go in turn.
extension HouseholdTrial {
  /// Members that take themselves for the keeper of a machine's library: one at most, once all has been heard.
  func keepers(of owner: Int) -> [Int] {
    let library = household.machines[owner].machine
    return awake.filter { household.machines[$0].replicator.keeps(library) }
  }

  /// Once a machine was removed its keeper decides about its photos.
  func meddleWithKeepers() throws {
    guard let owner = rare.later.element(of: household.removed.sorted()) else {
      // Not before it has published something.
      if rare.later.oneIn(3) { try removeOne() }
      return
    }
    guard let keeper = rare.later.element(of: keepers(of: owner)) else { return }
    switch rare.later.below(8) {
    case 0...2: try forgetKept(of: owner, at: keeper)
    case 3, 4: try undoKept(of: owner, at: keeper)
    case 5: try household.crash(keeper, isPowerCut: rare.later.oneIn(2))
    case 6:
      guard household.machines[keeper].isGuarded else { return }
      try replaceCatalog(keeper, isLost: rare.later.oneIn(2))
    default:
      guard household.removed.count == 1, !rare.inviters.contains(keeper) else { return }
      try remove(keeper)
    }
  }

  /// Up to three photos of any age. Nothing is excused of what a keeper may not forget yet.
  private func forgetKept(of owner: Int, at keeper: Int) throws {
    let machine = household.machines[keeper]
    let library = household.machines[owner].machine
    let entries = try machine.catalog.entries(
      of: library, states: [.live, .retired, .unheld], limit: 1_000
    ).entries
    var chosen: [EntryID: ContentID] = [:]
    for _ in 0...rare.later.below(3) {
      guard let entry = rare.later.element(of: entries) else { return }
      chosen[entry.id] = entry.entry.content
    }
    let ids = chosen.keys.sorted()
    household.note("forgets \(ids.count) photos of m\(owner)", at: keeper)
    let before = household.forgotten
    household.forgotten.formUnion(chosen.values)
    try household.handle(.forgetKept(ids, in: library), at: keeper)
    let isDone = try ids.contains { try machine.catalog.forgotten($0, in: library) != nil }
    if !isDone { household.forgotten = before }
  }

  /// All of it, or one photo.
  private func undoKept(of owner: Int, at keeper: Int) throws {
    let machine = household.machines[keeper]
    let library = household.machines[owner].machine
    var ids = try machine.catalog.forgotten(in: library, after: nil, limit: 1_000).map(\.id)
    if rare.later.oneIn(2) { ids = rare.later.element(of: ids).map { [$0] } ?? [] }
    guard !ids.isEmpty else { return }
    household.note("takes back \(ids.count) photos of m\(owner)", at: keeper)
    try household.handle(.unforgetKept(ids, in: library), at: keeper)
  }
}
