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
      throw TransportError(.noCommonProtocol, "no common application protocol")
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

  /// Whom limits count a connection from here against; `local` is the address that it came to.
  ///
  /// Elsewhere a household gets at least a /64, so that counts as one. On this link a /64 is everybody, who would all be
  /// shut out for what one of them does: there it is the address that counts.
  func sourceKey(reachedAt local: SocketAddress?) -> SourceKey {
    guard let (address, scope) = addressBytes else { return SourceKey(bytes: []) }
    // IPv4, also in IPv6 clothes.
    if address.count == 4 { return SourceKey(bytes: address) }
    if address.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) {
      return SourceKey(bytes: Array(address[12...]))
    }
    if address[0] == 0xFE, address[1] & 0xC0 == 0x80 { return SourceKey(bytes: address + scope) }
    let prefix = address.prefix(8)
    if let own = local?.addressBytes?.address, own.count == 16, own.starts(with: prefix) {
      return SourceKey(bytes: address)
    }
    return SourceKey(bytes: Array(prefix))
  }

  /// 4 or 16 bytes, and the 4 of an IPv6 address's scope.
  private var addressBytes: (address: [UInt8], scope: [UInt8])? {
    withSockAddr { pointer, size in
      let raw = UnsafeRawBufferPointer(start: pointer, count: size)
      switch self {
      // sockaddr_in: family 2, port 2, address 4.
      case .v4: return (Array(raw[4..<8]), [])
      // sockaddr_in6: family 2, port 2, flow 4, address 16, scope 4.
      case .v6: return (Array(raw[8..<24]), Array(raw[24..<28]))
      case .unixDomainSocket: return nil
      }
    }
  }
}
