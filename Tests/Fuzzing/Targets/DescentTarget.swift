import MantelCore
import MantelSummary

/// One side of a comparison against any peer. The input's first bytes say which side, and with which set.
func fuzzDescent(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  let isOpener = reader.byte() & 1 == 0
  let own = DescentSets.all[Int(reader.byte()) % DescentSets.all.count]
  let theirCount = UInt64(reader.number())
  var side = Reconciler(
    mine: own.snapshot, isOpener: isOpener, theirCount: isOpener ? nil : theirCount,
    theirRoot: isOpener ? nil : Digest256(7, 7, 7, 7), salt: DescentSets.salt)
  var turns = 0
  while !side.isFinished {
    var pieces = 0
    while let piece = side.nextPiece(maximumBytes: 2_048) {
      try require(!piece.bytes.isEmpty && piece.bytes.count <= 2_048, "a piece over its limit")
      pieces += 1
      try require(pieces <= 64 + own.ids.count, "a turn without an end")
    }
    guard !reader.isAtEnd else { break }
    let flags = reader.byte()
    do throws(ReconcileError) {
      if flags == 0 {
        try side.receivedDone()
      } else {
        try side.receive(reader.run(Int(reader.number()) & 0x7FF), isLast: flags & 1 == 1)
      }
    } catch {
      try require(side.nextPiece(maximumBytes: 2_048) == nil && !side.isFinished, "goes on after an error")
      break
    }
    turns += 1
    let learnt = side.takeDifferences()
    try require(own.ids.isDisjoint(with: learnt.theirsOnly), "learnt of an own id as theirs")
    try require(own.ids.isSuperset(of: learnt.mineOnly), "learnt of an id as its own that is not")
  }
  try require(side.legs <= Limits.descentLegs + 1, "a descent without an end")
}

/// Of all sizes around the borders of leaves and lists, spread and crowded: made once, for that takes longer than a descent.
struct DescentSets: Sendable {
  let ids: Set<Digest256>
  let snapshot: SetSnapshot

  static let salt = [UInt8](repeating: 3, count: 16)

  static let all: [DescentSets] = [0, 1, 2, 15, 31, 32, 33, 34, 64, 65, 100, 256, 399].flatMap { count in
    ([0, 4, 13, 30, 45, 59] as [UInt64]).map { crowding in
      let ids = ids(count: count, crowding: crowding)
      return DescentSets(
        ids: Set(ids),
        snapshot: SetSnapshot(sorted: ids, tag: .holdings(HouseholdID(Digest256(1, 1, 1, 1)))))
    }
  }

  /// Ascending; with `crowding` many share their first nibbles.
  private static func ids(count: Int, crowding: UInt64) -> [Digest256] {
    var word: UInt64 = 0x9E37_79B9_7F4A_7C15
    var ids: Set<Digest256> = []
    for number in 0..<count {
      word = word &* 6_364_136_223_846_793_005 &+ UInt64(number)
      ids.insert(Digest256(word >> crowding, word, 1, UInt64(number)))
    }
    return ids.sorted()
  }
}
