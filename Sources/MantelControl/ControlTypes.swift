/// The answers of the agent's API, as `--json` prints them. Keys are stable: scripts rely on them. Times are
/// ISO 8601 in UTC, sizes are bytes, durations seconds.

/// Some files and their bytes.
package struct FileCount: Codable, Hashable, Sendable {
  package var files: Int
  package var bytes: UInt64

  package init(files: Int, bytes: UInt64) {
    self.files = files
    self.bytes = bytes
  }
}

/// A path as people read it; `pathBase64` has the true bytes when they are not UTF-8.
package struct PathText: Codable, Hashable, Sendable {
  package var path: String
  package var pathBase64: String?

  package init(path: String, pathBase64: String?) {
    self.path = path
    self.pathBase64 = pathBase64
  }
}

package struct MachineAnswer: Codable, Hashable, Sendable {
  package var name: String
  /// 64 hexadecimal digits.
  package var id: String

  package init(name: String, id: String) {
    self.name = name
    self.id = id
  }
}

package struct LedgerAnswer: Codable, Hashable, Sendable {
  package var seen: Int
  package var safe: Int
  package var pending: Int
  package var skipped: Int

  package init(seen: Int, safe: Int, pending: Int, skipped: Int) {
    self.seen = seen
    self.safe = safe
    self.pending = pending
    self.skipped = skipped
  }
}

/// One reason why the state is not `complete`.
package struct ReasonAnswer: Codable, Hashable, Sendable {
  /// One of: scanning, pending, missing, largeShare, headsArriving, noHead, noSecondMachine, unsafe, notOnDisk, filing,
  /// diskSpace, replicaReadOnly, noPeerConnected, restored, unheard, clone, folderOffline, replicaOffline, checkingReplica,
  /// replicaUnreadable, failingDisk, massChange, badFiles, unhealable, suspectedRot, heldDrops, heldGrowth, forked, lost, orphaned,
  /// catalogDamaged, discovery.
  package var code: String
  /// A sentence for people.
  package var message: String
  package var machine: String?
  package var files: Int?
  package var bytes: UInt64?
  /// The name of the folder that it is about.
  package var folder: String?

  package init(
    code: String, message: String, machine: String? = nil, files: Int? = nil, bytes: UInt64? = nil,
    folder: String? = nil
  ) {
    self.code = code
    self.message = message
    self.machine = machine
    self.files = files
    self.bytes = bytes
    self.folder = folder
  }
}

/// What this machine has of one library: complete when the roots are equal.
package struct LibraryAnswer: Codable, Hashable, Sendable {
  package var machine: String
  /// The installed head; 0 and 0 without one.
  package var epoch: UInt64
  package var sequence: UInt64
  /// Contents that this machine owes, and the Merkle root over them; 64 hexadecimal digits.
  package var contents: Int
  package var wantedRoot: String
  /// The root over those of them that this machine holds.
  package var heldRoot: String

  package init(
    machine: String, epoch: UInt64, sequence: UInt64, contents: Int, wantedRoot: String, heldRoot: String
  ) {
    self.machine = machine
    self.epoch = epoch
    self.sequence = sequence
    self.contents = contents
    self.wantedRoot = wantedRoot
    self.heldRoot = heldRoot
  }
}

