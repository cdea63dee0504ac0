import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Machines that come, and those that have to go, while photos travel.
extension HouseholdTrial {
  /// At most two, with photos of their own.
  func join() throws {
    guard rare.joined < 2, count < 20, !rare.isContested, let inviter = rare.random.element(of: awake),
      isMember(inviter, for: inviter)
    else { return }
    rare.joined += 1
    rare.inviters.insert(inviter)
    let number = try household.join(invitedBy: inviter)
    invariants.addMachine()
    var neighbours = [inviter]
    if let other = rare.random.element(of: present), other != inviter, other != number {
      neighbours.append(other)
    }
    for neighbour in neighbours {
      cables.insert([neighbour, number])
      keepConnected([neighbour, number])
    }
    for _ in 0..<rare.random.below(5) { try write(number) }
    try household.scan(number)
  }

  func removeOne() throws {
    guard household.removed.isEmpty,
      let subject = rare.random.element(of: present.filter { !rare.inviters.contains($0) })
    else { return }
    try remove(subject)
  }

  /// Two machines at least that keep copies stay. The removed one is silent from now on; who has a connection with it may still
  /// hear it until told.
  func remove(_ subject: Int) throws {
    let rest = present.filter { $0 != subject }
    guard !rare.isContested, rest.count(where: { !isSource($0) }) > 1,
      let remover = rare.random.element(of: rest.filter { mayRemove(subject, by: $0) })
    else { return }
    if rare.random.oneIn(2) {
      for other in rest { household.cut(subject, other) }
    }
    try household.remove(subject, by: remover)
  }

  /// Who has not heard of a removal by the machine that it removes would undo it.
  func mayRemove(_ subject: Int, by remover: Int) -> Bool {
    let roster = household.machines[remover].replicator.roster
    return awake.contains(remover) && isMember(remover, for: remover) && isMember(subject, for: remover)
      && household.removed.allSatisfy { roster.removedMember(household.machines[$0].machine) != nil }
  }

  private func isMember(_ subject: Int, for index: Int) -> Bool {
    household.machines[index].replicator.roster.isMember(household.machines[subject].machine)
  }
}
