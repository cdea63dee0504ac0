import MantelCore
import MantelHousehold
import NIOCore

/// The two protocols that connections may speak.
enum ApplicationProtocol: String, Sendable {
  /// Between members.
  case session = "mantel/1"
  /// Between a newcomer and its inviter, while an invite is open.
  case join = "mantel-join/1"
}

/// Who is at the other end, proved by its certificate, and what it came for.
struct PeerIdentity: Sendable {
  var machine: MachineID
  var publicKey: [UInt8]
  var protocolName: ApplicationProtocol

  init(certificate: [UInt8], negotiated: String?) throws(TransportError) {
    guard let protocolName = negotiated.flatMap(ApplicationProtocol.init(rawValue:)) else {
      throw TransportError(.refused, "no common application protocol")
    }
    guard certificate.count <= Limits.certificateBytes else {
      throw TransportError(.refused, "the peer's certificate is too long")
    }
    do {
      (machine, publicKey) = try PeerCertificate.identity(ofDER: certificate)
    } catch {
      throw TransportError(.refused, "the peer's certificate is not a machine's: \(error)")
    }
    self.protocolName = protocolName
  }
}

/// A connection whose peer is authorised: what a session or a join is made of.
struct AuthenticatedConnection: Sendable {
  var channel: any Channel
  var mailbox: Mailbox
  var identity: PeerIdentity
  var remote: NetworkAddress
  /// Whether this machine dialled.
  var isDialer: Bool
}

extension SocketAddress {
  /// The address as it is printed and dialled.
  var networkAddress: NetworkAddress {
    NetworkAddress(host: ipAddress ?? "", port: UInt16(clamping: port ?? 0))
  }

  /// Whom limits count a connection from here against.
  var sourceKey: SourceKey {
    withSockAddr { pointer, size in
      let raw = UnsafeRawBufferPointer(start: pointer, count: size)
      switch self {
      // sockaddr_in: family 2, port 2, address 4.
      case .v4: return SourceKey(bytes: Array(raw[4..<8]))
      // sockaddr_in6: family 2, port 2, flow 4, address 16; a household gets at least a /64, so it counts as one.
      case .v6:
        let isMapped = raw[8..<18].allSatisfy { $0 == 0 } && raw[18] == 0xFF && raw[19] == 0xFF
        return SourceKey(bytes: Array(isMapped ? raw[20..<24] : raw[8..<16]))
      case .unixDomainSocket: return SourceKey(bytes: [])
      }
    }
  }
}
