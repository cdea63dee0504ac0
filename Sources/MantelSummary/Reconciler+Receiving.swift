import MantelCore

/// Bodies of differing children that are still to come, lowest child first.
struct PendingBodies: Sendable {
  var prefix: Prefix
  var children: UInt16
}

/// Equal fields that go on over pieces.
enum Run: Sendable {
  case ids(IDRun)
  case list(ListComparison)
  case bitmap(RequestBitmap)
  /// The count between the bitmap and the ids of an answer to a list.
  case comparedCount(Prefix)
}

/// Full ids below a prefix.
struct IDRun: Sendable {
  var prefix: Prefix
  var left: Int
  var last: Digest256?
}

/// What the peer asks for out of our list.
struct RequestBitmap: Sendable {
  var prefix: Prefix
  var listedCount: Int
  var bytesRead = 0
  var positions: [UInt64] = []
}

/// Short ids of the peer as they come in, against ours below the same prefix.
struct ListComparison: Sendable {
  struct Own: Sendable {
    var short: UInt64
    var position: Int
  }

  var prefix: Prefix
  var listedCount: Int
  var position = 0
  /// Ascending by short id.
  var own: [Own] = []
  var matched: [UInt64] = []
  var matchedCount = 0
  var lacking: [UInt64] = []
  var lackingCount = 0

  init(prefix: Prefix, listedCount: Int, mine: SetSnapshot, short: ShortHash) {
    self.prefix = prefix
    self.listedCount = listedCount
    var own: [Own] = []
    own.reserveCapacity(mine.count(of: prefix))
    mine.forEach(from: prefix.first) { id in
      guard prefix.contains(id) else { return false }
      own.append(Own(short: short.id(id), position: own.count))
      return true
    }
    own.sort { $0.short < $1.short }
    self.own = own
  }

  mutating func take(_ short: UInt64) {
    var low = 0
    var high = own.count
    while low < high {
      let middle = (low + high) >> 1
      if own[middle].short < short { low = middle + 1 } else { high = middle }
    }
    if low < own.count, own[low].short == short {
      if !BitRow.contains(matched, own[low].position) {
        BitRow.set(&matched, own[low].position)
        matchedCount += 1
      }
    } else {
      BitRow.set(&lacking, position)
      lackingCount += 1
    }
    position += 1
  }

  var answer: ComparedList {
    ComparedList(
      prefix: prefix, listedCount: listedCount, lacking: lacking, lackingCount: lackingCount,
      matched: matched, unmatchedCount: own.count - matchedCount)
  }
}

extension Reconciler {
  /// Takes a piece of the peer's turn; `isLast` ends the turn. After an error the reconciliation is over.
  package mutating func receive(_ bytes: [UInt8], isLast: Bool) throws(ReconcileError) {
    do throws(ReconcileError) {
      try take(bytes, isLast: isLast)
    } catch {
      fail()
      throw error
    }
  }

  private mutating func take(_ piece: [UInt8], isLast: Bool) throws(ReconcileError) {
    guard phase == .receiving else { throw .malformed("it is not the peer's turn") }
    guard !piece.isEmpty else { throw .malformed("an empty piece") }
    guard piece.count <= ReconcileLimits.pieceBytes else { throw .overLimit("bytes of a piece") }
    bytes += piece.count
    var reader = TurnReader(piece)
    while !reader.isAtEnd {
      if let current = run.take() {
        run = try advance(current, &reader)
      } else if let current = bodies.take() {
        try readBody(of: current, &reader)
      } else if nextExpected < expected.count {
        nextExpected += 1
        try read(expected[nextExpected - 1], &reader)
      } else {
        throw .malformed("a turn goes on after its end")
      }
    }
    guard bytes <= byteLimit else { throw .overLimit("bytes of a reconciliation") }
    let isWhole = run == nil && bodies == nil && nextExpected == expected.count
    guard isWhole == isLast else {
      throw .malformed(isLast ? "a turn ends too early" : "a turn goes on after its end")
    }
    if isLast { try endTurn() }
  }

  private mutating func endTurn() throws(ReconcileError) {
    legs += 1
    guard legs <= Limits.descentLegs else { throw .overLimit("turns of a reconciliation") }
    expected = []
    nextExpected = 0
    phase = answers.isEmpty ? .finished : .sending
  }

  // MARK: Items

  private mutating func read(_ item: Expected, _ reader: inout TurnReader) throws(ReconcileError) {
    switch item {
    case .opening:
      try readOpening(&reader)
    case .differing(let prefix):
      let children = try reader.readUInt16()
      if children != 0 { bodies = PendingBodies(prefix: prefix, children: children) }
    case .list(let prefix, let count):
      guard try reader.readCount() == count else {
        throw .malformed("a list is not as long as announced")
      }
      beginList(prefix, count: count)
    case .all(let prefix, let count):
      guard try reader.readCount() == count else {
        throw .malformed("ids are not as many as announced")
      }
      beginIDs(prefix, count: count)
    case .compared(let prefix, let listedCount):
      let bitmap = RequestBitmap(prefix: prefix, listedCount: listedCount)
      run = try advance(.bitmap(bitmap), &reader)
    case .requested(let prefix, let count):
      run = try advance(.ids(IDRun(prefix: prefix, left: count)), &reader)
    }
  }

  private mutating func readOpening(_ reader: inout TurnReader) throws(ReconcileError) {
    let count = try reader.readUInt64()
    guard count <= UInt64(ReconcileLimits.ids) else { throw .overLimit("ids of a set") }
    let root = try reader.readDigest()
    guard root != mine.root else { throw .malformed("a descent between equal sets") }
    theirCount = count
    theirRoot = root
    try readBody(of: .root, theirs: Int(count), &reader)
  }

