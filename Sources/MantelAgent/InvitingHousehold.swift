import MantelCore
import MantelHousehold
import MantelReplication

/// What an inviter needs of its household; a seam for tests.
protocol InvitingHousehold: Sendable {
  func identity() async -> HouseholdID
  /// An admission that is not merged yet, and the machine record that goes with it. Throws `JoinError`.
  func admission(
    of application: JoinApplication, by key: DeviceKey
  ) async throws -> (statement: SignedStatement, record: Signed<MachineRecord>)
  /// Merges a statement, durably, and spreads it. False when it is not kept.
  func learn(_ statement: SignedStatement) async -> Bool
  func statements() async -> [SignedStatement]
  /// A removal of a machine that was admitted and did not accept; nil if it did, or is none.
  func turningAway(_ machine: MachineID, by key: DeviceKey) async throws -> SignedStatement?
}

extension Engine: InvitingHousehold {
  func identity() -> HouseholdID { ask { $0.household } }

  func admission(
    of application: JoinApplication, by key: DeviceKey
  ) throws -> (statement: SignedStatement, record: Signed<MachineRecord>) {
    try ask { replicator in
      guard let record = replicator.records[replicator.machine] else { throw JoinError.busy }
      return (try replicator.roster.admission(of: application, by: key, now: AgentClock.wall), record)
    }
  }

  func learn(_ statement: SignedStatement) -> Bool {
    handle(.rosterReceived(nil, [statement.bytes]))
    return ask { $0.roster.contains(statement.id) }
  }

  func statements() -> [SignedStatement] { ask { $0.roster.statements } }

  func turningAway(_ machine: MachineID, by key: DeviceKey) throws -> SignedStatement? {
    try ask { try $0.roster.turningAway(machine, by: key, now: AgentClock.wall) }
  }
}

extension Roster {
  /// The admission of who applies; throws, as a `JoinError`, why there is none.
  func admission(
    of application: JoinApplication, by key: DeviceKey, now: WallTime
  ) throws -> SignedStatement {
    var replaced: MachineID?
    if let name = application.replaces {
      let named = machines(named: name)
      guard named.count == 1 else { throw JoinError.unknownReplaced }
      replaced = named.first
    }
    do {
      return try admitting(
        subject: application.machine, publicKey: application.publicKey, name: application.name,
        replaces: replaced, by: key, now: now)
    } catch RosterError.alreadyMember {
      throw JoinError.alreadyMember
    } catch RosterError.removedKey {
      throw JoinError.removedKey
    } catch RosterError.tooManyMachines {
      throw JoinError.householdFull
    } catch RosterError.tooManyStatements {
      throw JoinError.tooManyStatements
    }
  }

  /// Takes an admission back that was not accepted; nil when it was.
  func turningAway(_ machine: MachineID, by key: DeviceKey, now: WallTime) throws -> SignedStatement? {
    guard standing(of: machine) == .admitted else { return nil }
    return try removing(machine, lastHead: .none, lastRoot: .zero, by: key, now: now)
  }
}
