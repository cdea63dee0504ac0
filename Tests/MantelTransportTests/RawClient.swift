import MantelCore
import MantelHousehold
import MantelWire
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A connection that follows no rules: for what strangers and broken members do.
struct RawClient: Sendable {
  let channel: any Channel
  private let sink: Sink

  private final class Sink: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    let bytes = Mutex(ByteBuffer())

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var buffer = unwrapInboundIn(data)
      bytes.withLock { _ = $0.writeBuffer(&buffer) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }

  /// Plain TCP without TLS configuration; TLS with it. `source` is the address to come from.
  static func connect(
    to address: NetworkAddress, from source: String? = nil, tls: TLSConfiguration? = nil
  ) async throws -> RawClient {
    try await connect(
      to: address, from: source, context: tls.map { try NIOSSLContext(configuration: $0) })
  }

  /// All connections of one context have what it keeps of earlier ones.
  static func connect(
    to address: NetworkAddress, from source: String? = nil, context: NIOSSLContext?
  ) async throws -> RawClient {
    let sink = Sink()
    var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            let handler = try NIOSSLClientHandler(context: context, serverHostname: nil) { _, promise in
              promise.succeed(.certificateVerified)
            }
            try channel.pipeline.syncOperations.addHandler(handler)
          }
          try channel.pipeline.syncOperations.addHandler(sink)
        }
      }
    if let source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
    return RawClient(
      channel: try await bootstrap.connect(host: address.host, port: Int(address.port)).get(), sink: sink)
  }

  static func configuration(
    chain: [NIOSSLCertificate], key: NIOSSLPrivateKey?, protocols: [String] = ["mantel/1"]
  ) -> TLSConfiguration {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .noHostnameVerification
    configuration.trustRoots = .certificates([])
    configuration.certificateChain = chain.map { .certificate($0) }
    configuration.privateKey = key.map { .privateKey($0) }
    configuration.applicationProtocols = protocols
    return configuration
  }

  static func configuration(
    _ key: DeviceKey, protocols: [String] = ["mantel/1"], certificates: Int = 1
  ) throws -> TLSConfiguration {
    let certificate = try NIOSSLCertificate(bytes: key.certificateDER, format: .der)
    return configuration(
      chain: Array(repeating: certificate, count: certificates),
      key: try NIOSSLPrivateKey(bytes: key.privateKeyDER, format: .der), protocols: protocols)
  }

  func send(_ bytes: [UInt8]) async throws {
    try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
  }

  func send(_ frame: Frame) async throws {
    var buffer = ByteBuffer()
    FrameEncoder.encode(frame, into: &buffer)
    try await channel.writeAndFlush(buffer)
  }

  /// Bytes that came over TLS (or TCP), once the other side has closed.
  func receivedUntilClosed() async throws -> ByteBuffer {
    try await channel.closeFuture.get()
    return sink.bytes.withLock { $0 }
  }

  func close() { channel.close(promise: nil) }
}
