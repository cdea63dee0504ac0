import Logging
import MantelCore
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

extension Transport {
  private static let backlog: CInt = 128

  /// Listens as configured and returns the port, 0 when the configuration says not to listen. Connections that come
  /// before `run()` wait for it. Calling it again returns the same port.
  package func bind() async throws(TransportError) -> UInt16 {
    if let port = listeningPort { return port }
    let listeners: [any Channel]
    switch configuration.listen {
    case .none: return 0
    case .exact(let host, let port): listeners = try await listen(host: host, port: port)
    case .preferred(let first): listeners = try await listen(near: first)
    }
    let port = UInt16(clamping: listeners.first?.localAddress?.port ?? 0)
    let isStopped = state.withLock { state in
      guard state.phase != .stopped else { return true }
      state.listeners = listeners
      state.port = port
      return false
    }
    if isStopped {
      await close(listeners)
      throw TransportError(.notRunning, "the transport was shut down")
    }
    logger.debug("listening", metadata: ["port": "\(port)"])
    return port
  }

  private func listen(near first: UInt16) async throws(TransportError) -> [any Channel] {
    let last = first.addingReportingOverflow(limits.portsTried)
    for port in first...(last.overflow ? .max : last.partialValue) {
      do {
        return try await listen(host: nil, port: port)
      } catch let error where error.code == .addressInUse {
        continue
      }
    }
    return try await listen(host: nil, port: 0)
  }

  private func listen(host: String?, port: UInt16) async throws(TransportError) -> [any Channel] {
    if let host { return [try await listen(address: host, port: port)] }
    // Port 0 means any, but the same for both families: another program may have it for one of them.
    for attempt in 1...(port == 0 ? Int(limits.portsTried) : 1) {
      let v4 = try await listen(address: "0.0.0.0", port: port)
      let chosen = UInt16(clamping: v4.localAddress?.port ?? 0)
      do {
        return [v4, try await listen(address: "::", port: chosen)]
      } catch let error where error.code == .addressInUse {
        await close([v4])
        if attempt == limits.portsTried || port != 0 { throw error }
      } catch {
        logger.debug("no IPv6", metadata: ["error": "\(error)"])
        return [v4]
      }
    }
    throw TransportError(.addressInUse, "no port is free for both IPv4 and IPv6")
  }

  private func listen(address: String, port: UInt16) async throws(TransportError) -> any Channel {
    var bootstrap = ServerBootstrap(group: configuration.group)
      .serverChannelOption(.backlog, value: Self.backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in self.accept(channel) }
    if address.contains(":") {
      // A socket of its own for each family: dual stack without IPv4 addresses in IPv6 clothes.
      let v6Only = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
      bootstrap = bootstrap.serverChannelOption(v6Only, value: 1)
    }
    for (option, value) in SocketTuning.options {
      bootstrap = bootstrap.childChannelOption(option, value: value)
    }
    bootstrap = bootstrap.childChannelOption(.writeBufferWaterMark, value: SocketTuning.waterMark)
    do {
      return try await bootstrap.bind(host: address, port: Int(port)).get()
    } catch let error as IOError where error.errnoCode == SocketTuning.addressInUse {
      throw TransportError(.addressInUse, "port \(port) is taken")
    } catch {
      throw TransportError(
        .bindFailed, "cannot listen on \(NetworkAddress(host: address, port: port)): \(error)")
    }
  }

  private func close(_ listeners: [any Channel]) async {
    for listener in listeners {
      listener.close(promise: nil)
      await withCheckedContinuation { continuation in
        listener.closeFuture.whenComplete { _ in continuation.resume() }
      }
    }
  }

  // MARK: Accepted connections

