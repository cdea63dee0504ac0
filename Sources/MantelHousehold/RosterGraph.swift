import MantelCore

/// The statements of one household that are worth keeping, with the causal past of each.
///
/// What is kept depends on what stands before a statement alone, never on what came later: a valid signature by a machine
/// that was admitted in its past. So kept statements stay kept, and the order of arrival does not matter, with one
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
  /// Keys of the machines that the genesis or a kept addition admits: a statement that is not kept gives nobody a key.
  private(set) var keys: [MachineID: MachineKey] = [:]
  /// By the machine that is admitted, accepts, or is removed.
  private(set) var adds: [MachineID: [Int]] = [:]
  private(set) var accepts: [MachineID: [Int]] = [:]
  private(set) var removals: [Int] = []

  /// Statements other than removals and votes; the rest of `Limits.statements` stays free for those.
  static let ordinaryStatements = Limits.statements * 3 / 4
  /// Removals and votes of one signer: enough to remove, and to vote on the removal of, each machine twice.
  static let removalStatementsPerSigner = 4 * Limits.machines

  /// Up to here a removal is kept whatever its lamport, because the parents that would tell the right one may be missing;
  /// a made-up one leaves room for what others state after it, below `RosterStatement.maximumLamport`.
  static let uncheckedLamport: UInt64 = 1 << 32

  private var ordinaryCount = 0
  private var removalCount = 0
  private var ordinaryBySigner: [MachineID: Int] = [:]
  private var removalBySigner: [MachineID: Int] = [:]

  private init() {}

  /// Takes what is valid and within the bounds out of `kept` (verified before, in full) and `new`; `keys` are
  /// those that an earlier graph has parsed.
  init(
    household: HouseholdID?, kept: [SignedStatement], new: [SignedStatement],
    keys: [MachineID: MachineKey] = [:]
  ) {
    let geneses =
      kept.filter { Self.isGenesis($0, of: household, isVerified: true) }
      + new.filter { Self.isGenesis($0, of: household, isVerified: false) }
    guard let genesis = geneses.min(by: SignedStatement.precedes) else { return }
    let keptIDs = Set(kept.map(\.id))
    var judged = JudgedStatements(
      kept + new.filter { !keptIDs.contains($0.id) }, kept: keptIDs,
      household: HouseholdID(genesis.id.digest), keys: keys)
    // What is exempt from the share of a signer depends on the removals that are kept, and those on what is kept before
    // them: another round takes what the share held up though a removal has it in its past.
    while true {
      var graph = RosterGraph()
      let heldUp = graph.take(&judged, genesis: genesis.id)
      self = graph
      let exempt = heldUp.isEmpty ? [] : heldUp.intersection(pastsOfRemoved(among: judged.all))
      guard !exempt.isEmpty else { return }
      judged.exempt.formUnion(exempt)
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
  private static func isGenesis(
    _ signed: SignedStatement, of household: HouseholdID?, isVerified: Bool
  ) -> Bool {
    guard case .genesis(_, _, _, let publicKey) = signed.statement.body,
      household == nil || household?.digest == signed.id.digest,
      let key = MachineKey(subjectPublicKeyInfo: publicKey), key.machine == signed.statement.by
    else { return false }
    return isVerified
      || key.isValid(
        signed.signature, over: signed.statement.signedBytes(in: HouseholdID(signed.id.digest)))
  }

  /// Appends all that is kept; returns what nothing but the share of its signer holds up.
  private mutating func take(
    _ judged: inout JudgedStatements, genesis: StatementID
  ) -> Set<StatementID> {
    for signed in judged.all where judged.kept.contains(signed.id) { countIn(signed.statement) }
    var heldUp = Set<StatementID>()
    for (place, signed) in judged.all.enumerated() where index[signed.id] == nil {
      let statement = signed.statement
      let admitted = statement.admittedKey.flatMap { judged.key($0) }
      guard admitted != nil || statement.admittedKey == nil,
        let signer = signed.id == genesis ? admitted : keys[statement.by],
        let node = node(for: signed, genesis: genesis, bound: judged.all.count)
      else { continue }
      if !judged.kept.contains(signed.id) {
        guard hasRoom(for: statement), judged.isSignatureValid(at: place, by: signer) else { continue }
        guard isWithinShare(statement) || judged.exempt.contains(signed.id) else {
          heldUp.insert(signed.id)
          continue
        }
        countIn(statement)
      }
      append(node, admitting: admitted)
    }
    return heldUp
  }

  /// Statements of a machine that a kept removal of it has among its ancestors: they decide what the removal voids, so
  /// they are kept whatever else that machine made up.
  private func pastsOfRemoved(among statements: [SignedStatement]) -> Set<StatementID> {
    let byID = Dictionary(statements.map { ($0.id, $0.statement) }, uniquingKeysWith: { first, _ in first })
    var pasts = Set<StatementID>()
    for removal in removals {
      let subject = nodes[removal].statement.subject
      var seen = Set<StatementID>()
      var open = nodes[removal].statement.parents
      while let next = open.popLast() {
        guard seen.insert(next).inserted, let ancestor = byID[next] else { continue }
        if ancestor.by == subject { pasts.insert(next) }
        open += ancestor.parents
      }
    }
    return pasts
  }

  private func hasRoom(for statement: RosterStatement) -> Bool {
    if statement.isAboutRemoval {
      return ordinaryCount + removalCount < Limits.statements
        && removalBySigner[statement.by, default: 0] < Self.removalStatementsPerSigner
    }
    return ordinaryCount < Self.ordinaryStatements
  }

  private func isWithinShare(_ statement: RosterStatement) -> Bool {
    statement.isAboutRemoval
      || ordinaryBySigner[statement.by, default: 0] < Limits.statementsPerSigner
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
    guard nodes.first?.signed.id == genesis else { return nil }
    // Only what stands before a statement is looked at: a parent that does not is as good as missing.
    let parents = statement.parents.compactMap { index[$0] }
    let newest = parents.map { nodes[$0].statement.lamport }.max() ?? 0
    let isRight = parents.count == statement.parents.count && statement.lamport == newest + 1
    // A removal works even where something is missing that it builds on, and must not be held up by anything. Nor may it
    // fall once the rest has come: so whether it is kept does not depend on its parents, but above the cap.
    guard isRight || (statement.isRemoval && statement.lamport <= Self.uncheckedLamport) else { return nil }
    var past = BitSet(bound: bound)
    for parent in parents {
      past.formUnion(nodes[parent].past)
      past.insert(parent)
    }
    switch support(of: statement, past: past) {
    case .none: return nil
    case .founder: return Node(signed: signed, past: past, support: nil)
    case .statement(let support): return Node(signed: signed, past: past, support: support)
    }
  }

  private enum Support { case none, founder, statement(Int) }

  /// What admits the signer in its own past, and whether the statement refers to what is there.
  private func support(of statement: RosterStatement, past: BitSet) -> Support {
    switch statement.body {
    case .genesis: return .none
    case .accept(let id):
      guard let add = index[id], past.contains(add), nodes[add].statement.subject == statement.by,
        case .add = nodes[add].statement.body
      else { return .none }
      return .statement(add)
    case .countersign(let id):
      guard let removal = index[id], past.contains(removal), nodes[removal].statement.isRemoval else {
        return .none
      }
    case .remove(let subject, let head, _):
      // Its keeper could sign nothing above another, and everybody would wait for it.
      guard keys[subject] != nil, head.epoch <= RosterStatement.largestEpoch,
        head.sequence <= Head.largestNumber
      else { return .none }
    case .add, .rename: break
    }
    if statement.by == nodes[0].by { return .founder }
    let own = accepts[statement.by] ?? []
    // The past of a removal may be missing: then any accept of its signer that stands before it will do.
    guard let accept = own.last(where: past.contains) ?? (statement.isRemoval ? own.last : nil) else {
      return .none
    }
    return .statement(accept)
  }

  private mutating func append(_ node: Node, admitting key: MachineKey?) {
    let position = nodes.count
    if let key, keys[key.machine] == nil { keys[key.machine] = key }
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
