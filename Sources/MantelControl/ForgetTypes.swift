/// `POST /v1/forget`
package struct ForgetQuery: Codable, Hashable, Sendable {
  /// Glob over machine/folder/path; only photos of this machine's own library can match.
  package var pattern: String
  /// Take it back instead.
  package var undo: Bool
  /// Only tell what it would be.
  package var dryRun: Bool

  package init(pattern: String, undo: Bool, dryRun: Bool) {
    self.pattern = pattern
    self.undo = undo
    self.dryRun = dryRun
  }
}

/// `mantel forget PATTERN --json`.
package struct ForgetAnswer: Codable, Hashable, Sendable {
  package var pattern: String
  package var undo: Bool
  package var dryRun: Bool
  /// Photos of the library that match, in folders now, and from before (deleted or replaced).
  package var live: Int
  package var retired: Int
  /// Different contents of them, and their bytes.
  package var contents: FileCount
  /// The first of them, as machine/folder/path.
  package var examples: [PathText]
  /// Where bytes are that were forgotten, and why; of a dry run: where they are now.
  package var kept: [KeptAnswer]
  /// So many go at once that other machines will ask their users first.
  package var asksOthers: Bool

  package init(
    pattern: String, undo: Bool, dryRun: Bool, live: Int, retired: Int, contents: FileCount,
    examples: [PathText], kept: [KeptAnswer], asksOthers: Bool
  ) {
    self.pattern = pattern
    self.undo = undo
    self.dryRun = dryRun
    self.live = live
    self.retired = retired
    self.contents = contents
    self.examples = examples
    self.kept = kept
    self.asksOthers = asksOthers
  }
}

/// Forgotten bytes that a machine still has.
package struct KeptAnswer: Codable, Hashable, Sendable {
  package var machine: String
  /// `ownLibrary`, `otherLibrary`, `trash`, `away`, `unaware`.
  package var reason: String
  package var files: Int
  /// A sentence for people.
  package var message: String

  package init(machine: String, reason: String, files: Int, message: String) {
    self.machine = machine
    self.reason = reason
    self.files = files
    self.message = message
  }
}

/// What a machine asks to be forgotten of this machine's library: an item of `GET /v1/forget/requests`.
package struct ForgetRequestAnswer: Codable, Hashable, Sendable {
  package var machine: String
  /// Photos of this machine that have the bytes, and their bytes.
  package var photos: FileCount
  /// The first of them, as machine/folder/path.
  package var examples: [PathText]

  package init(machine: String, photos: FileCount, examples: [PathText]) {
    self.machine = machine
    self.photos = photos
    self.examples = examples
  }
}

/// `POST /v1/forget/requests`
package struct ForgetDecision: Codable, Hashable, Sendable {
  /// The machine that asks.
  package var machine: String
  /// Forget what it asks for; else it is not asked about again.
  package var grant: Bool

  package init(machine: String, grant: Bool) {
    self.machine = machine
    self.grant = grant
  }
}

/// What this machine's trash has of one library: part of `status --json`.
package struct TrashAnswer: Codable, Hashable, Sendable {
  package var machine: String
  package var files: Int
  package var bytes: UInt64
  /// Agent days until the first of them is deleted, rounded up: days count only while the agent runs.
  package var daysLeft: Int

  package init(machine: String, files: Int, bytes: UInt64, daysLeft: Int) {
    self.machine = machine
    self.files = files
    self.bytes = bytes
    self.daysLeft = daysLeft
  }
}
