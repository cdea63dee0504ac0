import MantelCore
import Testing

@testable import MantelHousehold

/// One attempt to join, message by message, with the chance to change each.
private struct JoinAttempt {
  enum Leg: CaseIterable { case offer, proof, accept, finish }

  var home: TestHousehold
  var newcomerKey = DeviceKey()
  var code = InviteCode(random: Array(100..<115))
  var typed: InviteCode?
  var replaces: String?
  /// What each side believes the other's key to be; changed by somebody between them.
  var keySeenByInviter: [UInt8]?
  var keySeenByNewcomer: [UInt8]?
  var tamper: (Leg, [UInt8]) -> [UInt8] = { _, bytes in bytes }
  private(set) var log: [Leg: [UInt8]] = [:]

  init() throws { home = try TestHousehold(machines: 2) }

  enum Result: Equatable {
    case wrongProof
    case inviterFailed(JoinError)
    case newcomerFailed(JoinError)
    case joined(members: Set<MachineID>)
  }

  static let opened = Instant(nanoseconds: 1_000)

  mutating func run(now: Instant = opened) throws -> Result {
    var invite = Invite(id: [UInt8](repeating: 4, count: 16), code: code, opened: Self.opened)
    var inviter = JoinInviter(
      invite: invite, household: home.rosters[0].household, publicKey: home.keys[0].publicKey,
      peerPublicKey: keySeenByInviter ?? newcomerKey.publicKey,
      nonce: [UInt8](repeating: 5, count: 32))
    var newcomer = JoinNewcomer(
      code: typed ?? code, publicKey: newcomerKey.publicKey,
      inviterPublicKey: keySeenByNewcomer ?? home.keys[0].publicKey, name: "laptop",
      replaces: replaces, nonce: [UInt8](repeating: 6, count: 32))

    let offer = try inviter.start(now: now)
    let proof: [UInt8]
    switch newcomer.receive(pass(.offer, offer)) {
    case .send(let bytes): proof = bytes
    case .failed(let error): return .newcomerFailed(error)
    default: throw JoinError.unexpectedMessage
    }
    let application: JoinApplication
    switch inviter.receive(pass(.proof, proof), now: now) {
    case .admit(let who): application = who
    case .wrongProof: return .wrongProof
    case .failed(let error): return .inviterFailed(error)
    default: throw JoinError.unexpectedMessage
    }
    try invite.burn(now: now)
    #expect(throws: JoinError.alreadyUsed) { try invite.burn(now: now) }
    var roster = home.rosters[0]
    let add = try roster.admitting(
      subject: application.machine, publicKey: application.publicKey, name: application.name,
      replaces: application.replaces.flatMap { roster.machines(named: $0).first }, by: home.keys[0],
      now: home.now)
    _ = roster.merge([add])
    let accept = try inviter.accept(statements: roster.statements, record: try record(of: 0))
    switch newcomer.receive(pass(.accept, accept)) {
    case .joined(let joined): #expect(joined.inviter == home.id(0))
    case .failed(let error): return .newcomerFailed(error)
    default: throw JoinError.unexpectedMessage
    }
    let end = try newcomer.finish(key: newcomerKey, now: home.now)
    switch inviter.receive(pass(.finish, end.message), now: now) {
    case .finished(let statement): _ = roster.merge([statement])
    case .failed(let error): return .inviterFailed(error)
    default: throw JoinError.unexpectedMessage
    }
    #expect(Roster(end.statements).hash == roster.hash)
    return .joined(members: Set(roster.members.map(\.machine)))
  }

  func record(of index: Int) throws -> Signed<MachineRecord> {
    let record = MachineRecord(
      machine: home.id(index), number: 1, name: "m\(index)", role: .full, program: "mantel",
      addresses: [NetworkAddress(host: "10.0.0.1", port: 62683)], folders: [])
    return try home.keys[index].sign(record, in: home.rosters[index].household)
  }

  private mutating func pass(_ leg: Leg, _ bytes: [UInt8]) -> [UInt8] {
    log[leg] = bytes
    return tamper(leg, bytes)
  }
}

