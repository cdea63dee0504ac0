import MantelCore
import MantelHousehold
import MantelSummary

/// A file whose bytes were hashed and are not in the published library yet.
struct OwnChange: Sendable {
  var content: ContentID
  var size: UInt64
  var mtime: Int64
  var manifest: Digest256?
  /// Fsynced, on a local filesystem.
  var isHeld: Bool
}

struct OwnDeletion: Sendable {
  var reason: EntryState.RetireReason
  var seen: Instant
  /// The file's row from then on, when it is there and only not backed up any more.
  var becoming: LedgerFile?
  /// What was last seen of the file.
  var stamp = FileStamp.unknown
  /// By the user, after a mass change had held it.
  var isAccepted = false
}

/// What the next head of the own library will change, and when it is due.
struct Publication: Sendable {
  var changes: [FileKey: OwnChange] = [:]
  /// Contents that were hashed, and whose file changed or went before the head.
  var doubtful: Set<ContentID> = []
  var deletions: [FileKey: OwnDeletion] = [:]
  /// Entries that the user forgets, and takes back, with the next head: each is out with the event that asked for it.
  var forgetting: [EntryID: Entry] = [:]
  var returning: [EntryID: ForgottenEntry] = [:]
  /// The catalog knows of entries that were forgotten, and maybe are no more.
  var hasForgotten = false
  /// Replaced entries whose time is over.
  var expiring: [EntryID: Entry] = [:]
  /// Entries that fell out of the library, and come back as retired, each once: when that was learned is in the entry, so that
  /// whoever else shows it would make another of it.
  var orphans: [EntryKey: Entry] = [:]
  /// Ledger rows to be written: with the head for changed files, by themselves for pending ones.
  var ledgerRows = LedgerRows()
  var changesDue: Instant?
  var firstChange: Instant?
  var deletionsDue: Instant?
  /// While nothing may be published: when the deletions that wait are judged next.
  var judgementDue: Instant?
  /// The heads of the last few intervals, newest last: tells load from a single change. Those that were full are not among
  /// them: such a head costs what its entries cost, and waiting would not make it cheaper.
  var recent: [Instant] = []
  /// No head was ever published, or not in this epoch: one goes out once the first scan is through, though nothing changes.
  var isFirst = false
  /// The newest head of a keeper that was shown: see `outrank`.
  var outdated = HeadOrder.none
  /// A head of ours was shown that we do not know: our catalog was restored, or lost.
  var recovery: OwnRecovery?
  var hearing = Hearing()
  /// The epoch that is this run's own; nil before its first head.
  var epoch: UInt64?
  /// No head belongs to an earlier one any more.
  var leastEpoch: UInt64 = 1
  /// Who met another living copy of this machine, if anyone did since the start.
  var cloneToldBy: MachineID?

  /// Nothing may be published now.
  var isStopped: Bool { recovery != nil || cloneToldBy != nil || !hearing.isOver }
  var due: Instant? {
    guard isStopped else { return [changesDue, deletionsDue].compactMap(\.self).min() }
    return recovery == nil ? deletionsDue.map { max($0, judgementDue ?? $0) } : nil
  }
  var isIdle: Bool {
    changes.isEmpty && deletions.isEmpty && forgetting.isEmpty && returning.isEmpty && expiring.isEmpty
      && orphans.isEmpty
  }

  /// Files were hashed. A head costs much more than an entry of it: while `isMoreComing`, it waits for the others, but no
  /// longer than load may make it wait.
  mutating func noteChanges(isMoreComing: Bool, now: Now, _ settings: ReplicationSettings) {
    let first = firstChange ?? now.instant
    firstChange = first
    let due =
      isMoreComing
      ? changes.count < settings.publishFiles ? first + settings.publishInterval : now.instant
      : min(now.instant + settings.publishAfterLast, first + settings.publishAfterFirst)
    changesDue = paced(due, now: now, settings)
  }

  private func isFull(_ settings: ReplicationSettings) -> Bool { changes.count >= settings.publishFiles }

  /// A head goes out with all changes that wait.
  mutating func noteHead(now: Now, _ settings: ReplicationSettings) {
    if !isFull(settings) { recent.append(now.instant) }
  }

