import MantelCore
import MantelHousehold

/// What this run knows of its own machine record: what it has signed, and what others show that it has not: from a time that the
/// catalog has forgotten, or from another living copy of this machine.
///
/// The own one has to pass theirs, or nobody learns where this machine is. Two copies that pass each other would never end:
/// after the first answer each takes twice as long as the last.
struct OwnRecord: Sendable {
  /// The number that the catalog had at the start: what is above it was decided since.
  private let loaded: UInt64
  /// The greatest number that others have shown.
  private(set) var shown: UInt64 = 0
  /// When the own one is signed anew.
  private(set) var due: Instant?
  private var answers = 0
  /// Of the record whose role was taken last.
  private var roleNumber: UInt64 = 0
  /// The user has decided in this run: what was before counts no more.
  var isRoleDecided = false
  /// The last ones of this run: they come back from peers.
  private var signed: [Signed<MachineRecord>] = []

  private static let remembered = 16

  init(loaded: UInt64) { self.loaded = loaded }

  /// A peer shows a record that is not `mine`. Returns the role that its user chose then, where that counts.
  mutating func show(
    _ record: Signed<MachineRecord>, mine: MachineRecord?, now: Now, _ settings: ReplicationSettings
  ) -> Role? {
    let number = record.record.number
    guard !signed.contains(record) else { return nil }
    var role: Role?
    if !isRoleDecided, number > max(loaded, roleNumber) {
      roleNumber = number
      role = record.record.role
    }
    shown = max(shown, number)
    guard let mine, number >= mine.number || role.map({ $0 != mine.role }) == true else { return role }
    let delay =
      answers == 0 ? .zero : min(settings.retry * (1 << min(answers - 1, 10)), settings.longestRetry)
    due = due ?? now.instant + delay
    return role
  }

  /// Returns whether it is time to sign the own one anew.
  mutating func answers(now: Now) -> Bool {
    guard let due, due <= now.instant else { return false }
    self.due = nil
    answers += 1
    return true
  }

  mutating func note(_ record: Signed<MachineRecord>) {
    signed.append(record)
    if signed.count > Self.remembered { signed.removeFirst() }
  }
}
