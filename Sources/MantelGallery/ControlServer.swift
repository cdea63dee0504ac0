import Hummingbird
package import Logging
package import MantelControl
import NIOCore
import ServiceLifecycle
import Synchronization

/// Serves a `ControlService` on a Unix socket until the service group stops it.
///
/// The socket is the user's alone (0600, and every request's sender is asked of the kernel). A socket file that nobody
/// answers on is replaced; one that somebody answers on is a `conflict`. Requests that are being answered at the stop
/// are answered.
package struct ControlServer: Service {
  private let service: any ControlService
  private let file: SocketFile
  private let logger: Logger
  private let isRunning: @Sendable () -> Void

  /// `isRunning` is called once, when requests are answered.
  package init(
    service: any ControlService, socket: String, logger: Logger,
    isRunning: @Sendable @escaping () -> Void = {}
  ) {
    self.service = service
    self.file = SocketFile(path: socket)
    self.logger = logger
    self.isRunning = isRunning
  }

  package func run() async throws {
    try file.makeWay()
    let bound = Bound()
    let application = Application(
      router: ControlRoutes(service: service).router(),
      configuration: ApplicationConfiguration(address: .unixDomainSocket(path: file.path)),
      onServerRunning: { [file, logger, isRunning] _ in
        do { try file.close() } catch {
          // Its senders are checked one by one, so it stays safe.
          logger.warning("the agent's socket is open to others", metadata: ["error": "\(error)"])
        }
        bound.inode.withLock { $0 = file.inode }
        isRunning()
      },
      logger: logger)
    defer { file.remove(ifInode: bound.inode.withLock { $0 }) }
    try await application.run()
  }

  /// The socket file that is this server's own.
  private final class Bound: Sendable {
    let inode = Mutex<UInt64?>(nil)
  }
}
