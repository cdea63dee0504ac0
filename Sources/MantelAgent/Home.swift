import Foundation
import MantelCore
import MantelHousehold

/// Where one installation of Mantel keeps its things.
package struct Home: Sendable {
  package var config: String
  package var state: String
  package var socket: String
  package var defaultReplica: String
  /// The one directory that has everything; nil when XDG's are used.
  private var root: String?

  /// Everything below one directory: `--home DIR`, or `MANTEL_HOME`.
  package init(directory: String) {
    self.init(
      config: directory + "/config", state: directory + "/state",
      socket: directory + "/agent.sock", defaultReplica: directory + "/Mantel")
    root = directory
  }

  /// `--home`, else `MANTEL_HOME`, else the XDG directories of the user.
  package init(option: String?, environment: [String: String] = ProcessInfo.processInfo.environment) {
    // An empty variable is one that is not set; an empty option is refused where options are parsed.
    let variable = environment["MANTEL_HOME"].flatMap { $0.isEmpty ? nil : $0 }
    if let directory = option ?? variable {
      self.init(directory: Self.absolute(directory))
      return
    }
    let user = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
    func directory(_ variable: String, _ fallback: String) -> String {
      // XDG: a relative path in these variables is to be ignored.
      environment[variable].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? user + fallback
    }
    let state = directory("XDG_STATE_HOME", "/.local/state") + "/mantel"
    let runtime = environment["XDG_RUNTIME_DIR"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    self.init(
      config: directory("XDG_CONFIG_HOME", "/.config") + "/mantel", state: state,
      socket: (runtime.map { $0 + "/mantel" } ?? state) + "/agent.sock",
      defaultReplica: user + "/Mantel")
  }

  private init(config: String, state: String, socket: String, defaultReplica: String) {
    self.config = config
    self.state = state
    self.socket = socket
    self.defaultReplica = defaultReplica
  }

  package var catalogPath: String { state + "/catalog.sqlite" }
  package var keyPath: String { state + "/device.key" }
  package var lockPath: String { state + "/lock" }
  package var rekeyJournalPath: String { state + "/rekey.journal" }

  /// What this installation was before `rekey`, or before it left a household, by the keys that it keeps.
  var formerMachines: [MachineID] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: state)) ?? []
    let former = (keyPath as NSString).lastPathComponent + ".before-"
    return names.filter { $0.hasPrefix(former) }.compactMap {
      try? DeviceKey.load(from: "\(state)/\($0)").machine
    }
  }

  /// Directories that no folder scan may enter.
  package func ownPaths(replica: String) -> [[UInt8]] {
    [config, state, replica].map { Array($0.utf8) }
  }

  /// Whether `init` or `join` was done here.
  package var isInitialised: Bool {
    FileManager.default.fileExists(atPath: catalogPath) && FileManager.default.fileExists(atPath: keyPath)
  }

  /// Throws `AgentError` with the ways on unless `init` or `join` was done here.
  package func requireInitialised() throws {
    guard !isInitialised else { return }
    if FileManager.default.fileExists(atPath: catalogPath) { throw AgentError.keyLost(self) }
    throw FileManager.default.fileExists(atPath: keyPath)
      ? AgentError.catalogLost(self) : AgentError.notInitialised
  }

  /// Makes the directories, readable by their owner only.
  package func create() throws {
    for directory in [config, state, (socket as NSString).deletingLastPathComponent] {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
    }
    for directory in [root, config, state].compactMap(\.self) {
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory)
    }
  }

  /// The path from the root, without `.`, `..` and doubled slashes; symbolic links stay.
  package static func absolute(_ path: String) -> String {
    let full =
      path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    return (full as NSString).standardizingPath
  }
}