  mutating func noteDeletion(now: Now, _ settings: ReplicationSettings) {
    let due = now.instant + settings.deletionDelay
    deletionsDue = min(deletionsDue ?? due, due)
  }

  /// A burst goes out at once; what is published again and again, at the interval.
  mutating func paced(_ due: Instant, now: Now, _ settings: ReplicationSettings) -> Instant {
    recent.removeAll { now.instant - $0 > settings.publishInterval * settings.publishBurst }
    guard recent.count >= settings.publishBurst, !isFull(settings), let last = recent.last else { return due }
    return max(due, last + settings.publishInterval)
  }
}

extension Replicator {
  /// A file that was known is not there any more; or it is, and from now on has another row and no entry.
  mutating func vanished(
    _ file: LedgerFile, reason: EntryState.RetireReason, becoming row: LedgerFile? = nil, now: Now
  ) throws(StoreError) {
    if file.content == nil, try staysHeld(file) { return }
    let key = FileKey(folder: file.folder, path: file.path)
    dropChange(key)
    ledger.delays.forget(key)
    publication.ledgerRows[key] = nil
    guard try store.liveEntry(machine, file.folder, file.path) != nil else {
      publication.deletions[key] = nil
      if let row { try store.putFiles([row]) } else { ledger.gone.append(key) }
      return
    }
    // Until the head is out the row stays: after a crash the next scan must find this again.
    let seen = publication.deletions[key]?.seen ?? now.instant
    publication.deletions[key] = OwnDeletion(
      // Nobody saw it go: it is not here after a loss of the catalog.
      reason: file.stamp.isOfEntry ? .missing : reason, seen: seen, becoming: row, stamp: file.stamp,
      isAccepted: file.isAccepted)
    publication.noteDeletion(now: now, settings)
  }

  /// What was hashed of a file is not to be published.
  mutating func dropChange(_ key: FileKey) {
    guard let change = publication.changes.removeValue(forKey: key) else { return }
    publication.doubtful.insert(change.content)
  }

  mutating func publishIfDue(now: Now) throws(StoreError) {
    guard !publication.isStopped else { return try judgeDeletions(now: now) }
    publication.judgementDue = nil
    if publication.isFirst, absences.changing.isEmpty, ledger.isIdle, publication.isIdle,
      ledger.folders.keys.allSatisfy({ ledger.scanned.contains($0) || isOffline($0) })
    {
      // Also a machine without photos says so: peers can tell "nothing" from "not yet".
      try publish(OwnUpdate(), now: now)
      return
    }
    let deletions = confirmed(try gathered(ripeDeletions(now: now), now: now), now: now)
    let changesAreDue = publication.changesDue.map { $0 <= now.instant } ?? false
    if changesAreDue || !deletions.isEmpty {
      try publish(try ownUpdate(deleting: deletions, now: now), now: now)
    }
    scheduleDeletions(now: now)
  }

  /// No file is still to be hashed, and none to be found by a running scan: what went is not a move that is half seen.
  private var isQuiet: Bool { ledger.isIdle && ledger.scans.isEmpty }

  /// Deletions that have waited long enough for a move to show itself.
  private func ripeDeletions(now: Now) -> [FileKey: OwnDeletion] {
    guard let due = publication.deletionsDue, due <= now.instant else { return [:] }
    let wait = isQuiet ? settings.deletionDelay : settings.deletionPatience
    let ripe = publication.deletions.filter { now.instant - $0.value.seen >= wait }
    guard !isQuiet, !ripe.isEmpty else { return ripe }
    // However long the hashing takes: a large folder that was renamed is not retired meanwhile.
    let waiting = ledger.waitingFiles
    return ripe.filter { !waiting.contains($0.value.stamp) }
  }

  /// When the deletions that are left are looked at next: gathered, and now and then while they wait for others.
  private mutating func scheduleDeletions(now: Now) {
    guard let due = publication.deletionsDue, due <= now.instant else { return }
    guard !publication.deletions.isEmpty else {
      publication.deletionsDue = nil
      return
    }
    let delay = settings.deletionDelay
    let soonest = now.instant + (isQuiet ? settings.publishAfterFirst : delay)
    let next = publication.deletions.values.lazy.map { $0.seen + delay }
      .filter { $0 > now.instant }.min()
    publication.deletionsDue = publication.paced(max(next ?? soonest, soonest), now: now, settings)
  }

