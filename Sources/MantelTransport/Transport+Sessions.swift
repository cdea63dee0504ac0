import Logging
import MantelCore
import MantelHousehold
import MantelSession
import MantelWire
import NIOCore
import NIOPosix
import Synchronization

extension Transport {
  /// The whole life of one session. Events end before the environment hears that the session has ended, and only then
  /// a successor of the same machine is shown.
  func runSession(_ link: SessionLink) async {
    let channel = link.connection.channel
    let started = await environment.configuration(
      for: link.peer, isDialer: link.connection.isDialer, session: link.id)
    guard let configuration = started else {
      channel.close(promise: nil)
      link.dial?.complete(.failure(TransportError(.notMember(link.peer), "not a member any more")))
      state.withLock { $0.links[link.id] = nil }
      return
    }
    let nonce = configuration.hello.nonce
    await withDiscardingTaskGroup { group in
      group.addTask { [environment] in
        await link.delivery.run(to: environment, of: link.id) { link.connection.mailbox.nudge() }
      }
      var loop = SessionLoop(
        link: link, configuration: configuration, queries: queries, limits: limits,
        clock: self.configuration.now
      ) { link, event in self.observe(event, of: link, nonce: nonce) }
      await loop.run()
      queries.sessionEnded(link)
      link.delivery.finish()
    }
    await withCheckedContinuation { continuation in
      channel.closeFuture.whenComplete { _ in continuation.resume() }
    }
    await environment.ended(link.id, peer: link.peer)
    let actions = state.withLock { state in
      state.links[link.id] = nil
      return state.registry.ended(link.id)
    }
    endRoundTrips(of: link.id, with: nil)
    perform(actions)
    link.dial?.complete(.failure(TransportError(.connectionClosed, "the connection was closed")))
  }

  /// Sees each event of a session before the environment does, for what it means to other connections and to a dial.
  private func observe(_ event: SessionEvent, of link: SessionLink, nonce: [UInt8]) {
    switch event {
    case .opened(let hello, _, _):
      let isDialer = link.connection.isDialer
      let candidate = ConnectionRegistry.Candidate(
        session: link.id, peer: link.peer, isDialer: isDialer,
        diallerNonce: isDialer ? nonce : hello.nonce, instance: hello.instance)
      perform(state.withLock { $0.registry.opened(candidate) })
    case .roundTrip(let elapsed):
      endRoundTrips(of: link.id, with: elapsed)
      perform(state.withLock { $0.registry.proved(link.id) })
    case .closing(let code, let message, _):
      tell(link, code, message)
      // The session closes the connection itself, once its CLOSE is out.
      link.dial?.ended(failure(of: link, code: code, message: message))
    default: break
    }
  }

  /// An end that only a fault of one side can bring about is told, though seldom: the two try again at once.
  private func tell(_ link: SessionLink, _ code: CloseCode, _ message: String) {
    let isFault =
      switch code {
      case .protocolError, .overLimit, .incompatibleVersion, .otherHousehold: true
      case .normal, .notMember, .duplicate, .shuttingDown, .timeout, .clone: false
      }
    let now = configuration.now()
    let isTold = isFault && state.withLock { $0.breaks.admit(link.peer, now: now) } != nil
    logger.log(
      level: isTold ? .warning : .debug, "session closing",
      metadata: [
        "session": "\(link.id)", "peer.id": "\(link.peer.short)", "code": "\(code)", "reason": "\(message)",
      ])
  }

  /// What a session that closed before it was shown means to the task that dialled.
  private func failure(of link: SessionLink, code: CloseCode, message: String) -> TransportError {
    switch code {
    case .duplicate where link.peer == configuration.key.machine:
      TransportError(.isSelf, "this machine dialled itself")
    case .duplicate: TransportError(.duplicate(link.peer), "another connection to this machine is kept")
    // In TLS 1.3 a server can only refuse a client's certificate after the client was done.
    case .normal: TransportError(.refused, "the other side closed the connection")
    default: TransportError(.closed(code), "the session was closed: \(message)")
    }
  }

  func perform(_ actions: [ConnectionRegistry.Action]) {
    for action in actions {
      switch action {
      case .release(let session):
        guard let link = link(session) else { continue }
        link.delivery.release()
        link.dial?.complete(.success(session))
      case .probe(let session): link(session)?.send(.ping)
      case .close(let session, let code): link(session)?.close(code, closeMessage(code))
      case .await(let machine, let contest):
        configuration.group.next().scheduleTask(in: .nanoseconds(limits.probe.inNanoseconds)) {
          self.perform(self.state.withLock { $0.registry.contestExpired(machine, contest: contest) })
        }
      }
    }
  }

  private func link(_ session: SessionID) -> SessionLink? { state.withLock { $0.links[session] } }

  private func closeMessage(_ code: CloseCode) -> String {
    switch code {
    case .duplicate: "another connection is kept"
    case .clone: "two instances of one machine"
    case .timeout: "another connection works, this one does not answer"
    case .overLimit: "too many connections"
    default: ""
    }
  }
}
