package import MantelCore

/// One side of a ping-pong descent by which two machines learn the full difference of two sets of one tag.
///
/// The opener sends RECONCILE{count, root}. The responder, if its root is the same, is finished at once (`isFinished`)
/// and the request ends with DONE; else it sends the first turn, and turns alternate until nothing is open. Both sides
/// can tell when that is. A side is driven by `receive` for each piece of the peer's turn and by `nextPiece` until nil
/// for its own; `takeDifferences` is to be called after each of them, so that nothing piles up.
///
/// The byte format of turns (integers big-endian; *count* is an unsigned LEB128 in its shortest form, at most 5 bytes and
/// at most `ReconcileLimits.ids`; *short* is `ShortHash`):
///
/// A turn is a sequence of items, cut into pieces of at most 64 KiB - 64 bytes; a field (an integer, a count, a short, an
/// id, a byte of a bitmap, a whole opening, choice or vector) never straddles pieces, and no piece is empty. What items a
/// turn has follows from the turn before it: it answers, in the same order (the order of prefixes), everything in it
/// that needs an answer.
///
///     opening (the responder's first turn):    count u64 | root 32 | body of the empty prefix
///     body of a differing prefix:              tag u8, then by tag
///       0 vector   bitmap u16 of children that are not empty (child 0 is the lowest bit), each: short hash 8 | count
///       1 list     count n | n short ids, ascending by id
///       2 all      count n | n ids of 32 bytes, ascending
///       3 ask      nothing
///       4 none     nothing
///     answer to a vector:   bitmap u16 of the children that differ, then the body of each of them
///     answer to a list:     bitmap of n bits, (n + 7) / 8 bytes (position i is bit i % 8 of byte i / 8; the rest zero):
///                           what the answerer lacks | count m | m ids that the lister lacks, ascending
///     answer to ask:        count n | n short ids, ascending by id; itself to be answered like a list
///     answer to none:       count n | n ids, ascending; final
///     answer to an answer to a list whose bitmap has ones: the ids at these positions, 32 each, ascending; final
///
/// Which body a side chooses, with c of its own ids and t of the peer's below the prefix: *all* if t is 0, *none* if c is
/// 0; if min(c, t) <= 32 or 4 |c - t| >= max(c, t), *list* if c <= t, else *ask*; else *vector*.
///
/// Hostile input: the peer's counts choose modes and bound the bytes that are taken, nothing is allocated by them. A
/// vector is accepted only where this side has more than 32 ids itself, a list only if it is no longer than this side's
/// own, an id only below its prefix, in order, and if it is not in this side's set: so the work of a turn is linear in
/// this side's set and the bytes received.
package struct Reconciler: Sendable {
  enum Phase: Equatable {
    case sending, receiving, finished, failed
  }

  let mine: SetSnapshot
  let short: ShortHash
  let isOpener: Bool
  var phase: Phase
  /// What the peer said that its set has; nil until it said so. Not proved by anything.
  package internal(set) var theirCount: UInt64?
  package internal(set) var theirRoot: Digest256?
  /// Turns that ended, of both sides.
  package internal(set) var legs = 0
  /// Bytes of turns so far, of both sides.
  package internal(set) var bytes = 0

  /// What our next turn says, in order; made while the peer's turn comes in.
  var answers: [Answer] = []
  /// How far our turn is said: the answer, and how far within it.
  var nextAnswer = 0
  var progress = Progress()

  /// What the peer's next turn must hold, in order; made while our turn goes out.
  var expected: [Expected] = []
  /// How far the peer's turn came in: the item, the bodies of its children still to come, and the run of equal fields
  /// that the next bytes go on with.
  var nextExpected = 0
  var bodies: PendingBodies?
  var run: Run?
  /// Ids received in full, which cannot be more than the peer said it has.
  var idsReceived: UInt64 = 0

  var theirsOnly: [Digest256] = []
  var mineOnly: [Digest256] = []

  /// `salt`: 16 bytes that both sides derived from their nonces. The responder passes the count and root of RECONCILE,
  /// the opener nil: it learns them in the first turn.
  package init(
    mine: SetSnapshot, isOpener: Bool, theirCount: UInt64?, theirRoot: Digest256?, salt: [UInt8]
  ) {
    self.mine = mine
    self.isOpener = isOpener
    self.theirCount = theirCount
    self.theirRoot = theirRoot
    short = ShortHash(salt: salt)
    if isOpener {
      precondition(theirCount == nil && theirRoot == nil, "an opener learns the peer's count and root")
      phase = .receiving
      expected = [.opening]
    } else {
      guard let theirCount, let theirRoot else {
        preconditionFailure("a responder knows the opener's count and root")
      }
      if theirRoot == mine.root {
        phase = .finished
      } else {
        phase = .sending
        answers = [.opening, body(of: .root, mine: mine.count, theirs: Self.clamp(theirCount))]
      }
    }
  }

  /// Both sides know the whole difference; the responder then ends the request with DONE.
  package var isFinished: Bool { phase == .finished }

  /// The peer ended the request with DONE(complete). Right for an opener whose peer is finished: after the whole
  /// descent, or at once because the roots are the same.
  package mutating func receivedDone() throws(ReconcileError) {
    if phase == .finished { return }
    guard isOpener, phase == .receiving, legs == 0, bytes == 0 else {
      phase = .failed
      throw .malformed("the peer is done before the descent is")
    }
    theirCount = UInt64(mine.count)
    theirRoot = mine.root
    phase = .finished
  }

  /// Differences learnt since the last call: full ids, each once. Those of our side are learnt as they are sent.
  package mutating func takeDifferences() -> (theirsOnly: [Digest256], mineOnly: [Digest256]) {
    defer {
      theirsOnly = []
      mineOnly = []
    }
    return (theirsOnly, mineOnly)
  }

  /// The body for a prefix below which the sets differ, by how many ids the sides have there.
  func body(of prefix: Prefix, mine: Int, theirs: Int) -> Answer {
    if theirs == 0 { return .all(prefix, isBody: true) }
    if mine == 0 { return .none(prefix, theirs: theirs) }
    let most = max(mine, theirs)
    let least = min(mine, theirs)
    if least <= ReconcileLimits.listedIDs || 4 * (most - least) >= most {
      return mine <= theirs
        ? .list(prefix, isBody: true) : .ask(prefix, theirs: theirs)
    }
    return .vector(prefix)
  }

  /// A count that the peer gave, for arithmetic; one over the limit stays over it.
  static func clamp(_ count: UInt64) -> Int {
    Int(min(count, UInt64(ReconcileLimits.ids) + 1))
  }

  /// What all turns of both sides may add up to.
  var byteLimit: Int {
    let ids = mine.count + min(Self.clamp(theirCount ?? 0), ReconcileLimits.ids)
    return ReconcileLimits.bytesPerID * ids + ReconcileLimits.slackBytes
  }

  mutating func fail() {
    phase = .failed
    answers = []
    expected = []
    bodies = nil
    run = nil
  }
}