  private mutating func ownUpdate(
    deleting deletions: [FileKey: OwnDeletion], now: Now
  ) throws(StoreError) -> OwnUpdate {
    var (update, lost) = try judged(deletions, now: now)
    try countLosses(lost)
    let copies = knownCopies
    try update.settleRetired(lost, now: now) { content throws(StoreError) in
      try copies.mayExist(of: content)
    }
    return update
  }

  /// Everything that waits and is due, but for what a mass change holds, and what the library loses by it.
  private mutating func judged(
    _ deletions: [FileKey: OwnDeletion], now: Now
  ) throws(StoreError) -> (OwnUpdate, lost: [OwnUpdate.Leaving]) {
    var update = try draft(deleting: deletions, now: now)
    var lost = try update.losses(store: store, library: machine)
    // Again until nothing more is held: without a held change, what was a move may be a loss.
    while try holdMassChanges(lost) {
      update = try draft(deleting: deletions.filter { publication.deletions[$0.key] != nil }, now: now)
      lost = try update.losses(store: store, library: machine)
    }
    return (update, lost)
  }

  /// Also while nothing may be published, too much at once is held and told: there is no other bound to the deletions that
  /// wait in memory. Not by a library that is behind what was published.
  private mutating func judgeDeletions(now: Now) throws(StoreError) {
    guard let due = publication.due, due <= now.instant else { return }
    let deletions = confirmed(try gathered(ripeDeletions(now: now), now: now), now: now)
    guard !deletions.isEmpty else { return scheduleDeletions(now: now) }
    _ = try judged(deletions, now: now)
    publication.judgementDue = now.instant + settings.deletionPatience
    if publication.deletions.isEmpty { publication.deletionsDue = nil }
  }

  /// Everything that waits and is due, without a word on what becomes of the entries that leave.
  private func draft(
    deleting deletions: [FileKey: OwnDeletion], now: Now
  ) throws(StoreError) -> OwnUpdate {
    var update = OwnUpdate()
    update.mayHaveDropped = hasDropped || !publication.forgetting.isEmpty
    let counts = libraries[machine]?.installed?.record.counts ?? LibraryCounts()
    update.mayHaveFormer = counts.retired > 0 || counts.unheld > 0
    try draftForgetting(&update, now: now)
    for (key, change) in publication.changes.sorted(by: { $0.key < $1.key }) {
      try update.put(
        key, change, store: store, library: machine, now: now, moveMemory: settings.moveMemory)
      if var row = publication.ledgerRows[key] {
        row.isAccepted = false
        update.files.append(row)
      }
    }
    for (key, deletion) in deletions.sorted(by: { $0.key < $1.key })
    where publication.changes[key] == nil {
      try update.delete(key, deletion, store: store, library: machine)
    }
    try draftOrphans(&update)
    return update
  }

  private mutating func publish(_ update: OwnUpdate, now: Now) throws(StoreError) {
    if libraries[machine] == nil { libraries[machine] = emptyLibrary(machine) }
    guard let library = libraries[machine] else { return }
    let change = update.libraryChange
    if change.isEmpty, !publication.isFirst {
      // Touched, and touched back: the ledger rows settle, the library stays as it is.
      try store.putFiles(update.files)
      try settle(update, now: now)
      return
    }
    // A recovery that began in an earlier run, and of which nobody has shown anything in this one, is over.
    if publication.epoch == nil { try forgetRecovery() }
    let order = library.order.next(in: publication.openEpoch(after: library.order, now: now))
    let (head, view) = headed(update, of: machine, library, at: order, now: now)
    guard let signed = sign(head) else { return }
    try store.publish(change, head: signed, files: update.files)
    let wasEmpty = library.entries.count == 0
    publication.isFirst = false
    publication.noteHead(now: now, settings)
    let leaving = Set((Array(publication.forgetting.values) + publication.expiring.values).map(\.content))
    try settle(update, now: now)
    libraries[machine]?.newest = signed
    actions.append(.keepGuard(signed))
    // Files that only came are known to be live; where entries went, the catalog tells what is left.
    let isAddition = update.removed.isEmpty && update.added.values.allSatisfy(\.state.isLive)
    try installed(
      machine, signed, view, wasEmpty: wasEmpty,
      newlyLive: isAddition ? Set(update.added.values.map(\.content)).sorted() : nil, now: now)
    try settleForgotten(leaving)
    noteUnheld(update.added.values)
    actions.append(.published(order))
  }

