package import MantelCore
package import MantelSession

/// Names one connection of two members for as long as the process runs.
package struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let number: UInt64

  package init(number: UInt64) { self.number = number }

  package static func < (left: Self, right: Self) -> Bool { left.number < right.number }

  package var description: String { "\(number)" }
}

/// What the agent gives the transport: who may talk to us, what a session starts from, and where its events go.
///
/// At most one session per peer is visible through `received`: of two connections to one machine the later one's
/// events are held back until one of them is closed, and `ended` of the closed one returns before `.opened` of the
/// other is delivered. The first event is `.opened`; a session that never opens delivers nothing, but a lone
/// `.closing(.clone)` when it met a copy of a machine. After `run()` was cancelled these functions are called in a cancelled
/// task, but for `answer`.
package protocol SessionEnvironment: Sendable {
  /// Whether the roster has this member right now. Called on an event loop after every handshake: must not block.
  func authorises(_ peer: MachineID) -> Bool

  /// Whether newcomers are offered the join protocol: an invite is open, or ended lately, which they are told. Called on an
  /// event loop: must not block.
  var answersNewcomers: Bool { get }

  /// What a new session starts from; nil refuses the peer. Each non-nil answer is followed by exactly one `ended`.
  func configuration(
    for peer: MachineID, isDialer: Bool, session: SessionID
  ) async -> SessionConfiguration?

  /// Answers what the peer asked of the store: several reads, or one question of another kind; an answer for each. Several
  /// calls are in progress at once. A session ends without waiting for answers, and `run()` waits a bounded time: what
  /// comes after `ended` is thrown away.
  func answer(_ queries: [StoreQuery], for session: SessionID) async -> [StoreAnswer]

  /// Takes one event; the next comes when this returns. A slow return stops reading from the peer.
  func received(_ event: SessionEvent, on session: SessionID) async

  /// The last call for a session, also for one whose `.opened` was never delivered.
  func ended(_ session: SessionID, peer: MachineID) async

  /// The inviter's side of a join. The connection is closed when this returns.
  func join(_ connection: JoinConnection) async
}

/// What `peers` shows of one connection.
package struct SessionStatistics: Sendable {
  package var session: SessionID
  package var peer: MachineID
  package var isDialer: Bool
  package var remote: NetworkAddress
  /// When its handshake was done.
  package var connected: Instant
  /// Application bytes within TLS.
  package var bytesIn: UInt64
  package var bytesOut: UInt64
  /// Bytes read and not yet taken by the environment.
  package var queuedIn: Int
  /// Bytes encoded and not yet taken by the kernel.
  package var queuedOut: Int
  /// The session's own view; nil until its loop has started.
  package var snapshot: SessionSnapshot?
}

/// Counters since the transport was made, and its connections now.
package struct TransportStatistics: Sendable {
  /// TLS handshakes that ended with an authorised peer.
  package var handshakesSucceeded: UInt64 = 0
  /// Handshakes that were done, but with a peer that is not authorised.
  package var handshakesRefused: UInt64 = 0
  /// Handshakes that did not end, timeouts included.
  package var handshakesFailed: UInt64 = 0
  /// Connections closed at once because too many were waiting.
  package var connectionsRefused: UInt64 = 0
  package var sessions: [SessionStatistics] = []
}
