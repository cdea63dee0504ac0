import MantelCore
import MantelSummary

/// Seeded numbers, fast enough for many ids in a debug build (SplitMix64).
struct Mixer: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }

  mutating func id() -> Digest256 { Digest256(next(), next(), next(), next()) }

  /// Ascending uniform ids.
  mutating func ids(_ count: Int) -> [Digest256] {
    var words: [UInt64] = []
    for _ in 0..<count { words.append(next()) }
    words.sort()
    return words.map { Digest256($0, next(), next(), next()) }
  }

  /// Ascending ids that share all but their last two nibbles in groups of `size`, and a few lonely ones.
  mutating func clusters(_ count: Int, of size: Int) -> [Digest256] {
    var ids: [Digest256] = []
    for _ in 0..<count {
      var base = id()
      base.word3 &= ~0xff
      for _ in 0..<size {
        var member = base
        member.word3 |= next() & 0xff
        ids.append(member)
      }
      ids.append(id())
    }
    return Set(ids).sorted()
  }
}

enum Fixtures {
  static let household = HouseholdID(Digest256(0x1111_1111_1111_1111))
  static let machine = MachineID(Digest256(0x2222_2222_2222_2222))
  static let tag = SetTag.contents(household, library: machine)
  static let salt = [UInt8](0..<16)
}

extension Digest256 {
  /// The same word four times.
  init(_ word: UInt64) { self.init(word, word, word, word) }
}

/// The canonical root as the format says it, over a sorted array, without buckets, rows or caches.
struct NaiveSummary {
  let tag: SetTag

  func root(_ ids: [Digest256]) -> Digest256 {
    hash([2], bigEndian(UInt64(ids.count)), node(ids, 0).bytes)
  }

  private func node(_ ids: [Digest256], _ depth: Int) -> Digest256 {
    if ids.isEmpty { return .zero }
    if ids.count <= 32 {
      return hash([0], Array(bigEndian(UInt64(ids.count)).suffix(4)), ids.flatMap(\.bytes))
    }
    let children = (0..<16).flatMap { digit in
      node(ids.filter { $0.nibble(at: depth) == digit }, depth + 1).bytes
    }
    return hash([1], [UInt8(depth)] + bigEndian(UInt64(ids.count)), children)
  }

  private func hash(_ kind: [UInt8], _ head: [UInt8], _ rest: [UInt8]) -> Digest256 {
    SummaryHash.sha256(kind + bigEndian(tag.value) + head + rest)
  }

  private func bigEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}

extension SetSnapshot {
  var all: [Digest256] {
    var ids: [Digest256] = []
    forEach(from: .zero) {
      ids.append($0)
      return true
    }
    return ids
  }
}

/// Two reconcilers that talk until both are finished.
struct Meeting {
  var opener: Reconciler
  var responder: Reconciler
  /// What each side learnt; `theirsOnly` of one is `mineOnly` of the other.
  var openerLearnt = (theirsOnly: [Digest256](), mineOnly: [Digest256]())
  var responderLearnt = (theirsOnly: [Digest256](), mineOnly: [Digest256]())
  var legs = 0
  var bytes = 0
  /// Most ids that a single piece taught a side.
  var largestBatch = 0
  /// Every piece, whom it came from, and whether it ended its turn.
  var trace: [(fromOpener: Bool, bytes: [UInt8], isLast: Bool)] = []

  init(_ opener: SetSnapshot, _ responder: SetSnapshot) {
    self.opener = Reconciler(
      mine: opener, isOpener: true, theirCount: nil, theirRoot: nil, salt: Fixtures.salt)
    self.responder = Reconciler(
      mine: responder, isOpener: false, theirCount: UInt64(opener.count), theirRoot: opener.root,
      salt: Fixtures.salt)
  }

  mutating func run(pieceBytes: Int = ReconcileLimits.pieceBytes) throws {
    while !(opener.isFinished && responder.isFinished) {
      if let piece = responder.nextPiece(maximumBytes: pieceBytes) {
        note(piece, fromOpener: false)
        try opener.receive(piece.bytes, isLast: piece.isLast)
      } else if let piece = opener.nextPiece(maximumBytes: pieceBytes) {
        note(piece, fromOpener: true)
        try responder.receive(piece.bytes, isLast: piece.isLast)
      } else {
        try opener.receivedDone()
      }
      collect()
    }
  }

  private mutating func note(_ piece: (bytes: [UInt8], isLast: Bool), fromOpener: Bool) {
    bytes += piece.bytes.count
    legs += piece.isLast ? 1 : 0
    trace.append((fromOpener, piece.bytes, piece.isLast))
  }

  private mutating func collect() {
    let fromResponder = opener.takeDifferences()
    openerLearnt.theirsOnly += fromResponder.theirsOnly
    openerLearnt.mineOnly += fromResponder.mineOnly
    let fromOpener = responder.takeDifferences()
    responderLearnt.theirsOnly += fromOpener.theirsOnly
    responderLearnt.mineOnly += fromOpener.mineOnly
    largestBatch = max(
      largestBatch, fromResponder.theirsOnly.count, fromResponder.mineOnly.count,
      fromOpener.theirsOnly.count, fromOpener.mineOnly.count)
  }
}