  /// The head that an update leads to, and the view that it stands for.
  func headed(
    _ update: OwnUpdate, of owner: MachineID, _ library: Library, at order: HeadOrder, now: Now
  ) -> (head: Head, view: SetSnapshot) {
    let change = update.libraryChange
    let view = library.entries.applying(
      added: change.added.map(\.id.digest), removed: change.removed.map(\.digest))
    var counts = library.installed?.record.counts ?? LibraryCounts()
    for entry in update.removed.values { counts.count(entry, by: -1) }
    for entry in update.added.values { counts.count(entry, by: 1) }
    let head = Head(
      library: owner, signer: machine, order: order, root: view.root, counts: counts, time: now.wall)
    return (head, view)
  }

  private mutating func settle(_ update: OwnUpdate, now: Now) throws(StoreError) {
    for key in update.deleted {
      publication.deletions[key] = nil
      publication.ledgerRows[key] = nil
    }
    try store.removeFiles(update.gone.map { ($0.folder, $0.path) })
    for (key, change) in publication.changes {
      publication.ledgerRows[key] = nil
      // Another file of the same bytes may have changed meanwhile, and have taken it back.
      makeAvailable(change.content)
      if change.isHeld, !contents.isHeld(change.content) {
        contents.setHeld(change.content, true)
        attesting.isChanged = true
      }
      // Another library may be waiting for the very bytes that this machine has now.
      if contents.isWantedByOther(than: machine, change.content),
        try store.missingContent(change.content) != nil
      {
        filing.ready.insert(change.content)
        try noteUncopied(change.content)
      }
    }
    publication.changes.removeAll()
    publication.changesDue = nil
    publication.firstChange = nil
    for content in update.vanishedContents.union(publication.doubtful).sorted() { try releaseIfGone(content) }
    publication.doubtful.removeAll()
    if !publication.orphans.isEmpty {
      actions.append(.warn(.orphansTakenBack(publication.orphans.count)))
      publication.orphans.removeAll()
    }
    try settleForgetting(update, now: now)
    for folder in Set(update.files.map(\.folder) + update.gone.map(\.folder)).sorted() {
      try endMassChange(of: folder)
    }
  }

  /// A file went: its content may have no other here any more. `gone`: replica files that are as good as gone.
  mutating func releaseIfGone(_ content: ContentID, without gone: Set<[UInt8]> = []) throws(StoreError) {
    let wasHeld = contents.isHeld(content)
    if try unhold(content, withoutReplica: { gone.contains($0.path) }), wasHeld { noteLost(content) }
  }

  /// Some files do not count for a content any more: an own one, or some in the replica. Without another that does it is not held.
  /// An own file that does not count as a copy can be served all the same, and so can what is staged, which is not held before it
  /// is filed. False: it is held as before.
  @discardableResult mutating func unhold(
    _ content: ContentID, withoutOwn own: FileKey? = nil,
    withoutReplica isOut: (ReplicaFile) -> Bool = { _ in false }
  ) throws(StoreError) -> Bool {
    func counts(_ file: LedgerFile) -> Bool { FileKey(folder: file.folder, path: file.path) != own }
    guard try !heldOwnFiles(of: content).contains(where: counts),
      try store.replicaFiles(of: content).allSatisfy(isOut)
    else { return false }
    contents.setHeld(content, false)
    let isServed = try publishedFiles(of: content).contains(where: counts)
    if !isServed, !transfers.staged.contains(content) { makeUnavailable(content) }
    return true
  }
}
