import Glibc
import Foundation
import Logging
import MantelAgent
import MantelGallery
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The agent and its API in one service group, told to the supervisor.
struct RunService: Sendable {
  let home: Home
  let listen: Agent.Listen
  let logger: Logger
  let notification: ServiceNotification

  /// What a stop may take before it is forced: batches that are being committed, answers that are being sent.
  private static let stopping: Duration = .seconds(30)

  /// Until SIGTERM or SIGINT.
  func run() async throws {
    // A peer or a pipe that goes away is an error of its call, not the end of the agent.
    signal(SIGPIPE, SIG_IGN)
    let agent = try await Agent(home: home, listen: listen, logger: logger)
    let notification = notification
    let readiness = Readiness(parts: 2) { notification.send("READY=1") }
    // Stopped from the last to the first: the supervisor hears of it, no more questions, then the agent.
    var configuration = ServiceGroupConfiguration(
      services: [
        AgentService(agent: agent, isReady: readiness.partIsReady),
        ControlServer(
          service: agent.control, socket: home.socket, logger: logger,
          isRunning: readiness.partIsReady),
        StopNotice(notification: notification),
      ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    configuration.maximumGracefulShutdownDuration = Self.stopping
    try await ServiceGroup(configuration: configuration).run()
  }

  private struct AgentService: Service {
    let agent: Agent
    let isReady: @Sendable () -> Void

    func run() async throws { try await agent.run(isReady: isReady) }
  }

  private struct StopNotice: Service {
    let notification: ServiceNotification

    func run() async throws {
      try await gracefulShutdown()
      notification.send("STOPPING=1")
    }
  }
}

/// Says once that all parts are ready.
final class Readiness: Sendable {
  private let missing: Mutex<Int>
  private let allReady: @Sendable () -> Void

  init(parts: Int, allReady: @escaping @Sendable () -> Void) {
    missing = Mutex(parts)
    self.allReady = allReady
  }

  func partIsReady() {
    let isLast = missing.withLock { missing in
      missing -= 1
      return missing == 0
    }
    if isLast { allReady() }
  }
}

/// Ends this process when standard input does: whoever holds its other end cannot leave an agent behind, however it ends.
enum InputWatch {
  static func start() {
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { break }
      }
      kill(getpid(), SIGTERM)
    }
  }
}
