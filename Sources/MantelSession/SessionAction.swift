package import MantelCore
package import MantelSummary
package import MantelWire
package import NIOCore

/// What a session wants done. The order in which actions come is the order on the wire: the caller must not reorder
/// the frames among them.
package enum SessionAction: Equatable, Sendable {
  case send(Frame)
  /// Each gets one `answered`; answers may come in any order.
  case query(QueryID, StoreQuery)
  case deliver(SessionEvent)
  /// Flush what was sent and close the connection. The last action.
  case close
}

/// A question to this machine's store.
package enum StoreQuery: Hashable, Sendable {
  /// The peer opened a reconciliation.
  case snapshot(SetReference)
  /// One page of the changes between two heads; cursor 0 is the first, the others are the `next` of the page before.
  case delta(library: MachineID, from: HeadOrder, to: HeadOrder, cursor: Int64)
  case entries(library: MachineID, [EntryID])
  /// At most `maximumBytes` of a unit from `offset` within the unit.
  case read(UnitID, offset: UInt64, maximumBytes: Int)
  /// Which of these units to send to the peer next: at most `count` of them, best first.
  case choose([UnitID], count: Int)
  /// Hash the nonce and the bytes of the range, as they are on the disk.
  case prove(Challenge)
}

package enum StoreAnswer: Sendable {
  /// nil: the head is not known.
  case snapshot(SetSnapshot?)
  /// `next` is nil on the last page.
  case delta(added: [[UInt8]], removed: [EntryID], next: Int64?)
  /// Canonical bytes of those that are there.
  case entries([[UInt8]])
  /// At least one byte unless the unit ends there; `unitBytes` is the whole length of the unit.
  case read(ByteBuffer, unitBytes: UInt64)
  /// Units out of those that were asked about; none: there is nothing among them for this peer.
  case chosen([UnitID])
  case proof(Digest256)
  case refused(Outcome)
}

/// What a session tells its caller.
package enum SessionEvent: Equatable, Sendable {
  /// The peer's hello was accepted.
  case opened(peer: Hello, version: UInt8, features: UInt64)

  // Signatures are not checked yet.
  case roster([[UInt8]])
  case record(Signed<MachineRecord>)
  /// The peer has installed this head; one of the library here it may only have heard of.
  case head(Signed<Head>)
  case attestation(Signed<Attestation>)
  case forgetRequest(Signed<ForgetRequest>)

  /// Entries are decoded and well formed; their ids are for the receiver to compute and compare.
  case entries(JobID, added: [Entry], removed: [EntryID])
  /// Full ids; several of these add up to the whole difference. Without a job the peer opened the reconciliation, which
  /// is reported for holdings only.
  case difference(JobID?, SetReference, theirsOnly: [Digest256], mineOnly: [Digest256])
  /// The one end of a job. `.cancelled` also when the session ended.
  case jobEnded(JobID, Outcome)
  /// The peer's answer to a challenge, unchecked; its job ends next.
  case challengeAnswered(JobID, Digest256)
  /// A reconciliation that the peer opened came to its end.
  case reconciledByPeer(SetReference)

  /// The peer chose this unit of a pull; it begins next.
  case unitChosen(JobID, UnitID)
  case unitBegan(UnitID, bytes: UInt64)
  /// The next bytes of a unit that began, in order.
  case unitData(UnitID, ByteBuffer)
  /// The one end of a fetched unit. `.complete`: as many bytes as were expected came; their hash is unchecked.
  /// `.cancelled` also when the session ended.
  case unitEnded(UnitID, Outcome)

  case available(added: [ContentID], removed: [ContentID])
  case availableBlocks(ContentID, [BlockRange])
  case roundTrip(Duration)
  /// The last event: our code, or the peer's; `.normal` when the connection just ended.
  case closing(CloseCode, message: String, byPeer: Bool)
}
