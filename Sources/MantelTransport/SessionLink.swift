import MantelCore
import MantelSession
import MantelWire
import NIOCore
import Synchronization

/// What the rest of the transport holds of one session: where to put commands, and what to show.
final class SessionLink: Sendable {
  let id: SessionID
  let connection: AuthenticatedConnection
  let delivery: EventDelivery
  let dial: DialOutcome<SessionID>?
  let connected: Instant
  private let shown: Mutex<SessionStatistics>

  init(
    id: SessionID, connection: AuthenticatedConnection, limits: TransportLimits,
    dial: DialOutcome<SessionID>?,
    connected: Instant
  ) {
    self.id = id
    self.connection = connection
    self.dial = dial
    self.connected = connected
    delivery = EventDelivery(countLimit: limits.waitingEvents, byteLimit: limits.waitingEventBytes)
    shown = Mutex(
      SessionStatistics(
        session: id, peer: connection.identity.machine, isDialer: connection.isDialer,
        remote: connection.remote, connected: connected, bytesIn: 0, bytesOut: 0, queuedIn: 0, queuedOut: 0))
  }

  var peer: MachineID { connection.identity.machine }

  /// A session whose commands pile up is stuck: its connection is closed.
  func send(_ command: SessionCommand) {
    if !connection.mailbox.command(command) { connection.channel.close(promise: nil) }
  }

  func close(_ code: CloseCode, _ message: String) { send(.close(code, message: message)) }

  func show(bytesIn: UInt64, bytesOut: UInt64, incoming: Int, outgoing: Int, snapshot: SessionSnapshot) {
    shown.withLock { shown in
      shown.bytesIn = bytesIn
      shown.bytesOut = bytesOut
      shown.queuedIn = incoming
      shown.queuedOut = outgoing
      shown.snapshot = snapshot
    }
  }

  var statistics: SessionStatistics {
    var statistics = shown.withLock { $0 }
    statistics.queuedIn += connection.mailbox.queuedInboundBytes + delivery.queuedBytes
    return statistics
  }
}
