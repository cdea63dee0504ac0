/// What `POST /v1/verify` asks for.
package struct VerifyQuery: Codable, Hashable, Sendable {
  /// Also what was re-read in the last 30 days.
  package var all: Bool
  /// Only the photos of this machine.
  package var machine: String?

  package init(all: Bool, machine: String?) {
    self.all = all
    self.machine = machine
  }
}

/// How far the verification has come that runs, or ran last. It ends by itself when nobody asks for a minute.
package struct VerifyAnswer: Codable, Hashable, Sendable {
  /// Counts the verifications since the agent started; 0: none was asked for.
  package var number: UInt64
  /// `reading`, `healing`, `done`, `stopped`, `unavailable` (the replica is not mounted), `none`.
  package var state: String
  /// Read so far.
  package var files: Int
  package var bytes: UInt64
  /// What there was to read when it began.
  package var total: FileCount
  /// Files found bad, those of them that are healed, and those that are not.
  package var bad: Int
  package var healed: Int
  package var stillBad: Int
  /// Files of this machine's own folders that changed though nobody wrote to them: they need a decision.
  package var suspected: Int
  /// The disk that the replica lies on, in words.
  package var disk: String?

  package init(
    number: UInt64, state: String, files: Int, bytes: UInt64, total: FileCount, bad: Int, healed: Int,
    stillBad: Int, suspected: Int, disk: String?
  ) {
    self.number = number
    self.state = state
    self.files = files
    self.bytes = bytes
    self.total = total
    self.bad = bad
    self.healed = healed
    self.stillBad = stillBad
    self.suspected = suspected
    self.disk = disk
  }

  package var isRunning: Bool { state == "reading" || state == "healing" }
}

/// A replica file that was found bad: an item of `GET /v1/verify/bad`.
package struct BadFileAnswer: Codable, Hashable, Sendable {
  /// Whose photo it was a copy of.
  package var machine: String
  /// Absolute path.
  package var path: PathText
  package var sha256: String
  package var size: UInt64
  /// `rotten`, `unreadable`, `changed`, `vanished`.
  package var fault: String
  package var found: String
  package var healed: String?
  /// Where the bad bytes lie now.
  package var aside: PathText?

  package init(
    machine: String, path: PathText, sha256: String, size: UInt64, fault: String, found: String,
    healed: String?, aside: PathText?
  ) {
    self.machine = machine
    self.path = path
    self.sha256 = sha256
    self.size = size
    self.fault = fault
    self.found = found
    self.healed = healed
    self.aside = aside
  }
}
