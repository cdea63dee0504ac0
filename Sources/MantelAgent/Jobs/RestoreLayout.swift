import MantelCore
import MantelReplication

/// Where restored files lie below their directory: `<folder>/<path>`, and `<machine>/<folder>/<path>` when the request
/// may bring those of several machines. The request alone decides, so that a second run finds what the first has done.
struct RestoreLayout: Sendable {
  /// Directory names of machines; empty when there are none.
  private let machines: [MachineID: String]

  init(machine: MachineID?, pattern: String?, names: Names) {
    guard machine == nil, !(pattern.map(Self.namesOneMachine) ?? false) else {
      machines = [:]
      return
    }
    var chosen: [MachineID: String] = [:]
    for machine in names.all {
      chosen[machine] = ReplicaNaming.directory(
        wish: names.name(machine), id: machine.hex, taken: chosen.values)
    }
    machines = chosen
  }

  /// The first component of a pattern with several is plain text.
  static func namesOneMachine(_ pattern: String) -> Bool {
    let components = pattern.drop { $0 == "/" }.split(separator: "/", omittingEmptySubsequences: false)
    guard components.count > 1, let first = components.first else { return false }
    return !first.contains { "*?[\\".contains($0) }
  }

  /// Below the directory. `folder` is the folder's name, whoever chose it.
  func path(of installed: InstalledEntry, folder: String) -> [UInt8] {
    let entry = installed.entry
    return top(machine: installed.library, folder: folder, id: entry.folder) + [UInt8(ascii: "/")]
      + entry.path
  }

  /// The directory of a folder, below the directory.
  func top(machine: MachineID, folder: String, id: FolderID) -> [UInt8] {
    let name = ReplicaNaming.directory(wish: folder, id: id.description, taken: [])
    return Array((machines[machine].map { "\($0)/" } ?? "").utf8) + Array(name.utf8)
  }
}
