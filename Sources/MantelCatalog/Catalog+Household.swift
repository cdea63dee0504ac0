internal import GRDB
package import MantelCore

extension Catalog {
  package func value(_ key: StoreKey) throws(StoreError) -> [UInt8]? {
    try read { db in
      try db.row("SELECT value FROM setting WHERE key = ?", [.text(key.rawValue)])?.bytes(0)
    }
  }

  package func setValue(_ key: StoreKey, _ value: [UInt8]?) throws(StoreError) {
    try write { db in try Self.set(key, value, db) }
  }

  static func set(_ key: StoreKey, _ value: [UInt8]?, _ db: Database) throws {
    if let value {
      try db.run(
        """
        INSERT INTO setting (key, value) VALUES (?, coalesce(?, x''))
        ON CONFLICT DO UPDATE SET value = excluded.value
        """, [.text(key.rawValue), .bytes(value)])
    } else {
      try db.run("DELETE FROM setting WHERE key = ?", [.text(key.rawValue)])
    }
  }

  package func statements() throws(StoreError) -> [[UInt8]] {
    try read { db in try db.all("SELECT bytes FROM statement") { try $0.bytes(0) } }
  }

  package func addStatements(_ statements: [(id: StatementID, bytes: [UInt8])]) throws(StoreError) {
    try write { db in
      for (id, bytes) in statements {
        try db.run(
          "INSERT INTO statement (id, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
          [.id(id), .bytes(bytes)])
      }
    }
  }

  /// Forgets statements: of the household that this machine leaves, or such as count for nothing any more.
  package func removeStatements(_ ids: [StatementID]) throws(StoreError) {
    try write { db in
      for id in ids { try db.run("DELETE FROM statement WHERE id = ?", [.id(id)]) }
    }
  }

  package func records() throws(StoreError) -> [Signed<MachineRecord>] {
    try read { db in
      try db.all("SELECT bytes FROM machine_record ORDER BY machine") {
        try Signed(bytes: try $0.bytes(0))
      }
    }
  }

  package func putRecord(_ record: Signed<MachineRecord>) throws(StoreError) {
    try write { db in
      try db.run(
        """
        INSERT INTO machine_record (machine, number, bytes) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET number = excluded.number, bytes = excluded.bytes
        """,
        [.id(record.record.machine), .bits(record.record.number), .bytes(record.bytes)])
    }
  }

  package func attestations() throws(StoreError) -> [ReceivedAttestation] {
    try read { db in
      try db.all("SELECT bytes, received FROM attestation ORDER BY holder") {
        ReceivedAttestation(
          try Signed(bytes: try $0.bytes(0)), received: AgentTime(nanoseconds: try $0.integer(1)))
      }
    }
  }

  package func putAttestation(
    _ attestation: Signed<Attestation>, received: AgentTime
  ) throws(StoreError) {
    try write { db in
      try db.run(
        """
        INSERT INTO attestation (holder, number, bytes, received) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET number = excluded.number, bytes = excluded.bytes, received = excluded.received
        """,
        [
          .id(attestation.record.holder), .bits(attestation.record.number),
          .bytes(attestation.bytes), .int(received.nanoseconds),
        ])
    }
  }

  package func libraries() throws(StoreError) -> [LibraryState] {
    try read { db in
      try db.all(
        """
        SELECT m.id, l.staging_epoch, l.staging_sequence, l.is_closed, h.bytes
        FROM library l JOIN machine m ON m.ref = l.machine
          LEFT JOIN head h ON h.library = l.machine AND h.generation = l.installed
        ORDER BY m.id
        """
      ) { row in
        LibraryState(
          machine: try row.id(0),
          installed: row.isNull(4) ? nil : try Signed(bytes: try row.bytes(4)),
          staging: try row.order(1), isClosed: try row.flag(3))
      }
    }
  }
}

// MARK: - Requests to forget

extension Catalog {
  /// By requester and number.
  package func forgetRequests(of requester: MachineID?) throws(StoreError) -> [StoredForgetRequest] {
    let stored = try read { db in
      try db.all(
        "SELECT decision, bytes FROM forget_request WHERE requester = ?1 OR ?1 IS NULL",
        [.digest(requester?.digest)]
      ) { row in
        guard let decision = StoredForgetRequest.Decision(rawValue: Int(try row.integer(0))) else {
          throw StoreError.damaged("a decision")
        }
        return StoredForgetRequest(
          request: try Signed(bytes: try row.bytes(1)), decision: decision)
      }
    }
    return stored.sorted {
      let (left, right) = ($0.request.record, $1.request.record)
      return left.requester != right.requester
        ? left.requester < right.requester : left.number < right.number
    }
  }

  package func addForgetRequest(_ request: Signed<ForgetRequest>, keeping limit: Int) throws(StoreError)
    -> Bool
  {
    let requester: SQLValue = .id(request.record.requester)
    let number = Int64(bitPattern: request.record.number)
    return try write { db in
      guard
        try !db.exists(
          "SELECT 1 FROM forget_request WHERE requester = ? AND number = ?", [requester, .int(number)])
      else { return false }
      let kept = try db.row(
        "SELECT count(*), coalesce(min(number), 0) FROM forget_request WHERE requester = ?", [requester])
      if let kept, try kept.integer(0) >= limit {
        let lowest = try kept.integer(1)
        guard number > lowest else { return false }
        try db.run(
          "DELETE FROM forget_request WHERE requester = ? AND number = ?", [requester, .int(lowest)])
      }
      try db.run(
        "INSERT INTO forget_request (requester, number, bytes) VALUES (?, ?, ?)",
        [requester, .int(number), .bytes(request.bytes)])
      return true
    }
  }

  package func decideForgetRequest(
    _ requester: MachineID, number: UInt64, _ decision: StoredForgetRequest.Decision
  ) throws(StoreError) {
    try write { db in
      try db.run(
        "UPDATE forget_request SET decision = ? WHERE requester = ? AND number = ?",
        [.int(decision.rawValue), .id(requester), .bits(number)])
    }
  }
}
