package import MantelCore

/// The inviter's side of one connection on which a newcomer tries to join.
///
/// OFFER goes out; PROOF comes in and is judged; after `accept` the ACCEPT goes out; FINISH comes in. A wrong proof ends
/// this connection and burns nothing.
package struct JoinInviter: Sendable {
  private enum State {
    case idle
    case offered
    case proved(JoinProof, newcomer: MachineID)
    case accepted(Roster, newcomer: MachineID)
    case over
  }

  private let invite: Invite
  private let household: HouseholdID
  private let publicKey: [UInt8]
  private let peerPublicKey: [UInt8]
  private let nonce: [UInt8]
  private var state: State = .idle

  /// `publicKey` is this machine's, `peerPublicKey` is from the certificate of this very connection; `nonce` is 32
  /// random bytes of this connection.
  package init(
    invite: Invite, household: HouseholdID, publicKey: [UInt8], peerPublicKey: [UInt8],
    nonce: [UInt8]
  ) {
    precondition(nonce.count == JoinMessage.nonceBytes, "a nonce is 32 bytes")
    self.invite = invite
    self.household = household
    self.publicKey = publicKey
    self.peerPublicKey = peerPublicKey
    self.nonce = nonce
  }

  /// The first message. Throws when the invite is not open any more; send the refusal of that.
  package mutating func start(now: Instant) throws(JoinError) -> [UInt8] {
    guard case .idle = state else { throw .unexpectedMessage }
    state = .over
    try invite.check(now: now)
    state = .offered
    return JoinMessage.offer(household: household, invite: invite.id, nonce: nonce).bytes
  }

  /// Takes one message of the newcomer.
  package mutating func receive(_ bytes: [UInt8], now: Instant) -> JoinStep {
    let before = state
    state = .over
    do throws(JoinError) {
      let message = try JoinMessage(bytes: bytes)
      switch (before, message) {
      case (.offered, .proof(let nonce, let name, let replaces, let mac)):
        try invite.check(now: now)
        return try judge(nonce: nonce, name: name, replaces: replaces, mac: mac)
      case (.accepted(let roster, let newcomer), .finish(let signed)):
        return try finish(signed, roster: roster, newcomer: newcomer)
      case (_, .refuse(let error)):
        return .failed(error)
      default:
        throw .unexpectedMessage
      }
    } catch {
      return .failed(error)
    }
  }

  /// The ACCEPT message: the roster, with the newcomer admitted by this machine, and this machine's record.
  package mutating func accept(
    statements: [SignedStatement], record: Signed<MachineRecord>
  ) throws(JoinError) -> [UInt8] {
    guard case .proved(let proof, let newcomer) = state else { throw .unexpectedMessage }
    state = .over
    guard statements.count <= Limits.statements else { throw .rosterTooLarge }
    let body = JoinAcceptance(record: record, statements: statements).bytes
    let message = JoinMessage.accept(mac: proof.inviterMAC(body: body), body: body).bytes
    guard message.count <= Limits.acceptFrameBytes else { throw .rosterTooLarge }
    state = .accepted(Roster(statements, household: household), newcomer: newcomer)
    return message
  }

  private mutating func judge(
    nonce newcomerNonce: [UInt8], name: String, replaces: String?, mac: [UInt8]
  ) throws(JoinError) -> JoinStep {
    let proof = JoinProof(
      code: invite.code, household: household, invite: invite.id, inviterKey: publicKey,
      newcomerKey: peerPublicKey, inviterNonce: nonce, newcomerNonce: newcomerNonce, name: name,
      replaces: replaces)
    guard proof.isNewcomerMAC(mac) else { return .wrongProof }
    guard let key = MachineKey(subjectPublicKeyInfo: peerPublicKey), peerPublicKey != publicKey else {
      throw .tampered
    }
    state = .proved(proof, newcomer: key.machine)
    return .admit(
      JoinApplication(
        name: name, machine: key.machine, publicKey: peerPublicKey, replaces: replaces))
  }

  private func finish(
    _ signed: SignedStatement, roster: Roster, newcomer: MachineID
  ) throws(JoinError) -> JoinStep {
    var grown = roster
    guard case .accept = signed.statement.body, signed.statement.by == newcomer,
      grown.merge([signed]).count == 1, grown.isMember(newcomer)
    else { throw .tampered }
    return .finished(signed)
  }
}
