package import MantelCore

/// The newcomer's side of one connection to a machine that invites.
///
/// OFFER comes in; PROOF goes out; ACCEPT comes in and is verified whole before anything of it is handed on; after
/// `finish` the FINISH goes out and this machine is a member.
package struct JoinNewcomer: Sendable {
  private enum State {
    case waitingForOffer
    case proved(JoinProof, HouseholdID)
    case joined(Roster)
    case over
  }

  private let code: InviteCode
  private let machine: MachineID
  private let publicKey: [UInt8]
  private let inviterPublicKey: [UInt8]
  private let name: String
  private let replaces: String?
  private let nonce: [UInt8]
  private var state: State = .waitingForOffer

  /// `publicKey` is this machine's, `inviterPublicKey` is from the certificate of this very connection; `nonce` is 32
  /// random bytes of this connection. Names are of 1 to `Limits.nameBytes` bytes.
  package init(
    code: InviteCode, publicKey: [UInt8], inviterPublicKey: [UInt8], name: String,
    replaces: String? = nil, nonce: [UInt8]
  ) {
    precondition(nonce.count == JoinMessage.nonceBytes, "a nonce is 32 bytes")
    precondition(!name.isEmpty && name.utf8.count <= Limits.nameBytes, "a name is 1 to 200 bytes")
    precondition((replaces ?? "").utf8.count <= Limits.nameBytes, "a name is at most 200 bytes")
    self.code = code
    self.machine = MachineKey.machine(of: publicKey)
    self.publicKey = publicKey
    self.inviterPublicKey = inviterPublicKey
    self.name = name
    self.replaces = replaces
    self.nonce = nonce
  }

  /// Takes one message of the inviter.
  package mutating func receive(_ bytes: [UInt8]) -> JoinStep {
    let before = state
    state = .over
    do throws(JoinError) {
      let message = try JoinMessage(bytes: bytes)
      switch (before, message) {
      case (.waitingForOffer, .offer(let household, let invite, let inviterNonce)):
        return prove(household: household, invite: invite, inviterNonce: inviterNonce)
      case (.proved(let proof, let household), .accept(let mac, let body)):
        guard proof.isInviterMAC(mac, body: body) else { throw .tampered }
        return try read(body, household: household)
      case (_, .refuse(let error)):
        return .failed(error)
      default:
        throw .unexpectedMessage
      }
    } catch {
      return .failed(error)
    }
  }

  /// Accepts the admission: the FINISH message to send, and the whole roster to store before it is sent.
  package mutating func finish(
    key: DeviceKey, now: WallTime
  ) throws -> (message: [UInt8], statements: [SignedStatement]) {
    guard case .joined(var roster) = state else { throw JoinError.unexpectedMessage }
    state = .over
    let accept = try roster.accepting(by: key, now: now)
    guard !roster.merge([accept]).isEmpty, roster.isMember(machine) else { throw JoinError.tampered }
    return (JoinMessage.finish(accept).bytes, roster.statements)
  }

  private mutating func prove(
    household: HouseholdID, invite: [UInt8], inviterNonce: [UInt8]
  ) -> JoinStep {
    let proof = JoinProof(
      code: code, household: household, invite: invite, inviterKey: inviterPublicKey,
      newcomerKey: publicKey, inviterNonce: inviterNonce, newcomerNonce: nonce, name: name,
      replaces: replaces)
    state = .proved(proof, household)
    return .send(
      JoinMessage.proof(nonce: nonce, name: name, replaces: replaces, mac: proof.newcomerMAC).bytes)
  }

  /// The MAC says that the inviter knows the code; its roster must still hold together.
  private mutating func read(_ body: [UInt8], household: HouseholdID) throws(JoinError) -> JoinStep {
    let acceptance: JoinAcceptance
    do { acceptance = try JoinAcceptance(bytes: body) } catch { throw .tampered }
    let roster = Roster(acceptance.statements, household: household)
    let inviter = MachineKey.machine(of: inviterPublicKey)
    guard roster.isMember(inviter), roster.mayConnect(machine),
      acceptance.record.record.machine == inviter, roster.verify(acceptance.record)
    else { throw .tampered }
    state = .joined(roster)
    return .joined(
      JoinedHousehold(roster: roster, inviter: inviter, inviterRecord: acceptance.record))
  }
}