@Suite struct JoinTests {
  @Test func theRightCodeJoins() throws {
    var attempt = try JoinAttempt()
    attempt.replaces = "m1"
    let result = try attempt.run()
    let home = attempt.home
    #expect(result == .joined(members: [home.id(0), home.id(1), attempt.newcomerKey.machine]))
    for (leg, bytes) in attempt.log {
      #expect(bytes.count <= (leg == .accept ? Limits.acceptFrameBytes : Limits.joinFrameBytes))
      let message = try JoinMessage(bytes: bytes)
      #expect(message.bytes == bytes)
      for count in 0..<bytes.count where leg != .accept || count < 34 {
        #expect(throws: JoinError.tampered) { try JoinMessage(bytes: Array(bytes.prefix(count))) }
      }
    }
  }

  @Test func anotherCodeIsAWrongProofAndBurnsNothing() throws {
    var attempt = try JoinAttempt()
    attempt.typed = InviteCode(random: Array(101..<116))
    #expect(try attempt.run() == .wrongProof)
    attempt.typed = nil
    guard case .joined = try attempt.run() else {
      Issue.record("the right code did not join after a wrong one")
      return
    }
  }

  @Test func expiredInvitesTakeNobody() throws {
    var attempt = try JoinAttempt()
    let end = JoinAttempt.opened + Invite.defaultLifetime
    #expect(throws: JoinError.expired) { try attempt.run(now: end) }
    let late = Instant(nanoseconds: end.nanoseconds - 1)
    guard case .joined = try attempt.run(now: late) else {
      Issue.record("an invite ended before its time")
      return
    }
  }

  @Test(arguments: [0, 1, 2, 3])
  func anyFlippedBitEndsIt(legNumber: Int) throws {
    let leg = JoinAttempt.Leg.allCases[legNumber]
    var plain = try JoinAttempt()
    guard case .joined = try plain.run() else {
      Issue.record("cannot join")
      return
    }
    let count = try #require(plain.log[leg]).count
    // Every byte of the short messages; of ACCEPT, which is mostly statements, each seventh.
    for position in stride(from: 0, to: count, by: leg == .accept ? 7 : 1) {
      var attempt = plain
      attempt.tamper = { passing, bytes in
        guard passing == leg, position < bytes.count else { return bytes }
        var changed = bytes
        changed[position] ^= 1 << UInt8(position % 8)
        return changed
      }
      if case .joined = try attempt.run() {
        Issue.record("byte \(position) of \(leg) does not matter")
      }
    }
  }

  @Test func aMachineInTheMiddleGetsNowhere() throws {
    // It has its own key on both legs and passes every message on.
    let middle = DeviceKey()
    for sides in [(true, true), (true, false), (false, true)] {
      var attempt = try JoinAttempt()
      if sides.0 { attempt.keySeenByInviter = middle.publicKey }
      if sides.1 { attempt.keySeenByNewcomer = middle.publicKey }
      #expect(try attempt.run() == .wrongProof)
    }
  }

  @Test func aFalseInviterProvesNothing() throws {
    // It has no code: it answers the proof with the newcomer's own MAC, and with a household of its own making.
    var attempt = try JoinAttempt()
    _ = try attempt.run()
    let proof = try #require(attempt.log[.proof])
    attempt.tamper = { leg, bytes in
      leg == .accept ? [1, 3] + proof.suffix(32) + bytes.dropFirst(34) : bytes
    }
    #expect(try attempt.run() == .newcomerFailed(.tampered))
  }

