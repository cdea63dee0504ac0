import MantelCore
import MantelSummary
import Testing

/// Two sets and a name for the shape of their difference.
struct Pair: Sendable, CustomTestStringConvertible {
  var name: String
  var opener: [Digest256]
  var responder: [Digest256]

  var testDescription: String { name }

  /// `common` shared ids and `opener`, `responder` ids of one side only.
  init(_ name: String, seed: UInt64, common: Int, opener: Int, responder: Int) {
    var random = Mixer(seed)
    var mine: [Digest256] = []
    var theirs: [Digest256] = []
    var sides =
      Array(repeating: 1, count: opener) + Array(repeating: 2, count: responder)
      + Array(repeating: 3, count: common)
    sides.shuffle(using: &random)
    for (id, side) in zip(random.ids(sides.count), sides) {
      if side & 1 != 0 { mine.append(id) }
      if side & 2 != 0 { theirs.append(id) }
    }
    self.name = name
    self.opener = mine
    self.responder = theirs
  }

  init(_ name: String, opener: [Digest256], responder: [Digest256]) {
    self.name = name
    self.opener = opener
    self.responder = responder
  }
}

@Suite struct ReconcilerTests {
  static let shapes: [Pair] = {
    var random = Mixer(99)
    let clusters = random.clusters(6, of: 70)
    let whole = random.clusters(1, of: 256)
    return [
      Pair("both empty", seed: 1, common: 0, opener: 0, responder: 0),
      Pair("equal", seed: 2, common: 3_000, opener: 0, responder: 0),
      Pair("fresh opener", seed: 3, common: 0, opener: 0, responder: 5_000),
      Pair("fresh responder", seed: 4, common: 0, opener: 5_000, responder: 0),
      Pair("one id against none", seed: 5, common: 0, opener: 1, responder: 0),
      Pair("one id each", seed: 6, common: 0, opener: 1, responder: 1),
      Pair("one difference", seed: 7, common: 5_000, opener: 1, responder: 0),
      Pair("small and large", seed: 8, common: 20, opener: 3, responder: 4_000),
      Pair("large and small", seed: 9, common: 20, opener: 4_000, responder: 3),
      Pair("one-sided", seed: 10, common: 3_000, opener: 0, responder: 300),
      Pair("disjoint", seed: 11, common: 0, opener: 2_000, responder: 2_000),
      Pair("a tenth", seed: 12, common: 4_000, opener: 200, responder: 200),
      Pair("leaf against leaf", seed: 13, common: 20, opener: 5, responder: 7),
      Pair("33 against 32", seed: 14, common: 32, opener: 1, responder: 0),
      Pair("clusters against none", opener: clusters, responder: []),
      Pair("clusters, thinned", opener: clusters, responder: thinned(clusters, 3)),
      Pair("clusters, one missing", opener: clusters, responder: thinned(clusters, clusters.count - 1)),
      Pair("halves of a full cluster", opener: thinned(whole, 2), responder: thinned(whole, 3)),
      Pair("wide one-sided", seed: 15, common: 6_000, opener: 3_000, responder: 0),
    ]
  }()

  static func thinned(_ ids: [Digest256], _ step: Int) -> [Digest256] {
    ids.enumerated().filter { $0.offset % step != 1 }.map(\.element)
  }

  @Test(arguments: shapes, [ReconcileLimits.pieceBytes, ReconcileLimits.smallestPieceBytes])
  func bothSidesLearnTheWholeDifference(pair: Pair, pieceBytes: Int) throws {
    var meeting = Meeting(
      SetSnapshot(sorted: pair.opener, tag: Fixtures.tag),
      SetSnapshot(sorted: pair.responder, tag: Fixtures.tag))
    try meeting.run(pieceBytes: pieceBytes)
    let onlyOpener = Set(pair.opener).subtracting(pair.responder).sorted()
    let onlyResponder = Set(pair.responder).subtracting(pair.opener).sorted()
    #expect(meeting.openerLearnt.mineOnly.sorted() == onlyOpener)
    #expect(meeting.openerLearnt.theirsOnly.sorted() == onlyResponder)
    #expect(meeting.responderLearnt.mineOnly.sorted() == onlyResponder)
    #expect(meeting.responderLearnt.theirsOnly.sorted() == onlyOpener)
    #expect(meeting.trace.allSatisfy { $0.bytes.count <= pieceBytes })
    #expect(meeting.largestBatch <= pieceBytes / Digest256.byteCount)
    #expect(meeting.legs <= Limits.descentLegs)
    #expect(meeting.opener.bytes == meeting.bytes && meeting.responder.bytes == meeting.bytes)
    #expect(meeting.opener.theirCount == UInt64(pair.responder.count))
  }

