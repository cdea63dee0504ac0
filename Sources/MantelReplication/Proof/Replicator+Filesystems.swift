package import MantelCore
import MantelHousehold

/// "N of M" counts filesystems (design 3.4): replicas that share one are lost together, whoever's they are. A machine's own
/// files count where its replica lies: attestations tell no other place.
extension Replicator {
  /// Where a machine keeps its copies, by its own word; nil before it said anything.
  private func filesystem(of holder: MachineID) -> FolderID? {
    holder == machine ? filesystem : attesting.newest[holder]?.record.filesystem
  }

  /// How many different filesystems these machines keep their copies on. One that never said counts as one more.
  package func filesystems(of machines: some Sequence<MachineID>) -> Int {
    var known: Set<FolderID> = []
    var unknown: Set<MachineID> = []
    for machine in machines {
      if let filesystem = filesystem(of: machine) {
        known.insert(filesystem)
      } else {
        unknown.insert(machine)
      }
    }
    return known.count + unknown.count
  }

  /// Of all members.
  package var householdFilesystems: Int { filesystems(of: roster.members.lazy.map(\.machine)) }

  /// Full machines that keep their copies on one filesystem with another one, in groups of two and more.
  package var sharedFilesystems: [[MachineID]] {
    var groups: [FolderID: [MachineID]] = [:]
    for machine in fullMachines {
      if let filesystem = filesystem(of: machine) { groups[filesystem, default: []].append(machine) }
    }
    return groups.values.filter { $0.count > 1 }.map { $0.sorted() }.sorted { $0[0] < $1[0] }
  }

  /// Members whose role is to keep copies, this machine among them if it does.
  var fullMachines: [MachineID] { otherFullMachines + (role == .full ? [machine] : []) }
}