/// `mantel status --json`.
package struct StatusAnswer: Codable, Hashable, Sendable {
  /// `complete`, `copying`, `waiting`, `attention` or `off`.
  package var state: String
  package var complete: Bool
  /// With `--wait`: complete against exact heads, and proved by every reachable full machine.
  package var settled: Bool
  package var machine: MachineAnswer
  package var household: MachineAnswer
  package var role: String
  package var ledger: LedgerAnswer
  package var missing: FileCount
  /// Libraries of which a newer head is known than the one installed.
  package var arriving: Int
  package var peers: [PeerAnswer]
  package var reasons: [ReasonAnswer]
  /// The proof: every library that this machine owes something of.
  package var libraries: [LibraryAnswer]
  /// `running`, or why peers cannot be discovered.
  package var discovery: String
  package var bytesPerSecond: Double
  package var etaSeconds: Double?
  /// Machines admitted or removed in the last 14 days, a sentence each.
  package var notices: [String]
  /// Dropped copies that this machine keeps for a while, by the library that dropped them.
  package var trash: [TrashAnswer]
  /// Where bytes still are that this machine's user forgot.
  package var forgotten: [KeptAnswer]
  package var replica: String
  package var listeningPort: Int
  package var time: String

  package init(
    state: String, complete: Bool, settled: Bool, machine: MachineAnswer,
    household: MachineAnswer, role: String, ledger: LedgerAnswer, missing: FileCount,
    arriving: Int, peers: [PeerAnswer], reasons: [ReasonAnswer], libraries: [LibraryAnswer],
    discovery: String,
    bytesPerSecond: Double, etaSeconds: Double?, notices: [String], replica: String,
    listeningPort: Int, time: String, trash: [TrashAnswer] = [], forgotten: [KeptAnswer] = []
  ) {
    self.trash = trash
    self.forgotten = forgotten
    self.state = state
    self.complete = complete
    self.settled = settled
    self.machine = machine
    self.household = household
    self.role = role
    self.ledger = ledger
    self.missing = missing
    self.arriving = arriving
    self.peers = peers
    self.reasons = reasons
    self.libraries = libraries
    self.discovery = discovery
    self.bytesPerSecond = bytesPerSecond
    self.etaSeconds = etaSeconds
    self.notices = notices
    self.replica = replica
    self.listeningPort = listeningPort
    self.time = time
  }
}

/// `mantel invite --json`.
package struct InviteAnswer: Codable, Hashable, Sendable {
  package var code: String
  package var expires: String
  /// `HOST:PORT` for `join --peer`, where discovery does not reach.
  package var addresses: [String]

  package init(code: String, expires: String, addresses: [String]) {
    self.code = code
    self.expires = expires
    self.addresses = addresses
  }
}

package struct FolderAnswer: Codable, Hashable, Sendable {
  package var name: String
  package var id: String
  package var directory: PathText
  package var excludes: [String]
  /// `scanning`, `watched`, `offline`.
  package var state: String
  package var ledger: LedgerAnswer
  /// Deletions and replacements that a mass change holds until `folder accept`.
  package var held: Int

  package init(
    name: String, id: String, directory: PathText, excludes: [String], state: String,
    ledger: LedgerAnswer, held: Int = 0
  ) {
    self.name = name
    self.id = id
    self.directory = directory
    self.excludes = excludes
    self.state = state
    self.ledger = ledger
    self.held = held
  }
}

/// `mantel folder accept NAME --json`, and `mantel peers accept NAME --json`.
package struct AcceptAnswer: Codable, Hashable, Sendable {
  package var name: String
  /// Deletions and replacements that are published now; files by which a library may grow.
  package var accepted: Int

  package init(name: String, accepted: Int) {
    self.name = name
    self.accepted = accepted
  }
}

package struct FolderRequest: Codable, Hashable, Sendable {
  /// Absolute path; base64 of its bytes.
  package var directoryBase64: String
  package var name: String?
  package var excludes: [String]

  package init(directoryBase64: String, name: String?, excludes: [String]) {
    self.directoryBase64 = directoryBase64
    self.name = name
    self.excludes = excludes
  }
}

/// `mantel peers remove --json`.
package struct RemovalAnswer: Codable, Hashable, Sendable {
  /// `machine` or `address`: what the name stood for.
  package var kind: String
  package var name: String
  /// Machines that the removed one had admitted, and that stay members.
  package var admitted: [String]

  package init(kind: String, name: String, admitted: [String]) {
    self.kind = kind
    self.name = name
    self.admitted = admitted
  }
}

