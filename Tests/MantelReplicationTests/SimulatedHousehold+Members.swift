import MantelCore
import MantelHousehold

@testable import MantelReplication

/// Who comes to the household, and who has to go.
extension SimulatedHousehold {
  /// Whether a machine is let in by another.
  func mayConnect(_ peer: Int, to index: Int) -> Bool {
    machines[index].replicator.roster.mayConnect(machines[peer].machine)
  }

  /// A member admits a new machine, which accepts; nobody has heard of that yet, it brings its acceptance as a guest. Returns its
  /// number.
  func join(invitedBy inviter: Int) throws -> Int {
    let number = machines.count
    guard let key = try SimulatedKeys.first(number + 1).last else {
      throw SimulationError.broken("no key for machine \(number)")
    }
    note("invites m\(number)", at: inviter)
    var roster = machines[inviter].replicator.roster
    let wall = clocks(of: inviter).wall
    let admission = try roster.admitting(
      subject: key.machine, publicKey: key.publicKey, name: "m\(number)", replaces: nil,
      by: machines[inviter].key, now: wall)
    _ = roster.merge([admission])
    let acceptance = try roster.accepting(by: key, now: now.wall)
    _ = roster.merge([acceptance])
    decided.append(roster.statements)
    try handle(.rosterReceived(nil, [admission.bytes]), at: inviter)
    try begin(key, roster.statements)
    return number
  }

  /// A member removes another one, by what it knows of it.
  func remove(_ subject: Int, by remover: Int) throws {
    removed.insert(subject)
    try state(removalOf: subject, by: remover)
  }

  /// Others may state the contrary meanwhile: who is removed in the end is told by `judgeRemovals`.
  func state(removalOf subject: Int, by remover: Int) throws {
    note("removes m\(subject)", at: remover)
    let removal = try machines[remover].ask { replicator in
      let head = replicator.lastHead(of: machines[subject].machine)
      return try replicator.roster.removing(
        machines[subject].machine, lastHead: head?.order ?? .none, lastRoot: head?.root ?? .zero,
        by: machines[remover].key, now: clocks(of: remover).wall)
    }
    var roster = machines[remover].replicator.roster
    _ = roster.merge([removal])
    decided.append(roster.statements)
    try handle(.rosterReceived(nil, [removal.bytes]), at: remover)
  }

  /// All that anybody has stated is brought to everybody who is a member by that; who is not is left alone from now on.
  func judgeRemovals() throws {
    var all = decided
    for (index, machine) in machines.enumerated() where !removed.contains(index) {
      all.append(machine.replicator.roster.statements)
    }
    guard let first = all.first else { return }
    var roster = Roster(first)
    for statements in all.dropFirst() { _ = roster.merge(statements) }
    decided.append(roster.statements)
    removed = Set(machines.indices.filter { roster.removedMember(machines[$0].machine) != nil })
    let statements = roster.statements.map(\.bytes)
    for index in machines.indices where !removed.contains(index) {
      try handle(.rosterReceived(nil, statements), at: index)
    }
  }

  /// What was decided may be forgotten with the catalogs of all who knew: somebody does it again.
  func decideAgain(at index: Int) throws {
    for statements in decided { try handle(.rosterReceived(nil, statements.map(\.bytes)), at: index) }
  }
}
