import MantelWire

/// The peer broke the protocol or a limit: the connection closes with this code.
struct PeerFault: Error, Equatable {
  var code: CloseCode
  var message: String

  static func broke(_ message: String) -> PeerFault { PeerFault(code: .protocolError, message: message) }
  static func overLimit(_ message: String) -> PeerFault { PeerFault(code: .overLimit, message: message) }
}
