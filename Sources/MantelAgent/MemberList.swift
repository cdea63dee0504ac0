import MantelCore
import MantelHousehold
import Synchronization

/// Who may talk to this machine, as event loops ask it after every handshake: a copy of the roster's members that
/// is read without waiting.
final class MemberList: Sendable {
  private let members = Mutex<Set<MachineID>>([])

  func contains(_ machine: MachineID) -> Bool { members.withLock { $0.contains(machine) } }

  /// Takes the roster's members over; returns who is none any more.
  @discardableResult
  func update(_ roster: Roster) -> Set<MachineID> {
    let now = Set((roster.members + roster.pending).map(\.machine))
    return members.withLock { members in
      defer { members = now }
      return members.subtracting(now)
    }
  }
}
