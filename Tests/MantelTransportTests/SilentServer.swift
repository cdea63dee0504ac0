import MantelCore
import NIOCore
import NIOPosix
import Synchronization

/// Accepts connections and says nothing.
final class SilentServer: Sendable {
  private struct State {
    var count = 0
    var waiters: [(count: Int, resume: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Mutex(State())
  private let channel = Mutex<(any Channel)?>(nil)

  static func start() async throws -> SilentServer {
    let server = SilentServer()
    let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { channel in
        server.connected()
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    server.channel.withLock { $0 = channel }
    return server
  }

  var address: NetworkAddress {
    NetworkAddress(host: "127.0.0.1", port: UInt16(channel.withLock { $0?.localAddress?.port } ?? 0))
  }

  private func connected() {
    let ready = state.withLock { state in
      state.count += 1
      let count = state.count
      defer { state.waiters.removeAll { $0.count <= count } }
      return state.waiters.filter { $0.count <= count }
    }
    for waiter in ready { waiter.resume.resume() }
  }

  func waitForConnections(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        if state.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if isReady { continuation.resume() }
    }
  }

  func stop() async throws {
    guard let channel = channel.withLock({ $0 }) else { return }
    try await channel.close()
  }
}
