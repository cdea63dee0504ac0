package import MantelCore
import MantelHousehold
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

extension Transport {
  /// Connects to a member. Returns when the session is open and shown to the environment: the peer has accepted us and
  /// its HELLO is here; before `run()` it waits for that. Another connection to the same machine may win instead (`.duplicate`); without
  /// `expecting` one that is open always does.
  ///
  /// `address.host` may be an IPv6 link-local address with its interface (`fe80::1%eth0`), or a name. Cancellable.
  package func dial(
    _ address: NetworkAddress, expecting: MachineID?, timeout: Duration = Limits.handshake
  ) async throws(TransportError) -> SessionID {
    let tls = try state.withLock { state throws(TransportError) in
      guard state.phase != .stopped else { throw TransportError(.notRunning, "the transport was shut down") }
      return state.tls
    }
    let outcome = DialOutcome<SessionID>()
    return try await reach(address, context: tls.client, timeout: timeout, outcome: outcome) {
      [environment] identity throws(TransportError) in
      guard environment.authorises(identity.machine) else {
        throw TransportError(.notMember(identity.machine), "the machine at \(address) is not a member")
      }
      if let expecting {
        guard identity.machine == expecting else {
          throw TransportError(.unexpectedPeer(identity.machine), "another machine answered")
        }
      } else if self.state.withLock({ $0.registry.shows(identity.machine) }) {
        // Who dials without knowing whom is curious, not in need: a session that works is not put to the test for it.
        throw TransportError(.duplicate(identity.machine), "a session with this machine is open already")
      }
    } whenAuthorised: { connection in
      self.arrived(connection, dial: outcome)
    }
  }

  /// Connects to an inviter, as a newcomer; works without `run()`. Who answers is for the join's proof to tell.
  package func dialJoin(
    _ address: NetworkAddress, timeout: Duration = Limits.handshake
  ) async throws(TransportError) -> JoinConnection {
    let tls = state.withLock { $0.tls }
    let outcome = DialOutcome<JoinConnection>()
    return try await reach(address, context: tls.joiningClient, timeout: timeout, outcome: outcome) {
      [machine = configuration.key.machine] identity throws(TransportError) in
      guard identity.machine != machine else { throw TransportError(.isSelf, "this machine dialled itself") }
    } whenAuthorised: { connection in
      outcome.complete(.success(JoinConnection(connection)))
    }
  }

  private func reach<Value: Sendable>(
    _ address: NetworkAddress, context: NIOSSLContext, timeout: Duration, outcome: DialOutcome<Value>,
    permit: @escaping @Sendable (PeerIdentity) throws(TransportError) -> Void,
    whenAuthorised: @escaping @Sendable (AuthenticatedConnection) -> Void
  ) async throws(TransportError) -> Value {
    let limit = TimeAmount.nanoseconds(timeout.inNanoseconds)
    let timer = configuration.group.next().scheduleTask(in: limit) {
      outcome.complete(.failure(TransportError(.timeout, "\(address) did not answer in time")))
    }
    defer { timer.cancel() }
    var bootstrap = ClientBootstrap(group: configuration.group)
      // A little longer than the timer above, which says what happened.
      .connectTimeout(limit + .seconds(1))
      .channelOption(.writeBufferWaterMark, value: SocketTuning.waterMark)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.addHandlers(
            to: channel, context: context, address: address, timeout: timeout, permit: permit,
            whenAuthorised: whenAuthorised
          ) { error in outcome.complete(.failure(error)) }
        }
      }
    for (option, value) in SocketTuning.options { bootstrap = bootstrap.channelOption(option, value: value) }
    let connecting = bootstrap
    let result = await withTaskCancellationHandler {
      connecting.connect(host: address.host, port: Int(address.port)).whenComplete { result in
        switch result {
        case .success(let channel): outcome.attach(channel)
        case .failure(let error):
          outcome.complete(.failure(TransportError(.unreachable, "\(address) cannot be reached: \(error)")))
        }
      }
      return await outcome.wait()
    } onCancel: {
      outcome.complete(.failure(TransportError(.cancelled, "the dial was cancelled")))
    }
    return try result.get()
  }

  private func addHandlers(
    to channel: any Channel, context: NIOSSLContext, address: NetworkAddress, timeout: Duration,
    permit: @escaping @Sendable (PeerIdentity) throws(TransportError) -> Void,
    whenAuthorised: @escaping @Sendable (AuthenticatedConnection) -> Void,
    whenFailed: @escaping @Sendable (TransportError) -> Void
  ) throws {
    // No name is sent and none is checked: machines are known by their keys.
    let handler = try NIOSSLClientHandler(
      context: context, serverHostname: nil, customVerificationCallback: TLSContexts.verify)
    let mailbox = Mailbox(inboundLimit: limits.inboundBytes, commandLimit: limits.waitingCommands)
    let connection = ConnectionHandler(
      tls: handler, mailbox: mailbox, timeout: timeout,
      authorise: { certificate, protocolName in Self.judge(certificate, protocolName, permit: permit) },
      completion: { result in
        switch result {
        case .success(let identity):
          whenAuthorised(
            AuthenticatedConnection(
              channel: channel, mailbox: mailbox, identity: identity,
              remote: channel.remoteAddress?.networkAddress ?? address, isDialer: true))
        case .failure(let error):
          self.countFailure(error)
          whenFailed(error)
        }
      })
    try channel.pipeline.syncOperations.addHandlers([handler, connection])
  }
}

/// What every connection's socket is set to.
enum SocketTuning {
  /// Bytes that the kernel takes beyond what it has sent: little, so that a control frame never stands behind much data.
  private static let notSentLowWater = 128 << 10
  /// TCP_NOTSENT_LOWAT of Linux, which NIO does not name.
  private static let notSentLowWaterOption = NIOBSDSocket.Option(rawValue: 25)
  /// EADDRINUSE of Linux.
  static let addressInUse: CInt = 98

  static var options: [(ChannelOptions.Types.SocketOption, ChannelOptions.Types.SocketOption.Value)] {
    [
      (.tcpOption(.tcp_nodelay), 1),
      (.tcpOption(notSentLowWaterOption), notSentLowWater),
    ]
  }

  static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 128 << 10, high: 256 << 10)
}