/// One item of our turn.
enum Answer: Sendable {
  case opening
  /// Which children differ, in answer to a vector; their bodies follow as answers of their own.
  case differing(UInt16)
  case vector(Prefix)
  /// As a body, or bare in answer to *ask*.
  case list(Prefix, isBody: Bool)
  /// As a body, or bare in answer to *none*.
  case all(Prefix, isBody: Bool)
  case ask(Prefix, theirs: Int)
  case none(Prefix, theirs: Int)
  /// In answer to a list.
  case compared(ComparedList)
  /// The ids at the positions that the peer asked for out of our list.
  case requested(Prefix, positions: [UInt64], count: Int)
}

/// A list of the peer's against our ids below its prefix.
struct ComparedList: Sendable {
  var prefix: Prefix
  var listedCount: Int
  /// Positions of the list that we lack.
  var lacking: [UInt64]
  var lackingCount: Int
  /// Positions of our ids that the list has.
  var matched: [UInt64]
  var unmatchedCount: Int
}

/// One item that the peer's turn must hold.
enum Expected: Sendable {
  case opening
  /// The answer to our vector.
  case differing(Prefix)
  /// The answer to our *ask*: as many short ids as the peer said it has.
  case list(Prefix, count: Int)
  /// The answer to our *none*.
  case all(Prefix, count: Int)
  /// The answer to our list of so many.
  case compared(Prefix, listedCount: Int)
  /// The ids that we asked for out of the peer's list.
  case requested(Prefix, count: Int)
}
