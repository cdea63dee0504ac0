/// A record that its author signs: over purpose, a zero byte, the household id and the canonical bytes.
package protocol SignableRecord: CanonicalRecord {
  /// Keeps a signature over one kind of record from being one over another.
  static var purpose: String { get }
  /// The machine whose key must have signed.
  var signer: MachineID { get }
}

extension SignableRecord {
  /// The bytes that the signature covers.
  package func signedBytes(in household: HouseholdID) -> [UInt8] {
    Array(Self.purpose.utf8) + [0] + household.bytes + canonicalBytes
  }
}

/// A P-256 ECDSA signature over SHA-256, raw form: r and s, 32 bytes each.
package struct Signature: Hashable, Sendable {
  package static let byteCount = 64
  package let bytes: [UInt8]

  /// Takes exactly 64 bytes; nil for any other count.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }
}

/// A record with its signature, as it travels and is stored. Holding one says nothing about its validity:
/// verify it against the household and the signer's key first.
package struct Signed<Record: SignableRecord>: Hashable, Sendable where Record: Hashable {
  package var record: Record
  package var signature: Signature

  package init(record: Record, signature: Signature) {
    self.record = record
    self.signature = signature
  }

  /// Canonical bytes of the record, then the signature's 64 bytes.
  package var bytes: [UInt8] { record.canonicalBytes + signature.bytes }

  package static var maximumBytes: Int { Record.maximumBytes + Signature.byteCount }

  package init(bytes: [UInt8]) throws(RecordError) {
    guard bytes.count <= Self.maximumBytes else { throw .overLimit(field: "record") }
    guard bytes.count >= Signature.byteCount,
      let signature = Signature(Array(bytes.suffix(Signature.byteCount)))
    else { throw .truncated }
    self.record = try Record(canonicalBytes: Array(bytes.dropLast(Signature.byteCount)))
    self.signature = signature
  }
}
