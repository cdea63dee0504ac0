package import MantelCore

/// What a machine is to a household. Every question of whom to let in, whom to tell what and whose records to keep is put
/// here and nowhere else: that a key is named somewhere, admitted, or a member's are three things.
package enum MachineStanding: Hashable, Sendable {
  /// Nothing that is kept, and holds, admits it.
  case stranger
  /// A member admitted it; that it accepted is not known here. It may connect and bring its acceptance, and is told and
  /// given nothing but the roster.
  case admitted
  case member
  /// It accepted an admission that fell with the removal of who made it: it must be invited again.
  case voided
  /// It was a member, and was removed or left. Its key is spent; its library goes on, as its keeper's.
  case removed
  /// It was removed before it accepted. Its key is spent, and there is nothing of it to keep.
  case turnedAway

  /// Whether it may open a members' connection.
  package var mayConnect: Bool { self == .member || self == .admitted }

  /// Whether a removal is the last word on its key.
  package var isFinal: Bool { self == .removed || self == .turnedAway }

  /// Whether it counts against `Limits.machines`.
  var takesPlace: Bool {
    switch self {
    case .member, .admitted, .removed: true
    case .stranger, .voided, .turnedAway: false
    }
  }
}

extension Roster {
  package func standing(of machine: MachineID) -> MachineStanding {
    standing.byMachine[machine] ?? .stranger
  }

  package func isMember(_ machine: MachineID) -> Bool { standing(of: machine) == .member }

  package func mayConnect(_ machine: MachineID) -> Bool { standing(of: machine).mayConnect }

  /// Whether this household keeps, and passes on, what the machine says of itself: its record, its attestations and the
  /// heads of its library. True for at most `Limits.machines`.
  package func isListed(_ machine: MachineID) -> Bool { standing.listed.contains(machine) }

  /// Machines that have a place in the household, or had one.
  var placesTaken: Int { standing.byMachine.values.count(where: \.takesPlace) }
}
