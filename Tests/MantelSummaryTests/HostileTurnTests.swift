import MantelCore
import MantelSummary
import Testing

/// A peer that lies, stops short, or goes on for ever: refused with an error, never a crash.
@Suite struct HostileTurnTests {
  static let pairs = [
    Pair("a few", seed: 51, common: 300, opener: 30, responder: 40),
    Pair("small and large", seed: 52, common: 10, opener: 5, responder: 300),
    Pair("fresh", seed: 53, common: 0, opener: 0, responder: 60),
    Pair("responder has none", seed: 54, common: 0, opener: 60, responder: 0),
  ]

  private func meeting(_ pair: Pair) -> Meeting {
    Meeting(
      SetSnapshot(sorted: pair.opener, tag: Fixtures.tag),
      SetSnapshot(sorted: pair.responder, tag: Fixtures.tag))
  }

  /// Replays a recorded trace up to `index` and gives the side that is to receive it.
  private func receiver(
    of index: Int, in trace: [(fromOpener: Bool, bytes: [UInt8], isLast: Bool)], _ pair: Pair,
    pieceBytes: Int
  ) throws -> Reconciler {
    var replay = meeting(pair)
    for piece in trace[..<index] {
      if piece.fromOpener {
        _ = replay.opener.nextPiece(maximumBytes: pieceBytes)
        try replay.responder.receive(piece.bytes, isLast: piece.isLast)
      } else {
        _ = replay.responder.nextPiece(maximumBytes: pieceBytes)
        try replay.opener.receive(piece.bytes, isLast: piece.isLast)
      }
    }
    return trace[index].fromOpener ? replay.responder : replay.opener
  }

