import MantelCore

/// Statements while a graph of them is built: what is found out about each is found out once, however many rounds it takes.
struct JudgedStatements {
  /// Each after its ancestors.
  let all: [SignedStatement]
  /// Those that were kept before, and verified then.
  let kept: Set<StatementID>
  /// Those that the bound on the statements of one signer does not hold up.
  var exempt = Set<StatementID>()
  private let household: HouseholdID
  private var keys: [MachineID: MachineKey]
  private var verdicts: [Bool?]

  /// `keys` are those that were parsed before.
  init(
    _ statements: [SignedStatement], kept: Set<StatementID>, household: HouseholdID,
    keys: [MachineID: MachineKey]
  ) {
    all = statements.sorted(by: SignedStatement.precedes)
    self.kept = kept
    self.household = household
    self.keys = keys
    verdicts = Array(repeating: nil, count: statements.count)
  }

  /// The key, parsed; nil for one that is none. A machine's id is the hash of its key, so an id has one key.
  mutating func key(_ publicKey: [UInt8]) -> MachineKey? {
    let machine = MachineKey.machine(of: publicKey)
    if let known = keys[machine] { return known }
    let key = MachineKey(subjectPublicKeyInfo: publicKey)
    keys[machine] = key
    return key
  }

  /// Precondition: the key is the signer's, which is one for all rounds.
  mutating func isSignatureValid(at place: Int, by key: MachineKey) -> Bool {
    if let known = verdicts[place] { return known }
    let signed = all[place]
    let verdict = key.isValid(signed.signature, over: signed.statement.signedBytes(in: household))
    verdicts[place] = verdict
    return verdict
  }
}
