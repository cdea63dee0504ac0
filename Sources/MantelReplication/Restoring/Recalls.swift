import DequeModule
package import MantelCore

/// Names one wish for a content's bytes; never reused by an agent.
package struct RecallID: Hashable, Sendable {
  package var number: UInt64
  package init(_ number: UInt64) { self.number = number }
}

/// Bytes that somebody needs for a while though no place in the replica asks for them: a restore, or a drill.
package struct RecallOrder: Hashable, Sendable {
  package var content: MissingContent
  /// Fetched even if the bytes seem to be here: the file that should have them does not, or a peer is being tried.
  package var isAfresh: Bool
  /// Asked of this machine alone.
  package var only: MachineID?

  package init(_ content: MissingContent, isAfresh: Bool = false, only: MachineID? = nil) {
    self.content = content
    self.isAfresh = isAfresh
    self.only = only
  }

  /// What has to be fetched to bring an entry's file back.
  package init(_ installed: InstalledEntry, isAfresh: Bool = false, only: MachineID? = nil) {
    let entry = installed.entry
    self.init(
      MissingContent(
        content: entry.content, size: entry.size, manifest: entry.manifest, mtime: entry.mtime,
        library: installed.library), isAfresh: isAfresh, only: only)
  }
}

/// How a recall ended; each has exactly one end, and is over with it unless that is `here`.
package enum RecallOutcome: Hashable, Sendable {
  /// The bytes are here, verified, at least until the recall is released.
  case here
  /// No machine that can be reached has them.
  case notReachable
  /// Those that have them refused, or were cut off, again and again.
  case refused
  /// Those that have them sent other bytes.
  case damaged
  case noSpace
  /// The replica's filesystem, where they would be staged, takes no writes.
  case readOnly
  /// Too many wait, or the same content is recalled in another way.
  case busy
}

/// What is recalled now, and what waits until there is room for it.
///
/// Lost with the process: whoever recalls does it again. Bytes that were staged for a recall are then nobody's, and go.
struct Recalls: Sendable {
  /// A content that is recalled, by however many.
  struct Open: Sendable {
    let order: RecallOrder
    var users: Set<RecallID>
    /// Users to whom nothing was said yet of how their recall ended.
    var untold: Set<RecallID>
    /// When something of it was last on its way.
    var quietSince: Instant
    /// When something of it last came.
    var progressedAt: Instant
    /// Blocks of a large content that have come.
    var blocks = 0
    /// Requests that ended in vain, and how the last one did.
    var failures = 0
    var trouble: RecallOutcome?
  }

  private(set) var open: [ContentID: Open] = [:]
  /// Open contents that are not here yet, in the order in which they were asked for.
  private(set) var asking: [ContentID] = []
  var waiting: Deque<(id: RecallID, order: RecallOrder)> = []
  /// Bytes of all open contents.
  private(set) var bytes: UInt64 = 0
  /// When a link last came or went, or took back what is asked for: whoever is being dialled may have what nobody else has, and a
  /// disk that is away may be back in a moment.
  private(set) var linksChangedAt: Instant
  private var links: Set<LinkID> = []

  init(now: Now) { linksChangedAt = now.instant }

  mutating func note(_ links: some Collection<LinkID>, now: Now) {
    guard links.count != self.links.count || !links.allSatisfy(self.links.contains) else { return }
    self.links = Set(links)
    linksChangedAt = now.instant
  }

  /// A peer that had a content has it no more, for now.
  mutating func takenBack(_ content: ContentID, now: Now) {
    if open[content] != nil, !isHere(content) { linksChangedAt = now.instant }
  }

  /// Whether one more of this size may be begun; a single content over the limit goes alone.
  func hasRoom(for size: UInt64, _ settings: ReplicationSettings) -> Bool {
    open.isEmpty || (open.count < settings.recallsAtOnce && bytes + size <= settings.recallBytes)
  }

  mutating func begin(_ id: RecallID, _ order: RecallOrder, now: Now) {
    let content = order.content.content
    open[content] = Open(
      order: order, users: [id], untold: [id], quietSince: now.instant, progressedAt: now.instant)
    asking.append(content)
    bytes += order.content.size
  }

  mutating func join(_ id: RecallID, _ content: ContentID) {
    open[content]?.users.insert(id)
    open[content]?.untold.insert(id)
  }

  /// The bytes were here and are gone: they are asked for as at first. Whoever was told of them still needs them, and is
  /// told nothing more.
  mutating func askAgain(_ content: ContentID, now: Now) {
    guard isHere(content), let before = open[content] else { return }
    open[content] = Open(
      order: before.order, users: before.users, untold: before.untold, quietSince: now.instant,
      progressedAt: now.instant)
    asking.append(content)
  }

  /// Those who are to be told how their recall of a content ended, each once.
  mutating func takeUntold(_ content: ContentID) -> [RecallID] {
    defer { open[content]?.untold.removeAll() }
    return open[content]?.untold.sorted { $0.number < $1.number } ?? []
  }

  /// Something of an open content is on its way; `blocks` of it have come.
  mutating func isMoving(_ content: ContentID, blocks: Int, now: Now) {
    open[content]?.quietSince = now.instant
    guard blocks > open[content]?.blocks ?? 0 else { return }
    open[content]?.blocks = blocks
    open[content]?.progressedAt = now.instant
  }

  /// A request for something of an open content ended in vain; nil: of no fault of anybody's.
  mutating func failed(_ content: ContentID, _ trouble: RecallOutcome?, now: Now) {
    open[content]?.quietSince = now.instant
    guard let trouble else { return }
    open[content]?.failures += 1
    open[content]?.trouble = trouble
  }

  /// The bytes are here: nobody is asked any more.
  mutating func came(_ content: ContentID) { asking.removeAll { $0 == content } }

  func isHere(_ content: ContentID) -> Bool { open[content] != nil && !asking.contains(content) }

  mutating func close(_ content: ContentID) {
    guard let closed = open.removeValue(forKey: content) else { return }
    asking.removeAll { $0 == content }
    bytes -= closed.order.content.size
  }

  /// Takes a user away. Returns the content, and whether nobody recalls it any more.
  mutating func release(_ id: RecallID) -> (content: ContentID, isUnused: Bool)? {
    waiting.removeAll { $0.id == id }
    guard let content = open.first(where: { $0.value.users.contains(id) })?.key else { return nil }
    open[content]?.users.remove(id)
    open[content]?.untold.remove(id)
    return (content, open[content]?.users.isEmpty ?? true)
  }

  // MARK: What fetching asks

  /// The bytes are wanted from elsewhere though they seem to be here.
  func isAfresh(_ content: ContentID) -> Bool {
    open[content]?.order.isAfresh == true && asking.contains(content)
  }

  func mayAsk(_ machine: MachineID, for content: ContentID) -> Bool {
    open[content]?.order.only.map { $0 == machine } ?? true
  }
}
