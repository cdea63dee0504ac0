import Crypto
import FoundationEssentials
package import MantelCore
import SwiftASN1
import X509

/// Why no signature could be made.
package enum SigningError: Error, Equatable, Sendable {
  /// The cryptographic library refused; its words.
  case failed(String)
}

/// This machine's identity: a P-256 key pair and its self-signed certificate.
///
/// The certificate is stored beside the key, because ECDSA signatures are random: a machine shows the same bytes
/// after each start.
package struct DeviceKey: Sendable {
  private let key: P256.Signing.PrivateKey
  package let machine: MachineID
  /// SubjectPublicKeyInfo, DER.
  package let publicKey: [UInt8]
  package let certificateDER: [UInt8]

  /// A fresh key that is nowhere stored.
  package init() {
    let key = P256.Signing.PrivateKey()
    do {
      self.init(key: key, certificateDER: try Self.makeCertificate(for: key))
    } catch {
      // All inputs are constants and a fresh key: only a broken library gets here.
      preconditionFailure("cannot make a certificate: \(error)")
    }
  }

  /// A key that everybody can know, the same for the same 32 bytes: for tests that are repeated exactly.
  package init(scalar: [UInt8]) throws {
    let key = try P256.Signing.PrivateKey(rawRepresentation: scalar)
    self.init(key: key, certificateDER: try Self.makeCertificate(for: key))
  }

  private init(key: P256.Signing.PrivateKey, certificateDER: [UInt8]) {
    let identity = MachineKey(key.publicKey)
    self.key = key
    self.machine = identity.machine
    self.publicKey = identity.bytes
    self.certificateDER = certificateDER
  }

  /// PKCS #8, DER: for the TLS library only.
  package var privateKeyDER: [UInt8] { Array(key.derRepresentation) }

  /// PKCS #8, PEM: for the TLS library only.
  package var privateKeyPEM: String { key.pemRepresentation }

  /// Reads the key file. Throws `KeyFileError`.
  package static func load(from path: String) throws -> DeviceKey {
    try DeviceKey(pem: KeyFile.read(path), path: path)
  }

  /// Makes a key and its file: mode 0600, whole or not there at all, durable on return. Never replaces a file:
  /// throws `KeyFileError` with code `exists`.
  package static func create(at path: String) throws -> DeviceKey {
    let key = DeviceKey()
    try KeyFile.create(path, contents: Array(key.pem.utf8))
    return key
  }

  /// Signs any record for one household; the caller's record must name this machine as its signer.
  package func sign<Record>(
    _ record: Record, in household: HouseholdID
  ) throws -> Signed<Record> where Record: SignableRecord & Hashable {
    precondition(record.signer == machine, "a record is signed with another machine's key")
    return Signed(record: record, signature: try signature(over: record.signedBytes(in: household)))
  }

  /// ECDSA over the SHA-256 of the bytes. Throws `SigningError`.
  package func signature(over bytes: [UInt8]) throws -> Signature {
    do {
      let raw = Array(try key.signature(for: bytes).rawRepresentation)
      guard let signature = Signature(raw) else { throw SigningError.failed("length \(raw.count)") }
      return signature
    } catch let error as SigningError {
      throw error
    } catch {
      throw SigningError.failed("\(error)")
    }
  }
}

extension DeviceKey {
  private static let certificateLabel = "CERTIFICATE"
  private static let privateKeyLabel = "PRIVATE KEY"
  /// 9999-12-31 23:59:59 UTC, the "no expiry" of RFC 5280: validity must not depend on anyone's clock.
  private static let endOfTime: Double = 253_402_300_799

  private var pem: String {
    let certificate = PEMDocument(type: Self.certificateLabel, derBytes: certificateDER)
    return privateKeyPEM + "\n" + certificate.pemString + "\n"
  }

  /// Takes a key and a certificate over it, in either order; anything else is `malformed`.
  private init(pem: [UInt8], path: String) throws {
    let malformed = KeyFileError(code: .malformed, path: path)
    guard let text = String(validating: pem, as: UTF8.self) else { throw malformed }
    do {
      let documents = try PEMDocument.parseMultiple(pemString: text)
      guard documents.count == 2,
        let secret = documents.first(where: { $0.discriminator == Self.privateKeyLabel }),
        let public_ = documents.first(where: { $0.discriminator == Self.certificateLabel })
      else { throw malformed }
      self.init(
        key: try P256.Signing.PrivateKey(derRepresentation: secret.derBytes),
        certificateDER: public_.derBytes)
      guard try PeerCertificate.identity(ofDER: certificateDER).machine == machine else {
        throw malformed
      }
    } catch {
      throw malformed
    }
  }

  private static func makeCertificate(for key: P256.Signing.PrivateKey) throws -> [UInt8] {
    let name = try DistinguishedName { CommonName("mantel") }
    let certificate = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(bytes: [1]),
      publicKey: Certificate.PublicKey(key.publicKey),
      notValidBefore: Date(timeIntervalSince1970: 0),
      notValidAfter: Date(timeIntervalSince1970: endOfTime), issuer: name, subject: name,
      signatureAlgorithm: .ecdsaWithSHA256, extensions: Certificate.Extensions(),
      issuerPrivateKey: Certificate.PrivateKey(key))
    var serializer = DER.Serializer()
    try serializer.serialize(certificate)
    return serializer.serializedBytes
  }
}

extension DeviceKey: CustomStringConvertible {
  /// The machine only, never the key.
  package var description: String { "DeviceKey(\(machine.short))" }
}
