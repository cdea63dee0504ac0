import Crypto
package import MantelCore
import SwiftASN1
import X509

/// Why a peer's certificate was refused.
package enum CertificateError: Error, Equatable, Sendable {
  /// More than `Limits.certificateBytes`.
  case tooLong
  /// Not a DER certificate.
  case malformed
  /// Its key is not on P-256.
  case unsupportedKey
}

/// Reads who a TLS peer is. Only the key counts: names, dates and issuer of the certificate are not looked at,
/// because the handshake proves possession of the key and the roster says what the key may do.
package enum PeerCertificate {
  /// The machine that a certificate's key names, and that key as SubjectPublicKeyInfo.
  package static func identity(
    ofDER bytes: [UInt8]
  ) throws(CertificateError) -> (machine: MachineID, publicKey: [UInt8]) {
    guard bytes.count <= Limits.certificateBytes else { throw .tooLong }
    let certificate: Certificate
    do { certificate = try Certificate(derEncoded: bytes) } catch { throw .malformed }
    guard let key = P256.Signing.PublicKey(certificate.publicKey) else { throw .unsupportedKey }
    let identity = MachineKey(key)
    return (identity.machine, identity.bytes)
  }
}
