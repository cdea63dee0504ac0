/// Long work that the agent does for a command: started, followed by polls, cancelled. Whoever follows asks for what is
/// new; work that nobody asks about for a minute is cancelled, so that nothing goes on for a terminal that is gone.

/// `mantel restore`
package struct RestoreRequest: Codable, Hashable, Sendable {
  /// Glob over machine/folder/path; nil: everything of the machine.
  package var pattern: String?
  /// Name or id; nil without a pattern: this machine.
  package var machine: String?
  /// Absolute path of the directory to restore to; base64 of its bytes.
  package var directoryBase64: String
  /// Replaced and deleted versions too.
  package var retired: Bool
  /// Restore what was there at this moment, ISO 8601.
  package var asOf: String?
  /// Only tell what would be restored.
  package var dryRun: Bool
  /// The user knows that the directory lies in a folder that is backed up.
  package var mayWriteIntoFolder: Bool

  package init(
    pattern: String?, machine: String?, directoryBase64: String, retired: Bool, asOf: String?, dryRun: Bool,
    mayWriteIntoFolder: Bool
  ) {
    self.pattern = pattern
    self.machine = machine
    self.directoryBase64 = directoryBase64
    self.retired = retired
    self.asOf = asOf
    self.dryRun = dryRun
    self.mayWriteIntoFolder = mayWriteIntoFolder
  }
}

/// `POST /v1/jobs`: exactly one of them.
package struct JobRequest: Codable, Hashable, Sendable {
  package struct Check: Codable, Hashable, Sendable {
    /// Absolute path; base64 of its bytes.
    package var directoryBase64: String
    package init(directoryBase64: String) { self.directoryBase64 = directoryBase64 }
  }
  package struct Drill: Codable, Hashable, Sendable {
    /// Photos of each replica, and of each connected machine.
    package var photos: Int
    package init(photos: Int) { self.photos = photos }
  }
  package var restore: RestoreRequest?
  package var check: Check?
  package var drill: Drill?

  package init(restore: RestoreRequest? = nil, check: Check? = nil, drill: Drill? = nil) {
    self.restore = restore
    self.check = check
    self.drill = drill
  }
}

/// One thing that a job has to say about a file, or a machine.
package struct JobItem: Codable, Hashable, Sendable {
  /// `restore`: wouldRestore, suffixed, failed. `check`: onlyHere, unknown, unreadable. `drill`: right, wrong, unavailable.
  package var state: String
  package var machine: String?
  package var folder: String?
  /// Path below the folder; for `check`, below the directory.
  package var path: PathText?
  /// Where the file was, or would be, restored: an absolute path.
  package var target: PathText?
  package var size: UInt64?
  package var sha256: String?
  /// A sentence for people.
  package var message: String?

  package init(
    state: String, machine: String? = nil, folder: String? = nil, path: PathText? = nil,
    target: PathText? = nil, size: UInt64? = nil, sha256: String? = nil, message: String? = nil
  ) {
    self.state = state
    self.machine = machine
    self.folder = folder
    self.path = path
    self.target = target
    self.size = size
    self.sha256 = sha256
    self.message = message
  }
}

/// What a job has come to, and what it had to say since the last poll.
package struct JobAnswer: Codable, Hashable, Sendable {
  /// `restore`, `check` or `drill`.
  package var kind: String
  package var id: String
  /// `running`, `done`, `cancelled` or `failed`.
  package var state: String
  /// Why it failed.
  package var message: String?
  /// All there is to do, once it is known.
  package var total: FileCount?
  /// What was done, by what became of it. `restore`: restored, present, suffixed, failed, wouldRestore. `check`: safe,
  /// onlyHere, unknown, unreadable. `drill`: right, wrong, unavailable.
  package var counts: [String: FileCount]
  package var items: [JobItem]
  /// The `after` of the next poll.
  package var next: Int

  package init(
    kind: String, id: String, state: String, message: String?, total: FileCount?,
    counts: [String: FileCount], items: [JobItem], next: Int
  ) {
    self.kind = kind
    self.id = id
    self.state = state
    self.message = message
    self.total = total
    self.counts = counts
    self.items = items
    self.next = next
  }

  package var isRunning: Bool { state == "running" }

  package func files(_ state: String) -> Int { counts[state]?.files ?? 0 }

  /// Files of any outcome.
  package var processed: FileCount {
    counts.values.reduce(FileCount(files: 0, bytes: 0)) {
      FileCount(files: $0.files + $1.files, bytes: $0.bytes + $1.bytes)
    }
  }
}

/// `POST /v1/jobs`
package struct JobStart: Codable, Hashable, Sendable {
  /// Nil when the user has to be asked first.
  package var id: String?
  /// What the user has to say yes to; the request is then made again with it.
  package var question: String?

  package init(id: String?, question: String?) {
    self.id = id
    self.question = question
  }
}
