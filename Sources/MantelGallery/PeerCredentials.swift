import Foundation
import Glibc
import Hummingbird
import Logging
import MantelControl
import NIOCore

/// Who is at the other end of a Unix socket, as the kernel saw it at connect: `struct ucred`.
struct PeerCredentials: Sendable {
  var process: Int32 = 0
  var user: UInt32 = .max
  var group: UInt32 = .max

  /// The agent's own user, and root who can do everything anyway.
  static func isAllowed(user: UInt32, agent: UInt32) -> Bool { user == agent || user == 0 }

  static func read(_ channel: any Channel) async throws -> PeerCredentials {
    guard let provider = channel as? any SocketOptionProvider else {
      throw ControlError(code: .internalError, message: "the connection is no socket")
    }
    return try await provider.unsafeGetSocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
    ).get()
  }
}

/// What a request carries along: the connection, for the question who asks.
struct ControlContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}

/// Lets nobody in but the agent's own user and root.
struct OwnUserOnly: RouterMiddleware {
  @concurrent func handle(
    _ request: Request, context: ControlContext,
    next: @concurrent (Request, ControlContext) async throws -> Response
  ) async throws -> Response {
    let peer = try await PeerCredentials.read(context.channel)
    guard PeerCredentials.isAllowed(user: peer.user, agent: geteuid()) else {
      context.logger.warning("refused another user", metadata: ["user.id": "\(peer.user)"])
      throw HTTPError(.forbidden, message: "this agent belongs to another user")
    }
    return try await next(request, context)
  }
}