  /// Every piece of a real descent, cut at many places: a turn that ends too early is refused.
  @Test(arguments: pairs) func truncatedTurnsAreRefused(pair: Pair) throws {
    var recorded = meeting(pair)
    try recorded.run(pieceBytes: 700)
    for (index, piece) in recorded.trace.enumerated() {
      let fresh = try receiver(of: index, in: recorded.trace, pair, pieceBytes: 700)
      for cut in stride(from: 0, to: piece.bytes.count, by: 3) {
        var side = fresh
        #expect(throws: ReconcileError.self) {
          try side.receive(Array(piece.bytes[..<cut]), isLast: true)
        }
        #expect(side.nextPiece(maximumBytes: 700) == nil)
        #expect(!side.isFinished)
      }
      var side = fresh
      #expect(throws: ReconcileError.self) { try side.receive(piece.bytes + [0], isLast: true) }
    }
  }

  /// Every piece, changed at random: an error, or another descent; what was learnt is never in our own set.
  @Test(arguments: pairs) func mutatedTurnsNeverCrash(pair: Pair) throws {
    var recorded = meeting(pair)
    try recorded.run(pieceBytes: 700)
    var random = Mixer(77)
    for (index, piece) in recorded.trace.enumerated() {
      let fresh = try receiver(of: index, in: recorded.trace, pair, pieceBytes: 700)
      let own = Set(piece.fromOpener ? pair.responder : pair.opener)
      for _ in 0..<150 {
        var bytes = piece.bytes
        for _ in 0...Int.random(in: 0..<3, using: &random) {
          let place = Int.random(in: 0..<min(bytes.count, 80), using: &random)
          switch Int.random(in: 0..<4, using: &random) {
          case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
          case 1: bytes[place] = UInt8.random(in: 0...5, using: &random)
          case 2: bytes.insert(.random(in: 0...255, using: &random), at: place)
          default: bytes[place] = 0xff
          }
        }
        var side = fresh
        _ = side.takeDifferences()
        do throws(ReconcileError) {
          try side.receive(bytes, isLast: piece.isLast)
          var pieces = 0
          while side.nextPiece(maximumBytes: 700) != nil { pieces += 1 }
          #expect(pieces < 100)
        } catch {
          #expect(side.nextPiece(maximumBytes: 700) == nil)
        }
        let learnt = side.takeDifferences()
        #expect(own.isDisjoint(with: learnt.theirsOnly))
        #expect(own.isSuperset(of: learnt.mineOnly))
      }
    }
  }

  private func opener(of count: Int) -> Reconciler {
    var random = Mixer(5)
    return Reconciler(
      mine: SetSnapshot(sorted: random.ids(count), tag: Fixtures.tag), isOpener: true,
      theirCount: nil, theirRoot: nil, salt: Fixtures.salt)
  }

  private func opening(count: UInt64) -> [UInt8] {
    withUnsafeBytes(of: count.bigEndian) { Array($0) } + Digest256(7).bytes
  }

  @Test func hugeCountsAllocateNothing() {
    var side = opener(of: 0)
    #expect(throws: ReconcileError.overLimit("ids of a set")) {
      try side.receive(opening(count: .max) + [2, 1], isLast: false)
    }
    side = opener(of: 0)
    #expect(throws: ReconcileError.overLimit("ids of a set")) {
      try side.receive(opening(count: 1 << 27) + [2, 0xff, 0xff, 0xff, 0xff, 0x7f], isLast: false)
    }
    side = opener(of: 100)
    #expect(throws: ReconcileError.malformed("a list of a length that the peer cannot have")) {
      try side.receive(opening(count: 1 << 20) + [1, 0x80, 0x80, 0x40], isLast: false)
    }
    side = opener(of: 100)
    #expect(throws: ReconcileError.malformed("a count is not in its shortest form")) {
      try side.receive(opening(count: 3) + [1, 0x83, 0x00], isLast: false)
    }
  }

  @Test func idsOutOfPlaceAreRefused() {
    var random = Mixer(5)
    let ids = random.ids(3)
    let head = opening(count: 3) + [2, 3]
    var side = opener(of: 0)
    #expect(throws: ReconcileError.malformed("ids out of order")) {
      try side.receive(head + ids[1].bytes + ids[0].bytes, isLast: false)
    }
    side = opener(of: 0)
    #expect(throws: ReconcileError.malformed("ids out of order")) {
      try side.receive(head + ids[1].bytes + ids[1].bytes, isLast: false)
    }
    // All ids to a side that has some itself.
    side = opener(of: 3)
    #expect(throws: ReconcileError.malformed("ids that the peer cannot have chosen to send")) {
      try side.receive(head + ids[0].bytes, isLast: false)
    }
  }

  @Test func idsThatCannotBeDifferencesAreRefused() throws {
    var random = Mixer(5)
    let ids = random.ids(4)
    func side(_ own: [Digest256], after turn: [UInt8]) throws -> Reconciler {
      var side = Reconciler(
        mine: SetSnapshot(sorted: own, tag: Fixtures.tag), isOpener: true, theirCount: nil,
        theirRoot: nil, salt: Fixtures.salt)
      try side.receive(turn, isLast: true)
      while let piece = side.nextPiece(maximumBytes: ReconcileLimits.pieceBytes), !piece.isLast {}
      return side
    }
    // Asked for three ids that it listed by made-up short ids, the peer sends one of ours.
    var asking = try side(
      Array(ids[..<3]), after: opening(count: 3) + [1, 3] + [UInt8](repeating: 9, count: 24))
    #expect(throws: ReconcileError.malformed("an id that both sides have")) {
      try asking.receive(ids[1].bytes + ids[2].bytes + ids[3].bytes, isLast: true)
    }
    // Against our list of one, a peer of two ids sends three.
    var listing = try side(Array(ids[..<1]), after: opening(count: 2) + [3])
    #expect(throws: ReconcileError.malformed("more ids than the peer has")) {
      try listing.receive([0, 3] + ids[1].bytes + ids[2].bytes + ids[3].bytes, isLast: true)
    }
    // Bits behind the end of our list.
    listing = try side(Array(ids[..<1]), after: opening(count: 2) + [3])
    #expect(throws: ReconcileError.malformed("a bitmap with bits behind its end")) {
      try listing.receive([2, 0], isLast: true)
    }
    #expect(throws: ReconcileError.malformed("an ask of the side that has less")) {
      _ = try side(Array(ids[..<3]), after: opening(count: 2) + [3])
    }
  }

  @Test func turnsOutOfOrderAreRefused() throws {
    var sides = meeting(Self.pairs[0])
    #expect(throws: ReconcileError.malformed("it is not the peer's turn")) {
      try sides.responder.receive([0], isLast: true)
    }
    #expect(sides.opener.nextPiece(maximumBytes: 1_024) == nil)
    #expect(throws: ReconcileError.malformed("an empty piece")) {
      try sides.opener.receive([], isLast: true)
    }
    sides = meeting(Self.pairs[0])
    let first = sides.responder.nextPiece(maximumBytes: 1_024)
    let piece = try #require(first)
    try sides.opener.receive(piece.bytes, isLast: piece.isLast)
    #expect(throws: ReconcileError.malformed("the peer is done before the descent is")) {
      try sides.opener.receivedDone()
    }
  }

  /// A peer that answers every vector with a vector of wrong hashes, down one path, is refused where this side's own
  /// ids come down to a leaf and it sends no vector any more; that is before any limit.
  @Test func endlessDescentEnds() throws {
    let ids = (0..<256 as Range<UInt64>).map { Digest256(0, 0, 0, $0) }
    var side = Reconciler(
      mine: SetSnapshot(sorted: ids, tag: Fixtures.tag), isOpener: true, theirCount: nil,
      theirRoot: nil, salt: Fixtures.salt)
    // Child 0 alone, with 250 ids (as LEB128).
    let vector: [UInt8] = [0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 0xfa, 0x01]
    try side.receive(opening(count: 250) + vector, isLast: true)
    var turns = 1
    var refusal: ReconcileError?
    while refusal == nil, turns < Limits.descentLegs {
      let said = side.nextPiece(maximumBytes: ReconcileLimits.pieceBytes)
      let reply = try #require(said)
      #expect(reply.isLast)
      do throws(ReconcileError) {
        try side.receive([0, 1] + vector, isLast: true)
        turns += 2
      } catch {
        refusal = error
      }
    }
    #expect(refusal == .malformed("a turn goes on after its end"))
    #expect(turns == 63)
  }
}
