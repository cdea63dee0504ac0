package import MantelCore
package import MantelWire

/// Names a command's work; chosen by the caller, unique among the jobs of a session that have not ended.
package struct JobID: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}

/// Names a question to the store; chosen by the session, never used twice.
package struct QueryID: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}

/// A unit to fetch, and how long it is by the owner's signed entry.
package struct UnitFetch: Hashable, Sendable {
  package var unit: UnitID
  package var bytes: UInt64

  package init(unit: UnitID, bytes: UInt64) {
    self.unit = unit
    self.bytes = bytes
  }
}

/// What a session starts with: who the two sides are, and everything that may be news to the peer.
package struct SessionConfiguration: Sendable {
  package var household: HouseholdID
  package var local: MachineID
  /// The machine that the peer's certificate proves.
  package var peer: MachineID
  package var isDialer: Bool
  /// Ours; sent at once.
  package var hello: Hello
  package var limits: SessionLimits
  package var records: [Signed<MachineRecord>]
  /// Heads that are installed here: their entries can be served.
  package var heads: [Signed<Head>]
  package var attestations: [Signed<Attestation>]
  /// Signed roster statements, as stored.
  package var roster: [[UInt8]]

  package init(
    household: HouseholdID, local: MachineID, peer: MachineID, isDialer: Bool, hello: Hello,
    limits: SessionLimits = SessionLimits(), records: [Signed<MachineRecord>] = [],
    heads: [Signed<Head>] = [], attestations: [Signed<Attestation>] = [], roster: [[UInt8]] = []
  ) {
    self.household = household
    self.local = local
    self.peer = peer
    self.isDialer = isDialer
    self.hello = hello
    self.limits = limits
    self.records = records
    self.heads = heads
    self.attestations = attestations
    self.roster = roster
  }
}
