import Hummingbird
import HummingbirdCore
package import Logging
package import MantelControl
import NIOCore
import NIOPosix
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
    let server = try server { [file, logger, isRunning] in
      do { try file.close() } catch {
        // Its senders are checked one by one, so it stays safe.
        logger.warning("the agent's socket is open to others", metadata: ["error": "\(error)"])
      }
      bound.inode.withLock { $0 = file.inode }
      isRunning()
    }
    defer { file.remove(ifInode: bound.inode.withLock { $0 }) }
    try await server.run()
  }

  /// What Hummingbird's `Application` would make of the routes, but for its `Date` header: to keep that current it wakes each
  /// second, and an agent with nothing to do sleeps.
  private func server(isBound: @Sendable @escaping () -> Void) throws -> any Service {
    let responder = ControlRoutes(service: service).router().buildResponder()
    return try HTTPServerBuilder.http1().buildServer(
      configuration: ServerConfiguration(address: .unixDomainSocket(path: file.path)),
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger,
      responder: { [logger] request, writer, channel in
        let source = ApplicationRequestContextSource(channel: channel, logger: logger)
        let context = ControlContext(source: source)
        let response = try await responder.respond(to: request, context: context)
        try await writer.write(response: response.head, body: response.body)
      },
      onServerRunning: { _ in isBound() })
  }

  /// The socket file that is this server's own.
  private final class Bound: Sendable {
    let inode = Mutex<UInt64?>(nil)
  }
}
