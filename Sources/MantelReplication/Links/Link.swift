import BitCollections
import DequeModule
import MantelCore
import MantelSummary

/// One connection to a peer.
struct Link: Sendable {
  let machine: MachineID
  /// The heads that the peer can serve.
  var heads: [MachineID: HeadOrder]
  /// Those of other machines' libraries that it has shown, and that are not installed.
  var shown: [MachineID: ShownHeads] = [:]
  /// Those of libraries that are kept here that could not be told from a later one yet, whether or not they count.
  var unread: [MachineID: ShownHeads] = [:]
  /// The newest head of the peer's own library that it was shown, though this machine has not installed it.
  var shownUnserved = HeadOrder.none
  /// What the peer is known to have, over the shared content array.
  let contents: SetHandle
  /// Blocks that it has of large contents that it lacks; at most `partialContents` of them, each at most
  /// `FrameLimits.blocksPerContent` bits.
  var blocks: [ContentID: BitSet] = [:]
  /// Nil once all that the peer has is known: nothing may be read from an absence before that.
  var comparison: HoldingsComparison?
  /// It said its own word on this connection. One that cannot see its replica does not, and may have withdrawn what lies there.
  var hasSpoken: Bool
  var jobs: [LinkJob: JobPurpose] = [:]
  var fetching: LinkFetching
  var challenges = LinkChallenges()
  /// It named too many contents, and is being closed.
  var isOverLimit = false
  /// Either side may leave it to the other what to send.
  let takesPulls: Bool
  let peerTime: WallTime
  let openedAt: Now

  var knowsContents: Bool { comparison == nil }
  /// What it does not show here, it does not have.
  var tellsAbsences: Bool { knowsContents && hasSpoken }
  var nextDeadline: Instant? {
    [
      comparison?.retryAt, fetching.pausedUntil, fetching.pullsPausedUntil, fetching.putOff.nextDeadline,
      challenges.due,
    ].compactMap(\.self).min()
  }

  enum JobPurpose: Hashable, Sendable {
    case library(MachineID)
    case holdings
    case pull
    case challenge(Challenge, answer: Digest256)
    /// Reads what a former head of the own library had, or of one that is kept here.
    case orphans(MachineID)
  }
}

/// A connection that has said hello and not heard the peer's yet.
struct OpeningLink: Sendable {
  /// What the hello says that is here.
  let holdings: SetSnapshot
  /// What the peer has to be told after the hello.
  var backlog: [LinkCommand] = []
  /// What the peer's comparison, if it already asked for one, was answered with.
  var compared: SetSnapshot?
}

/// How all that a peer has becomes known: what was here when the comparison began, without what the peer lacks of it.
/// What the peer announces meanwhile is newer than anything that the comparison says.
struct HoldingsComparison: Sendable {
  /// This machine's side; nil until the comparison began.
  var mine: SetSnapshot?
  /// Contents of which it is settled otherwise whether the peer has them: announced, or lacking in the comparison.
  let settled: SetHandle
  /// When a comparison that failed is started again.
  var retryAt: Instant?
}

/// What one link was asked for.
struct LinkFetching: Sendable {
  private(set) var orders: [UnitID: UnitOrder] = [:]
  /// When each was asked for.
  private(set) var askedAt: [UnitID: Instant] = [:]
  /// Bytes of all orders, and of those of them that are blocks of large contents.
  private(set) var bytes: UInt64 = 0
  private(set) var blockBytes: UInt64 = 0
  var otherBytes: UInt64 { bytes - blockBytes }
  /// Bytes of all orders but blocks that are got of this peer alone, or by its choice.
  var sharedBytes: UInt64 { otherBytes + namedBlockBytes }
  /// Of shared blocks asked for by name.
  private(set) var namedBlockBytes: UInt64 = 0
  private var namedBlocks: Set<UnitID> = []
  var walk = MissingWalk()
  /// For shared units asked for by name.
  var window: ShareWindow
  /// A choice that was left to the peer.
  var pull: LinkPull?
  /// It had nothing to choose.
  var pullsPausedUntil: Instant?
  /// Large contents were passed over, because enough of them are under way.
  var hasLeftLarge = false
  /// Set when the connection seems to be ending.
  var pausedUntil: Instant?
  var corruptUnits = 0
  /// Contents of which this peer sent wrong bytes, or that it said not to have, until they are asked of it again.
  var putOff = Delays<ContentID>()

