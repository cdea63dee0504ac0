/// `POST /v1/role`
package struct RoleQuery: Codable, Hashable, Sendable {
  /// `full` or `source`.
  package var role: String
  /// Only tell what it would mean.
  package var dryRun: Bool

  package init(role: String, dryRun: Bool) {
    self.role = role
    self.dryRun = dryRun
  }
}

/// `mantel role ROLE --json`.
package struct RoleAnswer: Codable, Hashable, Sendable {
  package var role: String
  /// What it was before.
  package var former: String
  package var dryRun: Bool
  /// Copies of other machines' photos that lie here; they stay.
  package var copies: FileCount
  /// What is to be copied here from now on; 0 for a source.
  package var missing: FileCount
  /// Free on the replica's disk, without its reserve; nil when it cannot be seen.
  package var freeBytes: UInt64?
  /// Machines that keep copies with the new role, this one too if it does.
  package var fullMachines: [String]

  package init(
    role: String, former: String, dryRun: Bool, copies: FileCount, missing: FileCount, freeBytes: UInt64?,
    fullMachines: [String]
  ) {
    self.role = role
    self.former = former
    self.dryRun = dryRun
    self.copies = copies
    self.missing = missing
    self.freeBytes = freeBytes
    self.fullMachines = fullMachines
  }
}

/// `POST /v1/leave`
package struct LeaveQuery: Codable, Hashable, Sendable {
  /// Only tell what it would mean.
  package var dryRun: Bool

  package init(dryRun: Bool) { self.dryRun = dryRun }
}

/// `mantel leave --json`.
package struct LeaveAnswer: Codable, Hashable, Sendable {
  package var household: String
  package var dryRun: Bool
  /// Files of this machine's folders that no other machine is known to have.
  package var unsafe: Int
  /// Files that are not in the library yet.
  package var pending: Int
  /// Contents of other machines of which only this one is known to have a copy.
  package var onlyHere: Int
  /// Copies of other machines' photos that lie here; they stay.
  package var copies: FileCount
  package var replica: String
  /// Connected machines, which hear of it at once; they tell the others.
  package var told: [String]
  /// Machines that keep copies without this one.
  package var fullMachines: [String]

  package init(
    household: String, dryRun: Bool, unsafe: Int, pending: Int, onlyHere: Int, copies: FileCount,
    replica: String, told: [String], fullMachines: [String]
  ) {
    self.household = household
    self.dryRun = dryRun
    self.unsafe = unsafe
    self.pending = pending
    self.onlyHere = onlyHere
    self.copies = copies
    self.replica = replica
    self.told = told
    self.fullMachines = fullMachines
  }
}

/// What `GET /v1/release/preview` tells: nothing was asked of anybody yet. In contents.
package struct ReleasePreviewAnswer: Codable, Hashable, Sendable {
  /// Why nothing can be released now, and what to do; nil when it can.
  package var refusal: String?
  /// Copies that lie here.
  package var copies: FileCount
  /// Different contents of them that some machine's library names.
  package var contents: Int
  /// Those that every remaining full machine says to hold.
  package var attested: Int
  /// Those of these that only one machine is known to have afterwards.
  package var single: Int
  /// The remaining full machines.
  package var fullMachines: [String]

  package init(
    refusal: String?, copies: FileCount, contents: Int, attested: Int, single: Int, fullMachines: [String]
  ) {
    self.refusal = refusal
    self.copies = copies
    self.contents = contents
    self.attested = attested
    self.single = single
    self.fullMachines = fullMachines
  }
}

/// How far the release has come that runs, or ran last. It ends by itself when nobody asks for a minute.
package struct ReleaseAnswer: Codable, Hashable, Sendable {
  package struct Kept: Codable, Hashable, Sendable {
    /// `unnamed`, `unattested`, `unproven`, `tooLarge`, `unreadable`, `failed`.
    package var reason: String
    package var copies: FileCount
    /// A sentence for people.
    package var message: String
    package var machine: String?

    package init(reason: String, copies: FileCount, message: String, machine: String?) {
      self.reason = reason
      self.copies = copies
      self.message = message
      self.machine = machine
    }
  }

  /// Counts the releases since the agent started; 0: none was asked for.
  package var number: UInt64
  /// `releasing`, `done`, `stopped`, `none`.
  package var state: String
  /// Why it stopped by itself.
  package var refusal: String?
  /// Looked at so far, and what there was when it was asked.
  package var looked: FileCount
  package var released: FileCount
  package var kept: [Kept]

  package init(
    number: UInt64, state: String, refusal: String?, looked: FileCount, released: FileCount, kept: [Kept]
  ) {
    self.number = number
    self.state = state
    self.refusal = refusal
    self.looked = looked
    self.released = released
    self.kept = kept
  }

  package var isRunning: Bool { state == "releasing" }
}
