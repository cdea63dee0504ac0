package import MantelCore
import MantelHousehold

/// What the user of this machine says of bytes that another one dropped.
extension Replicator {
  mutating func confirmDrops(of library: MachineID) throws(StoreError) {
    // What lies in the trash may have waited for this alone.
    filing.trash.walked = nil
    guard try store.confirmDrops(of: library) > 0 else { return try noteTrash() }
    // A batch that runs was planned before the confirmation.
    if let running = filing.running { filing.running?.outdated.formUnion(running.contents) }
    lookForUnfiled()
  }

  /// Also what lies in the trash already goes no further. It stays where it is, and can be opened by hand.
  mutating func refuseDrops(of library: MachineID) throws(StoreError) {
    guard try store.refuseDrops(of: library) > 0 else { return }
    try settleRefused()
  }

  /// What was refused in a time that the catalog has forgotten; nothing, most of the time. What is over in the trash has waited
  /// for this.
  mutating func refuseDrops(of contents: [ContentID]) throws(StoreError) {
    if !contents.isEmpty {
      try store.addRefusedDrops(contents)
      try settleRefused()
    }
    filing.areRefusalsKnown = true
  }

  /// What was refused was told since these decisions were loaded.
  package var areRefusalsKnown: Bool { filing.areRefusalsKnown }

  private mutating func settleRefused() throws(StoreError) {
    if let running = filing.running { filing.running?.outdated.formUnion(running.contents) }
    try noteTrash()
  }

  /// What waits for a decision on this machine, by the library that dropped it: what was too much at once, and whatever a
  /// machine had dropped that is no member any more.
  package func undecidedDrops() throws(StoreError) -> [MachineID: DroppedFiles] {
    var drops = try store.heldDrops()
    for (library, files) in try store.unconfirmedTrash() where !roster.isMember(library) {
      drops[library, default: DroppedFiles()].files += files.files
      drops[library]?.bytes += files.bytes
    }
    return drops
  }

  /// Stands for the bytes of a library that wait for a decision: for whoever is shown them.
  package func consent(toDropsOf library: MachineID) throws(StoreError) -> String {
    let contents = try store.undecidedContents(of: library, withTrash: !roster.isMember(library))
    return Consent.to(contents.lazy.map(\.digest))
  }

  /// The event that a decision is, if what was consented to is what waits now; nil consent: to whatever waits. To be handled
  /// with nothing in between.
  package func decision(
    onDropsOf library: MachineID, accepts: Bool, consent given: String?
  ) throws(StoreError) -> ReplicationEvent? {
    if let given, try given != consent(toDropsOf: library) { return nil }
    return accepts ? .dropsConfirmed(library) : .dropsRefused(library)
  }
}
