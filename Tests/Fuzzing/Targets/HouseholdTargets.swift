import MantelCore
import MantelHousehold

/// Keys of two members, one that is admitted in the history, and a stranger: made once, for making keys takes long, and the
/// same in each process, so that an input says the same everywhere.
private struct Actors {
  let keys: [DeviceKey]
  let founding: [SignedStatement]
  let household: HouseholdID

  init() throws {
    keys = try (1...5).map { try DeviceKey(scalar: [UInt8](repeating: $0, count: 32)) }
    var statements = try Roster.found(
      name: "home", machineName: "m0", key: keys[0], random: [UInt8](repeating: 9, count: 32),
      now: WallTime(nanoseconds: 0))
    statements.append(
      try Roster(statements).admitting(
        subject: keys[1].machine, publicKey: keys[1].publicKey, name: "m1", replaces: nil, by: keys[0],
        now: WallTime(nanoseconds: 1)))
    statements.append(try Roster(statements).accepting(by: keys[1], now: WallTime(nanoseconds: 2)))
    founding = statements
    household = Roster(statements).household
  }
}

private let actors = Result { try Actors() }

/// Most histories are judged as stored ones, whose signatures were verified before: they cost more than all the rest of a
/// history. One in 1,024, whichever the input's bytes say, is signed, and verified whatever way it comes.
func fuzzRoster(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  if reader.byte() & 3 != 0 {
    let bytes = reader.rest()
    guard let signed = try? SignedStatement(bytes: bytes) else { return }
    try require(signed.bytes == bytes, "a statement has two encodings")
    try require(Roster([signed]).members.count <= 1, "one statement makes two members")
    return
  }
  let actors = try actors.get()
  let chance = input.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } >> 8
  let isSigned = chance & 1_023 == 0
  let statements = try history(&reader, actors, isSigned: isSigned)
  if isSigned {
    try judgeSigned(statements, actors)
  } else {
    let whole = Roster(stored: statements)
    try judge(whole, chance & 7 == 1 ? Roster(stored: statements.reversed()) : whole, actors)
  }
}

/// Up to twelve statements by anybody, about anybody, after anything that stands before them.
private func history(
  _ reader: inout InputReader, _ actors: Actors, isSigned: Bool
) throws -> [SignedStatement] {
  var statements = actors.founding
  for number in 0..<12 where !reader.isAtEnd {
    let signer = actors.keys[reader.below(actors.keys.count)]
    let subject = actors.keys[reader.below(actors.keys.count)]
    let parents = Set((0..<reader.below(4)).map { _ in statements[reader.below(statements.count)].id })
      .sorted()
    let lamports = statements.filter { parents.contains($0.id) }.map(\.statement.lamport)
    // Mostly what it should be.
    let lamport = reader.below(8) == 0 ? UInt64(reader.byte()) : (lamports.max() ?? 0) + 1
    let other = statements[reader.below(statements.count)].id
    let body: RosterStatement.Body =
      switch reader.below(6) {
      case 0: .add(publicKey: subject.publicKey, name: "m\(number)", replaces: nil)
      case 1:
        .add(publicKey: subject.publicKey, name: "n", replaces: actors.keys[reader.below(5)].machine)
      case 2: .accept(other)
      case 3: .remove(subject.machine, head: HeadOrder(epoch: 1, sequence: 1), root: .zero)
      case 4: .countersign(other)
      default: .rename(reader.below(2) == 0 ? .household : .signer, "r\(number)")
      }
    let statement = RosterStatement(
      by: signer.machine, lamport: lamport, date: WallTime(nanoseconds: Int64(number)), parents: parents,
      body: body)
    let signature =
      isSigned
      ? try signer.signature(over: statement.signedBytes(in: actors.household)) : actors.founding[0].signature
    statements.append(SignedStatement(statement: statement, signature: signature))
  }
  return statements
}

/// Whoever knows these statements says the same of the household, however they came.
private func judgeSigned(_ statements: [SignedStatement], _ actors: Actors) throws {
  let whole = Roster(statements, household: actors.household)
  try judge(whole, Roster(statements.reversed(), household: actors.household), actors)
  var grown = Roster(actors.founding)
  _ = grown.merge(statements)
  try require(grown.hash == whole.hash && grown.members == whole.members, "merging matters")
  try require(
    Roster(stored: whole.statements).members == whole.members, "what was stored is judged otherwise")
  // Without its signature a statement says nothing.
  let forged = statements.dropFirst(actors.founding.count).map {
    SignedStatement(statement: $0.statement, signature: actors.founding[0].signature)
  }
  var robbed = Roster(actors.founding)
  try require(robbed.merge(forged).isEmpty, "a statement with another's signature is kept")
}

private func judge(_ whole: Roster, _ reversed: Roster, _ actors: Actors) throws {
  try require(
    whole.statements == reversed.statements && whole.members == reversed.members
      && whole.removed == reversed.removed, "order matters")
  let members = Set(whole.members.map(\.machine))
  try require(members.isDisjoint(with: whole.removed.map(\.machine)), "a removed machine is a member")
  for member in whole.members where member.machine != actors.keys[0].machine {
    let isAccepted = whole.statements.contains {
      if case .accept = $0.statement.body { $0.statement.by == member.machine } else { false }
    }
    try require(isAccepted, "a member that never accepted")
  }
}

func fuzzJoining(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  switch reader.below(3) {
  case 0:
    guard let code = try? InviteCode(parsing: String(decoding: reader.rest(), as: UTF8.self)) else { return }
    try require(try InviteCode(parsing: code.display) == code, "a code is not what it shows")
  case 1:
    let bytes = reader.rest()
    guard let message = try? JoinMessage(bytes: bytes) else { return }
    try require(message.bytes == bytes, "a message has two encodings")
  default: try fuzzMeeting(&reader)
  }
}

/// Both sides of a join hear anything, and the right thing now and then: nobody is admitted without the code.
private func fuzzMeeting(_ reader: inout InputReader) throws {
  let actors = try actors.get()
  let code = InviteCode(random: [UInt8](0..<15))
  let now = Instant(nanoseconds: 1)
  var inviter = JoinInviter(
    invite: Invite(id: [UInt8](repeating: 1, count: 16), code: code, opened: now),
    household: actors.household,
    publicKey: actors.keys[0].publicKey, peerPublicKey: actors.keys[2].publicKey,
    nonce: [UInt8](repeating: 2, count: 32))
  var newcomer = JoinNewcomer(
    code: reader.byte() & 1 == 0 ? code : InviteCode(random: [UInt8](1..<16)),
    publicKey: actors.keys[2].publicKey, inviterPublicKey: actors.keys[0].publicKey, name: "new",
    nonce: [UInt8](repeating: 4, count: 32))
  let offer = try inviter.start(now: now)
  let isHonest = reader.byte() & 1 == 0
  let step = newcomer.receive(isHonest ? offer : reader.run(Int(reader.byte())))
  guard case .send(var proof) = step else { return }
  let place = reader.number()
  let change = reader.byte()
  if change != 0 { proof[Int(place) % proof.count] ^= change }
  guard case .admit(let application) = inviter.receive(proof, now: now) else { return }
  try require(isHonest && change == 0, "a changed proof admits")
  try require(application.machine == actors.keys[2].machine, "somebody else is admitted")
  switch newcomer.receive(reader.rest()) {
  case .failed: break
  default: throw FuzzFailure(description: "a newcomer takes what the inviter has not sent")
  }
}
