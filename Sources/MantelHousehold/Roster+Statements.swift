package import MantelCore

/// Why a statement was not made.
package enum RosterError: Error, Equatable, Sendable {
  /// The key's machine is not a member.
  case notMember
  /// The subject is a member already.
  case alreadyMember
  /// The subject's key was removed: final; it needs a new key.
  case removedKey
  /// Nobody admitted the subject.
  case unknownMachine
  /// There is no admission of this machine to accept.
  case notAdmitted
  /// The public key is not one on P-256.
  case invalidKey
  /// A name is empty or longer than `Limits.nameBytes`.
  case invalidName
  /// The household has `Limits.machines`: members, former ones, and those that were admitted and did not accept yet.
  case tooManyMachines
  /// The machine has made `Limits.statementsPerSigner` statements.
  case tooManyStatements
}

extension Roster {
  /// Founds a household: its one statement. `random` is 32 bytes that nobody can guess.
  package static func found(
    name: String, machineName: String, key: DeviceKey, random: [UInt8], now: WallTime
  ) throws -> [SignedStatement] {
    precondition(random.count == RosterStatement.randomBytes, "a household is founded with 32 random bytes")
    try check(name: name)
    try check(name: machineName)
    let statement = RosterStatement(
      by: key.machine, lamport: 0, date: now, parents: [],
      body: .genesis(
        random: random, name: name, machineName: machineName, publicKey: key.publicKey))
    let household = HouseholdID(statement.id.digest)
    return [
      SignedStatement(
        statement: statement,
        signature: try key.signature(over: statement.signedBytes(in: household)))
    ]
  }

  /// Admits a machine. With `replaces` it becomes keeper of that machine's library; remove that machine too if it is a
  /// member still. Throws `RosterError`.
  package func admitting(
    subject: MachineID, publicKey: [UInt8], name: String, replaces: MachineID?, by key: DeviceKey,
    now: WallTime
  ) throws -> SignedStatement {
    try checkSigner(key)
    try Self.check(name: name)
    guard let parsed = MachineKey(subjectPublicKeyInfo: publicKey), parsed.machine == subject else {
      throw RosterError.invalidKey
    }
    guard !isMember(subject) else { throw RosterError.alreadyMember }
    guard !standing(of: subject).isFinal else { throw RosterError.removedKey }
    if let replaces, !isMember(replaces), removedMember(replaces) == nil {
      throw RosterError.unknownMachine
    }
    guard standing(of: subject).takesPlace || placesTaken < Limits.machines else {
      throw RosterError.tooManyMachines
    }
    try checkQuota(key)
    return try signing(
      .add(publicKey: publicKey, name: name, replaces: replaces), by: key, now: now)
  }

  /// Takes the newest admission of this machine that stands: the last step of joining.
  package func accepting(by key: DeviceKey, now: WallTime) throws -> SignedStatement {
    guard !isMember(key.machine) else { throw RosterError.alreadyMember }
    guard !standing(of: key.machine).isFinal else { throw RosterError.removedKey }
    let adds = graph.adds[key.machine] ?? []
    guard let add = adds.last(where: { !standing.isVoid($0, in: graph) }) else {
      throw RosterError.notAdmitted
    }
    try checkQuota(key)
    return try signing(.accept(graph.nodes[add].signed.id), by: key, now: now)
  }

  /// Removes a machine for ever, or leaves (the key's own machine). `lastHead` and `lastRoot` are of the newest head of
  /// its library that is known here; `.none` and zero without one. Of one that no removal may name, the last place that it may:
  /// what was signed below that counts.
  package func removing(
    _ subject: MachineID, lastHead: HeadOrder, lastRoot: Digest256, by key: DeviceKey, now: WallTime
  ) throws -> SignedStatement {
    try checkSigner(key)
    guard !standing(of: subject).isFinal else { throw RosterError.removedKey }
    guard graph.keys[subject] != nil else { throw RosterError.unknownMachine }
    let isNameable = lastHead.epoch <= RosterStatement.largestEpoch
    let lastPlace = HeadOrder(epoch: RosterStatement.largestEpoch, sequence: Head.largestNumber)
    return try signing(
      .remove(subject, head: isNameable ? lastHead : lastPlace, root: isNameable ? lastRoot : .zero), by: key,
      now: now, naming: subject)
  }

