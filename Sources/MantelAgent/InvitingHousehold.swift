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
  /// The removal of the machine that a new member has replaced; nil if it replaced none, or that one is removed already.
  func retiringReplaced(by newcomer: MachineID, by key: DeviceKey) async throws -> SignedStatement?
}

extension Engine: InvitingHousehold {
  func identity() -> HouseholdID { ask { $0.household } }

  func admission(
    of application: JoinApplication, by key: DeviceKey
  ) throws -> (statement: SignedStatement, record: Signed<MachineRecord>) {
    if let replaced = try ask({ try $0.roster.replaced(by: application) }), isAlive(replaced) {
      throw JoinError.replacedIsAlive
    }
    return try ask { replicator in
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

  func retiringReplaced(by newcomer: MachineID, by key: DeviceKey) throws -> SignedStatement? {
    try ask { replicator in
      guard let replaced = replicator.roster.memberReplaced(by: newcomer) else { return nil }
      let head = replicator.lastHead(of: replaced)
      return try replicator.roster.removing(
        replaced, lastHead: head?.order ?? .none, lastRoot: head?.root ?? .zero, by: key, now: AgentClock.wall
      )
    }
  }
}

extension Roster {
  /// The admission of who applies; throws, as a `JoinError`, why there is none.
  func admission(
    of application: JoinApplication, by key: DeviceKey, now: WallTime
  ) throws -> SignedStatement {
    let replaced = try replaced(by: application)
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

  /// The machine that who applies wants to replace: a member of that name, else a removed one, else by the first digits of
  /// its id. Throws `JoinError.unknownReplaced` unless it is exactly one.
  func replaced(by application: JoinApplication) throws(JoinError) -> MachineID? {
    guard let name = application.replaces else { return nil }
    let named = members.filter { $0.name == name }.map(\.machine)
    let former = removed.filter { $0.name == name }.map(\.machine)
    let digits = name.count >= 8 ? name.lowercased() : nil
    let byID = (members.map(\.machine) + removed.map(\.machine)).filter { machine in
      digits.map(machine.hex.hasPrefix) ?? false
    }
    guard let found = [named, former, byID].first(where: { !$0.isEmpty }), found.count == 1 else {
      throw .unknownReplaced
    }
    return found.first
  }

  /// The machine that a member was admitted to replace, if it is a member still.
  func memberReplaced(by newcomer: MachineID) -> MachineID? {
    guard let replaced = member(newcomer)?.replaces, isMember(replaced), replaced != newcomer else {
      return nil
    }
    return replaced
  }

  /// Takes an admission back that was not accepted; nil when it was.
  func turningAway(_ machine: MachineID, by key: DeviceKey, now: WallTime) throws -> SignedStatement? {
    guard standing(of: machine) == .admitted else { return nil }
    return try removing(machine, lastHead: .none, lastRoot: .zero, by: key, now: now)
  }
}
