import Foundation
import Synchronization

/// Bytes that crossed a machine's link, everything included.
package struct LinkBytes: Hashable, Sendable {
  package var sent: Int
  package var received: Int
}

/// A simulated machine: a host name, a network card `eth0`, a /run, a D-Bus and an Avahi daemon of its own. Files are
/// shared with the host; `home` is the machine's own place.
package final class LabMachine: Sendable {
  package let name: String
  /// IPv4 address of its `eth0`.
  package let address: String
  /// An absolute path, the same inside and outside of the lab; deleted with the lab.
  package var home: String { "\(directory)/home" }

  private struct Daemons {
    var bus: LabProcess?
    var avahi: LabProcess?
  }

  private let directory: String
  private let supervisor: LabSupervisor
  private let daemons = Mutex(Daemons())

  init(name: String, number: Int, supervisor: LabSupervisor) async throws {
    self.name = name
    self.supervisor = supervisor
    address = "10.77.0.\(number)"
    directory = "\(supervisor.directory)/\(name)"
    for path in [directory, "\(directory)/home", "\(directory)/tmp"] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }
    for (file, text) in [
      ("passwd", LabScript.users), ("group", LabScript.groups), ("bus.conf", LabScript.busConfiguration),
      ("avahi.conf", LabScript.avahiConfiguration(host: name)),
    ] {
      try text.write(toFile: "\(directory)/\(file)", atomically: false, encoding: .utf8)
    }
    try await supervisor.execute(quoted(["machine", name, "\(number)"]))
  }

  // MARK: Processes

  /// Starts a command in the machine, in `home`, and returns at once. `mantel` and `mantel-lab-probe` are the builds
  /// under test.
  package func spawn(_ command: [String], environment: [String: String] = [:]) async throws -> LabProcess {
    let id = supervisor.takeID()
    let variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
    try await supervisor.execute(quoted(["spawn", "\(id)", name, "env"] + variables + command))
    return LabProcess(id: id, command: command, machineDirectory: directory, supervisor: supervisor)
  }

  /// Runs a command in the machine to its end. One that takes longer than `limit` is killed, and the wait throws.
  package func run(
    _ command: [String], environment: [String: String] = [:], within limit: Duration = .seconds(30)
  ) async throws -> LabResult {
    let process = try await spawn(command, environment: environment)
    do {
      return try await process.wait(within: limit)
    } catch let missed as DeadlineMissed {
      let killed = try await process.stop(SIGKILL)
      throw DeadlineMissed(what: "\(missed.what)\n\(killed)", limit: limit)
    }
  }

  /// All its processes stand still, the daemons too: a machine that hangs.
  package func freeze() async throws { try await supervisor.execute(quoted(["everyone", name, "STOP"])) }
  package func thaw() async throws { try await supervisor.execute(quoted(["everyone", name, "CONT"])) }

  /// Kills all its processes at once, the daemons too: what a crash does to a machine, but for its disk.
  package func crash() async throws {
    try await supervisor.execute(quoted(["everyone", name, "KILL"]))
    daemons.withLock { $0 = Daemons() }
  }

  // MARK: Network

  /// Pulls the cable; the machine notices.
  package func cut() async throws { try await supervisor.execute("ip link set \"${ports[\(name)]}\" down") }
  package func heal() async throws { try await supervisor.execute("ip link set \"${ports[\(name)]}\" up") }

  /// A bottleneck of so many bits a second each way; nil takes it away. Needs `LabFeature.shaping`.
  ///
  /// - Parameters:
  ///   - burst: bytes that pass at once after a pause.
  ///   - queue: milliseconds that what does not pass may wait.
  package func shape(bitsPerSecond: Int?, burst: Int = 256 << 10, queue: Int = 50) async throws {
    try await supervisor.execute(
      quoted(["shape", name, "\(bitsPerSecond ?? 0)", "\(burst)", "\(queue)"]))
  }

  package func linkBytes() async throws -> LinkBytes {
    let numbers = try await supervisor.execute(quoted(["counters", name])).split(separator: "\n").compactMap {
      Int($0)
    }
    guard numbers.count == 2 else {
      throw LabError.commandFailed(command: "counters \(name)", status: 0, output: "\(numbers)")
    }
    return LinkBytes(sent: numbers[0], received: numbers[1])
  }

  // MARK: Daemons

  package func startBus() async throws {
    try await supervisor.execute("rm -f \"/proc/${holders[\(name)]}/root/run/dbus/system_bus_socket\"")
    let bus = try await spawn([
      "dbus-daemon", "--config-file=\(directory)/bus.conf", "--nofork", "--nopidfile", "--print-address",
    ])
    daemons.withLock { $0.bus = bus }
    try await bus.line("the bus of \(name) listens") { $0.hasPrefix("unix:") }
  }

  /// Kills it: it does not always heed SIGTERM.
  package func stopBus() async throws {
    let bus = daemons.withLock { daemons in
      defer { daemons.bus = nil }
      return daemons.bus
    }
    try await bus?.stop(SIGKILL)
  }

  /// Returns when the daemon has its host name.
  package func startAvahi() async throws {
    let avahi = try await spawn([
      "avahi-daemon", "-f", "\(directory)/avahi.conf", "--no-drop-root", "--no-chroot", "--no-rlimits",
    ])
    daemons.withLock { $0.avahi = avahi }
    try await eventually("avahi of \(name) is up:\n\(avahi.stderr)") {
      guard try avahi.isRunning else {
        throw LabError.commandFailed(command: "avahi-daemon", status: 1, output: avahi.stderr)
      }
      return avahi.stderr.contains("Server startup complete")
    }
  }

  /// - Parameter signal: SIGTERM says goodbye to the network, SIGKILL does not.
  package func stopAvahi(_ signal: Int32 = SIGTERM) async throws {
    let avahi = daemons.withLock { daemons in
      defer { daemons.avahi = nil }
      return daemons.avahi
    }
    try await avahi?.stop(signal)
  }
}