  @Test func reconcilesSetsOfOneSharedIndex() throws {
    var random = Mixer(21)
    let ids = random.ids(2_000)
    var index = SummaryIndex()
    let wanted = index.addSet(Fixtures.tag)
    let held = index.addSet(Fixtures.tag)
    index.insert(sorted: ids, into: wanted)
    for id in ids where id.word3 % 5 != 0 { index.insert(id, into: held) }
    var meeting = Meeting(index.snapshot(of: wanted), index.snapshot(of: held))
    index.removeAll(from: wanted)
    try meeting.run()
    #expect(meeting.openerLearnt.mineOnly.sorted() == ids.filter { $0.word3 % 5 == 0 })
    #expect(meeting.openerLearnt.theirsOnly.isEmpty)
  }

  /// The hard budget: bytes against the information-theoretic bound, and turns.
  static let budgets: [(Pair, bytes: Double, legs: Int)] = {
    // (256 d - log2 d!) / 8 bytes name d ids out of 2^256.
    let bound: [Int: Double] = [100: 3_134, 1_000: 30_934, 10_000: 305_193, 100_000: 3_010_412]
    func pair(_ size: Int, _ difference: Int) -> Pair {
      let half = difference / 2
      return Pair(
        "n=\(size) d=\(difference)", seed: UInt64(size + difference), common: size - half,
        opener: difference - half, responder: half)
    }
    return [
      (pair(10_000, 0), 0, 0),
      (pair(10_000, 1), 1_200, 10),
      (pair(10_000, 100), 8 * bound[100, default: 0], 10),
      (pair(10_000, 1_000), 4 * bound[1_000, default: 0], 10),
      (pair(10_000, 10_000), 1.6 * bound[10_000, default: 0], 10),
      (
        Pair("n=10000 fresh", seed: 30, common: 0, opener: 0, responder: 10_000),
        1.10 * bound[10_000, default: 0], 1
      ),
      (
        Pair("n=10000 fresh responder", seed: 31, common: 0, opener: 10_000, responder: 0),
        1.10 * bound[10_000, default: 0], 2
      ),
      (pair(100_000, 1), 1_200, 10),
      (pair(100_000, 100), 14 * bound[100, default: 0], 10),
      (pair(100_000, 10_000), 4 * bound[10_000, default: 0], 10),
      (
        Pair("n=100000 fresh", seed: 32, common: 0, opener: 0, responder: 100_000),
        1.10 * bound[100_000, default: 0], 1
      ),
    ]
  }()

  @Test(arguments: budgets)
  func staysInsideTheHardBudget(pair: Pair, bytes: Double, legs: Int) throws {
    var meeting = Meeting(
      SetSnapshot(sorted: pair.opener, tag: Fixtures.tag),
      SetSnapshot(sorted: pair.responder, tag: Fixtures.tag))
    try meeting.run()
    #expect(Double(meeting.bytes) <= bytes)
    #expect(meeting.legs <= legs)
    let onlyOpener = pair.opener.count - meeting.openerLearnt.mineOnly.count
    let onlyResponder = pair.responder.count - meeting.openerLearnt.theirsOnly.count
    #expect(onlyOpener == onlyResponder, "what is left is common")
    #expect(meeting.responderLearnt.theirsOnly == meeting.openerLearnt.mineOnly)
  }
}
