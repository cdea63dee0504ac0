import MantelCore

@testable import MantelReplication

/// Machines that are suspended: nothing runs there, and nobody has an answer from them.
///
/// The others live through a few seconds of it, for days of theirs would take a simulation as long as a hundred seeds: the
/// sleeper's clocks jump by the rest when it wakes, its boot clock for good. So its deadlines are all long over then, and
/// none of that was agent time.
extension SimulatedHousehold {
  /// Its connections die: the others find out soon, it does when it wakes.
  func suspend(_ index: Int) {
    guard machines[index].suspended == nil else { return }
    note("is suspended", at: index)
    for link in machines[index].links.keys.sorted() { cut(link) }
    machines[index].suspended = []
    machines[index].suspendedSince = now.instant
  }

  /// By its own clocks it has slept for so much longer than by the others'.
  func wake(_ index: Int, after lead: Duration) throws {
    guard let waiting = machines[index].suspended, let since = machines[index].suspendedSince else { return }
    note("wakes after \(lead.inNanoseconds / 1_000_000_000) s", at: index)
    machines[index].suspended = nil
    machines[index].slept += (now.instant - since) + lead
    machines[index].bootLead += lead
    machines[index].wallLead += lead
    let life = machines[index].life
    for run in waiting where machines[index].life == life { try run() }
    // Soon a time server is asked.
    later(within: 5_000) { [self] in machines[index].wallLead = .zero }
  }

  /// Whether something has to wait for a machine that is suspended.
  func isPutOff(at index: Int, _ run: @escaping () throws -> Void) -> Bool {
    guard machines[index].suspended != nil else { return false }
    machines[index].suspended?.append(run)
    return true
  }
}
