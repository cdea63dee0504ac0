import MantelCore
import MantelSummary

/// One side of a comparison against any peer. The sets are made of the input's first bytes: how many ids, how crowded.
func fuzzDescent(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  let isOpener = reader.byte() & 1 == 0
  let own = ids(count: Int(reader.number()) % 400, crowding: reader.byte())
  let ownSet = Set(own)
  let theirCount = UInt64(reader.number())
  var side = Reconciler(
    mine: SetSnapshot(sorted: own, tag: tag), isOpener: isOpener, theirCount: isOpener ? nil : theirCount,
    theirRoot: isOpener ? nil : Digest256(7, 7, 7, 7), salt: [UInt8](repeating: 3, count: 16))
  var turns = 0
  while !side.isFinished {
    var pieces = 0
    while let piece = side.nextPiece(maximumBytes: 2_048) {
      try require(!piece.bytes.isEmpty && piece.bytes.count <= 2_048, "a piece over its limit")
      pieces += 1
      try require(pieces <= 64 + own.count, "a turn without an end")
    }
    guard !reader.isAtEnd else { break }
    let flags = reader.byte()
    let piece = reader.run(Int(flags >> 1) * 4)
    do throws(ReconcileError) {
      if flags == 0 { try side.receivedDone() } else { try side.receive(piece, isLast: flags & 1 == 1) }
    } catch {
      try require(side.nextPiece(maximumBytes: 2_048) == nil && !side.isFinished, "goes on after an error")
      break
    }
    turns += 1
    let learnt = side.takeDifferences()
    try require(ownSet.isDisjoint(with: learnt.theirsOnly), "learnt of an own id as theirs")
    try require(ownSet.isSuperset(of: learnt.mineOnly), "learnt of an id as its own that is not")
  }
  try require(side.legs <= Limits.descentLegs + 1, "a descent without an end")
}

private let tag = SetTag.holdings(HouseholdID(Digest256(1, 1, 1, 1)))

/// Ascending ids; with `crowding` many share their first nibbles.
private func ids(count: Int, crowding: UInt8) -> [Digest256] {
  var word: UInt64 = 0x9E37_79B9_7F4A_7C15
  var ids: Set<Digest256> = []
  for number in 0..<count {
    word = word &* 6_364_136_223_846_793_005 &+ UInt64(number)
    let high = word >> UInt64(crowding % 60)
    ids.insert(Digest256(high, word, 1, UInt64(number)))
  }
  return ids.sorted()
}
