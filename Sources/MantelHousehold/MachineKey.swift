import Crypto
import MantelCore

/// A machine's public key, parsed once, with the id that it proves.
struct MachineKey: Sendable {
  /// Bytes of a P-256 SubjectPublicKeyInfo with an uncompressed point: always the same number.
  static let byteCount = 91

  let machine: MachineID
  /// SubjectPublicKeyInfo, DER.
  let bytes: [UInt8]
  private let key: P256.Signing.PublicKey

  init(_ key: P256.Signing.PublicKey) {
    self.key = key
    self.bytes = Array(key.derRepresentation)
    self.machine = MachineKey.machine(of: bytes)
  }

  /// Takes the one DER form of a point on P-256; nil for anything else, so that a key has one id only.
  init?(subjectPublicKeyInfo bytes: [UInt8]) {
    guard bytes.count == Self.byteCount,
      let key = try? P256.Signing.PublicKey(derRepresentation: bytes)
    else { return nil }
    self.init(key)
    guard self.bytes == bytes else { return nil }
  }

  func isValid(_ signature: Signature, over bytes: [UInt8]) -> Bool {
    guard let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature.bytes) else {
      return false
    }
    return key.isValidSignature(parsed, for: bytes)
  }

  static func machine(of publicKey: [UInt8]) -> MachineID {
    MachineID(Digest256(hashing: publicKey))
  }
}

extension Digest256 {
  /// SHA-256 of the bytes.
  init(hashing bytes: [UInt8]) {
    var words: [UInt64] = [0, 0, 0, 0]
    for (offset, byte) in SHA256.hash(data: bytes).enumerated() {
      words[offset >> 3] = words[offset >> 3] << 8 | UInt64(byte)
    }
    self.init(words[0], words[1], words[2], words[3])
  }
}
