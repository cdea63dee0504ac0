/// A machine of the household other than this one.
package struct PeerAnswer: Codable, Hashable, Sendable {
  package var name: String
  package var id: String
  /// `full` or `source`.
  package var role: String
  /// `connected`, `connecting` or `away`.
  package var state: String
  /// Its newest attestation proves that it holds all it owes, at the heads known here.
  package var complete: Bool
  package var lacks: FileCount
  /// When a connection to it was last open; null if never.
  package var lastSeen: String?
  /// When it signed its newest attestation.
  package var attested: String?
  package var address: String?
  /// Contents that its library wants kept, with the bytes of all its files; and how many of the contents this machine
  /// holds.
  package var library: FileCount?
  package var heldHere: Int
  /// Over the last seconds.
  package var receivedBytesPerSecond: Double
  package var sentBytesPerSecond: Double
  package var clockSkewSeconds: Double?
  package var version: String?
  /// When the copy that it has not re-read for longest was last read, by its own word.
  package var reread: String?
  /// How long its answer to the ping of `peers --ping` took; left out when none was sent, or answered.
  package var roundTripSeconds: Double?

  package init(
    name: String, id: String, role: String, state: String, complete: Bool, lacks: FileCount,
    lastSeen: String?, attested: String?, address: String?, library: FileCount?, heldHere: Int,
    receivedBytesPerSecond: Double, sentBytesPerSecond: Double, clockSkewSeconds: Double?,
    version: String?, reread: String? = nil, roundTripSeconds: Double? = nil
  ) {
    self.name = name
    self.id = id
    self.role = role
    self.state = state
    self.complete = complete
    self.lacks = lacks
    self.lastSeen = lastSeen
    self.attested = attested
    self.address = address
    self.library = library
    self.heldHere = heldHere
    self.receivedBytesPerSecond = receivedBytesPerSecond
    self.sentBytesPerSecond = sentBytesPerSecond
    self.clockSkewSeconds = clockSkewSeconds
    self.version = version
    self.reread = reread
    self.roundTripSeconds = roundTripSeconds
  }
}

/// `mantel peers --json`.
package struct PeersAnswer: Codable, Hashable, Sendable {
  package struct Stranger: Codable, Hashable, Sendable {
    /// The random name that it advertises.
    package var instance: String
    package var address: String
    package init(instance: String, address: String) {
      self.instance = instance
      self.address = address
    }
  }
  /// A machine that was admitted, and of which nobody knows yet whether it joined; `peers remove` takes that back.
  package struct Admitted: Codable, Hashable, Sendable {
    package var name: String
    package var id: String
    package var admittedBy: String
    package var admittedAt: String
    package init(name: String, id: String, admittedBy: String, admittedAt: String) {
      self.name = name
      self.id = id
      self.admittedBy = admittedBy
      self.admittedAt = admittedAt
    }
  }
  package struct Removed: Codable, Hashable, Sendable {
    package var name: String
    package var id: String
    package var removedBy: String
    package init(name: String, id: String, removedBy: String) {
      self.name = name
      self.id = id
      self.removedBy = removedBy
    }
  }
  package var peers: [PeerAnswer]
  package var admitted: [Admitted]
  package var strangers: [Stranger]
  package var removed: [Removed]
  /// Addresses given by `peers add`.
  package var fixedAddresses: [String]

  package init(
    peers: [PeerAnswer], admitted: [Admitted] = [], strangers: [Stranger], removed: [Removed],
    fixedAddresses: [String]
  ) {
    self.peers = peers
    self.admitted = admitted
    self.strangers = strangers
    self.removed = removed
    self.fixedAddresses = fixedAddresses
  }
}
