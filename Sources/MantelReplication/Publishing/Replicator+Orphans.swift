import MantelCore
import MantelHousehold
import MantelSummary

/// Entries that fell out of a library without a word of its owner (design 3.1, "orphaned"), and how they come back.
struct Orphans: Sendable {
  /// Contents by library, as the catalog has them.
  var counts: [MachineID: OrphanedContents] = [:]
  /// Former heads of the libraries that this machine signs for and does not know of, being read over a link.
  var readings: [Source: Reading] = [:]

  struct Source: Hashable, Comparable, Sendable {
    let link: LinkID
    let library: MachineID

    static func < (left: Self, right: Self) -> Bool {
      (left.link, left.library) < (right.link, right.library)
    }
  }

  struct Reading: Sendable {
    let head: Signed<Head>
    /// The published head that the former one is told from, and its entries.
    let target: HeadOrder
    let view: SetSnapshot
    /// What the former head had and the target has not, and the other way round, by the peer's word until both give the
    /// former head's root. Never more than the two heads name.
    var removed: [EntryID] = []
    var added: [Digest256] = []
    /// Ids that were asked for once that was proved.
    var asked: Set<EntryID> = []
    /// How often the peer has not served it.
    var attempts = 0
    /// Set while that is so.
    var retryAt: Instant?

    /// What the peer says is what the head's owner has signed.
    var isProved: Bool {
      view.applying(added: removed.map(\.digest), removed: added).root == head.record.root
    }

    mutating func take(added more: [Entry], removed ids: [EntryID]) {
      removed += ids.prefix(Int(clamping: head.record.counts.entries) - removed.count)
      added += more.prefix(view.count - added.count).map { EntryID(of: $0).digest }
    }
  }

  var deadline: Instant? { readings.values.lazy.compactMap(\.retryAt).min() }
}

/// Whoever keeps copies notices at the install, by contents: a head that takes the last entry of a content away and leaves
/// nothing that names it (retired, unheld, dropped) does not come from the history that it follows. Rows and files stay, and
/// status says so. It shows the owner, whenever they meet, the last head that had them: an ordinary HEAD, with the owner's
/// own signature. An owner that has not published that head asks what it had, as a delta to the head of today, checks that
/// against the former head's root, and takes back as retired what its library does not name. For a removed machine's
/// library its keeper does all that.
extension Replicator {
  mutating func loadOrphans(now: Now) throws(StoreError) {
    orphans.counts = try store.orphans()
    for library in orphans.counts.keys.sorted() where library == machine || keeps(library) {
      try takeBack(try store.orphanedEntries(library), in: library, now: now)
    }
  }

  // MARK: Of other libraries

  /// Follows each install.
  mutating func noteOrphans(in owner: MachineID, now: Now) throws(StoreError) {
    let before = orphans.counts[owner]?.files ?? 0
    let count = try store.orphans(in: owner)
    orphans.counts[owner] = count.files > 0 ? count : nil
    guard count.files > 0 else { return }
    if owner == machine || keeps(owner) {
      return try takeBack(try store.orphanedEntries(owner), in: owner, now: now)
    }
    if count.files > before { actions.append(.warn(.orphaned(owner, count.files))) }
    let publisher = roster.publisher(of: owner)
    for link in links.keys.sorted() where links[link]?.machine == publisher { try showOrphaned(over: link) }
  }

  /// After anything that says what is installed here: of news of one library the last counts.
  mutating func showOrphaned(over link: LinkID) throws(StoreError) {
    guard let peer = links[link]?.machine else { return }
    for owner in orphans.counts.keys.sorted() where roster.publisher(of: owner) == peer {
      guard let head = try store.lastHead(orphanedIn: owner) else { continue }
      actions.append(.link(link, .announceHead(head)))
    }
  }

  /// Whoever knows of them now waits for nobody: nothing else changes, and their owner is still shown what it had.
  mutating func acknowledgeOrphans() throws(StoreError) {
    try store.acknowledgeOrphans()
    for library in orphans.counts.keys { orphans.counts[library]?.open = 0 }
  }

  // MARK: Of the own one, and of those that are kept

  /// A peer showed a head that is older than the installed one: either this machine knows it, or what it had is to be asked for.
  mutating func readFormer(_ head: Signed<Head>, from link: LinkID) throws(StoreError) {
    let (owner, order) = (head.record.library, head.record.order)
    let installed: HeadOrder = libraries[owner]?.order ?? .none
    let reading = orphans.readings[Orphans.Source(link: link, library: owner)]
    links[link]?.unread[owner]?.remove { $0 == order }
    // The head that ends a recovery of the own library makes the others show again what they lack.
    guard owner != machine || publication.recovery == nil, order != installed,
      reading?.head.record.order != order
    else { return }
    guard order < installed, reading == nil else {
      // The peer shows it only once, unless another head is signed here: who keeps a library and has lost its catalog takes its
      // own heads in, and need not sign any.
      if owner != machine { links[link]?.unread[owner, default: ShownHeads()].add(head, above: .none) }
      return
    }
    guard try !isKnown(head) else { return }
    beginReading(head, over: link)
  }

  /// What was shown of a kept library before there was a head above it, or while another one was read; one after the other.
  private mutating func readUnread(of owner: MachineID, over link: LinkID) throws(StoreError) {
    for head in links[link]?.unread[owner]?.heads ?? [] { try readFormer(head, from: link) }
  }

