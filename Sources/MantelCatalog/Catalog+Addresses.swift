internal import GRDB
package import MantelCore

/// Where a machine was reached, or is said to be.
package struct PeerAddress: Hashable, Sendable {
  package var machine: MachineID
  package var address: NetworkAddress
  package var lastSuccess: WallTime?
  package var lastFailure: WallTime?
  /// Failed dials since the last success.
  package var failures: Int
}

extension Catalog {
  /// Addresses kept for a machine: those that worked, the newest first, outlast those that are only told of.
  package static let addressesPerMachine = 2 * Limits.addresses

  /// What to dial: addresses that worked, the newest success first, then the others, the latest learnt first.
  package func peerAddresses(_ machine: MachineID? = nil) throws(StoreError) -> [PeerAddress] {
    try read { db in
      try db.all(
        """
        SELECT machine, host, port, last_success, last_failure, failures FROM peer_address
        WHERE ?1 IS NULL OR machine = ?1
        ORDER BY last_success IS NULL, last_success DESC, learnt DESC, machine, host, port
        """, [.digest(machine?.digest)]
      ) { row in
        PeerAddress(
          machine: try row.id(0), address: try row.address(1), lastSuccess: try row.time(3),
          lastFailure: try row.time(4), failures: Int(try row.integer(5)))
      }
    }
  }

  /// Remembers addresses that a machine says it has, or that discovery found.
  package func learnAddresses(
    _ machine: MachineID, _ addresses: [NetworkAddress], at time: WallTime
  ) throws(StoreError) {
    try write { db in
      for address in addresses {
        try db.run(
          """
          INSERT INTO peer_address (machine, host, port, learnt) VALUES (?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET learnt = excluded.learnt
          """, Self.key(machine, address) + [.int(time.nanoseconds)])
      }
      try Self.forgetSurplus(machine, db)
    }
  }

  /// Records how a dial ended, learning the address if it is new.
  package func recordDial(
    _ machine: MachineID, _ address: NetworkAddress, succeeded: Bool, at time: WallTime
  ) throws(StoreError) {
    try write { db in
      let column = succeeded ? "last_success" : "last_failure"
      try db.run(
        """
        INSERT INTO peer_address (machine, host, port, learnt, \(column), failures) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
        ON CONFLICT DO UPDATE SET \(column) = excluded.\(column),
          failures = CASE WHEN ?5 = 0 THEN 0 ELSE failures + 1 END
        """,
        Self.key(machine, address) + [.int(time.nanoseconds), .flag(!succeeded)])
      try Self.forgetSurplus(machine, db)
    }
  }

  package func forgetAddresses(_ machine: MachineID) throws(StoreError) {
    try write { db in
      try db.run("DELETE FROM peer_address WHERE machine = ?", [.id(machine)])
    }
  }

  /// Addresses that the user gave, to be dialled whoever answers there.
  package func fixedAddresses() throws(StoreError) -> [NetworkAddress] {
    try read { db in
      try db.all("SELECT host, port FROM fixed_address ORDER BY host, port") { try $0.address(0) }
    }
  }

  package func addFixedAddress(_ address: NetworkAddress) throws(StoreError) {
    try write { db in
      try db.run(
        "INSERT INTO fixed_address (host, port) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [.text(address.host), .int(Int(address.port))])
    }
  }

  /// False if it was not there.
  package func removeFixedAddress(_ address: NetworkAddress) throws(StoreError) -> Bool {
    try write { db in
      try db.run(
        "DELETE FROM fixed_address WHERE host = ? AND port = ?",
        [.text(address.host), .int(Int(address.port))])
      return db.changesCount > 0
    }
  }

  private static func key(_ machine: MachineID, _ address: NetworkAddress) -> [SQLValue] {
    [.id(machine), .text(address.host), .int(Int(address.port))]
  }

  private static func forgetSurplus(_ machine: MachineID, _ db: Database) throws {
    try db.run(
      """
      DELETE FROM peer_address WHERE rowid IN (
        SELECT rowid FROM peer_address WHERE machine = ?
        ORDER BY last_success IS NULL, last_success DESC, learnt DESC, host, port LIMIT -1 OFFSET ?)
      """, [.id(machine), .int(addressesPerMachine)])
  }
}

extension ResultRow {
  fileprivate func address(_ column: Int) throws -> NetworkAddress {
    guard let port = UInt16(exactly: try integer(column + 1)) else {
      throw StoreError.damaged("a port")
    }
    return NetworkAddress(host: try text(column), port: port)
  }

  fileprivate func time(_ column: Int) throws -> WallTime? {
    isNull(column) ? nil : WallTime(nanoseconds: try integer(column))
  }
}
