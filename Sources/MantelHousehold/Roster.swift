package import MantelCore

/// Who belongs to a household: a pure function of a set of signed statements, whatever the order they came in.
///
/// - A machine is a member once a member admitted it and it accepted.
/// - A removal is final for its key. What the removed machine stated outside of the removal's causal past is void, its
///   admissions too: who was admitted that way must be invited again.
/// - Removals that contradict each other are decided by the votes of more than half of the members, else by
///   seniority (`RemovalContest`).
/// - Statements by machines that were never admitted, with wrong signatures or over the limits are not kept.
package struct Roster: Sendable {
  private(set) var graph: RosterGraph
  private(set) var standing: RosterStanding
  private var membersByID: [MachineID: Member]
  private var removedByID: [MachineID: RemovedMember]
  /// The household; all zero without a founding statement.
  package private(set) var household: HouseholdID
  /// SHA-256 over the sorted ids of the statements.
  package private(set) var hash: Digest256

  /// Judges statements of the one household whose founding statement is among them (of several the smallest id counts).
  package init(_ statements: [SignedStatement]) {
    self.init(graph: RosterGraph(household: nil, kept: [], new: statements))
  }

  /// Judges statements of a household that is known already; empty without its founding statement.
  package init(_ statements: [SignedStatement], household: HouseholdID) {
    self.init(graph: RosterGraph(household: household, kept: [], new: statements))
  }

  /// Takes back what a roster kept before and this machine stored: its signatures were verified then.
  package init(stored statements: [SignedStatement]) {
    self.init(graph: RosterGraph(household: nil, kept: statements, new: []))
  }

  private init(graph: RosterGraph) {
    let standing = RosterStanding(graph)
    self.graph = graph
    self.standing = standing
    membersByID = Dictionary(
      standing.members.map { ($0.machine, $0) }, uniquingKeysWith: { first, _ in first })
    removedByID = Dictionary(
      standing.removed.map { ($0.machine, $0) }, uniquingKeysWith: { first, _ in first })
    household = HouseholdID(graph.genesis?.signed.id.digest ?? .zero)
    var ids: [UInt8] = []
    for id in graph.nodes.map(\.signed.id).sorted() { id.digest.append(to: &ids) }
    hash = Digest256(hashing: ids)
  }

  /// Takes in statements from anywhere; returns those that were new and are kept: store them and pass them on.
  ///
  /// A statement whose ancestors are missing is not kept: whoever has it has them, and sends them with it when the
  /// hashes differ.
  package mutating func merge(_ statements: [SignedStatement]) -> [SignedStatement] {
    let known = graph.index
    let new = statements.filter { known[$0.id] == nil }
    guard !new.isEmpty else { return [] }
    let merged = RosterGraph(
      household: graph.nodes.isEmpty ? nil : household, kept: self.statements, new: new, keys: graph.keys)
    let news = merged.nodes.map(\.signed).filter { known[$0.id] == nil }
    guard !news.isEmpty else { return [] }
    self = Roster(graph: merged)
    return news
  }

  /// All kept statements, each after its ancestors.
  package var statements: [SignedStatement] { graph.nodes.map(\.signed) }

  package func contains(_ statement: StatementID) -> Bool { graph.index[statement] != nil }

  /// Name of the household.
  package var name: String { standing.name }

  /// Longest-standing first.
  package var members: [Member] { standing.members }

  package var removed: [RemovedMember] { standing.removed }

  /// Admitted, and not members as long as their acceptance did not arrive here.
  package var admitted: [Member] { standing.admitted }

  /// Machines that accepted an admission which fell with the removal of who made it: they must be invited again.
  package var voided: [Member] { standing.voided }

  package func member(_ machine: MachineID) -> Member? { membersByID[machine] }

  package func removedMember(_ machine: MachineID) -> RemovedMember? { removedByID[machine] }

  /// Key of a machine that was ever admitted; also of removed ones: their old heads stay verifiable.
  package func publicKey(of machine: MachineID) -> [UInt8]? { graph.keys[machine]?.bytes }

  /// Members that this machine admitted, longest-standing first: `peers remove` lists them.
  package func members(admittedBy machine: MachineID) -> [Member] {
    members.filter { $0.addedBy == machine && $0.machine != machine }
  }

  /// Members and removed machines of exactly this name.
  package func machines(named name: String) -> [MachineID] {
    members.filter { $0.name == name }.map(\.machine)
      + removed.filter { $0.name == name }.map(\.machine)
  }

  /// Whether heads of a library may be signed by this machine from now on: itself while it is a member, its keeper once
  /// it was removed. For heads from before a removal see `accepts`.
  package func mayPublish(library: MachineID, signer: MachineID) -> Bool {
    if isMember(library) { return signer == library }
    return removedByID[library]?.keeper == signer
  }

  /// Whether the signature is by the signer's key and the signer was ever admitted here. Whether it is, or was, a member and
  /// may say this is another question: see `MachineStanding`.
  package func verify<Record>(_ signed: Signed<Record>) -> Bool
  where Record: SignableRecord & Hashable {
    graph.keys[signed.record.signer]?.isValid(
      signed.signature, over: signed.record.signedBytes(in: household)) ?? false
  }

  /// Whether a head counts: properly signed, and by the machine that might publish at its place in the order. Of a removed
  /// machine its own heads count up to the one that the removal names, its keeper's after that.
  package func accepts(_ head: Signed<Head>) -> Bool { counts(head.record) && verify(head) }

  /// The same of a head whose signature was verified before: the roster may have changed since.
  package func counts(_ head: Head) -> Bool {
    guard isListed(head.library), head.order.epoch <= lastEpoch else { return false }
    guard let removed = removedByID[head.library] else {
      return isMember(head.library) && head.signer == head.library
    }
    if head.signer == head.library {
      return head.order < removed.lastHead
        || (head.order == removed.lastHead && head.root == removed.rootAt)
    }
    return head.signer == removed.keeper && head.order > removed.lastHead
  }

  /// Whoever may have signed heads of a library as its keeper, besides who signs them now: of a member's too, whose removal did
  /// not take effect in the end.
  package func formerKeepers(of library: MachineID) -> Set<MachineID> {
    standing.formerKeepers[library] ?? []
  }

  /// Heads in later epochs do not count yet. Nobody else comes to sign a library without another statement, and each that is kept
  /// gives more room: so whoever signs now can always outrank what others have signed before.
  package var lastEpoch: UInt64 {
    RosterStatement.largestEpoch + UInt64(graph.nodes.count) * RosterStatement.epochsPerStatement
  }

  /// Who signs the next heads of a library: its machine while it is a member, its keeper once it was removed.
  package func publisher(of library: MachineID) -> MachineID? {
    isMember(library) ? library : removedByID[library]?.keeper
  }

  /// Whether a head that does not count was signed all the same by the removed machine, beyond what the removal names, or by
  /// somebody who kept its library before, or kept a member's library while that one's removal seemed to hold: some may have
  /// installed it, and who signs now has to outrank it. Those that could only be signed since the last statement are not
  /// believed, so that there is always room (`lastEpoch`).
  package func isOutdated(_ head: Signed<Head>) -> Bool {
    let record = head.record
    guard isListed(record.library), !counts(record),
      record.order.epoch <= lastEpoch - RosterStatement.epochsPerStatement
    else { return false }
    let isKeepers = formerKeepers(of: record.library).contains(record.signer)
    return (record.signer == record.library || isKeepers) && verify(head)
  }
}
