package import MantelCore
import MantelHousehold
import MantelSummary

/// What this machine is to the household, and what changes when that changes (design 3.4, 3.6).
///
/// The role travels in the machine's signed record. It says what is owed from now on, and frees nothing: the copies of a
/// machine that becomes a source stay, are served and re-read, and are attested no more.
extension Replicator {
  /// The user's decision, kept in the catalog with the record that tells it.
  mutating func change(role new: Role) throws(StoreError) {
    ownRecord.isRoleDecided = true
    guard new != role, var record = records[machine]?.record else { return }
    record.role = new
    try changed(record)
    try owe(new)
  }

  /// Decided in a time that this machine's catalog has forgotten; the record that says so is there.
  mutating func adopt(role new: Role) throws(StoreError) {
    guard new != role else { return }
    set(role: new)
    try owe(new)
  }

  private mutating func owe(_ new: Role) throws(StoreError) {
    try store.setValue(.role, Array(new.name.utf8))
    if new == .full { try oweCopies() } else { try oweNoCopies() }
    absences.isChanged = true
    // Before anything else is claimed: what is not kept for others any more is not safe because of this machine.
    attesting.retract()
  }

  /// What others publish is wanted here now. Entries may have moved while nothing was filed.
  private mutating func oweCopies() throws(StoreError) {
    try store.markUnfiled()
    endRelease(.stopped)
    if let running = filing.running { filing.running?.outdated.formUnion(running.contents) }
    lookForUnfiled()
    try loadAwaitedCopies()
    lookAgain()
  }

  /// What was asked for is not needed, but for recalls; what is staged goes with the next batch.
  private mutating func oweNoCopies() throws(StoreError) {
    filing.uncopied.removeAll()
    filing.copies.waiting.removeAll()
    // What the running batch had no room for is not to wait for it once that has ended.
    if let running = filing.running { filing.running?.outdated.formUnion(running.lackingRoom) }
    for (unit, link) in transfers.inFlight.sorted(by: { $0.key < $1.key })
    where recalls.open[unit.content] == nil {
      cancel(unit, of: link)
    }
    for content in transfers.large.keys.sorted() where recalls.open[content] == nil {
      try abandonLarge(content)
      actions.append(.discardStaged(content))
    }
    lookForUnfiled()
  }

  /// Members whose role is to keep copies, this machine left out, by the longest membership.
  package var otherFullMachines: [MachineID] {
    others.filter { (records[$0]?.record.role ?? .full) == .full }
  }

  /// Files and bytes of copies of other machines' photos that lie here, those in the trash left out.
  package func copiesHere() throws(StoreError) -> (files: Int, bytes: UInt64) {
    let all = try store.replicaBacklog(of: nil, before: WallTime(nanoseconds: .max))
    let trash = try store.trash().values
    return (
      max(0, all.files - trash.reduce(0) { $0 + $1.files }),
      all.bytes - min(all.bytes, trash.reduce(0) { $0 + $1.bytes })
    )
  }

  /// What this machine would have to fetch as a full one.
  package mutating func missingAsFull() throws(StoreError) -> (files: Int, bytes: UInt64) {
    var sum: (files: Int, bytes: UInt64) = (0, 0)
    for (owner, sets) in contents.byLibrary where owner != machine {
      let count = contents.index.count(of: sets.wanted) - contents.index.count(of: sets.heldWanted)
      guard count > 0 else { continue }
      sum.files += count
      sum.bytes += try store.missing(in: owner, limit: 0).bytes
    }
    return sum
  }
}

extension Role {
  /// As the command line and the catalog call it.
  package var name: String { self == .source ? "source" : "full" }
}

extension Replicator {
  /// What copies may take of the replica's disk; nil while it was not looked at.
  package var roomForCopies: UInt64? {
    room.map { $0.replica.free - min($0.replica.free, $0.replica.reserve) }
  }

  package var connectedMembers: [MachineID] {
    Set(links.values.map(\.machine)).filter(roster.isMember).sorted()
  }
}