  init(_ settings: ReplicationSettings) { window = ShareWindow(settings.shareWindow) }

  mutating func add(_ order: UnitOrder, isNamed: Bool, now: Now) {
    orders[order.unit] = order
    askedAt[order.unit] = now.instant
    bytes += order.bytes
    if order.unit.isBlock { blockBytes += order.bytes }
    if isNamed, order.unit.isBlock, namedBlocks.insert(order.unit).inserted { namedBlockBytes += order.bytes }
  }

  mutating func remove(_ unit: UnitID) -> UnitOrder? {
    guard let order = orders.removeValue(forKey: unit) else { return nil }
    askedAt[unit] = nil
    bytes -= order.bytes
    if unit.isBlock { blockBytes -= order.bytes }
    if namedBlocks.remove(unit) != nil { namedBlockBytes -= order.bytes }
    return order
  }
}

/// Receivers that walk in the same order ask a lone source for the same units: each shuffles what it asks for at once its
/// own way, so that they have something to give to each other.
struct AskingOrder: Sendable {
  private let seed: UInt64

  init(of machine: MachineID) { seed = machine.digest.word0 }

  func isBefore(_ left: ContentID, _ right: ContentID) -> Bool { rank(left) < rank(right) }

  /// A page of missing contents as it is asked for: one of each library, then the next of each. Whoever can choose the
  /// ids of contents must not come before all others by them.
  func inTurns(_ page: [MissingContent]) -> [MissingContent] {
    var taken: [MachineID: Int] = [:]
    var turns: [(turn: Int, missing: MissingContent)] = []
    for missing in page.sorted(by: { isBefore($0.content, $1.content) }) {
      turns.append((taken[missing.library, default: 0], missing))
      taken[missing.library, default: 0] += 1
    }
    turns.sort {
      $0.turn == $1.turn ? isBefore($0.missing.content, $1.missing.content) : $0.turn < $1.turn
    }
    return turns.map(\.missing)
  }

  func rank(_ unit: UnitID) -> UInt64 {
    guard case .block(let index) = unit.part else { return rank(unit.content) }
    return rank(unit.content) ^ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
  }

  private func rank(_ content: ContentID) -> UInt64 {
    (content.digest.word1 ^ seed) &* 0x9E37_79B9_7F4A_7C15
  }
}

/// A link's way through the missing contents: the libraries in turn, newest first within each.
///
/// Whatever may be asked for, and was not when the walk passed by, has to be named to `reconsider`: else nobody would
/// come back to it.
struct MissingWalk: Sendable {
  /// Where the page that was read last ends.
  private(set) var cursor: MissingPosition?
  private var ahead: Deque<MissingContent> = []
  private var again: Deque<ContentID> = []
  private var isAgain: Set<ContentID> = []
  private(set) var isAtEnd = false
  /// It came back to something, and has not gone on since.
  private(set) var isAheadsTurn = false

  /// From the start again.
  mutating func restart() { self = MissingWalk() }

  /// Comes back to a content that was passed; to everything, when too many were.
  mutating func reconsider(_ content: ContentID, limit: Int) {
    let isAtStart = cursor == nil && !isAtEnd
    guard !isAtStart, !isAgain.contains(content) else { return }
    guard again.count < limit else { return restart() }
    again.append(content)
    isAgain.insert(content)
  }

  mutating func nextAgain() -> ContentID? {
    guard let content = again.popFirst() else { return nil }
    isAgain.remove(content)
    isAheadsTurn = true
    return content
  }

  /// The content that was handed out last, and cannot be taken yet.
  mutating func putBack(_ content: MissingContent) { ahead.prepend(content) }

  mutating func nextAhead() -> MissingContent? {
    isAheadsTurn = false
    return ahead.popFirst()
  }

  /// Goes on with a page that ends at `next`; without one, at the end.
  mutating func turn(to page: [MissingContent], next: MissingPosition?) {
    guard let next else {
      isAtEnd = true
      return
    }
    cursor = next
    ahead = Deque(page)
  }
}
