import MantelCore

/// The statements of one household that are worth keeping, with the causal past of each.
///
/// What is kept depends on a statement's own past alone, never on what came later: a valid signature by a machine that
/// was admitted in that past. So kept statements stay kept, and the order of arrival does not matter, with one
/// exception that only a flooding member meets: what is kept already comes before what is new when
/// `Limits.statementsPerSigner` is reached.
struct RosterGraph: Sendable {
  struct Node: Sendable {
    let signed: SignedStatement
    /// Indices of all ancestors.
    let past: BitSet
    /// The statement that gave the signer the right to this one: for an accept the add that it names, else the signer's
    /// newest accept in the past; nil for the founder.
    let support: Int?

    var statement: RosterStatement { signed.statement }
    var by: MachineID { signed.statement.by }
  }

  /// Every node stands after its ancestors.
  private(set) var nodes: [Node] = []
  private(set) var index: [StatementID: Int] = [:]
  /// Keys of all machines that were ever named in an addition or the genesis.
  private(set) var keys: [MachineID: MachineKey] = [:]
  /// By the machine that is admitted, accepts, or is removed.
  private(set) var adds: [MachineID: [Int]] = [:]
  private(set) var accepts: [MachineID: [Int]] = [:]
  private(set) var removals: [Int] = []

  /// Statements other than removals and votes; the rest of `Limits.statements` stays free for those.
  static let ordinaryStatements = Limits.statements * 3 / 4
  /// Removals and votes of one signer: enough to remove, and to vote on the removal of, each machine twice.
  static let removalStatementsPerSigner = 4 * Limits.machines

  /// The lamport of a removal whose parents are missing cannot be checked: a made-up one must leave room for what
  /// others state after it, below `RosterStatement.maximumLamport`.
  static let incompleteLamport: UInt64 = 1 << 32

  private var ordinaryCount = 0
  private var removalCount = 0
  private var ordinaryBySigner: [MachineID: Int] = [:]
  private var removalBySigner: [MachineID: Int] = [:]

  init() {}

  /// Takes what is valid and within the bounds out of `kept` (verified before, in full) and `new`; `keys` are
  /// those that an earlier graph has parsed.
  init(
    household: HouseholdID?, kept: [SignedStatement], new: [SignedStatement],
    keys: [MachineID: MachineKey] = [:]
  ) {
    self.keys = keys
    let geneses = (kept + new).filter { Self.isGenesis($0, of: household) }
    guard let genesis = geneses.min(by: SignedStatement.precedes) else { return }
    let keptIDs = Set(kept.map(\.id))
    let all = (kept + new.filter { !keptIDs.contains($0.id) }).sorted(by: SignedStatement.precedes)
    readKeys(of: all, founder: genesis)
    for signed in kept { countIn(signed.statement) }
    let exempt = exemptions(all, verified: keptIDs, household: HouseholdID(genesis.id.digest))
    for signed in all where index[signed.id] == nil {
      let isKept = keptIDs.contains(signed.id)
      guard let node = node(for: signed, genesis: genesis.id, bound: all.count) else { continue }
      if !isKept {
        guard isWithinBounds(signed.statement, isExempt: exempt.contains(signed.id)),
          isSignatureValid(signed, household: HouseholdID(genesis.id.digest))
        else { continue }
        countIn(signed.statement)
      }
      append(node)
    }
  }

  var genesis: Node? { nodes.first }

  /// Whether the removal `removal` takes away the ground of statement `index`: the subject made it, or a statement that
  /// admits its signer, outside of the removal's past.
  func removal(_ removal: Int, voids index: Int) -> Bool {
    guard removal != index else { return false }
    let subject = nodes[removal].statement.subject
    var current: Int? = index
    while let statement = current {
      if nodes[statement].by == subject, !nodes[removal].past.contains(statement) { return true }
      current = nodes[statement].support
    }
    return false
  }

  /// Statements that no other has among its ancestors, oldest first.
  var tips: [Int] {
    var hasChild = Set<StatementID>()
    for node in nodes { hasChild.formUnion(node.statement.parents) }
    return nodes.indices.filter { !hasChild.contains(nodes[$0].signed.id) }
  }

  func ordinaryStatements(of signer: MachineID) -> Int { ordinaryBySigner[signer] ?? 0 }
}

extension RosterGraph {
  private static func isGenesis(_ signed: SignedStatement, of household: HouseholdID?) -> Bool {
    guard case .genesis(_, _, _, let publicKey) = signed.statement.body,
      household == nil || household?.digest == signed.id.digest,
      let key = MachineKey(subjectPublicKeyInfo: publicKey), key.machine == signed.statement.by
    else { return false }
    return key.isValid(
      signed.signature,
      over: signed.statement.signedBytes(in: HouseholdID(signed.id.digest)))
  }

