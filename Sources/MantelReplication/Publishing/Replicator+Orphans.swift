import MantelCore
import MantelHousehold
import MantelSummary

/// Entries that fell out of a library without a word of its owner (design 3.1, "orphaned"), and how they come back.
struct Orphans: Sendable {
  /// Contents by library, as the catalog has them.
  var counts: [MachineID: OrphanedContents] = [:]
  /// Former heads of the own library that this machine does not know of, being read over a link.
  var readings: [LinkID: Reading] = [:]

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
/// against the former head's root, and takes back as retired what its library does not name.
extension Replicator {
  mutating func loadOrphans(now: Now) throws(StoreError) {
    orphans.counts = try store.orphans()
    if orphans.counts[machine] != nil { try takeBack(try store.orphanedEntries(machine), now: now) }
  }

  // MARK: Of other libraries

  /// Follows each install.
  mutating func noteOrphans(in owner: MachineID, now: Now) throws(StoreError) {
    let before = orphans.counts[owner]?.files ?? 0
    let count = try store.orphans(in: owner)
    orphans.counts[owner] = count.files > 0 ? count : nil
    guard count.files > 0 else { return }
    if owner == machine { return try takeBack(try store.orphanedEntries(machine), now: now) }
    if count.files > before { actions.append(.warn(.orphaned(owner, count.files))) }
    for link in links.keys.sorted() where links[link]?.machine == owner { try showOrphaned(over: link) }
  }

  /// After anything that says what is installed here: of news of one library the last counts.
  mutating func showOrphaned(over link: LinkID) throws(StoreError) {
    guard let owner = links[link]?.machine, orphans.counts[owner] != nil,
      let head = try store.lastHead(orphanedIn: owner)
    else { return }
    actions.append(.link(link, .announceHead(head)))
  }

  /// Whoever knows of them now waits for nobody: nothing else changes, and their owner is still shown what it had.
  mutating func acknowledgeOrphans() throws(StoreError) {
    try store.acknowledgeOrphans()
    for library in orphans.counts.keys { orphans.counts[library]?.open = 0 }
  }

  // MARK: Of the own one

  /// A peer showed a head of this machine that is older than the installed one: either this machine has published it, or what
  /// it had is to be asked for.
  mutating func readFormer(_ head: Signed<Head>, from link: LinkID) throws(StoreError) {
    let order = head.record.order
    guard publication.recovery == nil, orphans.readings[link] == nil,
      order < libraries[machine]?.order ?? .none,
      try store.publishedRoot(machine, order) != head.record.root
    else { return }
    beginReading(head, over: link)
  }

  private mutating func beginReading(_ head: Signed<Head>, attempts: Int = 0, over link: LinkID) {
    guard let library = libraries[machine] else { return }
    let job = nextJob()
    orphans.readings[link] = Orphans.Reading(
      head: head, target: library.order, view: library.entries, attempts: attempts)
    links[link]?.jobs[job] = .orphans
    actions.append(
      .link(link, .fetchDelta(job, library: machine, from: head.record.order, to: library.order)))
  }

  mutating func readAgainIfDue(now: Now) {
    for (link, reading) in orphans.readings.sorted(by: { $0.key < $1.key }) {
      guard let retryAt = reading.retryAt, retryAt <= now.instant else { continue }
      beginReading(reading.head, attempts: reading.attempts, over: link)
    }
  }

  mutating func receivedFormer(
    added: [Entry], removed: [EntryID], over link: LinkID, now: Now
  ) throws(StoreError) {
    guard let reading = orphans.readings[link] else { return }
    if reading.asked.isEmpty {
      orphans.readings[link]?.take(added: added, removed: removed)
    } else {
      try takeBack(added.filter { reading.asked.contains(EntryID(of: $0)) }, now: now)
    }
  }

  /// The delta, or the entries, have come, or do not come.
  mutating func endedFormer(_ outcome: LinkOutcome, over link: LinkID, now: Now) {
    guard let reading = orphans.readings[link] else { return }
    let isFetching = !reading.asked.isEmpty
    guard outcome == .complete else {
      // The peer may not have the newest head yet, or not all of the entries now.
      let wait = min(settings.retry * (1 << min(reading.attempts, 10)), settings.longestRetry)
      return putOff(reading, over: link, until: now.instant + wait)
    }
    guard !isFetching else {
      orphans.readings[link] = nil
      return
    }
    guard reading.isProved else {
      return putOff(reading, over: link, until: now.instant + settings.contradiction)
    }
    let lacking = reading.removed.filter { libraries[machine]?.entries.contains($0.digest) != true }
    guard !lacking.isEmpty else {
      orphans.readings[link] = nil
      return
    }
    let job = nextJob()
    orphans.readings[link]?.asked = Set(lacking)
    links[link]?.jobs[job] = .orphans
    actions.append(.link(link, .fetchEntries(job, library: machine, lacking)))
  }

  private mutating func putOff(_ reading: Orphans.Reading, over link: LinkID, until: Instant) {
    orphans.readings[link] = Orphans.Reading(
      head: reading.head, target: reading.target, view: reading.view, attempts: reading.attempts + 1,
      retryAt: until)
  }

  /// What the library does not name in any state is in the next head, retired.
  private mutating func takeBack(_ entries: [Entry], now: Now) throws(StoreError) {
    for var entry in entries where entry.state.isWanted {
      guard try !isNamed(entry.content) else { continue }
      if entry.state.isLive { entry.state = .retired(.missing, at: now.wall) }
      publication.orphans[EntryID(of: entry)] = entry
      // As deletions wait: what lies in a folder after all is found, and live, before that.
      publication.changesDue = publication.changesDue ?? now.instant + settings.deletionDelay
    }
  }

  private func isNamed(_ content: ContentID) throws(StoreError) -> Bool {
    if try !store.entries(machine, of: content).isEmpty { return true }
    if try !store.formerEntries(machine, of: content).isEmpty { return true }
    return try !store.droppedEntries(machine, of: content).isEmpty
  }

  func draftOrphans(_ update: inout OwnUpdate) throws(StoreError) {
    guard !publication.orphans.isEmpty else { return }
    let arriving = Set(update.added.values.map(\.content))
    for (id, entry) in publication.orphans.sorted(by: { $0.key < $1.key })
    where !arriving.contains(entry.content) {
      if try !isNamed(entry.content) { update.add(id, entry) }
    }
  }
}
