package import MantelCore

/// The one word of `mantel status`.
package enum HouseholdState: String, Sendable {
  case complete
  case copying
  case waiting
  case attention
}

/// Why a machine is not complete, or needs a decision.
package enum StatusReason: Hashable, Sendable {
  /// No folder was scanned to its end since the agent started.
  case scanning
  case pending(files: Int)
  case missing(files: Int, bytes: UInt64)
  /// So much is missing of this library that it takes more than a third of the free space: nobody has to do anything.
  case largeShare(MachineID, bytes: UInt64)
  /// A newer head of this machine's library is known and not installed.
  case headsArriving(MachineID)
  /// Never saw a head of this member.
  case noHead(MachineID)
  case noSecondMachine
  /// Own files that no other machine is known to hold.
  case unsafe(files: Int)
  /// Own photos that are live, and that no disk of this machine is known to have durably: this machine owes them.
  case notOnDisk(files: Int)
  case filing
  case diskSpace
  /// All entries of a newer head of this machine's library are here, and so much room on the catalog's disk is needed to install
  /// them.
  case catalogSpace(MachineID, bytes: UInt64)
  /// The replica's filesystem takes no writes: nothing is fetched or filed until it does.
  case replicaReadOnly
  /// Nobody is connected.
  case noPeerConnected
  /// This machine has published more than its catalog knows: it was restored from a backup, or lost. Nothing is published
  /// before one of these members has brought the newest head; none are named while its entries come.
  case restored(waitingFor: [MachineID])
  /// Something is to be published, and waits until one of these was heard since the start: what is on the disk may be an
  /// old image, and they know what this machine has published.
  case unheard([MachineID])
  /// Another living copy of this machine was met by this peer: nothing is published until the agent is started anew.
  case clone(toldBy: MachineID)
  /// A folder, or a part of it, is not there: not mounted, something else in its place, or unreadable. Empty: all of it.
  case folderOffline(FolderID, [UInt8])
  /// Too much of a folder was deleted or replaced within a day: `held` changes wait for `folder accept`.
  case massChange(FolderID, FolderLosses.MassChange, held: Int)
  /// The replica's disk is not there: what it holds of others cannot be seen.
  case replicaOffline
  /// Since the start, or since the disk came back, not all copies were looked at, and those read that did not look right.
  case checkingReplica
  /// The replica could not be looked at whole: its copies are not counted anew.
  case replicaUnreadable
  /// The replica's disk failed to sync what was written, again and again: nothing more is landed there until it was mounted anew.
  case failingDisk
  /// Copies were found bad and are not healed.
  case badFiles(files: Int)
  /// Copies were found bad, and no machine is known to have their bytes.
  case unhealable(files: Int)
  /// Own files changed though nobody wrote to them; of so many another machine proves to have the bytes.
  case suspectedRot(files: Int, safe: Int)
  /// This machine showed other bytes than it claims to hold: nothing that it says counts.
  case refuted(MachineID)
  /// This machine has not shown what it was asked for, again and again: nothing that it says counts meanwhile.
  case unproven(MachineID)
  /// A library dropped more at once than goes without a question: its bytes stay until they are confirmed here.
  case heldDrops(MachineID, files: Int, bytes: UInt64)
  /// A library grew within a day by more than goes without a question: its newest head waits to be confirmed here.
  /// `isFirst`: nothing of it is here.
  case heldGrowth(MachineID, entries: Int, isFirst: Bool)
  /// This machine signed two different heads of one order: two copies of it run, or it lies; nobody has acknowledged that.
  case forked(MachineID)
  /// Own photos that were deleted or replaced, and that no machine has any more; nobody has acknowledged that.
  case lost(files: Int)
  /// So many contents fell out of this machine's library without a word, and nobody has acknowledged that; their copies stay.
  case orphaned(MachineID, files: Int)
  /// This machine was removed from the household.
  case removed
}

extension StatusReason {
  /// Nothing but a person ends it.
  var needsDecision: Bool {
    switch self {
    case .massChange, .suspectedRot, .unhealable, .refuted, .heldDrops, .heldGrowth, .forked, .lost,
      .orphaned, .failingDisk:
      true
    default: false
    }
  }

  /// It tells already of own photos that are not held now. None of these leaves a machine complete.
  var tellsOfUnheld: Bool {
    switch self {
    case .scanning, .pending, .massChange, .suspectedRot, .restored: true
    default: false
    }
  }

  /// Nobody owes anything of it: this machine has all that it owes, or more.
  var leavesComplete: Bool {
    switch self {
    case .heldDrops, .forked, .lost, .orphaned: true
    default: false
    }
  }
}

/// One other member as this machine knows it.
package struct PeerReport: Hashable, Sendable {
  package var machine: MachineID
  package var name: String
  package var role: Role
  package var isConnected: Bool
  /// It proves to hold all that it owes of every library at the heads installed here.
  package var isComplete: Bool
  package var lacksFiles: Int
  package var lacksBytes: UInt64
  /// When it signed its newest attestation.
  package var attested: WallTime?
  package var program: String?
  /// How far its clock is ahead of this machine's, at the hello.
  package var clockSkew: Duration?
  /// Wanted contents of its library, and how many of them this machine holds.
  package var libraryFiles: Int
  package var heldHere: Int
}

/// What `status` and `peers` show.
package struct StatusReport: Sendable {
  package var state: HouseholdState
  package var isComplete: Bool
  /// Complete against the exact heads, and every reachable full peer (at least one) proves to hold the own library.
  package var isSettledEverywhere: Bool
  package var reasons: [StatusReason]
  package var missingFiles: Int
  package var missingBytes: UInt64
  package var arriving: Int
  package var ledger: LedgerCounts
  package var peers: [PeerReport]
  package var ownHead: HeadOrder
  package var receivedBytes: UInt64
  package var trash: [TrashReport] = []
}

/// What the replica's trash has of one library.
package struct TrashReport: Hashable, Sendable {
  package var library: MachineID
  package var files: Int
  package var bytes: UInt64
  /// Agent time until that of the first of them is over. Then it goes at the next look, unless it may not (`isOnlyCopyOfOwn`, or
  /// a second copy whose first was not read for long): zero is no promise. The batch judges that; here it would cost a question
  /// for each file.
  package var left: Duration
}