  @Test func anOldProofDoesNotFitANewOffer() throws {
    var attempt = try JoinAttempt()
    _ = try attempt.run()
    let home = attempt.home
    let proof = try #require(attempt.log[.proof])
    func inviter(nonce: UInt8, invite: UInt8) -> JoinInviter {
      JoinInviter(
        invite: Invite(
          id: [UInt8](repeating: invite, count: 16), code: attempt.code, opened: JoinAttempt.opened),
        household: home.rosters[0].household, publicKey: home.keys[0].publicKey,
        peerPublicKey: attempt.newcomerKey.publicKey, nonce: [UInt8](repeating: nonce, count: 32))
    }
    for (nonce, invite, isRight) in [(5, 4, true), (7, 4, false), (5, 8, false)] {
      var side = inviter(nonce: UInt8(nonce), invite: UInt8(invite))
      _ = try side.start(now: JoinAttempt.opened)
      switch side.receive(proof, now: JoinAttempt.opened) {
      case .admit: #expect(isRight)
      case .wrongProof: #expect(!isRight)
      default: Issue.record("neither admitted nor refused")
      }
      // One attempt a connection.
      guard case .failed(.unexpectedMessage) = side.receive(proof, now: JoinAttempt.opened) else {
        Issue.record("a second proof was looked at")
        return
      }
    }
  }

  @Test func anInviterThatSendsAnIncompleteRosterIsRefused() throws {
    // It knows the code, so its MAC is right, but what it sends does not hold together.
    let base = try JoinAttempt()
    let home = base.home
    let add = try home.rosters[0].admitting(
      subject: base.newcomerKey.machine, publicKey: base.newcomerKey.publicKey, name: "laptop",
      replaces: nil, by: home.keys[0], now: home.now)
    let whole = home.rosters[0].statements + [add]
    let cases: [([SignedStatement], Int, Bool)] = [
      (whole, 0, true), (whole, 1, false), (Array(whole.dropLast()), 0, false),
      (Array(whole.dropFirst()), 0, false), (whole.filter { $0.id != whole[1].id }, 0, false),
      ([], 0, false),
    ]
    for (statements, signer, isGood) in cases {
      var inviter = JoinInviter(
        invite: Invite(id: [UInt8](repeating: 4, count: 16), code: base.code, opened: JoinAttempt.opened),
        household: home.rosters[0].household, publicKey: home.keys[0].publicKey,
        peerPublicKey: base.newcomerKey.publicKey, nonce: [UInt8](repeating: 5, count: 32))
      var newcomer = JoinNewcomer(
        code: base.code, publicKey: base.newcomerKey.publicKey,
        inviterPublicKey: home.keys[0].publicKey, name: "laptop", nonce: [UInt8](repeating: 6, count: 32))
      guard case .send(let proof) = newcomer.receive(try inviter.start(now: JoinAttempt.opened)),
        case .admit = inviter.receive(proof, now: JoinAttempt.opened)
      else {
        Issue.record("not admitted")
        return
      }
      let accept = try inviter.accept(statements: statements, record: try base.record(of: signer))
      switch newcomer.receive(accept) {
      case .joined: #expect(isGood)
      case .failed(let error): #expect(!isGood && error == .tampered)
      default: Issue.record("neither joined nor failed")
      }
    }
  }

  @Test(arguments: JoinError.allCases)
  func refusalsArrive(_ error: JoinError) throws {
    let attempt = try JoinAttempt()
    var newcomer = JoinNewcomer(
      code: attempt.code, publicKey: attempt.newcomerKey.publicKey,
      inviterPublicKey: attempt.home.keys[0].publicKey, name: "laptop",
      nonce: [UInt8](repeating: 6, count: 32))
    guard case .failed(error) = newcomer.receive(JoinMessage.refusal(error)) else {
      Issue.record("\(error) did not arrive")
      return
    }
  }

  @Test func otherVersionsAndLongMessagesAreNamed() throws {
    #expect(throws: JoinError.notInviteVersion) { try JoinMessage(bytes: [2, 1]) }
    #expect(throws: JoinError.tampered) { try JoinMessage(bytes: []) }
    #expect(throws: JoinError.unexpectedMessage) {
      try JoinMessage(bytes: [1, 2] + [UInt8](repeating: 0, count: Limits.joinFrameBytes))
    }
    #expect(throws: JoinError.unexpectedMessage) {
      try JoinMessage(bytes: [1, 3] + [UInt8](repeating: 0, count: Limits.acceptFrameBytes))
    }
  }
}