  /// A machine's id is the hash of its key, so whoever names a key, names the right one.
  private mutating func readKeys(of statements: [SignedStatement], founder: SignedStatement) {
    for signed in statements {
      let publicKey: [UInt8]
      switch signed.statement.body {
      case .add(let key, _, _): publicKey = key
      case .genesis(_, _, _, let key) where signed.id == founder.id: publicKey = key
      default: continue
      }
      guard let subject = signed.statement.subject, keys[subject] == nil else { continue }
      keys[subject] = MachineKey(subjectPublicKeyInfo: publicKey)
    }
  }

  private func isSignatureValid(_ signed: SignedStatement, household: HouseholdID) -> Bool {
    keys[signed.statement.by]?.isValid(
      signed.signature, over: signed.statement.signedBytes(in: household)) ?? false
  }

  /// Statements of a machine that a removal of it has among its ancestors: they decide what the removal voids, so they
  /// are kept whatever else that machine made up.
  private func exemptions(
    _ statements: [SignedStatement], verified: Set<StatementID>, household: HouseholdID
  ) -> Set<StatementID> {
    let byID = Dictionary(statements.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var exempt = Set<StatementID>()
    for signed in statements {
      guard case .remove(let subject, _, _) = signed.statement.body,
        verified.contains(signed.id) || isSignatureValid(signed, household: household)
      else { continue }
      var seen = Set<StatementID>()
      var open = signed.statement.parents
      while let next = open.popLast() {
        guard seen.insert(next).inserted, let ancestor = byID[next] else { continue }
        if ancestor.statement.by == subject { exempt.insert(next) }
        open += ancestor.statement.parents
      }
    }
    return exempt
  }

  private func isWithinBounds(_ statement: RosterStatement, isExempt: Bool) -> Bool {
    if statement.isAboutRemoval {
      return ordinaryCount + removalCount < Limits.statements
        && removalBySigner[statement.by, default: 0] < Self.removalStatementsPerSigner
    }
    return ordinaryCount < Self.ordinaryStatements
      && (isExempt || ordinaryBySigner[statement.by, default: 0] < Limits.statementsPerSigner)
  }

  private mutating func countIn(_ statement: RosterStatement) {
    if statement.isAboutRemoval {
      removalBySigner[statement.by, default: 0] += 1
      removalCount += 1
    } else {
      ordinaryBySigner[statement.by, default: 0] += 1
      ordinaryCount += 1
    }
  }

  /// The node of a statement if all it builds on is there; nil if not, or if it contradicts its own past.
  private func node(for signed: SignedStatement, genesis: StatementID, bound: Int) -> Node? {
    let statement = signed.statement
    if case .genesis = statement.body {
      guard signed.id == genesis else { return nil }
      return Node(signed: signed, past: BitSet(bound: bound), support: nil)
    }
    guard nodes.first?.signed.id == genesis, keys[statement.by] != nil else { return nil }
    let parents = statement.parents.compactMap { index[$0] }
    let newest = parents.map { nodes[$0].statement.lamport }.max() ?? 0
    let isComplete = parents.count == statement.parents.count
    // A removal works even where something is missing that it builds on; it must not be held up by anything.
    if case .remove = statement.body {
      guard statement.lamport > newest, isComplete || statement.lamport <= Self.incompleteLamport else {
        return nil
      }
    } else {
      guard isComplete else { return nil }
    }
    guard !isComplete || statement.lamport == newest + 1 else { return nil }
    var past = BitSet(bound: bound)
    for parent in parents {
      past.formUnion(nodes[parent].past)
      past.insert(parent)
    }
    switch support(of: statement, past: past, isComplete: isComplete) {
    case .none: return nil
    case .founder: return Node(signed: signed, past: past, support: nil)
    case .statement(let support): return Node(signed: signed, past: past, support: support)
    }
  }

  private enum Support { case none, founder, statement(Int) }

  /// What admits the signer in its own past, and whether the statement refers to what is there.
  private func support(of statement: RosterStatement, past: BitSet, isComplete: Bool) -> Support {
    switch statement.body {
    case .genesis: return .none
    case .accept(let id):
      guard let add = index[id], past.contains(add), nodes[add].statement.subject == statement.by,
        case .add = nodes[add].statement.body
      else { return .none }
      return .statement(add)
    case .countersign(let id):
      guard let removal = index[id], past.contains(removal),
        case .remove = nodes[removal].statement.body
      else { return .none }
    case .remove(let subject, _, _):
      guard keys[subject] != nil, subject == nodes[0].by || adds[subject] != nil else { return .none }
    case .add(let publicKey, _, _):
      guard let subject = statement.subject, keys[subject]?.bytes == publicKey else { return .none }
    case .rename: break
    }
    if statement.by == nodes[0].by { return .founder }
    let own = accepts[statement.by] ?? []
    guard let accept = own.last(where: { past.contains($0) || !isComplete }) else { return .none }
    return .statement(accept)
  }

  private mutating func append(_ node: Node) {
    let position = nodes.count
    switch node.statement.body {
    case .add: if let subject = node.statement.subject { adds[subject, default: []].append(position) }
    case .accept: accepts[node.by, default: []].append(position)
    case .remove: removals.append(position)
    case .genesis, .countersign, .rename: break
    }
    index[node.signed.id] = position
    nodes.append(node)
  }
}
