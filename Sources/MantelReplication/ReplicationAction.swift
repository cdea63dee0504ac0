package import MantelCore
package import MantelSummary

/// A unit to fetch, with the bytes it must have.
package struct UnitOrder: Hashable, Sendable {
  package var unit: UnitID
  package var bytes: UInt64
  /// Size of the whole content, for its staging file.
  package var contentBytes: UInt64
  /// What the unit must hash to: the content id, the manifest's hash, or the block's.
  package var hash: Digest256
  package init(unit: UnitID, bytes: UInt64, contentBytes: UInt64, hash: Digest256) {
    self.unit = unit
    self.bytes = bytes
    self.contentBytes = contentBytes
    self.hash = hash
  }
}

/// The set that a reconciliation compares.
package enum ComparedSet: Hashable, Sendable {
  case library(MachineID, HeadOrder)
  case holdings
}

/// What one link has to do.
package enum LinkCommand: Sendable {
  case announceHead(Signed<Head>)
  case announceRecord(Signed<MachineRecord>)
  case announceAttestation(Signed<Attestation>)
  case announceForgetRequest(Signed<ForgetRequest>)
  case announceRoster([[UInt8]])
  case fetchDelta(LinkJob, library: MachineID, from: HeadOrder, to: HeadOrder)
  case fetchEntries(LinkJob, library: MachineID, [EntryID])
  case reconcile(LinkJob, ComparedSet, mine: SetSnapshot)
  case fetch([UnitOrder])
  case cancelFetch([UnitID])
  /// Let the peer choose up to `count` of these units, and none more once those that began have `bytes`; report
  /// `unitChosen` for each, before its bytes, and `jobEnded`.
  case pull(LinkJob, [UnitOrder], count: Int, bytes: Int)
  case available(added: [ContentID], removed: [ContentID])
  /// Blocks that are here of a large content that is not; ascending, without overlap.
  case availableBlocks(ContentID, [BlockRange])
  case challenge(LinkJob, Challenge)
  /// The peer broke the protocol's word (wrong bytes again and again, or is no member any more).
  case close(LinkClosing)
}

package enum LinkClosing: Hashable, Sendable {
  case notMember
  /// The peer is a member from now on: it connects again as one.
  case accepted
  case protocolError(String)
  case overLimit(String)
}

/// What the agent has to do, in order.
package enum ReplicationAction: Sendable {
  case link(LinkID, LinkCommand)
  /// The bytes that a link brings of this unit next are wanted.
  case expect(LinkID, UnitOrder)
  /// Look at a file again (stat), and report what was seen.
  case look(FolderID, [UInt8])
  /// Hash these files of a folder, make them durable, and report all of them in one `hashed`.
  case hash(FolderID, [[UInt8]])
  /// Look whether a folder's root (the empty path) and these directories are there, and then whether any of the files is that
  /// was missed; report `inspected` in any case.
  case inspect(FolderID, [[UInt8]], missed: [[UInt8]])
  /// Hash the staging file of a large content as a whole and report `contentAssembled`.
  case assemble(ContentID, Manifest)
  case discardStaged(ContentID)
  /// The end of a recall, or that its bytes are here.
  case recalled(RecallID, RecallOutcome)
  /// Run the operations as one durable batch and report `filed`.
  case file(BatchID, [FilingOperation])
  /// The same, for operations that may have been done before, in part: every file is known by its bytes alone. Nothing is
  /// removed: a removal whose file is still there is `adopted`.
  case fileAgain(BatchID, [FilingOperation])
  /// Read a file from its disk, hash it, and report `reread`; at most so many bytes a second, nil: as fast as it goes.
  case reread(RereadTarget, bytesPerSecond: UInt64?)
  /// Move a bad replica file out of the way, durably and without replacing anything, and report `setAside`.
  case setAside(SetAsideOrder)
  /// Compare the replica with the catalog by stat; report each difference as `replicaFileDoubted`, each part of
  /// it that was seen as `replicaPartCompared`, and the end as `replicaCompared`, both with the same number.
  case compareReplica(ComparisonID)
  /// Look in the replica, outside of Mantel's own directory, for files that the catalog does not know and that are as long as
  /// something missing; make each durable with its names, read it through, and report all that have missing bytes at once, as
  /// `straysSought`.
  case findStrays
  /// Draw random bytes for a challenge of this link's peer, and report `challengeDrawn`.
  case drawChallenge(LinkID)
  /// Answer a challenge from a file here, once its whole bytes were found to be the content's; report `proved`.
  case prove(LinkID, Challenge)
  /// The same from the range alone: the content is large.
  case proveRange(LinkID, Challenge)
  /// Have the guard file name this head (nil: no head), unless it names a newer one: then report `guardFound`.
  case keepGuard(Signed<Head>?)
  /// Walk all folders.
  case rescan
  /// Members changed: TLS contexts are rebuilt, connections of machines that are none any more end.
  case rosterChanged
  /// A head was published: `status --wait` may look again. For logs.
  case published(HeadOrder)
  case installed(MachineID, HeadOrder)
  case warn(ReplicationWarning)
}

/// What a person should read in the log, or in `status`.
package enum ReplicationWarning: Hashable, Sendable {
  case rejectedHead(MachineID, String)
  case rejectedStatement(String)
  case corruptUnit(peer: MachineID, ContentID)
  case filingFailed(FilingFailure)
  /// The replica's filesystem takes no writes: told once, until it does.
  case replicaReadOnly
  case ownHeadAhead(HeadOrder)
  /// The own library has caught up with what it once published, and goes on in this epoch.
  case ownHistoryResumed(epoch: UInt64)
  /// This machine signs a removed machine's library without the last head that the removal names: no member has it.
  case lastHeadUnseen(MachineID)
  /// A head of this library left out contents without a word.
  case orphaned(MachineID, Int)
  /// What this machine had published once, and did not know any more, is in its library again.
  case orphansTakenBack(Int)
  /// Two living copies of a machine; `toldBy` when it is this one.
  case clone(of: MachineID, toldBy: MachineID?)
  /// A machine signed two heads of one order.
  case forked(MachineID)
  /// Deletions and replacements of the folder are held from now on.
  case massChange(FolderID, FolderLosses.MassChange)
  /// A machine could not show what it claims to hold.
  case refuted(MachineID, ContentID)
  /// A replica file is bad; it is set aside and healed.
  case badFile(ContentID, FileFault)
  /// An own file has other bytes though nobody wrote to it.
  case suspectedRot(ContentID)
}
