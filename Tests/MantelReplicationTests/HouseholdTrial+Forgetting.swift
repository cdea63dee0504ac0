import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Users who forget photos, take that back, and decide about what others forgot.
extension HouseholdTrial {
  /// Somebody forgets a photo of any age, or a handful.
  func forget(_ index: Int) throws {
    let machine = household.machines[index]
    let entries = try machine.catalog.entries(
      of: machine.machine, states: [.live, .retired, .unheld], limit: 1_000
    ).entries
    for _ in 0...(oneIn(3) ? below(6) : 0) {
      guard let chosen = household.random.element(of: entries) else { return }
      machine.decide(chosen.entry.path)
      household.forgotten.insert(chosen.entry.content)
      try household.handle(.forget([chosen.id]), at: index)
    }
  }

  /// And takes it back, all or one of it.
  func undo(_ index: Int) throws {
    let machine = household.machines[index]
    let forgotten = try machine.catalog.forgotten(after: nil, limit: 1_000)
    for entry in oneIn(2) ? forgotten : household.random.element(of: forgotten).map({ [$0] }) ?? [] {
      machine.decide(entry.entry.path)
      try household.handle(.unforget([entry.id]), at: index)
    }
  }

  /// Somebody confirms what other libraries dropped at once; returns whether there was any.
  func confirmDrops() throws -> Bool {
    var hasAccepted = false
    for index in present {
      let machine = household.machines[index]
      for library in try machine.catalog.heldDrops().keys.sorted() {
        let report = try machine.ask {
          try $0.report(tally: LedgerCounts(), publishedUnsafe: 0, now: household.clocks(of: index))
        }
        guard report.state == .attention else {
          throw SimulationError.broken("m\(index) holds drops and says \(report.state)")
        }
        try household.handle(oneIn(4) ? .dropsRefused(library) : .dropsConfirmed(library), at: index)
        hasAccepted = true
      }
    }
    return hasAccepted
  }
}