  /// Renames this machine, or the household.
  package func renaming(
    _ target: RosterStatement.RenameTarget, to name: String, by key: DeviceKey, now: WallTime
  ) throws -> SignedStatement {
    try checkSigner(key)
    try Self.check(name: name)
    try checkQuota(key)
    return try signing(.rename(target, name), by: key, now: now)
  }

  /// Votes of this machine for the removals that it learnt of and that have no majority yet: call it after
  /// each `merge`, merge what it returns, and pass that on. A machine votes once about each other machine and never
  /// for a removal that contradicts its vote, so that it stands by the first that it learnt of.
  package func countersigning(by key: DeviceKey, now: WallTime) throws -> [SignedStatement] {
    guard isMember(key.machine) else { return [] }
    var roster = self
    var made: [SignedStatement] = []
    for removal in standing.effectiveRemovals {
      let id = graph.nodes[removal].signed.id
      guard roster.needsVote(on: id, by: key.machine) else { continue }
      let vote = try roster.signing(.countersign(id), by: key, now: now)
      guard !roster.merge([vote]).isEmpty else { break }
      made.append(vote)
    }
    return made
  }
}

extension Roster {
  private static func check(name: String) throws(RosterError) {
    guard !name.isEmpty, name.utf8.count <= Limits.nameBytes else { throw .invalidName }
  }

  private func checkSigner(_ key: DeviceKey) throws(RosterError) {
    guard isMember(key.machine) else { throw .notMember }
  }

  private func checkQuota(_ key: DeviceKey) throws(RosterError) {
    guard graph.ordinaryStatements(of: key.machine) < Limits.statementsPerSigner else {
      throw .tooManyStatements
    }
  }

  private func needsVote(on id: StatementID, by machine: MachineID) -> Bool {
    guard let removal = graph.index[id] else { return false }
    let statement = graph.nodes[removal].statement
    guard let subject = statement.subject, statement.by != machine, subject != machine else {
      return false
    }
    let knewIt = (graph.accepts[machine] ?? []).contains { graph.nodes[$0].past.contains(removal) }
    guard !knewIt else { return false }
    var voters = Set<MachineID>()
    for vote in removalVotes {
      let about = graph.nodes[vote.removal].statement.subject
      if about == subject { voters.insert(vote.voter) }
      guard vote.voter == machine else { continue }
      if about == subject || graph.removal(vote.removal, voids: removal)
        || graph.removal(removal, voids: vote.removal)
      {
        return false
      }
    }
    return voters.filter(isMember).count * 2 <= members.count + 1
  }

  /// Signatures of removals, and votes for them.
  private var removalVotes: [(voter: MachineID, removal: Int)] {
    graph.nodes.enumerated().compactMap { position, node in
      switch node.statement.body {
      case .remove: (node.by, position)
      case .countersign(let id): graph.index[id].map { (node.by, $0) }
      case .genesis, .add, .accept, .rename: nil
      }
    }
  }

  private func signing(
    _ body: RosterStatement.Body, by key: DeviceKey, now: WallTime, naming subject: MachineID? = nil
  ) throws -> SignedStatement {
    let parents = parents(carrying: [key.machine, subject])
    let lamport = 1 + (parents.map { graph.nodes[$0].statement.lamport }.max() ?? 0)
    let statement = RosterStatement(
      by: key.machine, lamport: lamport, date: now,
      parents: parents.map { graph.nodes[$0].signed.id }.sorted(), body: body)
    return SignedStatement(
      statement: statement,
      signature: try key.signature(over: statement.signedBytes(in: household)))
  }

  /// The newest statements known here. Where there are more than fit, those come first that carry the last word of these
  /// machines or about them, then the oldest: the rest become ancestors of later statements.
  private func parents(carrying machines: [MachineID?]) -> [Int] {
    let tips = graph.tips
    guard tips.count > RosterStatement.maximumParents else { return tips }
    var first: [Int] = []
    for machine in machines.compactMap(\.self) {
      let words = graph.nodes.indices.filter {
        graph.nodes[$0].by == machine || graph.nodes[$0].statement.subject == machine
      }
      for word in words.reversed() {
        guard !first.contains(where: { $0 == word || graph.nodes[$0].past.contains(word) }) else {
          continue
        }
        guard first.count < RosterStatement.maximumParents else { break }
        if let tip = tips.first(where: { $0 == word || graph.nodes[$0].past.contains(word) }) {
          first.append(tip)
        }
      }
    }
    let rest = tips.filter { !first.contains($0) }
    return Array((first + rest).prefix(RosterStatement.maximumParents))
  }
}
