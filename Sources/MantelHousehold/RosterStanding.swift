package import MantelCore

/// A machine of the household.
package struct Member: Hashable, Sendable {
  package var machine: MachineID
  /// SubjectPublicKeyInfo, DER.
  package var publicKey: [UInt8]
  package var name: String
  /// Who admitted it; the founder itself for the founder.
  package var addedBy: MachineID
  /// When, by the admitter's clock.
  package var addedAt: WallTime
  /// The removed machine that it was admitted to replace.
  package var replaces: MachineID?
}

/// A machine that was removed, or left. Its key can never be admitted again.
package struct RemovedMember: Hashable, Sendable {
  package var machine: MachineID
  package var publicKey: [UInt8]
  package var name: String
  /// The machine itself when it left.
  package var removedBy: MachineID
  package var removedAt: WallTime
  /// Who publishes its library from now on.
  package var keeper: MachineID
  /// The newest head of its library that the remover knew (`.none` if it had published nothing), with its root: what
  /// it signed after that does not count.
  package var lastHead: HeadOrder
  package var rootAt: Digest256
}

/// What the statements of a household amount to.
struct RosterStanding: Sendable {
  /// Indices of the removals that take effect, ascending.
  private(set) var effectiveRemovals: [Int] = []
  /// Longest-standing first.
  private(set) var members: [Member] = []
  private(set) var admitted: [Member] = []
  private(set) var voided: [Member] = []
  /// Without those that never were members.
  private(set) var removed: [RemovedMember] = []
  /// By library, of members too: whoever may have published it as its keeper before the one who publishes it now.
  private(set) var formerKeepers: [MachineID: Set<MachineID>] = [:]
  /// All machines but strangers.
  private(set) var byMachine: [MachineID: MachineStanding] = [:]
  /// Members, longest-standing first, then removed machines in the order of their admission, as far as
  /// `Limits.machines` goes.
  private(set) var listed: Set<MachineID> = []
  private(set) var name = ""

  init(_ graph: RosterGraph) {
    guard let genesis = graph.genesis,
      case .genesis(_, let householdName, let founderName, let founderKey) = genesis.statement.body
    else { return }
    effectiveRemovals = RemovalContest.effectiveRemovals(in: graph)
    let removals = Dictionary(
      effectiveRemovals.compactMap { removal in
        graph.nodes[removal].statement.subject.map { ($0, removal) }
      }, uniquingKeysWith: min)

    var candidates = [
      Candidate(
        rank: 0, isStanding: true, isAccepted: true,
        member: Member(
          machine: genesis.by, publicKey: founderKey, name: founderName, addedBy: genesis.by,
          addedAt: genesis.statement.date, replaces: nil))
    ]
    for subject in graph.adds.keys where subject != genesis.by {
      if let candidate = candidate(subject, in: graph) { candidates.append(candidate) }
    }
    candidates.sort { $0.rank < $1.rank }
    let names = renames(in: graph, founded: householdName)
    for index in candidates.indices {
      candidates[index].member.name =
        names[candidates[index].member.machine] ?? candidates[index].member.name
    }
    let staying = candidates.filter { removals[$0.member.machine] == nil }
    members = staying.filter { $0.isStanding && $0.isAccepted }.prefix(Limits.machines).map(\.member)
    admitted = staying.filter { $0.isStanding && !$0.isAccepted }.prefix(Limits.machines).map(\.member)
    voided = staying.filter { !$0.isStanding && $0.isAccepted }.prefix(Limits.machines).map(\.member)
    let accepted = candidates.filter(\.isAccepted)
    removed = removedMembers(accepted, removals: removals, in: graph)
    formerKeepers = possibleKeepers(accepted, in: graph)
    for machine in removals.keys { byMachine[machine] = .turnedAway }
    for one in removed { byMachine[one.machine] = .removed }
    for one in voided { byMachine[one.machine] = .voided }
    for one in admitted { byMachine[one.machine] = .admitted }
    for one in members { byMachine[one.machine] = .member }
    listed = Set((members.map(\.machine) + removed.map(\.machine)).prefix(Limits.machines))
  }

  func isVoid(_ statement: Int, in graph: RosterGraph) -> Bool {
    effectiveRemovals.contains { graph.removal($0, voids: statement) }
  }
}

extension RosterStanding {
  private struct Candidate {
    /// Position of the addition.
    var rank: Int
    /// Its addition (and, if it accepted, that too) is not void, its own removal apart.
    var isStanding: Bool
    var isAccepted: Bool
    var member: Member
  }

