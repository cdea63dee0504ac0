package import MantelCore
package import MantelWire

/// Why a dial, a listener or a join exchange failed. What happens to an open session is told by its events instead.
package struct TransportError: Error, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The exact port that was asked for is taken.
    case addressInUse
    case bindFailed
    /// Our own key or certificate was refused by the TLS library.
    case tls
    /// No TCP connection came about.
    case unreachable
    case timeout
    case cancelled
    /// We dialled ourselves.
    case isSelf
    /// A stranger: its certificate is fine, but not of our roster.
    case notMember(MachineID)
    /// A member, but not the one that was expected at this address.
    case unexpectedPeer(MachineID)
    /// The other side ended the connection before it was open: it does not know us, or is full.
    case refused
    /// The other side does not speak what it was dialled for: a machine without an invite does not speak of joining.
    case noCommonProtocol
    /// The other side (or our session) closed with this code before the session was open.
    case closed(CloseCode)
    case connectionClosed
    /// Another connection to the machine that answered is kept instead.
    case duplicate(MachineID)
    /// Too many connections wait already.
    case tooMany
    /// A message is above its named limit.
    case overLimit
    /// `run()` is not running, or was shut down.
    case notRunning
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { "\(message) (\(code))" }
}