  private mutating func readBody(
    of pending: PendingBodies, _ reader: inout TurnReader
  ) throws(ReconcileError) {
    let child = pending.children.trailingZeroBitCount
    let rest = pending.children & (pending.children - 1)
    if rest != 0 { bodies = PendingBodies(prefix: pending.prefix, children: rest) }
    try readBody(of: pending.prefix.child(child), theirs: nil, &reader)
  }

  /// `theirs`: how many ids the peer said that it has below the prefix, where it did.
  private mutating func readBody(
    of prefix: Prefix, theirs: Int?, _ reader: inout TurnReader
  ) throws(ReconcileError) {
    guard let kind = BodyKind(rawValue: try reader.readByte()) else {
      throw .malformed("an unknown body")
    }
    let own = mine.count(of: prefix)
    guard own > 0 || kind == .all else { throw .malformed("a body that our empty side cannot have") }
    switch kind {
    case .vector:
      guard own > ReconcileLimits.listedIDs else { throw .malformed("a vector instead of a list") }
      try readVector(of: prefix, theirs: theirs, &reader)
    case .list:
      let count = try reader.readCount()
      guard count > 0, count <= own, count == theirs ?? count else {
        throw .malformed("a list of a length that the peer cannot have")
      }
      beginList(prefix, count: count)
    case .all:
      let count = try reader.readCount()
      guard own == 0, count > 0, count == theirs ?? count else {
        throw .malformed("ids that the peer cannot have chosen to send")
      }
      beginIDs(prefix, count: count)
    case .ask:
      guard theirs ?? .max > own else { throw .malformed("an ask of the side that has less") }
      answers.append(.list(prefix, isBody: false))
    case .none:
      guard theirs ?? 0 == 0 else { throw .malformed("none although there are some") }
      answers.append(.all(prefix, isBody: false))
    }
  }

  private mutating func readVector(
    of prefix: Prefix, theirs: Int?, _ reader: inout TurnReader
  ) throws(ReconcileError) {
    let present = try reader.readUInt16()
    let (ownCounts, ownHashes) = mine.children(of: prefix)
    var differing: UInt16 = 0
    var counts = [Int](repeating: 0, count: 16)
    for child in 0..<16 {
      if present >> UInt16(child) & 1 == 1 {
        let hash = try reader.readUInt64()
        counts[child] = try reader.readCount()
        guard counts[child] > 0 else { throw .malformed("an empty child in a vector") }
        if ownCounts[child] != counts[child] || short.node(ownHashes[child]) != hash {
          differing |= 1 << UInt16(child)
        }
      } else if ownCounts[child] > 0 {
        differing |= 1 << UInt16(child)
      }
    }
    let total = counts.reduce(0, +)
    guard total > ReconcileLimits.listedIDs, total == theirs ?? total else {
      throw .malformed("a vector of a count that the peer cannot have")
    }
    answers.append(.differing(differing))
    for child in 0..<16 where differing >> UInt16(child) & 1 == 1 {
      answers.append(
        body(of: prefix.child(child), mine: ownCounts[child], theirs: counts[child]))
    }
  }

  private mutating func beginList(_ prefix: Prefix, count: Int) {
    run = .list(ListComparison(prefix: prefix, listedCount: count, mine: mine, short: short))
  }

  private mutating func beginIDs(_ prefix: Prefix, count: Int) {
    if count > 0 { run = .ids(IDRun(prefix: prefix, left: count)) }
  }

  // MARK: Runs

  /// Reads as much of a run as the piece has; returns what the next bytes go on with.
  private mutating func advance(
    _ run: consuming Run, _ reader: inout TurnReader
  ) throws(ReconcileError) -> Run? {
    switch consume run {
    case .ids(let ids):
      return try advance(ids, &reader)
    case .list(var list):
      while list.position < list.listedCount {
        if reader.isAtEnd { return .list(list) }
        list.take(try reader.readUInt64())
      }
      answers.append(.compared(list.answer))
      return nil
    case .bitmap(var bitmap):
      while bitmap.bytesRead < (bitmap.listedCount + 7) / 8 {
        if reader.isAtEnd { return .bitmap(bitmap) }
        BitRow.setByte(&bitmap.positions, bitmap.bytesRead, try reader.readByte())
        bitmap.bytesRead += 1
      }
      let count = BitRow.count(bitmap.positions)
      guard BitRow.count(bitmap.positions, in: 0..<bitmap.listedCount) == count else {
        throw .malformed("a bitmap with bits behind its end")
      }
      if count > 0 {
        answers.append(.requested(bitmap.prefix, positions: bitmap.positions, count: count))
      }
      return .comparedCount(bitmap.prefix)
    case .comparedCount(let prefix):
      let count = try reader.readCount()
      return count == 0 ? nil : .ids(IDRun(prefix: prefix, left: count))
    }
  }

  private mutating func advance(
    _ run: IDRun, _ reader: inout TurnReader
  ) throws(ReconcileError) -> Run? {
    var run = run
    while run.left > 0 {
      if reader.isAtEnd { return .ids(run) }
      let id = try reader.readDigest()
      guard run.prefix.contains(id) else { throw .malformed("an id outside its prefix") }
      if let last = run.last, last >= id { throw .malformed("ids out of order") }
      guard !mine.contains(id) else { throw .malformed("an id that both sides have") }
      idsReceived += 1
      guard idsReceived <= theirCount ?? 0 else { throw .malformed("more ids than the peer has") }
      theirsOnly.append(id)
      run.last = id
      run.left -= 1
    }
    return nil
  }
}