  /// The oldest addition of a machine that counts for most: accepted and standing, then standing, then accepted.
  private func candidate(_ subject: MachineID, in graph: RosterGraph) -> Candidate? {
    var best: Candidate?
    for add in graph.adds[subject] ?? [] {
      let statement = graph.nodes[add].statement
      guard case .add(let publicKey, let name, let replaces) = statement.body else { continue }
      let accepted = (graph.accepts[subject] ?? []).contains { graph.nodes[$0].support == add }
      let candidate = Candidate(
        rank: add, isStanding: !isVoid(add, in: graph), isAccepted: accepted,
        member: Member(
          machine: subject, publicKey: publicKey, name: name, addedBy: statement.by,
          addedAt: statement.date, replaces: replaces))
      func weight(_ one: Candidate) -> Int { (one.isStanding ? 2 : 0) + (one.isAccepted ? 1 : 0) }
      if let current = best, weight(current) >= weight(candidate) { continue }
      best = candidate
    }
    return best
  }

  /// Newest names, by machine; sets the household's.
  private mutating func renames(in graph: RosterGraph, founded: String) -> [MachineID: String] {
    name = founded
    var names: [MachineID: String] = [:]
    for (position, node) in graph.nodes.enumerated() {
      guard case .rename(let target, let newName) = node.statement.body,
        !isVoid(position, in: graph)
      else { continue }
      switch target {
      case .household: name = newName
      case .signer: names[node.by] = newName
      }
    }
    return names
  }

  private func removedMembers(
    _ candidates: [Candidate], removals: [MachineID: Int], in graph: RosterGraph
  ) -> [RemovedMember] {
    var replacement: [MachineID: MachineID] = [:]
    for candidate in candidates where candidate.isStanding && candidate.isAccepted {
      if let replaced = candidate.member.replaces { replacement[replaced] = candidate.member.machine }
    }
    let present = Set(members.map(\.machine))

    /// Follows replacements and removals to a member; the longest-standing one where the trail ends.
    func keeper(of machine: MachineID) -> MachineID {
      var current = machine
      var seen = Set<MachineID>()
      while seen.insert(current).inserted {
        guard let removal = removals[current] else { break }
        current = replacement[current] ?? graph.nodes[removal].by
        if present.contains(current) { return current }
      }
      return members.first?.machine ?? machine
    }

    return candidates.compactMap { candidate in
      let machine = candidate.member.machine
      guard let removal = removals[machine],
        case .remove(_, let head, let root) = graph.nodes[removal].statement.body
      else { return nil }
      return RemovedMember(
        machine: machine, publicKey: candidate.member.publicKey, name: candidate.member.name,
        removedBy: graph.nodes[removal].by, removedAt: graph.nodes[removal].statement.date,
        keeper: keeper(of: machine), lastHead: head, rootAt: root)
    }
  }

  /// Statements come one by one, and whoever knew some of them acted upon those: a removal that another one voids, or comes
  /// before, had its keeper too, and so had the keeper that was removed in turn. So all removals and replacements count.
  private func possibleKeepers(
    _ candidates: [Candidate], in graph: RosterGraph
  ) -> [MachineID: Set<MachineID>] {
    var heirs: [MachineID: Set<MachineID>] = [:]
    for removal in graph.removals {
      guard let subject = graph.nodes[removal].statement.subject else { continue }
      heirs[subject, default: []].insert(graph.nodes[removal].by)
    }
    for candidate in candidates {
      guard let replaced = candidate.member.replaces else { continue }
      heirs[replaced, default: []].insert(candidate.member.machine)
    }
    let first = members.first?.machine
    // Whoever is the longest-standing member, or was before.
    var eldest = Set(candidates.map(\.member.machine).prefix { $0 != first })
    if let first { eldest.insert(first) }

    func keepers(of library: MachineID) -> Set<MachineID> {
      var found = Set<MachineID>()
      var reached: Set<MachineID> = [library]
      var open = [library]
      while let current = open.popLast() {
        let next = heirs[current] ?? []
        let isEnd = next.isEmpty && !members.contains { $0.machine == current }
        // Who left names nobody: the trail goes on with the longest-standing member.
        if isEnd || next.contains(current) { found.formUnion(eldest) }
        found.formUnion(next)
        for heir in next where reached.insert(heir).inserted { open.append(heir) }
      }
      return found
    }

    var former: [MachineID: Set<MachineID>] = [:]
    for library in members.map(\.machine) where heirs[library] != nil {
      former[library] = keepers(of: library).subtracting([library])
    }
    for library in removed {
      former[library.machine] = keepers(of: library.machine).subtracting([library.machine, library.keeper])
    }
    return former
  }
}
