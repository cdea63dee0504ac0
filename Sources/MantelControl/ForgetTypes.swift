/// `POST /v1/forget`
package struct ForgetQuery: Codable, Hashable, Sendable {
  /// Glob over machine/folder/path; only photos of this machine's own library can match.
  package var pattern: String
  /// Take it back instead.
  package var undo: Bool
  /// Only tell what it would be.
  package var dryRun: Bool
  /// What was shown to whoever consented (`ForgetAnswer.consent`): nothing is done when other photos match by now. Nil:
  /// nobody was asked.
  package var consent: String?

  package init(pattern: String, undo: Bool, dryRun: Bool, consent: String? = nil) {
    self.pattern = pattern
    self.undo = undo
    self.dryRun = dryRun
    self.consent = consent
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
  /// So many go at once, or went this month, that other machines will ask their users first.
  package var asksOthers: Bool
  /// What is taken back and on no machine, as far as this one knows.
  package var unfound: FileCount
  /// Each library that has photos that match: removed machines may have had one name.
  package var libraries: [ForgottenLibrary]
  /// Stands for the photos that match, whatever order they come in: sent back with the consent to them.
  package var consent: String

  package init(
    pattern: String, undo: Bool, dryRun: Bool, live: Int, retired: Int, contents: FileCount,
    examples: [PathText], kept: [KeptAnswer], asksOthers: Bool,
    unfound: FileCount = FileCount(files: 0, bytes: 0), libraries: [ForgottenLibrary] = [], consent: String
  ) {
    self.consent = consent
    self.libraries = libraries
    self.unfound = unfound
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

/// What matches of one library, the own one or a kept one.
package struct ForgottenLibrary: Codable, Hashable, Sendable {
  package var machine: String
  /// The machine's id.
  package var id: String
  /// Live, and from before.
  package var photos: Int

  package init(machine: String, id: String, photos: Int) {
    self.machine = machine
    self.id = id
    self.photos = photos
  }
}

/// Forgotten bytes that a machine still has.
package struct KeptAnswer: Codable, Hashable, Sendable {
  package var machine: String
  /// `ownLibrary`, `otherLibrary`, `trash`, `away`, `unaware`, `removed`.
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
  /// The machine's id.
  package var id: String
  /// Photos of this machine that have the bytes, and their bytes.
  package var photos: FileCount
  /// The first of them, as machine/folder/path.
  package var examples: [PathText]
  /// Stands for all of them: sent back with the consent to them.
  package var consent: String

  package init(machine: String, id: String, photos: FileCount, examples: [PathText], consent: String) {
    self.consent = consent
    self.machine = machine
    self.id = id
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
  /// What was shown to whoever consented (`ForgetRequestAnswer.consent`): nothing is done when others are asked for by now.
  /// Nil: nobody was asked.
  package var consent: String?

  package init(machine: String, grant: Bool, consent: String? = nil) {
    self.machine = machine
    self.grant = grant
    self.consent = consent
  }
}

/// Copies here that another machine dropped and that wait for a decision: an item of `GET /v1/drops`.
package struct DropsAnswer: Codable, Hashable, Sendable {
  package var machine: String
  /// The machine's id.
  package var id: String
  package var copies: FileCount
  /// Stands for their bytes: sent back with the consent to let them go.
  package var consent: String

  package init(machine: String, id: String, copies: FileCount, consent: String) {
    self.consent = consent
    self.machine = machine
    self.id = id
    self.copies = copies
  }
}

/// `POST /v1/drops`
package struct DropDecision: Codable, Hashable, Sendable {
  /// The machine that dropped them: its name, or its id.
  package var machine: String
  /// Let the copies go; else they stay for good.
  package var accept: Bool
  /// What was shown to whoever consented (`DropsAnswer.consent`): nothing is done when others wait by now. Nil: nobody was
  /// asked.
  package var consent: String?

  package init(machine: String, accept: Bool, consent: String?) {
    self.machine = machine
    self.accept = accept
    self.consent = consent
  }
}

/// What this machine's trash has of one library: part of `status --json`.
package struct TrashAnswer: Codable, Hashable, Sendable {
  package var machine: String
  package var files: Int
  package var bytes: UInt64
  /// Agent days until the time of the first of them is over, rounded up: days count only while the agent runs. 0: it goes at
  /// the next daily look, unless it is still needed here, as the only copy of a photo of this machine is.
  package var daysLeft: Int

  package init(machine: String, files: Int, bytes: UInt64, daysLeft: Int) {
    self.machine = machine
    self.files = files
    self.bytes = bytes
    self.daysLeft = daysLeft
  }
}
