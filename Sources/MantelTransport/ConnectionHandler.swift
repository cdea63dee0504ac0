import MantelCore
import NIOCore
import NIOSSL
import NIOTLS

/// The last handler of a connection: waits for the handshake, has the peer authorised, and from then on moves bytes to
/// the mailbox. Nothing that the peer sends is looked at before it is authorised.
final class ConnectionHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Judges a finished handshake by the certificate's DER bytes and the negotiated protocol.
  typealias Authoriser = (_ certificate: [UInt8], _ protocolName: String?) -> Result<
    PeerIdentity, TransportError
  >

  private enum State {
    case handshaking(Scheduled<Void>?)
    case open
    case closed
  }

  private let tls: NIOSSLHandler
  private let mailbox: Mailbox
  private let timeout: TimeAmount
  private let authorise: Authoriser
  /// Called once, on the event loop; never for a connection attempt that another one overtook.
  private var completion: ((Result<PeerIdentity, TransportError>) -> Void)?
  private var state = State.handshaking(nil)
  private var collected: [ByteBuffer] = []
  private var wasActive = false

  /// Fired through the pipeline to end a handshake at once, so that its place is free.
  struct Abandoned: Sendable {}

  init(
    tls: NIOSSLHandler, mailbox: Mailbox, timeout: Duration, authorise: @escaping Authoriser,
    completion: @escaping (Result<PeerIdentity, TransportError>) -> Void
  ) {
    self.tls = tls
    self.mailbox = mailbox
    self.timeout = .nanoseconds(timeout.inNanoseconds)
    self.authorise = authorise
    self.completion = completion
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let timer = context.eventLoop.scheduleTask(in: timeout) {
      let (handler, context) = bound.value
      handler.fail(TransportError(.timeout, "the handshake took too long"), context: context)
    }
    state = .handshaking(timer)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    // Of several attempts to connect to a name, all but one are closed before they are active: that is no failure.
    if !wasActive, !context.channel.isActive { completion = nil }
    finish(.failure(TransportError(.connectionClosed, "the connection was closed")))
    state = .closed
    mailbox.end()
  }

  func channelActive(context: ChannelHandlerContext) {
    wasActive = true
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is Abandoned {
      fail(TransportError(.tooMany, "the place was needed for another connection"), context: context)
      return
    }
    guard case TLSUserEvent.handshakeCompleted(let protocolName) = event else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    guard case .handshaking = state else { return }
    // The certificate is asked for after every handshake: a resumed one never reaches the verification callback.
    guard let certificate = tls.peerCertificate else {
      fail(TransportError(.refused, "the peer has no certificate"), context: context)
      return
    }
    do {
      switch authorise(try certificate.toDERBytes(), protocolName) {
      case .success(let identity):
        finish(.success(identity))
        state = .open
      case .failure(let error):
        fail(error, context: context)
      }
    } catch {
      fail(TransportError(.refused, "the peer's certificate cannot be read: \(error)"), context: context)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .open = state else { return }
    collected.append(unwrapInboundIn(data))
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard !collected.isEmpty else { return }
    mailbox.received(collected)
    collected.removeAll(keepingCapacity: true)
  }

  func read(context: ChannelHandlerContext) {
    if case .open = state, mailbox.holdsReads() { return }
    context.read()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if case .handshaking = state {
      fail(TransportError(.refused, "the handshake failed: \(error)"), context: context)
      return
    }
    // A peer that ends TCP without ending TLS is as gone as one that does both; frames tell whether something is missing.
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !collected.isEmpty {
      mailbox.received(collected)
      collected = []
    }
    finish(.failure(TransportError(.refused, "the peer ended the connection during the handshake")))
    state = .closed
    mailbox.end()
    context.fireChannelInactive()
  }

  private func finish(_ result: Result<PeerIdentity, TransportError>) {
    if case .handshaking(let timer) = state { timer?.cancel() }
    let completion = self.completion
    self.completion = nil
    completion?(result)
  }

  private func fail(_ error: TransportError, context: ChannelHandlerContext) {
    guard case .handshaking = state else { return }
    finish(.failure(error))
    state = .closed
    if error.code == .timeout || error.code == .tooMany {
      // Not through TLS, which would first wait for the peer to say goodbye.
      closeAbruptly(context: context)
    } else {
      context.close(promise: nil)
    }
  }

  private func closeAbruptly(context: ChannelHandlerContext) {
    do {
      try context.pipeline.syncOperations.context(handler: tls).close(promise: nil)
    } catch {
      context.close(promise: nil)
    }
  }
}
