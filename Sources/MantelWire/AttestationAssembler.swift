package import MantelCore

/// Puts a signed attestation together again from its ATTESTATION frames; one for each connection.
///
/// Pieces come in order, and those of two attestations never mix. What is gathered stays within
/// `Signed<Attestation>.maximumBytes`.
package struct AttestationAssembler: Sendable {
  private var bytes: [UInt8] = []
  private var nextPart = 0

  package init() {}

  /// Takes the next piece; the attestation once the last one is there. After an error the connection is over.
  package mutating func add(
    part: UInt8, isLast: Bool, _ piece: [UInt8]
  ) throws(WireError) -> Signed<Attestation>? {
    guard Int(part) == nextPart, !piece.isEmpty else {
      throw .malformed(.attestation, field: "part")
    }
    guard bytes.count + piece.count <= Signed<Attestation>.maximumBytes else {
      throw .overLimit(.attestation, field: "attestation")
    }
    bytes.append(contentsOf: piece)
    nextPart += 1
    guard isLast else { return nil }
    defer {
      bytes = []
      nextPart = 0
    }
    do {
      return try Signed<Attestation>(bytes: bytes)
    } catch {
      throw .record(.attestation, error)
    }
  }
}

extension Frame {
  /// The ATTESTATION frames of a signed attestation, in the order in which they must be sent, with no others of this
  /// type between them. Precondition: the attestation is within `Signed<Attestation>.maximumBytes`.
  package static func attestations(_ signed: Signed<Attestation>) -> [Frame] {
    let bytes = signed.bytes
    precondition(bytes.count <= Signed<Attestation>.maximumBytes, "an attestation is too long to be sent")
    let size = FrameLimits.attestationPieceBytes
    return stride(from: 0, to: bytes.count, by: size).enumerated().map { part, start in
      let end = min(bytes.count, start + size)
      return .attestation(part: UInt8(part), isLast: end == bytes.count, Array(bytes[start..<end]))
    }
  }
}
