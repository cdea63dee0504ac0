import MantelCore
import MantelHousehold
import NIOCore
import NIOSSL

/// The four TLS configurations of a machine. Contexts hold ticket keys: making them anew voids every session ticket that
/// was handed out, so that a removed member's tickets end with its membership.
struct TLSContexts: Sendable {
  let server: NIOSSLContext
  /// While an invite is open.
  let invitingServer: NIOSSLContext
  let client: NIOSSLContext
  let joiningClient: NIOSSLContext

  init(key: DeviceKey) throws(TransportError) {
    do {
      let certificate = try NIOSSLCertificate(bytes: key.certificateDER, format: .der)
      let privateKey = try NIOSSLPrivateKey(bytes: key.privateKeyDER, format: .der)
      func context(_ base: TLSConfiguration, _ protocols: [ApplicationProtocol]) throws -> NIOSSLContext {
        var configuration = base
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = [.x25519_MLKEM768, .x25519, .secp256r1]
        configuration.verifySignatureAlgorithms = [.ecdsaSecp256R1Sha256]
        // Not `.none`, which would neither ask for a certificate nor call the verification callback. No roots: the
        // callback replaces the library's judgement, and the roster gives ours.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.certificateChain = [.certificate(certificate)]
        configuration.privateKey = .privateKey(privateKey)
        configuration.applicationProtocols = protocols.map(\.rawValue)
        configuration.shutdownTimeout = .seconds(2)
        return try NIOSSLContext(configuration: configuration)
      }
      let serverBase = TLSConfiguration.makeServerConfiguration(
        certificateChain: [], privateKey: .privateKey(privateKey))
      let clientBase = TLSConfiguration.makeClientConfiguration()
      server = try context(serverBase, [.session])
      invitingServer = try context(serverBase, [.session, .join])
      client = try context(clientBase, [.session])
      joiningClient = try context(clientBase, [.join])
    } catch {
      throw TransportError(.tls, "this machine's certificate cannot be used: \(error)")
    }
  }

  /// Runs within the handshake: exactly one certificate, small, of a machine. Who it is, is judged after the handshake.
  static func verify(
    _ certificates: [NIOSSLCertificate], _ promise: EventLoopPromise<NIOSSLVerificationResult>
  ) {
    guard certificates.count == 1, let bytes = try? certificates[0].toDERBytes(),
      bytes.count <= Limits.certificateBytes, (try? PeerCertificate.identity(ofDER: bytes)) != nil
    else {
      promise.succeed(.failed)
      return
    }
    promise.succeed(.certificateVerified)
  }
}
