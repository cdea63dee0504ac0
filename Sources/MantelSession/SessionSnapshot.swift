package import MantelCore
package import MantelWire

/// A session at one moment, for tests, logs and `mantel peers`.
package struct SessionSnapshot: Equatable, Sendable {
  package enum State: Equatable, Sendable {
    /// The peer's hello is awaited.
    case greeting
    case open(version: UInt8)
    case closed(CloseCode)
  }

  package var state: State
  package var peer: MachineID
  package var isDialer: Bool
  package var counters: SessionCounters
  package var roundTrip: Duration?
  /// Ours and the peer's requests without a terminal reply.
  package var openRequests: Int
  package var openPeerRequests: Int
  /// Units that wait for a GET; units and bytes asked for and not there yet.
  package var queuedUnits: Int
  package var unitsInFlight: Int
  package var bytesInFlight: UInt64
  /// Jobs that have not ended.
  package var jobs: Int
  /// Reads asked of the store; bytes asked of it or read and not yet sent.
  package var readsInFlight: Int
  package var readAheadBytes: Int
  /// Questions to the store without an answer, reads included.
  package var openQueries: Int
  /// Actions that can be taken without a writable channel.
  package var queuedActions: Int
}

/// What went over the session so far.
package struct SessionCounters: Equatable, Sendable {
  package var framesReceived: UInt64 = 0
  package var framesSent: UInt64 = 0
  /// File bytes in DATA frames.
  package var dataBytesReceived: UInt64 = 0
  package var dataBytesSent: UInt64 = 0

  package init() {}
}
