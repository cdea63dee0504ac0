import Logging
import MantelCore
import MantelHousehold
import MantelReplication
import MantelTransport
import Synchronization

/// The inviter's side of joining: one open invite at a time, and the conversations with those who dial it.
final class Invitations: Sendable {
  private let key: DeviceKey
  private let logger: Logger
  private let state = Mutex(State())

  private struct State {
    var invite: Invite?
    var engine: Engine?
    /// Called when an invite opens or ends, so that discovery advertises it or stops.
    var onChange: (@Sendable () -> Void)?
  }

  init(key: DeviceKey, logger: Logger) {
    self.key = key
    self.logger = logger
  }

  func wire(engine: Engine, onChange: @escaping @Sendable () -> Void) {
    state.withLock {
      $0.engine = engine
      $0.onChange = onChange
    }
  }

  var isOpen: Bool {
    state.withLock { $0.invite?.isOpen(now: AgentClock.instant) ?? false }
  }

  /// Opens a new invite; one that was open is void from now on.
  func open(lifetime: Duration) -> InviteCode {
    let code = InviteCode(random: Greeting.random())
    let invite = Invite(
      id: Greeting.random(), code: code, opened: AgentClock.instant, lifetime: lifetime)
    let onChange = state.withLock {
      $0.invite = invite
      return $0.onChange
    }
    onChange?()
    return code
  }

  func peerOpened() {}

  // MARK: Conversations

  func join(_ connection: JoinConnection) async {
    let invite = state.withLock { $0.invite }
    do {
      guard let invite, let engine = state.withLock({ $0.engine }) else {
        try await connection.send(JoinMessage.refusal(.noInvite))
        return
      }
      try await converse(connection, invite, engine)
    } catch let error as TransportError {
      logger.info(
        "a newcomer's connection ended",
        metadata: ["peer.address": "\(connection.remote)", "error": "\(error.message)"])
    } catch {
      logger.warning("joining failed", metadata: ["error": "\(error)"])
    }
  }

  private func converse(
    _ connection: JoinConnection, _ invite: Invite, _ engine: Engine
  ) async throws {
    let household = await engine.ask { $0.household }
    var inviter = JoinInviter(
      invite: invite, household: household, publicKey: key.publicKey,
      peerPublicKey: connection.peerPublicKey, nonce: Greeting.random() + Greeting.random())
    do {
      try await connection.send(try inviter.start(now: AgentClock.instant))
    } catch let error as JoinError {
      try await connection.send(JoinMessage.refusal(error))
      return
    }
    while true {
      let message = try await connection.receive()
      switch inviter.receive(message, now: AgentClock.instant) {
      case .send(let bytes): try await connection.send(bytes)
      case .admit(let application):
        do {
          try await connection.send(try await admit(application, &inviter, engine))
        } catch let error as JoinError {
          try await connection.send(JoinMessage.refusal(error))
          return
        }
      case .wrongProof:
        logger.notice(
          "somebody tried a wrong invite code", metadata: ["peer.address": "\(connection.remote)"])
        // A guess costs a second; the invite stays open for the one who knows the code.
        try await Task.sleep(for: .seconds(1))
        try await connection.send(JoinMessage.refusal(.wrongCode))
        return
      case .finished(let statement):
        await engine.handle(.rosterReceived(nil, [statement.bytes]))
        return
      case .failed(let error):
        try await connection.send(JoinMessage.refusal(error))
        return
      case .joined:
        return
      }
    }
  }

  private func admit(
    _ application: JoinApplication, _ inviter: inout JoinInviter, _ engine: Engine
  ) async throws -> [UInt8] {
    try burn()
    let key = key
    let (statement, record) = try await engine.ask {
      replicator throws -> (SignedStatement, Signed<MachineRecord>) in
      var replaced: MachineID?
      if let name = application.replaces {
        let named = replicator.roster.machines(named: name)
        guard named.count == 1 else { throw JoinError.unknownReplaced }
        replaced = named.first
      }
      guard let record = replicator.records[replicator.machine] else { throw JoinError.busy }
      do {
        let statement = try replicator.roster.admitting(
          subject: application.machine, publicKey: application.publicKey, name: application.name,
          replaces: replaced, by: key, now: AgentClock.wall)
        return (statement, record)
      } catch RosterError.alreadyMember {
        throw JoinError.alreadyMember
      } catch RosterError.removedKey {
        throw JoinError.removedKey
      } catch RosterError.tooManyMachines {
        throw JoinError.householdFull
      } catch RosterError.tooManyStatements {
        throw JoinError.tooManyStatements
      }
    }
    await engine.handle(.rosterReceived(nil, [statement.bytes]))
    logger.notice(
      "admitted a machine",
      metadata: ["peer.name": "\(application.name)", "peer.id": "\(application.machine.short)"])
    let statements = await engine.ask { $0.roster.statements }
    return try inviter.accept(statements: statements, record: record)
  }

  /// A code is good once.
  private func burn() throws {
    let onChange = try state.withLock { state in
      guard state.invite != nil else { throw JoinError.noInvite }
      try state.invite?.burn(now: AgentClock.instant)
      return state.onChange
    }
    onChange?()
  }
}
