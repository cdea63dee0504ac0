import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Owners that sign an old state over a newer one.
extension HouseholdTrial {
  /// Somebody publishes photos that only one other machine hears of, and deletes them; then the whole home is an old image
  /// again, and goes on while that machine is away. What only it knows falls out of the library, until the two meet.
  func forkHistory(_ index: Int) throws {
    guard count > 2, oneIn(2) else { return }
    let witness = (index + 1 + below(count - 1)) % count
    let others = (0..<count).filter { $0 != index && $0 != witness }
    try household.machines[index].keepImage()
    for other in others { isolate(other, for: .seconds(20)) }
    connect([index, witness])
    let before = household.machines[index].own
    for _ in 0...below(3) { try write(index) }
    try household.run(until: household.now.instant + .milliseconds(Int64(1_000 + below(4_000))))
    for path in household.machines[index].own.keys.sorted(by: { $0.lexicographicallyPrecedes($1) })
    where before[path] == nil {
      household.machines[index].remove(String(decoding: path, as: UTF8.self))
    }
    guard !hasJustSigned(index) else { return }
    isolate(witness, for: .seconds(8))
    household.note("forks its history, witnessed by m\(witness)", at: index)
    try household.crash(index) { [self] machine in
      invariants.forgive(index)
      _ = try machine.restoreImage()
    }
    for other in others {
      isolated[other] = nil
      connect([index, other])
    }
    try write(index)
    try household.run(until: household.now.instant + .milliseconds(Int64(1_000 + below(4_000))))
  }

  private func isolate(_ index: Int, for time: Duration) {
    isolated[index] = household.now.instant + time
    for other in 0..<count where other != index { household.cut(index, other) }
  }
}