  /// Runs on the connection's event loop before its first byte is read.
  private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
    guard let remote = channel.remoteAddress else { return channel.close() }
    let source = remote.sourceKey(reachedAt: channel.localAddress)
    let now = configuration.now()
    let (decision, evicted, tls) = state.withLock { state in
      guard state.phase != .stopped else {
        return (AdmissionControl.Decision?.none, (any Channel)?.none, state.tls)
      }
      let decision = state.admission.admit(source, now: now)
      var evicted: (any Channel)?
      if case .admitted(let ticket, let loser) = decision {
        state.pending[ticket] = channel
        if let loser { evicted = state.pending.removeValue(forKey: loser) }
      } else {
        state.counters.connectionsRefused += 1
      }
      return (decision, evicted, state.tls)
    }
    evicted?.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Abandoned())
    switch decision {
    case nil: return channel.close()
    case .refused(let reason):
      logRefusal(of: remote, source, reason.rawValue)
      return channel.close()
    case .admitted(let ticket, _):
      channel.closeFuture.whenComplete { _ in self.settle(ticket, authorised: false) }
      return channel.eventLoop.makeCompletedFuture {
        try self.addHandlers(to: channel, ticket: ticket, remote: remote, source: source, tls: tls)
      }
    }
  }

  private func addHandlers(
    to channel: any Channel, ticket: AdmissionControl.Ticket, remote: SocketAddress, source: SourceKey,
    tls: TLSContexts
  ) throws {
    let context = environment.answersNewcomers ? tls.invitingServer : tls.server
    let handler = NIOSSLServerHandler(context: context, customVerificationCallback: TLSContexts.verify)
    let mailbox = Mailbox(inboundLimit: limits.inboundBytes, commandLimit: limits.waitingCommands)
    let connection = ConnectionHandler(
      tls: handler, mailbox: mailbox, timeout: limits.handshake,
      authorise: { [environment] certificate, protocolName in
        Self.judge(certificate, protocolName) { identity throws(TransportError) in
          switch identity.protocolName {
          case .session:
            guard environment.authorises(identity.machine) else {
              throw TransportError(.notMember(identity.machine), "not a member")
            }
          case .join:
            guard environment.answersNewcomers else {
              throw TransportError(.noCommonProtocol, "newcomers are not answered")
            }
          }
        }
      },
      completion: { result in
        switch result {
        case .success(let identity):
          let accepted = AuthenticatedConnection(
            channel: channel, mailbox: mailbox, identity: identity, remote: remote.networkAddress,
            isDialer: false)
          switch identity.protocolName {
          case .session:
            let isTaken = self.arrived(accepted, dial: nil)
            self.settle(ticket, authorised: isTaken)
            if !isTaken { self.logRefusal(of: remote, source, "too many connections of this machine") }
          case .join:
            // Anybody ends a join handshake: only the right proof shows that it was none of many failures.
            self.settle(ticket, authorised: false)
            self.newcomerArrived(accepted, source: source)
          }
        case .failure(let error):
          self.countFailure(error)
          self.logRefusal(of: remote, source, error.message)
        }
      })
    try channel.pipeline.syncOperations.addHandlers([handler, connection])
  }

  /// Reads the certificate, then asks `permit`.
  static func judge(
    _ certificate: [UInt8], _ protocolName: String?,
    permit: (PeerIdentity) throws(TransportError) -> Void
  ) -> Result<PeerIdentity, TransportError> {
    do throws(TransportError) {
      let identity = try PeerIdentity(certificate: certificate, negotiated: protocolName)
      try permit(identity)
      return .success(identity)
    } catch {
      return .failure(error)
    }
  }

  private func settle(_ ticket: AdmissionControl.Ticket, authorised: Bool) {
    let now = configuration.now()
    state.withLock { state in
      state.pending[ticket] = nil
      state.admission.settle(ticket, authorised: authorised, now: now)
    }
  }

  func countFailure(_ error: TransportError) {
    state.withLock { state in
      if case .notMember = error.code {
        state.counters.handshakesRefused += 1
      } else {
        state.counters.handshakesFailed += 1
      }
    }
  }

  /// One line per address and minute.
  private func logRefusal(of remote: SocketAddress, _ source: SourceKey, _ reason: String) {
    let now = configuration.now()
    guard let silent = state.withLock({ $0.refusals.admit(source, now: now) }) else { return }
    logger.notice(
      "connection refused",
      metadata: [
        "remote": "\(remote.networkAddress)", "reason": "\(reason)", "refusals.unlogged": "\(silent)",
      ])
  }
}
