import Crypto
package import MantelCore

/// Why joining ended without success. The raw value is its code in a REFUSE message.
package enum JoinError: UInt8, Error, Sendable, CaseIterable {
  /// The code is not this invite's; or somebody stands between the two machines.
  case wrongCode = 1
  /// The invite's time is over.
  case expired = 2
  /// Somebody joined with this code already.
  case alreadyUsed = 3
  /// The other machine has no open invite.
  case noInvite = 4
  /// The other side speaks another version of joining.
  case notInviteVersion = 5
  /// A message is not what its author sent: it proves nothing, or says what it must not.
  case tampered = 6
  /// The newcomer is a member of this household already.
  case alreadyMember = 7
  /// The newcomer's key was removed from this household: it needs a new one (`rekey`).
  case removedKey = 8
  /// No machine, or more than one, has the name that the newcomer wants to replace.
  case unknownReplaced = 9
  /// The household has as many machines as it may.
  case householdFull = 10
  /// The inviter has made as many statements as it may; another machine can invite.
  case tooManyStatements = 11
  /// The roster does not fit the message that carries it.
  case rosterTooLarge = 12
  /// The inviter's user, or its agent for want of anything better, said no.
  case declined = 13
  /// Too much is going on; try again.
  case busy = 14
  /// A message that does not belong here, or that is longer than it may be.
  case unexpectedMessage = 15
  /// The machine that is to be replaced is the inviter, or connected to it: it lives.
  case replacedIsAlive = 16
}

/// What a join state machine wants to be done next.
package enum JoinStep: Sendable {
  case send([UInt8])
  /// Inviter: the newcomer proved the code. Make its admission, burn the invite, merge the admission, call `accept`.
  case admit(JoinApplication)
  /// Inviter: wait a second, send `JoinMessage.refusal(.wrongCode)`, close. The invite stays open.
  case wrongProof
  /// Newcomer: the household is proved. Show it to the user, then call `finish`; nothing was stored so far.
  case joined(JoinedHousehold)
  /// Inviter: the newcomer accepted; merge the statement, the connection is done.
  case finished(SignedStatement)
  /// Over. An inviter sends `JoinMessage.refusal` of it; both close.
  case failed(JoinError)
}

/// Who wants to join.
package struct JoinApplication: Hashable, Sendable {
  package var name: String
  package var machine: MachineID
  package var publicKey: [UInt8]
  /// Name of the machine that it stands in for.
  package var replaces: String?
}

/// What a newcomer joins.
package struct JoinedHousehold: Sendable {
  package var roster: Roster
  package var inviter: MachineID
  /// How to reach the inviter.
  package var inviterRecord: Signed<MachineRecord>

  package var statements: [SignedStatement] { roster.statements }
}

/// The messages of `mantel-join/1`. Each starts with version u8 = 1 and kind u8; what follows, by kind:
///   1 OFFER: household 32 | invite 16 | nonce 32
///   2 PROOF: nonce 32 | name u16+UTF-8 | replaced name u16+UTF-8, empty for none | MAC 32
///   3 ACCEPT: MAC 32 | record u32+bytes | statement count u16, each u16+bytes
///   4 FINISH: statement u16+bytes
///   5 REFUSE: code u8
package enum JoinMessage: Hashable, Sendable {
  case offer(household: HouseholdID, invite: [UInt8], nonce: [UInt8])
  case proof(nonce: [UInt8], name: String, replaces: String?, mac: [UInt8])
  case accept(mac: [UInt8], body: [UInt8])
  case finish(SignedStatement)
  case refuse(JoinError)

  package static let version: UInt8 = 1
  package static let nonceBytes = 32
  static let macBytes = 32

  /// The message that tells a newcomer why it ends.
  package static func refusal(_ error: JoinError) -> [UInt8] { JoinMessage.refuse(error).bytes }

  package var bytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.write(Self.version)
    switch self {
    case .offer(let household, let invite, let nonce):
      writer.write(UInt8(1))
      writer.write(household)
      writer.write(fixed: invite)
      writer.write(fixed: nonce)
    case .proof(let nonce, let name, let replaces, let mac):
      writer.write(UInt8(2))
      writer.write(fixed: nonce)
      writer.write(text: name)
      writer.write(text: replaces ?? "")
      writer.write(fixed: mac)
    case .accept(let mac, let body):
      writer.write(UInt8(3))
      writer.write(fixed: mac)
      writer.write(fixed: body)
    case .finish(let signed):
      writer.write(UInt8(4))
      writer.write(lengthPrefixed: signed.bytes)
    case .refuse(let error):
      writer.write(UInt8(5))
      writer.write(error.rawValue)
    }
    return writer.bytes
  }

  /// Refuses anything over its limit: `Limits.acceptFrameBytes` for ACCEPT, `Limits.joinFrameBytes` for the rest.
  package init(bytes: [UInt8]) throws(JoinError) {
    guard let version = bytes.first else { throw .tampered }
    guard version == Self.version else { throw .notInviteVersion }
    guard bytes.count > 1 else { throw .tampered }
    let limit = bytes[1] == 3 ? Limits.acceptFrameBytes : Limits.joinFrameBytes
    guard bytes.count <= limit else { throw .unexpectedMessage }
    do {
      var reader = CanonicalReader(Array(bytes.dropFirst(2)))
      self = try Self.read(kind: bytes[1], from: &reader)
      try reader.finish()
    } catch {
      throw .tampered
    }
  }

  private static func read(
    kind: UInt8, from reader: inout CanonicalReader
  ) throws(RecordError) -> JoinMessage {
    switch kind {
    case 1:
      return .offer(
        household: try reader.readIdentifier(), invite: try reader.readFixed(Invite.idBytes),
        nonce: try reader.readFixed(nonceBytes))
    case 2:
      let nonce = try reader.readFixed(nonceBytes)
      let name = try reader.readText(limit: Limits.nameBytes, field: "name")
      guard !name.isEmpty else { throw .invalid(field: "name") }
      let replaces = try reader.readText(limit: Limits.nameBytes, field: "replaced name")
      return .proof(
        nonce: nonce, name: name, replaces: replaces.isEmpty ? nil : replaces,
        mac: try reader.readFixed(macBytes))
    case 3:
      let mac = try reader.readFixed(macBytes)
      return .accept(mac: mac, body: try reader.readFixed(reader.remaining))
    case 4:
      return .finish(
        try SignedStatement(
          bytes: try reader.readLengthPrefixed(limit: Limits.statementBytes, field: "statement")))
    case 5:
      guard let error = JoinError(rawValue: try reader.readInteger()) else {
        throw .invalid(field: "code")
      }
      return .refuse(error)
    default: throw .invalid(field: "kind")
    }
  }
}

