import MantelCore
import MantelWire

/// A record has one encoding: what is taken is what its author signed, byte for byte.
private func requireOneEncoding<Record>(_ type: Record.Type, _ input: [UInt8]) throws
where Record: SignableRecord & Hashable {
  guard let signed = try? Signed<Record>(bytes: input) else { return }
  try require(signed.bytes == input, "\(type) has two encodings")
  try require(input.count <= Signed<Record>.maximumBytes, "\(type) over its limit was taken")
}

func fuzzHeads(_ input: [UInt8]) throws {
  try requireOneEncoding(Head.self, input)
  guard let head = try? Signed<Head>(bytes: input).record else { return }
  try require(head.counts.entries <= UInt64(Limits.entriesPerLibrary), "more entries than a library may have")
  try require(head.order > .none, "a head before the first")
}

func fuzzManifests(_ input: [UInt8]) throws {
  guard let manifest = try? Manifest(bytes: input) else { return }
  try require(manifest.bytes == input, "a manifest has two encodings")
  let layout = UnitLayout(size: manifest.size)
  try require(!layout.isWhole && manifest.size <= Limits.contentBytes, "a manifest of a wrong size")
  try require(layout.manifestBytes == input.count, "a manifest of a wrong length")
  var end: UInt64 = 0
  for index in manifest.blocks.indices {
    guard let range = layout.range(of: .block(UInt32(index))) else {
      throw FuzzFailure(description: "block \(index) has no range")
    }
    try require(range.lowerBound == end && !range.isEmpty, "block \(index) does not follow")
    end = range.upperBound
  }
  try require(end == manifest.size, "the blocks are not the content")
  try require(layout.range(of: .block(UInt32(manifest.blocks.count))) == nil, "a block after the last")
}

func fuzzAttestations(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  let kind = reader.below(6)
  switch kind {
  case 0: try requireOneEncoding(Attestation.self, reader.rest())
  case 1: try requireOneEncoding(MachineRecord.self, reader.rest())
  case 2: try requireOneEncoding(ForgetRequest.self, reader.rest())
  case 3:
    let bytes = reader.rest()
    guard let entry = try? Entry(canonicalBytes: bytes) else { return }
    try require(entry.canonicalBytes == bytes, "an entry has two encodings")
    try require(entry.path.isEmpty || RelativePath.isSafe(entry.path), "an entry leads out of its folder")
  case 4: try fuzzAssembler(&reader)
  default:
    // What is taken comes out of its frames again.
    guard let signed = try? Signed<Attestation>(bytes: reader.rest()) else { return }
    var assembler = AttestationAssembler()
    var again: Signed<Attestation>?
    for case .attestation(let part, let isLast, let piece) in Frame.attestations(signed) {
      again = try assembler.add(part: part, isLast: isLast, piece)
    }
    try require(again == signed, "an attestation changes on its way")
  }
}

/// Pieces of any number and size, the way a hostile peer sends them. An error is the end of its connection.
private func fuzzAssembler(_ reader: inout InputReader) throws {
  var assembler = AttestationAssembler()
  var gathered: [UInt8] = []
  while !reader.isAtEnd {
    let (part, flags) = (reader.byte(), reader.byte())
    let piece = reader.run(Int(reader.number()))
    gathered += piece
    let whole: Signed<Attestation>?
    do throws(WireError) { whole = try assembler.add(part: part, isLast: flags & 1 == 1, piece) } catch {
      return
    }
    guard let whole else { continue }
    try require(gathered == whole.bytes, "an attestation of other pieces")
    gathered = []
  }
}
