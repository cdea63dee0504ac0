import MantelCore

@testable import MantelReplication

/// Catalogs that fail: a full disk takes nothing of what follows from an event, and all starts over.
extension SimulatedHousehold {
  /// Memory may differ from the catalog, and is made anew from it at once: peers are served meanwhile. Events are dropped for a
  /// while; then there is room again, and the machine begins as after a crash, with new connections and scans.
  func beginOutage(at index: Int) throws {
    let machine = machines[index]
    note("cannot commit", at: index)
    machine.hasOutage = true
    try machine.reload(now: clocks(of: index))
    let life = machine.life
    later(within: 5_000) { [self] in
      if machine.life == life { try crash(index) }
    }
  }

  /// There is room everywhere from now on.
  func endOutages() throws {
    for (index, machine) in machines.enumerated() {
      machine.eventsUntilFull = nil
      if machine.hasOutage { try crash(index) }
    }
  }
}

extension SimulatedMachine {
  /// The transaction of an event fails at its end, with all that it changed in memory.
  func failToCommit(_ event: ReplicationEvent, now: Now) throws {
    let catalog = catalog
    try ask { replicator in
      try catalog.atomically { () throws(StoreError) -> Void in
        _ = try replicator.handle(event, now: now)
        throw Self.diskFull
      }
    }
  }

  static let diskFull = StoreError(code: .diskFull, message: "the simulated disk is full")

  /// Whether it is the failure that was meant.
  static func isDiskFull(_ error: any Error) -> Bool {
    (error as? StoreError)?.message == diskFull.message
  }
}
