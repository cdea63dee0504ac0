import MantelCore
import MantelHousehold
import Synchronization

/// Who may connect to this machine, as event loops ask it after every handshake: a copy of what the roster says that is
/// read without waiting. What a peer gets then is another question.
final class MemberList: Sendable {
  private let machines = Mutex<Set<MachineID>>([])

  func contains(_ machine: MachineID) -> Bool { machines.withLock { $0.contains(machine) } }

  /// Takes over who may connect; returns who may not any more.
  @discardableResult
  func update(_ roster: Roster) -> Set<MachineID> {
    let now = Set((roster.members + roster.admitted).map(\.machine))
    return machines.withLock { machines in
      defer { machines = now }
      return machines.subtracting(now)
    }
  }
}
