package import MantelCore

/// Where restored files lie below their directory: `<folder>/<path>`, and `<machine>/<folder>/<path>` when the request
/// may bring those of several machines. The request alone decides, so that a second run finds what the first has done.
/// Pure.
package struct RestoreLayout: Sendable {
  /// Directory names of machines; empty when they get none.
  private let directories: [MachineID: String]

  /// `machine`: the only one that is asked for, if there is one; `machines`: all, with their names.
  package init(machine: MachineID?, pattern: String?, machines: [(id: MachineID, name: String)]) {
    var chosen: [MachineID: String] = [:]
    if machine == nil, !(pattern.map(Self.namesOneMachine) ?? false) {
      for (id, name) in machines.sorted(by: { $0.id < $1.id }) {
        chosen[id] = ReplicaNaming.directory(wish: name, id: id.hex, taken: chosen.values)
      }
    }
    directories = chosen
  }

  /// Below the directory. `folder` is the folder's name, whoever chose it: it never leads elsewhere.
  package func path(of installed: InstalledEntry, folder: String) -> [UInt8] {
    let entry = installed.entry
    return top(machine: installed.library, folder: folder, id: entry.folder) + [UInt8(ascii: "/")]
      + entry.path
  }

  /// The directory of a folder, below the directory.
  package func top(machine: MachineID, folder: String, id: FolderID) -> [UInt8] {
    let name = ReplicaNaming.directory(wish: folder, id: id.description, taken: [])
    return Array((directories[machine].map { "\($0)/" } ?? "").utf8) + Array(name.utf8)
  }

  /// The first of a pattern's components is plain text.
  private static func namesOneMachine(_ pattern: String) -> Bool {
    let components = pattern.drop { $0 == "/" }.split(separator: "/", omittingEmptySubsequences: false)
    guard components.count > 1, let first = components.first else { return false }
    return !first.contains { "*?[\\".contains($0) }
  }
}
