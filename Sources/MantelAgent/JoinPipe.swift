import MantelCore
import MantelHousehold
import MantelTransport

/// A connection on which the messages of joining go to and fro; a seam for tests, which have no sockets.
protocol JoinPipe: Sendable {
  /// Of the other side's certificate.
  var peerPublicKey: [UInt8] { get }
  var remote: NetworkAddress { get }
  func send(_ message: [UInt8]) async throws(TransportError)
  func receive(maximumBytes: Int, timeout: Duration) async throws(TransportError) -> [UInt8]
  /// The newcomer knows the code.
  func proved()
  func close() async
}

extension JoinConnection: JoinPipe {
  func send(_ message: [UInt8]) async throws(TransportError) {
    try await send(message, timeout: Limits.handshake)
  }
}

/// How long either side of a join waits for the other.
enum JoinPatience {
  /// The inviter for a proof, which needs nobody to think.
  static let proof: Duration = .seconds(10)
  /// The newcomer for an answer; that to a wrong proof comes late on purpose.
  static let answer: Duration = .seconds(15)
  /// The inviter for the user of the newcomer, who is asked whether this is the right household.
  static let decision: Duration = .seconds(600)
  /// What a wrong proof costs.
  static let wrongProof: Duration = .seconds(1)
}
