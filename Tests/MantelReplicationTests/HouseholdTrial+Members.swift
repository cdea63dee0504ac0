import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Machines that come, and one that has to go, while photos travel.
extension HouseholdTrial {
  /// At most two, with photos of their own.
  func join() throws {
    guard rare.joined < 2, count < 20, let inviter = rare.random.element(of: present),
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

  /// Two machines at least that keep copies stay. The removed one is silent from now on; who has a connection with it may still
  /// hear it until told.
  func removeOne() throws {
    guard household.removed.isEmpty,
      let subject = rare.random.element(of: present.filter { !rare.inviters.contains($0) })
    else { return }
    let rest = present.filter { $0 != subject }
    guard rest.count(where: { !isSource($0) }) > 1,
      let remover = rare.random.element(
        of: rest.filter { isMember($0, for: $0) && isMember(subject, for: $0) })
    else { return }
    if rare.random.oneIn(2) {
      for other in rest { household.cut(subject, other) }
    }
    try household.remove(subject, by: remover)
  }

  private func isMember(_ subject: Int, for index: Int) -> Bool {
    household.machines[index].replicator.roster.isMember(household.machines[subject].machine)
  }
}
