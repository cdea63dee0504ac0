package import MantelCore
package import MantelSummary
package import MantelWire

/// What the caller wants of a session. Commands given before the peer's hello wait for it. Once the session is closed
/// units and jobs end at once as cancelled; once `closing` was handed out, which ends everything, nothing is said.
package enum SessionCommand: Sendable {
  // News: sent as soon as the channel takes it; a newer one of the same machine replaces one not yet sent.
  /// A head that is installed here from now on; of the peer's own library also another that its owner may not know of.
  case announceHead(Signed<Head>)
  case announceRecord(Signed<MachineRecord>)
  case announceAttestation(Signed<Attestation>)
  case announceRoster([[UInt8]])
  /// Sent only to a peer with `Feature.forgetRequests`.
  case announceForgetRequest(Signed<ForgetRequest>)

  /// Ends in one `jobEnded`. Precondition: `from < to`.
  case fetchDelta(JobID, library: MachineID, from: HeadOrder, to: HeadOrder)
  /// Any number of ids: the session splits and pipelines. Ends in one `jobEnded`; `.notHeld` when some were not there.
  case fetchEntries(JobID, library: MachineID, [EntryID])
  /// Ends in one `jobEnded`, after the last `difference`.
  case reconcile(JobID, SetReference, mine: SetSnapshot)
  /// Ends in one `jobEnded`, after `challengeAnswered` if the peer answered.
  case challenge(JobID, Challenge)

  /// Appended to the fetch queue. Each unit gets exactly one `unitEnded`; one that is queued or on its way already is
  /// not fetched twice and does not get a second one.
  case fetch([UnitFetch])
  /// Lets the peer choose among units; each that it does is told by `unitChosen`, and is from then on as if it had been
  /// given to `fetch`. Ends in one `jobEnded`, after the ends of the chosen units; `.complete` also when fewer were chosen.
  case pull(JobID, PullRequest)
  /// Ends the units as cancelled, at once; unknown ones are ignored.
  case cancelFetch([UnitID])

  case available(added: [ContentID], removed: [ContentID])
  case availableBlocks(ContentID, [BlockRange])
  /// Answered by a `roundTrip`; does nothing before the hello, or while `SessionLimits.pings` are on their way.
  case ping
  case close(CloseCode, message: String)
}
