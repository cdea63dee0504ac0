package import MantelCore
package import NIOCore

/// A request's number: chosen by its sender, unique among that sender's open requests of a connection.
package struct RequestID: Hashable, Sendable, Comparable {
  package var number: UInt32
  package init(_ number: UInt32) { self.number = number }
  package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// How a request ended. Every request gets exactly one, in a DONE frame.
package enum Outcome: UInt8, Sendable, CaseIterable {
  case complete = 0
  /// The responder does not have (any more) what was asked for.
  case notHeld = 1
  /// The file changed while its owner sent it; blames nobody.
  case changed = 2
  /// Too much is going on; ask again later.
  case busy = 3
  case cancelled = 4
  /// A read failed at the responder.
  case failed = 5
  /// The responder does not know the head, or not as far back; reconcile instead.
  case unknownHead = 6
  /// The responder does not support this request.
  case unsupported = 7
}

/// Which set of ids a reconciliation compares.
package enum SetReference: Hashable, Sendable {
  /// Entry ids of a library as its head of this order has them.
  case library(MachineID, HeadOrder)
  /// Contents that the two sides hold.
  case holdings
}

/// Which side of a connection listed what: the newest of everything that its sender can serve, per machine.
package struct MemberState: Hashable, Sendable {
  package var machine: MachineID
  /// Order of the installed head; `.none` without one.
  package var head: HeadOrder
  /// Numbers of the newest machine record and attestation; 0 without one.
  package var record: UInt64
  package var attestation: UInt64

  package init(machine: MachineID, head: HeadOrder, record: UInt64, attestation: UInt64) {
    self.machine = machine
    self.head = head
    self.record = record
    self.attestation = attestation
  }
}

/// The first frame of each side.
package struct Hello: Hashable, Sendable {
  /// Lowest and highest protocol version that the sender speaks; the highest common one is used.
  package var lowestVersion: UInt8
  package var highestVersion: UInt8
  /// Bits of optional abilities; used when both set them. See `Feature`.
  package var features: UInt64
  package var household: HouseholdID
  /// 16 random bytes of this connection; both make the salt of short hashes.
  package var nonce: [UInt8]
  /// 16 random bytes of this run of the agent: two live ones of one machine tell a clone.
  package var instance: [UInt8]
  package var time: WallTime
  /// Where the sender listens; 0 if it does not.
  package var listeningPort: UInt16
  /// SHA-256 over the sorted ids of its roster statements.
  package var rosterHash: Digest256
  /// How many contents it holds, and their Merkle root.
  package var holdingsCount: UInt64
  package var holdingsRoot: Digest256
  package var members: [MemberState]

  package init(
    lowestVersion: UInt8, highestVersion: UInt8, features: UInt64, household: HouseholdID,
    nonce: [UInt8], instance: [UInt8], time: WallTime, listeningPort: UInt16,
    rosterHash: Digest256, holdingsCount: UInt64, holdingsRoot: Digest256, members: [MemberState]
  ) {
    self.lowestVersion = lowestVersion
    self.highestVersion = highestVersion
    self.features = features
    self.household = household
    self.nonce = nonce
    self.instance = instance
    self.time = time
    self.listeningPort = listeningPort
    self.rosterHash = rosterHash
    self.holdingsCount = holdingsCount
    self.holdingsRoot = holdingsRoot
    self.members = members
  }
}

/// Optional abilities, negotiated in hello.
package enum Feature {
  /// Answers PULL_ANY by choosing units itself ("late binding").
  package static let lateBinding: UInt64 = 1 << 0
  /// Answers CHALLENGE.
  package static let challenges: UInt64 = 1 << 1
  /// Takes FORGET_REQUEST.
  package static let forgetRequests: UInt64 = 1 << 2
}

/// Why a connection was closed.
package enum CloseCode: UInt16, Sendable, CaseIterable {
  case normal = 0
  /// Not, or no longer, a member.
  case notMember = 1
  case incompatibleVersion = 2
  case otherHousehold = 3
  /// A frame broke the protocol.
  case protocolError = 4
  /// Another connection between the two machines is kept.
  case duplicate = 5
  case shuttingDown = 6
  case overLimit = 7
  case timeout = 8
  case clone = 9
}

/// One message of the protocol. protocol.md is the norm; types, layouts and limits are the same there.
package enum Frame: Hashable, Sendable {
  // Opening
  case hello(Hello)
  case ping(UInt64)
  case pong(UInt64)
  case close(CloseCode, message: String)

  // News: whatever is newer than the other side's hello said, and later changes.
  /// Roster statements with their signatures, as stored; at least one.
  case roster([[UInt8]])
  case record(Signed<MachineRecord>)
  /// The sender has installed this head and can serve it.
  case head(Signed<Head>)
  /// A signed attestation, cut because it may be larger than a frame.
  case attestation(part: UInt8, isLast: Bool, [UInt8])
  case forgetRequest(Signed<ForgetRequest>)

  // Libraries
  /// Asks for the entries that changed between two heads of a library; `.none` as `from` asks for all.
  case getDelta(RequestID, library: MachineID, from: HeadOrder, to: HeadOrder)
  /// Asks for entries by id.
  case getEntries(RequestID, library: MachineID, [EntryID])
  /// Entries (canonical bytes), in answer to either.
  case entries(RequestID, [[UInt8]])
  /// Ids of entries that the newer head no longer has, in answer to a delta.
  case removedEntries(RequestID, [EntryID])

  // Reconciliation
  /// Opens a reconciliation; the receiver of this frame answers with the first turn, or DONE.
  case reconcile(RequestID, SetReference, count: UInt64, root: Digest256)
  /// A piece of a turn of the descent; its bytes are MantelSummary's. `isReply` tells whose request number it is:
  /// false when the number is the sender's own.
  case turn(RequestID, isReply: Bool, isLast: Bool, ByteBuffer)

  // Transfer
  case get(RequestID, [UnitID])
  /// Starts unit `index` of a GET (or PULL_ANY), `bytes` long.
  case unitBegin(RequestID, index: UInt16, bytes: UInt64)
  case data(RequestID, index: UInt16, ByteBuffer)
  /// Ends a unit: `.complete` after all its bytes, or why there are no more.
  case unitEnd(RequestID, index: UInt16, Outcome)
  case cancel(RequestID)
  /// Asks the holder to send up to `count` of these units, and no further one once they have `bytes`: of its choice.
  case pullAny(RequestID, count: UInt16, bytes: UInt32, [UnitID])
  /// Names the unit that a holder chose, before its UNIT_BEGIN.
  case chosenUnit(RequestID, index: UInt16, UnitID)
  /// The one terminal reply of a request.
  case done(RequestID, Outcome)

  // Holdings
  /// Contents that the sender has verified and can serve now (not: holds durably), or no longer can.
  case available(added: [ContentID], removed: [ContentID])
  case availableBlocks(ContentID, [BlockRange])

  // Proof
  /// Asks for SHA-256(nonce 16 || bytes of the range).
  case challenge(RequestID, ContentID, offset: UInt64, count: UInt32, nonce: [UInt8])
  case challengeAnswer(RequestID, Digest256)
}
