import Logging
import MantelControl
import MantelCore
import MantelHousehold
import MantelTransport
import Synchronization

/// The inviter's side of joining: one open invite at a time, and the conversations with those who dial it.
final class Invitations: Sendable {
  private let key: DeviceKey
  private let logger: Logger
  private let now: @Sendable () -> Instant
  private let wrongProofCost: Duration
  private let state = Mutex(State())

  private struct State {
    var invite = CurrentInvite()
    var household: (any InvitingHousehold)?
    /// Called when an invite opens or ends, so that discovery advertises it or stops.
    var onChange: (@Sendable () -> Void)?
    var isStopping = false
  }

  init(
    key: DeviceKey, logger: Logger, now: @escaping @Sendable () -> Instant = { AgentClock.instant },
    wrongProofCost: Duration = JoinPatience.wrongProof
  ) {
    self.key = key
    self.logger = logger
    self.now = now
    self.wrongProofCost = wrongProofCost
  }

  func wire(household: any InvitingHousehold, onChange: @escaping @Sendable () -> Void) {
    state.withLock {
      $0.household = household
      $0.onChange = onChange
    }
  }

  /// Whether somebody can join.
  var isOpen: Bool { state.withLock { $0.invite.isOpen(now: now()) } }
  /// Whether newcomers get an answer, be it that the invite is over.
  var answersNewcomers: Bool { state.withLock { $0.invite.isAnswered(now: now()) } }

  /// Opens a new invite; one that was open is void from now on.
  func open(lifetime: Duration) -> InviteCode {
    let code = InviteCode(random: Greeting.random())
    let invite = Invite(id: Greeting.random(), code: code, opened: now(), lifetime: lifetime)
    let onChange = state.withLock {
      $0.invite.open(invite)
      return $0.onChange
    }
    onChange?()
    return code
  }

  /// The agent is about to end: connections that end from now on say nothing about their newcomers.
  func stop() { state.withLock { $0.isStopping = true } }

  // MARK: Conversations

  func join(_ pipe: any JoinPipe) async {
    do {
      guard let household = state.withLock({ $0.household }) else { throw JoinError.busy }
      try await converse(pipe, household)
    } catch let error as JoinError {
      await refuse(pipe, error)
    } catch let error as TransportError {
      logger.info(
        "a newcomer's connection ended",
        metadata: ["peer.address": "\(pipe.remote)", "error": "\(error.message)"])
    } catch {
      logger.warning("joining failed", metadata: ["error": "\(error)"])
    }
  }

  private func refuse(_ pipe: any JoinPipe, _ error: JoinError) async {
    do { try await pipe.send(JoinMessage.refusal(error)) } catch {
      logger.debug("a refusal was not sent", metadata: ["error": "\(error.message)"])
    }
  }

  private func converse(_ pipe: any JoinPipe, _ household: any InvitingHousehold) async throws {
    let now = now
    let invite = try state.withLock { state throws(JoinError) in try state.invite.offer(now: now()) }
    var inviter = JoinInviter(
      invite: invite, household: await household.identity(), publicKey: key.publicKey,
      peerPublicKey: pipe.peerPublicKey, nonce: Greeting.random() + Greeting.random())
    try await pipe.send(try inviter.start(now: now()))
    let proof = try await pipe.receive(maximumBytes: Limits.joinFrameBytes, timeout: JoinPatience.proof)
    switch inviter.receive(proof, now: now()) {
    case .admit(let application):
      pipe.proved()
      try await admit(application, to: invite, &inviter, pipe, household)
    case .wrongProof:
      logger.notice(
        "somebody tried a wrong invite code", metadata: ["peer.address": "\(pipe.remote)"])
      // The invite stays open for the one who knows the code.
      try await Task.sleep(for: wrongProofCost)
      throw JoinError.wrongCode
    case .failed(let error): throw error
    case .send, .joined, .finished: throw JoinError.unexpectedMessage
    }
  }

  /// The code is spent, and the admission merged, only when nothing is left that could refuse it.
  private func admit(
    _ application: JoinApplication, to invite: Invite, _ inviter: inout JoinInviter,
    _ pipe: any JoinPipe, _ household: any InvitingHousehold
  ) async throws {
    let (statement, record) = try await household.admission(of: application, by: key)
    let onChange = try state.withLock { state throws(JoinError) in
      try state.invite.burn(invite.id, now: now())
      return state.onChange
    }
    onChange?()
    guard await household.learn(statement) else { throw JoinError.tooManyStatements }
    let who: Logger.Metadata = [
      "peer.name": "\(Printable.text(application.name))", "peer.id": "\(application.machine.short)",
    ]
    logger.notice("admitted a machine", metadata: who)
    do {
      try await pipe.send(
        try inviter.accept(statements: await household.statements(), record: record))
      try await finish(&inviter, pipe, household)
    } catch let error as TransportError where error.code == .timeout {
      // Its acceptance may be on its way with a connection that hangs: it brings it along when it dials a member.
      logger.notice("a machine that was admitted has not answered; `mantel peers` lists it", metadata: who)
    } catch {
      try await turnAway(application.machine, household)
      throw error
    }
  }

  private func finish(
    _ inviter: inout JoinInviter, _ pipe: any JoinPipe, _ household: any InvitingHousehold
  ) async throws {
    let message = try await pipe.receive(
      maximumBytes: Limits.joinFrameBytes, timeout: JoinPatience.decision)
    switch inviter.receive(message, now: now()) {
    case .finished(let accept):
      guard await household.learn(accept) else { throw JoinError.tampered }
      await retireReplaced(by: accept.statement.by, household)
    case .failed(let error): throw error
    case .send, .admit, .wrongProof, .joined: throw JoinError.unexpectedMessage
    }
  }

  /// Who takes the place of a machine ends its membership: its key may be in anybody's hands. The newcomer is a member
  /// whatever becomes of this; `peers remove` does it too.
  private func retireReplaced(by newcomer: MachineID, _ household: any InvitingHousehold) async {
    do {
      guard let removal = try await household.retiringReplaced(by: newcomer, by: key) else { return }
      guard await household.learn(removal) else { throw JoinError.tooManyStatements }
      logger.notice("removed the machine that was replaced", metadata: ["peer.id": "\(newcomer.short)"])
    } catch {
      logger.error(
        "the machine that was replaced could not be removed: use `mantel peers remove`",
        metadata: ["error": "\(error)"])
    }
  }

  /// A newcomer stores the household before it sends FINISH, and tells of it on the same connection: one that ends without
  /// has stored nothing.
  private func turnAway(_ machine: MachineID, _ household: any InvitingHousehold) async throws {
    guard !state.withLock({ $0.isStopping }),
      let removal = try await household.turningAway(machine, by: key)
    else { return }
    _ = await household.learn(removal)
    logger.notice("took an admission back that was not accepted", metadata: ["peer.id": "\(machine.short)"])
  }
}
