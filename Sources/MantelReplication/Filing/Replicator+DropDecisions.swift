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
}
