import MantelCore

/// Decides which removals of a household take effect.
///
/// A removal *voids* another when it takes away the ground on which that one was signed (its signer is removed, or was
/// admitted by the removed, outside of the removal's causal past). Removals that nothing undecided voids take effect, and what they
/// void does not. What is left contradicts itself in circles. Of such a circle the removal takes effect for which more than half
/// of the members voted (by signing a removal of the same machine, or countersigning one); else the one whose
/// signer is a member for longest. A pure function of the statements.
struct RemovalContest {
  private let graph: RosterGraph
  /// Removals that void the key, and that the key voids.
  private var voidedBy: [Int: [Int]] = [:]
  private var voids: [Int: [Int]] = [:]
  /// Votes as (voter, statement of the vote, removal), signatures of removals included.
  private var votes: [(voter: MachineID, statement: Int, removal: Int)] = []
  private var undecided: Set<Int> = []
  private var effective: [Int] = []

  /// Indices of the effective removals, ascending.
  static func effectiveRemovals(in graph: RosterGraph) -> [Int] {
    var contest = RemovalContest(graph)
    contest.decide()
    return contest.effective.sorted()
  }

  private init(_ graph: RosterGraph) {
    self.graph = graph
    undecided = Set(graph.removals)
    for removal in graph.removals {
      votes.append((graph.nodes[removal].by, removal, removal))
      for other in graph.removals where other != removal && graph.removal(removal, voids: other) {
        voids[removal, default: []].append(other)
        voidedBy[other, default: []].append(removal)
      }
    }
    guard !voids.isEmpty else { return }
    for (position, node) in graph.nodes.enumerated() {
      guard case .countersign(let id) = node.statement.body, let removal = graph.index[id] else {
        continue
      }
      votes.append((node.by, position, removal))
    }
  }

  private mutating func decide() {
    while !undecided.isEmpty {
      let free = undecided.filter { challengers(of: $0).isEmpty }
      if free.isEmpty {
        let circle = firstCircle()
        accept(strongest(of: circle))
      } else {
        for removal in free { accept(removal) }
      }
    }
  }

  private func challengers(of removal: Int) -> [Int] {
    (voidedBy[removal] ?? []).filter { undecided.contains($0) }
  }

  /// Neither what it voids nor what would void it takes effect any more.
  private mutating func accept(_ removal: Int) {
    effective.append(removal)
    undecided.remove(removal)
    undecided.subtract(voids[removal] ?? [])
    undecided.subtract(voidedBy[removal] ?? [])
  }

  /// A set of removals that void each other in a circle and are voided by no other undecided one; of several
  /// such sets the one with the oldest removal. Called only when each undecided removal has a challenger.
  private func firstCircle() -> [Int] {
    var best: [Int] = []
    for removal in undecided {
      var reached = Set<Int>()
      var open = challengers(of: removal)
      while let next = open.popLast() {
        if reached.insert(next).inserted { open += challengers(of: next) }
      }
      let circle = reached.sorted()
      if best.isEmpty || (circle.count, circle[0]) < (best.count, best[0]) { best = circle }
    }
    return best
  }

  private func strongest(of circle: [Int]) -> Int {
    let electorate = electorate(of: circle)
    func rank(_ removal: Int) -> (lostVotes: Int, seniority: Int, position: Int) {
      let votes = voters(for: removal, in: circle).intersection(electorate).count
      return (votes * 2 > electorate.count ? -votes : 0, seniority(of: removal), removal)
    }
    return circle.min { rank($0) < rank($1) } ?? circle[0]
  }

  /// Position of the addition that the signer's membership rests on: earlier is senior; 0 is the founder.
  private func seniority(of removal: Int) -> Int {
    guard let accept = graph.nodes[removal].support else { return 0 }
    return graph.nodes[accept].support ?? 0
  }

  /// Who may decide between contradicting removals: the members that at least one of their signers knew, without those
  /// who were removed in their past, and without newcomers whose admission falls with one side. It does not
  /// depend on anything later, so that a decision stands.
  private func electorate(of circle: [Int]) -> Set<MachineID> {
    var parties = Set<MachineID>()
    for removal in circle {
      parties.insert(graph.nodes[removal].by)
      if let subject = graph.nodes[removal].statement.subject { parties.insert(subject) }
    }
    let earlier = effective.filter { removed in
      circle.contains { graph.nodes[$0].past.contains(removed) }
    }
    let gone = Set(earlier.compactMap { graph.nodes[$0].statement.subject })
    func isKnown(_ accept: Int) -> Bool { circle.contains { graph.nodes[$0].past.contains(accept) } }
    var electorate = Set<MachineID>()
    if let founder = graph.genesis?.by { electorate.insert(founder) }
    for (machine, accepts) in graph.accepts {
      let isElector = accepts.contains { accept in
        isKnown(accept) && !earlier.contains { graph.removal($0, voids: accept) }
          && (parties.contains(machine) || !circle.contains { graph.removal($0, voids: accept) })
      }
      if isElector { electorate.insert(machine) }
    }
    return electorate.subtracting(gone)
  }

  /// Machines that voted for the removal of this one's subject. Of two contradicting votes the one counts that the other has
  /// in its past; without such an order neither counts.
  private func voters(for removal: Int, in circle: [Int]) -> Set<MachineID> {
    let subject = graph.nodes[removal].statement.subject
    let cast = votes.filter { vote in
      circle.contains(vote.removal)
        && !effective.contains { graph.removal($0, voids: vote.statement) }
    }
    var result = Set<MachineID>()
    for vote in cast where graph.nodes[vote.removal].statement.subject == subject {
      let isContradicted = cast.contains { other in
        other.voter == vote.voter && contradict(other.removal, vote.removal)
          && !graph.nodes[other.statement].past.contains(vote.statement)
      }
      if !isContradicted { result.insert(vote.voter) }
    }
    return result
  }

  private func contradict(_ one: Int, _ other: Int) -> Bool {
    voids[one]?.contains(other) ?? false || voids[other]?.contains(one) ?? false
  }
}
