import MantelCore

/// Bounds of frames that follow from their layouts or that no other module needs. protocol.md lists them; a test
/// compares the two.
package enum FrameLimits {
  /// u24 payload length and u8 type before each payload.
  package static let headerBytes = 4

  // MARK: Fields

  /// Bytes of the nonces of HELLO and CHALLENGE, and of the instance in HELLO.
  package static let nonceBytes = 16
  /// UTF-8 bytes of the message in CLOSE.
  package static let closeMessageBytes = 512
  /// Bytes of one piece of an attestation.
  package static let attestationPieceBytes = Limits.frameBytes - 64
  /// Bytes of one piece of a reconciliation turn.
  package static let turnBytes = Limits.frameBytes - 64
  /// Units that one PULL_ANY leaves to the holder's choice.
  package static let pullUnits = 512
  /// Ranges in one AVAILABLE_BLOCKS.
  package static let blockRanges = 4_096
  /// Blocks of the largest content.
  package static let blocksPerContent = UInt32(Limits.contentBytes / UInt64(Limits.blockBytes))
  /// Bytes of the largest unit, which is the manifest of the largest content.
  package static let unitBytes = UInt64(max(Limits.wholeUnitBytes, Limits.manifestBytes))
  /// Bytes that one CHALLENGE may ask for.
  package static let challengeBytes = Challenge.rangeBytes

  // MARK: Payloads

  static let requestBytes = 4
  static let idBytes = Digest256.byteCount
  /// Content, part, block index.
  static let unitIDBytes = idBytes + 1 + 4
  /// Epoch, sequence.
  static let orderBytes = 16
  /// Machine, head order, record number, attestation number.
  static let memberBytes = idBytes + orderBytes + 16

  static let hello =
    2 + 8 + idBytes + 2 * nonceBytes + 8 + 2 + idBytes + 8 + idBytes + 1 + Limits.machines * memberBytes
  static let ping = 8
  static let close = 2 + 2 + closeMessageBytes
  static let attestation = 2 + attestationPieceBytes
  static let getDelta = requestBytes + idBytes + 2 * orderBytes
  static let getEntries = requestBytes + idBytes + 2 + Limits.idsPerFrame * idBytes
  static let removedEntries = requestBytes + 2 + Limits.idsPerFrame * idBytes
  static let reconcile = requestBytes + 1 + idBytes + orderBytes + 8 + idBytes
  static let turn = requestBytes + 1 + turnBytes
  static let get = requestBytes + 2 + Limits.unitsPerGet * unitIDBytes
  static let unitBegin = requestBytes + 2 + 8
  static let data = requestBytes + 2 + Limits.dataBytes
  static let unitEnd = requestBytes + 2 + 1
  static let pullAny = requestBytes + 2 + 4 + 2 + pullUnits * unitIDBytes
  static let chosenUnit = requestBytes + 2 + unitIDBytes
  static let done = requestBytes + 1
  static let available = 2 + 2 + Limits.idsPerFrame * idBytes
  static let availableBlocks = idBytes + 2 + blockRanges * 8
  static let challenge = requestBytes + idBytes + 8 + 4 + nonceBytes
  static let challengeAnswer = requestBytes + idBytes
}