  /// A head of a kept library has come: what was shown below it can be told from it now.
  mutating func readUnread(of owner: MachineID) throws(StoreError) {
    guard keeps(owner) else { return }
    for link in links.keys.sorted() { try readUnread(of: owner, over: link) }
  }

  /// It was published here, or installed.
  private func isKnown(_ head: Signed<Head>) throws(StoreError) -> Bool {
    let (owner, order) = (head.record.library, head.record.order)
    if try store.publishedRoot(owner, order) == head.record.root { return true }
    guard owner != machine, roster.accepts(head) else { return false }
    return try store.wantedChanges(owner, since: order) != nil
  }

  private mutating func beginReading(_ head: Signed<Head>, attempts: Int = 0, over link: LinkID) {
    let owner = head.record.library
    guard let library = libraries[owner] else { return }
    let job = nextJob()
    orphans.readings[Orphans.Source(link: link, library: owner)] = Orphans.Reading(
      head: head, target: library.order, view: library.entries, attempts: attempts)
    links[link]?.jobs[job] = .orphans(owner)
    actions.append(
      .link(link, .fetchDelta(job, library: owner, from: head.record.order, to: library.order)))
  }

  mutating func readAgainIfDue(now: Now) {
    for (source, reading) in orphans.readings.sorted(by: { $0.key < $1.key }) {
      guard let retryAt = reading.retryAt, retryAt <= now.instant else { continue }
      beginReading(reading.head, attempts: reading.attempts, over: source.link)
    }
  }

  mutating func receivedFormer(
    added: [Entry], removed: [EntryID], of owner: MachineID, over link: LinkID, now: Now
  ) throws(StoreError) {
    let source = Orphans.Source(link: link, library: owner)
    guard let reading = orphans.readings[source] else { return }
    if reading.asked.isEmpty {
      orphans.readings[source]?.take(added: added, removed: removed)
    } else {
      try takeBack(added.filter { reading.asked.contains(EntryID(of: $0)) }, in: owner, now: now)
    }
  }

  /// The delta, or the entries, have come, or do not come.
  mutating func endedFormer(
    _ outcome: LinkOutcome, of owner: MachineID, over link: LinkID, now: Now
  ) throws(StoreError) {
    let source = Orphans.Source(link: link, library: owner)
    guard let reading = orphans.readings[source] else { return }
    let isFetching = !reading.asked.isEmpty
    guard outcome == .complete else {
      // The peer may not have the newest head yet, or not all of the entries now.
      let wait = min(settings.retry * (1 << min(reading.attempts, 10)), settings.longestRetry)
      return putOff(reading, of: source, until: now.instant + wait)
    }
    guard !isFetching else {
      orphans.readings[source] = nil
      return try readUnread(of: owner, over: link)
    }
    guard reading.isProved else {
      return putOff(reading, of: source, until: now.instant + settings.contradiction)
    }
    let lacking = reading.removed.filter { libraries[owner]?.entries.contains($0.digest) != true }
    guard !lacking.isEmpty else {
      orphans.readings[source] = nil
      return try readUnread(of: owner, over: link)
    }
    let job = nextJob()
    orphans.readings[source]?.asked = Set(lacking)
    links[link]?.jobs[job] = .orphans(owner)
    actions.append(.link(link, .fetchEntries(job, library: owner, lacking)))
  }

  private mutating func putOff(_ reading: Orphans.Reading, of source: Orphans.Source, until: Instant) {
    orphans.readings[source] = Orphans.Reading(
      head: reading.head, target: reading.target, view: reading.view, attempts: reading.attempts + 1,
      retryAt: until)
  }

  /// What the library does not name in any state is in the next head, retired.
  mutating func takeBack(_ entries: [Entry], in owner: MachineID, now: Now) throws(StoreError) {
    for var entry in entries where entry.state.isWanted {
      guard try !isNamed(entry.content, in: owner) else { continue }
      if entry.state.isLive { entry.state = .retired(.missing, at: now.wall) }
      if owner == machine {
        publication.orphans[entry.key] = publication.orphans[entry.key] ?? entry
        // As deletions wait: what lies in a folder after all is found, and live, before that.
        publication.changesDue = publication.changesDue ?? now.instant + settings.deletionDelay
      } else {
        let known = kept[owner]?.pending.orphans[entry.key]
        kept[owner, default: KeptLibrary()].pending.orphans[entry.key] = known ?? entry
      }
    }
  }

  private func isNamed(_ content: ContentID, in owner: MachineID) throws(StoreError) -> Bool {
    if try !store.entries(owner, of: content).isEmpty { return true }
    if try !store.formerEntries(owner, of: content).isEmpty { return true }
    return try !store.droppedEntries(owner, of: content).isEmpty
  }

  func draftOrphans(_ update: inout OwnUpdate) throws(StoreError) {
    try draft(orphans: publication.orphans, in: machine, &update)
  }

  func draft(
    orphans: [EntryKey: Entry], in owner: MachineID, _ update: inout OwnUpdate
  ) throws(StoreError) {
    guard !orphans.isEmpty else { return }
    let arriving = Set(update.added.values.map(\.content))
    for entry in orphans.values where !arriving.contains(entry.content) {
      if try !isNamed(entry.content, in: owner) { update.add(EntryID(of: entry), entry) }
    }
  }
}
