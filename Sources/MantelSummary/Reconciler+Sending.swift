import MantelCore

/// How far one answer is said.
struct Progress: Sendable {
  /// Parts of an answer in their order: its head, a bitmap, the count behind it, the ids.
  enum Part { case head, bitmap, count, ids }

  var part = Part.head
  /// Bytes of the bitmap that are said.
  var bitmapBytes = 0
  /// The id to go on with, and its position among ours below the prefix; nil at the beginning.
  var id: Digest256?
  var position = 0
}

extension Reconciler {
  /// The next piece of our turn, at most `maximumBytes` (at least `ReconcileLimits.smallestPieceBytes`); nil when it is
  /// not our turn or nothing is left to say. Pieces are made on demand: a turn is never in memory as a whole.
  package mutating func nextPiece(maximumBytes: Int) -> (bytes: [UInt8], isLast: Bool)? {
    precondition(
      maximumBytes >= ReconcileLimits.smallestPieceBytes, "the largest field does not fit the piece")
    guard phase == .sending else { return nil }
    var writer = TurnWriter(limit: min(maximumBytes, ReconcileLimits.pieceBytes))
    while nextAnswer < answers.count {
      guard say(answers[nextAnswer], &writer) else { break }
      nextAnswer += 1
      progress = Progress()
    }
    bytes += writer.bytes.count
    let isLast = nextAnswer == answers.count
    if isLast {
      legs += 1
      answers = []
      nextAnswer = 0
      phase = expected.isEmpty ? .finished : .receiving
    }
    return (writer.bytes, isLast)
  }

  /// Goes on with an answer; false if the piece is full before it is said.
  private mutating func say(_ answer: Answer, _ writer: inout TurnWriter) -> Bool {
    switch answer {
    case .opening:
      guard writer.hasRoom(40) else { return false }
      writer.write(UInt64(mine.count))
      writer.write(mine.root)
    case .differing(let children):
      guard writer.hasRoom(2) else { return false }
      writer.write(children)
    case .vector(let prefix):
      return sayVector(prefix, &writer)
    case .list(let prefix, let isBody):
      return sayList(prefix, isBody: isBody, &writer)
    case .all(let prefix, let isBody):
      return sayAll(prefix, isBody: isBody, &writer)
    case .ask(let prefix, let theirs):
      guard writer.hasRoom(1) else { return false }
      writer.write(BodyKind.ask.rawValue)
      expected.append(.list(prefix, count: theirs))
    case .none(let prefix, let theirs):
      guard writer.hasRoom(1) else { return false }
      writer.write(BodyKind.none.rawValue)
      expected.append(.all(prefix, count: theirs))
    case .compared(let list):
      return sayCompared(list, &writer)
    case .requested(let prefix, let positions, _):
      return sayIDs(prefix, &writer) { BitRow.contains(positions, $0) }
    }
    return true
  }

  private mutating func sayVector(_ prefix: Prefix, _ writer: inout TurnWriter) -> Bool {
    guard writer.hasRoom(3 + 16 * 13) else { return false }
    let (counts, hashes) = mine.children(of: prefix)
    var present: UInt16 = 0
    for child in 0..<16 where counts[child] > 0 { present |= 1 << UInt16(child) }
    writer.write(BodyKind.vector.rawValue)
    writer.write(present)
    for child in 0..<16 where counts[child] > 0 {
      writer.write(short.node(hashes[child]))
      writer.write(count: counts[child])
    }
    expected.append(.differing(prefix))
    return true
  }

  private mutating func sayList(_ prefix: Prefix, isBody: Bool, _ writer: inout TurnWriter) -> Bool {
    if progress.part == .head {
      guard writer.hasRoom(6) else { return false }
      let count = mine.count(of: prefix)
      if isBody { writer.write(BodyKind.list.rawValue) }
      writer.write(count: count)
      expected.append(.compared(prefix, listedCount: count))
      progress.part = .ids
    }
    let short = short
    return walk(prefix) { id, _ in
      guard writer.hasRoom(8) else { return false }
      writer.write(short.id(id))
      return true
    }
  }

  private mutating func sayAll(_ prefix: Prefix, isBody: Bool, _ writer: inout TurnWriter) -> Bool {
    if progress.part == .head {
      guard writer.hasRoom(6) else { return false }
      if isBody { writer.write(BodyKind.all.rawValue) }
      writer.write(count: mine.count(of: prefix))
      progress.part = .ids
    }
    return sayIDs(prefix, &writer) { _ in true }
  }

  private mutating func sayCompared(_ list: ComparedList, _ writer: inout TurnWriter) -> Bool {
    if progress.part == .head {
      if list.lackingCount > 0 {
        expected.append(.requested(list.prefix, count: list.lackingCount))
      }
      progress.part = .bitmap
    }
    if progress.part == .bitmap {
      while progress.bitmapBytes < (list.listedCount + 7) / 8 {
        guard writer.hasRoom(1) else { return false }
        writer.write(BitRow.byte(list.lacking, progress.bitmapBytes))
        progress.bitmapBytes += 1
      }
      progress.part = .count
    }
    if progress.part == .count {
      guard writer.hasRoom(5) else { return false }
      writer.write(count: list.unmatchedCount)
      progress.part = .ids
    }
    return sayIDs(list.prefix, &writer) { !BitRow.contains(list.matched, $0) }
  }

  /// Says our ids below the prefix at the wanted positions in full; what is said is a difference learnt.
  private mutating func sayIDs(
    _ prefix: Prefix, _ writer: inout TurnWriter, wanted: (Int) -> Bool
  ) -> Bool {
    var said: [Digest256] = []
    let isWhole = walk(prefix) { id, position in
      guard wanted(position) else { return true }
      guard writer.hasRoom(Digest256.byteCount) else { return false }
      writer.write(id)
      said.append(id)
      return true
    }
    mineOnly += said
    return isWhole
  }

  /// Calls the body with our ids below the prefix and their positions, from where `progress` stands, until it returns
  /// false: that id is then the next one. True once all were taken.
  private mutating func walk(_ prefix: Prefix, _ body: (Digest256, Int) -> Bool) -> Bool {
    var position = progress.position
    var refused: Digest256?
    mine.forEach(from: progress.id ?? prefix.first) { id in
      guard prefix.contains(id) else { return false }
      guard body(id, position) else {
        refused = id
        return false
      }
      position += 1
      return true
    }
    progress.position = position
    progress.id = refused
    return refused == nil
  }
}