/// The body of an ACCEPT message: who invites, and the roster with the newcomer in it.
struct JoinAcceptance {
  var record: Signed<MachineRecord>
  var statements: [SignedStatement]

  var bytes: [UInt8] {
    var writer = CanonicalWriter()
    let recordBytes = record.bytes
    writer.write(UInt32(recordBytes.count))
    writer.write(fixed: recordBytes)
    writer.write(UInt16(statements.count))
    writer.write(statements)
    return writer.bytes
  }

  init(record: Signed<MachineRecord>, statements: [SignedStatement]) {
    self.record = record
    self.statements = statements
  }

  init(bytes: [UInt8]) throws(RecordError) {
    var reader = CanonicalReader(bytes)
    let recordBytes = try reader.readInteger(UInt32.self)
    guard recordBytes <= Signed<MachineRecord>.maximumBytes else { throw .overLimit(field: "record") }
    record = try Signed(bytes: try reader.readFixed(Int(recordBytes)))
    statements = try reader.readStatements(Int(try reader.readInteger(UInt16.self)))
    try reader.finish()
  }
}

/// The secrets of one attempt to join: MACs over both keys, so that they cannot be carried to another connection.
struct JoinProof {
  private let key: SymmetricKey
  private let transcript: [UInt8]

  init(
    code: InviteCode, household: HouseholdID, invite: [UInt8], inviterKey: [UInt8],
    newcomerKey: [UInt8], inviterNonce: [UInt8], newcomerNonce: [UInt8], name: String,
    replaces: String?
  ) {
    key = HKDF<SHA256>.deriveKey(
      inputKeyMaterial: SymmetricKey(data: code.secret), salt: invite,
      info: Array("mantel join 1 key".utf8), outputByteCount: 32)
    var writer = CanonicalWriter()
    writer.write(fixed: Array("mantel join 1".utf8) + [0])
    writer.write(household)
    writer.write(fixed: invite)
    writer.write(fixed: inviterKey)
    writer.write(fixed: newcomerKey)
    writer.write(fixed: inviterNonce)
    writer.write(fixed: newcomerNonce)
    writer.write(text: name)
    writer.write(text: replaces ?? "")
    transcript = Digest256(hashing: writer.bytes).bytes
  }

  var newcomerMAC: [UInt8] { mac(over: newcomerInput) }

  func isNewcomerMAC(_ mac: [UInt8]) -> Bool { isMAC(mac, over: newcomerInput) }

  func inviterMAC(body: [UInt8]) -> [UInt8] { mac(over: inviterInput(body)) }

  func isInviterMAC(_ mac: [UInt8], body: [UInt8]) -> Bool { isMAC(mac, over: inviterInput(body)) }

  private var newcomerInput: [UInt8] { Array("J".utf8) + transcript }

  private func inviterInput(_ body: [UInt8]) -> [UInt8] {
    Array("I".utf8) + transcript + Digest256(hashing: body).bytes
  }

  private func mac(over input: [UInt8]) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: input, using: key))
  }

  /// Takes the same time whatever is wrong.
  private func isMAC(_ mac: [UInt8], over input: [UInt8]) -> Bool {
    HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: input, using: key)
  }
}
