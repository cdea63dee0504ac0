import Foundation

/// Simulated machines on one network, real processes on a real kernel, for one test.
///
/// Each is a set of Linux namespaces; nothing leaves them, and nothing of them is left when the test ends, crashes or
/// is killed. Works as root, and as an ordinary user where the kernel allows user namespaces.
package final class Lab: Sendable {
  package let machines: [LabMachine]
  private let supervisor: LabSupervisor

  private init(machines: [LabMachine], supervisor: LabSupervisor) {
    self.machines = machines
    self.supervisor = supervisor
  }

  /// Runs `body` with machines of these names (lower case letters), connected to one hub.
  ///
  /// - Parameter daemons: D-Bus and Avahi run in each machine when the body starts; else the body starts them.
  package static func withMachines<Result>(
    _ names: [String], daemons: Bool = true, _ body: (Lab) async throws -> Result
  ) async throws -> Result {
    precondition(
      Set(names).count == names.count && names.count < 250
        && names.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x61...0x7A).contains($0) } },
      "machines have different names of lower case letters")
    if let obstacle = LabObstacles.of([]) { throw LabError.unavailable(obstacle) }
    let directory = try makeDirectory()
    let supervisor: LabSupervisor
    do {
      supervisor = try LabSupervisor(directory: directory)
    } catch {
      try FileManager.default.removeItem(atPath: directory)
      throw error
    }
    do {
      try await supervisor.ready()
      var machines: [LabMachine] = []
      for (index, name) in names.enumerated() {
        machines.append(try await LabMachine(name: name, number: index + 1, supervisor: supervisor))
      }
      let lab = Lab(machines: machines, supervisor: supervisor)
      if daemons { try await lab.startDaemons() }
      let result = try await body(lab)
      try await end(supervisor)
      return result
    } catch {
      // The first error is the one to tell; a lab that cannot be closed is killed there.
      try? await end(supervisor)
      throw error
    }
  }

  /// Also when the test was cancelled: in a task of its own, which is not.
  private static func end(_ supervisor: LabSupervisor) async throws {
    try await Task { try await supervisor.close() }.value
  }

  package subscript(_ name: String) -> LabMachine {
    get throws {
      guard let machine = machines.first(where: { $0.name == name }) else {
        throw LabError.unavailable("no machine \(name) in this lab")
      }
      return machine
    }
  }

  /// The two never hear from each other again, and do not notice why; others see both. Needs `LabFeature.partition`.
  package func cut(between first: LabMachine, and second: LabMachine) async throws {
    try await supervisor.execute(quoted(["partition", "add", first.name, second.name]))
  }

  package func heal(between first: LabMachine, and second: LabMachine) async throws {
    try await supervisor.execute(quoted(["partition", "delete", first.name, second.name]))
  }

  private func startDaemons() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for machine in machines {
        group.addTask {
          try await machine.startBus()
          try await machine.startAvahi()
        }
      }
      try await group.waitForAll()
    }
  }

  /// A directory for all files of the lab. Short, for Unix sockets lie in it. The lab deletes it at its end, also when
  /// this process is gone by then; `MANTEL_KEEP_LAB=1` keeps it.
  private static func makeDirectory() throws -> String {
    var template = Array("\(FileManager.default.temporaryDirectory.path)/mantel-lab-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw LabError.unavailable("no temporary directory: \(String(cString: strerror(errno)))")
    }
    let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    try FileManager.default.createDirectory(
      atPath: "\(directory)/replies", withIntermediateDirectories: false)
    try FileManager.default.createDirectory(atPath: "\(directory)/bin", withIntermediateDirectories: false)
    for (name, path) in programs {
      try FileManager.default.createSymbolicLink(
        atPath: "\(directory)/bin/\(name)", withDestinationPath: path)
    }
    if ProcessInfo.processInfo.environment["MANTEL_KEEP_LAB"] == "1" {
      try "".write(toFile: "\(directory)/keep", atomically: false, encoding: .utf8)
      FileHandle.standardError.write(Data("lab kept in \(directory)\n".utf8))
    }
    return directory
  }

  /// The builds under test: beside the test bundle, or what `MANTEL_BINARY` names.
  private static var programs: [(name: String, path: String)] {
    let tests = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    let beside = tests.deletingLastPathComponent()
    let mantel =
      ProcessInfo.processInfo.environment["MANTEL_BINARY"] ?? beside.appending(path: "mantel").path
    return [("mantel", mantel), ("mantel-lab-probe", beside.appending(path: "mantel-lab-probe").path)]
  }
}
