/// Every bound that both sides of a connection must agree on, or that a peer's input is checked against.
/// protocol.md lists them; a test compares the two.
package enum Limits {
  // MARK: Contents and units

  /// A content of at most this many bytes is one unit, verified whole; a larger one is cut into blocks.
  package static let wholeUnitBytes = 4 << 20
  /// Bytes of a block of a large content; the last may be shorter.
  package static let blockBytes = 1 << 20
  /// The largest content: its block manifest still fits `manifestBytes`. Larger files are skipped, with that reason.
  package static let contentBytes: UInt64 = 256 << 30
  /// 8 bytes of size and 32 per block of the largest content.
  package static let manifestBytes = 8 + 32 * (256 << 10)

  // MARK: Names

  /// Bytes of an entry's path below its folder.
  package static let pathBytes = 32 << 10
  /// Bytes of one component of a path.
  package static let pathComponentBytes = 255
  /// Bytes of the UTF-8 name of a machine, folder or household.
  package static let nameBytes = 200
  /// Bytes of a host in an address.
  package static let hostBytes = 255

  // MARK: Households and libraries

  /// Members of a household, former ones and those that did not accept yet included; machines in a hello, libraries in an
  /// attestation.
  package static let machines = 64
  /// Folders of one machine.
  package static let folders = 256
  /// Addresses in a machine record.
  package static let addresses = 16
  /// Entries of one library, whatever their state.
  package static let entriesPerLibrary = 4_000_000
  /// Content ids listed as missing in one library of an attestation.
  package static let attestedMissing = 1_000
  /// Bytes of one signed roster statement.
  package static let statementBytes = 1 << 10
  /// Roster statements kept; removals are exempt from the bound per signer.
  package static let statements = 4_096
  package static let statementsPerSigner = 64
  /// Requests of one machine to forget, and withdrawals, that are kept: the newest. One command makes up to 245.
  package static let requestsKept = 256

  // MARK: Frames

  /// Bytes of a frame's payload, whatever its type; types have smaller limits of their own.
  package static let frameBytes = 64 << 10
  /// Bytes of file data in one DATA frame.
  package static let dataBytes = (64 << 10) - 64
  /// Units asked for in one GET.
  package static let unitsPerGet = 256
  /// Bytes asked for in one GET.
  package static let bytesPerGet = 16 << 20
  /// Requests of one side that have no terminal reply yet.
  package static let openRequests = 64
  /// Ids in one AVAIL or GET_ENTRIES frame.
  package static let idsPerFrame = 1_024
  /// Bytes asked for and not yet received, per peer.
  package static let windowBytes = 32 << 20
  /// Bytes asked for and not yet received, over all peers.
  package static let processWindowBytes = 128 << 20

  // MARK: Reconciliation

  /// Depth of a descent, in nibbles.
  package static let descentDepth = 64
  /// One-way messages of one reconciliation.
  package static let descentLegs = 80
  /// Reconciliations open at once on a connection, per side.
  package static let openReconciliations = 8

  // MARK: Before authentication

  /// From the TCP connection to the authorised certificate; the peer's hello has as long again.
  package static let handshake: Duration = .seconds(10)
  package static let unauthenticatedConnections = 16
  package static let unauthenticatedPerAddress = 4
  package static let certificateBytes = 2 << 10
  package static let joinFrameBytes = 1 << 10
  package static let acceptFrameBytes = 1 << 20

  // MARK: Liveness

  package static let pingAfterIdle: Duration = .seconds(15)
  package static let deadAfterIdle: Duration = .seconds(45)
}