/// One line of `mantel ls --json`.
package struct FileAnswer: Codable, Hashable, Sendable {
  package var machine: String
  package var folder: String
  /// Path below the folder.
  package var path: PathText
  package var size: UInt64
  package var modified: String
  /// `live`, `retired`, `unheld`.
  package var state: String
  package var sha256: String
  /// Names of machines that hold it: this one by its own check, others by attestation.
  package var heldBy: [String]
  /// Machines of the household.
  package var machines: Int
  /// Filesystems that those in `heldBy` keep their copies on: two replicas on one disk are one copy.
  package var copies: Int
  /// The same of all machines of the household.
  package var filesystems: Int

  package init(
    machine: String, folder: String, path: PathText, size: UInt64, modified: String,
    state: String, sha256: String, heldBy: [String], machines: Int, copies: Int, filesystems: Int
  ) {
    self.machine = machine
    self.folder = folder
    self.path = path
    self.size = size
    self.modified = modified
    self.state = state
    self.sha256 = sha256
    self.heldBy = heldBy
    self.machines = machines
    self.copies = copies
    self.filesystems = filesystems
  }
}

/// A page of a listing; `next` asks for the following one.
package struct Page<Item: Codable & Sendable>: Codable, Sendable {
  package var items: [Item]
  package var next: String?

  package init(items: [Item], next: String?) {
    self.items = items
    self.next = next
  }
}

package struct FilesQuery: Codable, Hashable, Sendable {
  /// Glob over machine/folder/path; nil: everything.
  package var pattern: String?
  package var machine: String?
  package var retired: Bool
  package var after: String?

  package init(pattern: String?, machine: String?, retired: Bool, after: String?) {
    self.pattern = pattern
    self.machine = machine
    self.retired = retired
    self.after = after
  }
}

/// `mantel where --json`.
package struct WhereAnswer: Codable, Hashable, Sendable {
  package struct Holder: Codable, Hashable, Sendable {
    package var machine: String
    /// `here` (own check), `attested`, `connected` (says that it can serve it now).
    package var proof: String
    /// When the holder re-read it last; for attested ones, its oldest re-read.
    package var reread: String?
    /// Files on this machine that have the bytes.
    package var paths: [PathText]

    package init(machine: String, proof: String, reread: String?, paths: [PathText]) {
      self.machine = machine
      self.proof = proof
      self.reread = reread
      self.paths = paths
    }
  }
  package var sha256: String
  package var size: UInt64?
  package var names: [FileAnswer]
  package var holders: [Holder]

  package init(sha256: String, size: UInt64?, names: [FileAnswer], holders: [Holder]) {
    self.sha256 = sha256
    self.size = size
    self.names = names
    self.holders = holders
  }
}

package struct WhereQuery: Codable, Hashable, Sendable {
  /// 64 hexadecimal digits, or nil when a file is asked for.
  package var sha256: String?
  /// Absolute path of a file, base64 of its bytes.
  package var fileBase64: String?

  package init(sha256: String?, fileBase64: String?) {
    self.sha256 = sha256
    self.fileBase64 = fileBase64
  }
}

/// One line of `mantel skipped --json`.
package struct SkippedAnswer: Codable, Hashable, Sendable {
  package var folder: String
  package var path: PathText
  /// junk, excluded, symlink, special, unreadable, tooLarge, pathTooLong, mantel, forgotten.
  package var reason: String
  package var message: String

  package init(folder: String, path: PathText, reason: String, message: String) {
    self.folder = folder
    self.path = path
    self.reason = reason
    self.message = message
  }
}

/// One line of `mantel sums --json`.
package struct SumAnswer: Codable, Hashable, Sendable {
  package var sha256: String
  /// Absolute path of a replica file.
  package var path: PathText
  package var machine: String

  package init(sha256: String, path: PathText, machine: String) {
    self.sha256 = sha256
    self.path = path
    self.machine = machine
  }
}
