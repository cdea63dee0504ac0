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
}

/// What the next head of the own library will change, and when it is due.
struct Publication: Sendable {
  var changes: [FileKey: OwnChange] = [:]
  var deletions: [FileKey: OwnDeletion] = [:]
  /// Ledger rows to be written: with the head for changed files, by themselves for pending ones.
  var ledgerRows: [FileKey: LedgerFile] = [:]
  var changesDue: Instant?
  var firstChange: Instant?
  var deletionsDue: Instant?
  /// The latest heads, newest last: tells load from a single change.
  var recent: [Instant] = []
  /// No head was ever published: an empty one goes out once the first scan is through.
  var isFirst = false
  /// A peer showed a head of ours that we do not know: our catalog was restored, or this is a clone.
  var isBlocked = false

  var due: Instant? { isBlocked ? nil : [changesDue, deletionsDue].compactMap(\.self).min() }
  var isIdle: Bool { changes.isEmpty && deletions.isEmpty }

  mutating func noteChange(now: Now, _ settings: ReplicationSettings) {
    let first = firstChange ?? now.instant
    firstChange = first
    var due = min(now.instant + settings.publishAfterLast, first + settings.publishAfterFirst)
    recent.removeAll { now.instant - $0 > settings.publishInterval }
    if recent.count >= settings.publishBurst, let last = recent.last {
      due = max(due, last + settings.publishInterval)
    }
    changesDue = due
  }
}

extension Replicator {
  /// A file that was known is not there any more, or is not backed up any more.
  mutating func vanished(
    _ file: LedgerFile, reason: EntryState.RetireReason, now: Now
  ) throws(StoreError) {
    let key = FileKey(folder: file.folder, path: file.path)
    publication.changes[key] = nil
    publication.ledgerRows[key] = nil
    guard try store.liveEntry(machine, file.folder, file.path) != nil else {
      try store.removeFiles([(file.folder, file.path)])
      publication.deletions[key] = nil
      return
    }
    guard publication.deletions[key] == nil else { return }
    publication.deletions[key] = OwnDeletion(reason: reason, seen: now.instant)
    let due = now.instant + settings.deletionDelay
    publication.deletionsDue = min(publication.deletionsDue ?? due, due)
  }

  mutating func publishIfDue(now: Now) throws(StoreError) {
    guard !publication.isBlocked else { return }
    if publication.isFirst, ledger.isIdle, publication.isIdle,
      ledger.folders.keys.allSatisfy(ledger.scanned.contains)
    {
      // Also a machine without photos says so: peers can tell "nothing" from "not yet".
      try publish(OwnUpdate(), now: now)
      return
    }
    let deletions = ripeDeletions(now: now)
    let changesAreDue = publication.changesDue.map { $0 <= now.instant } ?? false
    guard changesAreDue || !deletions.isEmpty else { return }
    try publish(try ownUpdate(deleting: deletions, now: now), now: now)
  }

  /// Deletions that have waited long enough for a move to show itself.
  private mutating func ripeDeletions(now: Now) -> [FileKey: OwnDeletion] {
    guard let due = publication.deletionsDue, due <= now.instant else { return [:] }
    let ripe = publication.deletions.filter { _, deletion in
      let age = now.instant - deletion.seen
      return age >= settings.deletionDelay
        && (ledger.isIdle || age >= settings.deletionPatience)
    }
    if ripe.count == publication.deletions.count {
      publication.deletionsDue = nil
    } else {
      publication.deletionsDue = now.instant + settings.deletionDelay
    }
    return ripe
  }

  private func ownUpdate(
    deleting deletions: [FileKey: OwnDeletion], now: Now
  ) throws(StoreError) -> OwnUpdate {
    var update = OwnUpdate()
    for (key, change) in publication.changes {
      try update.put(key, change, store: store, library: machine, now: now)
      if let row = publication.ledgerRows[key] { update.files.append(row) }
    }
    for (key, deletion) in deletions where publication.changes[key] == nil {
      try update.delete(key, deletion.reason, store: store, library: machine)
    }
    let contents = contents
    let peers = links.values.map(\.contents)
    try update.settleRetired(store: store, library: machine, now: now) { content in
      contents.isSafe(content)
        || peers.contains { contents.index.contains(content.digest, in: $0) }
    }
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
    let view = library.entries.applying(
      added: change.added.map(\.id.digest), removed: change.removed.map(\.digest))
    var counts = library.installed?.record.counts ?? LibraryCounts()
    for entry in update.removed.values { counts.count(entry, by: -1) }
    for entry in update.added.values { counts.count(entry, by: 1) }
    let order = HeadOrder(epoch: max(library.order.epoch, 1), sequence: library.order.sequence + 1)
    let head = Head(
      library: machine, signer: machine, order: order, root: view.root, counts: counts,
      time: now.wall)
    guard let signed = sign(head) else { return }
    try store.publish(change, head: signed, files: update.files)
    let wasEmpty = library.entries.count == 0
    for change in publication.changes.values {
      if change.isHeld { contents.setHeld(change.content, true) }
      // Another library may be waiting for the very bytes that this machine has now.
      if try store.missingContent(change.content) != nil { filing.ready.insert(change.content) }
    }
    publication.isFirst = false
    publication.recent.append(now.instant)
    try settle(update, now: now)
    libraries[machine]?.newest = signed
    rememberOwnView(order)
    try installed(machine, signed, view, wasEmpty: wasEmpty, now: now)
    actions.append(.published(order))
  }

  private mutating func settle(_ update: OwnUpdate, now: Now) throws(StoreError) {
    for key in update.deleted {
      publication.deletions[key] = nil
      publication.ledgerRows[key] = nil
    }
    try store.removeFiles(update.deleted.map { ($0.folder, $0.path) })
    for key in publication.changes.keys { publication.ledgerRows[key] = nil }
    publication.changes.removeAll()
    publication.changesDue = nil
    publication.firstChange = nil
    for content in update.vanishedContents { try releaseIfGone(content) }
  }

  /// An own file went: its content may have no file here any more.
  private mutating func releaseIfGone(_ content: ContentID) throws(StoreError) {
    guard try store.ownFiles(of: content).isEmpty, try store.replicaFiles(of: content).isEmpty else {
      return
    }
    contents.setHeld(content, false)
    makeUnavailable(content)
  }

  mutating func makeUnavailable(_ content: ContentID) {
    guard contents.setAvailable(content, false) else { return }
    sendToAll(.available(added: [], removed: [content]))
  }
}

/// The entries that one head of the own library adds and takes away.
struct OwnUpdate {
  var added: [EntryID: Entry] = [:]
  var removed: [EntryID: Entry] = [:]
  var files: [LedgerFile] = []
  var deleted: [FileKey] = []
  /// Live entries that go; what they become is told once all changes are known.
  private var leaving: [(id: EntryID, entry: Entry, reason: EntryState.RetireReason)] = []
  var vanishedContents: Set<ContentID> = []

  var libraryChange: LibraryChange {
    LibraryChange(
      added: added.keys.sorted().compactMap { id in added[id].map { (id, $0) } },
      removed: removed.keys.sorted())
  }

  /// A file has (new) bytes: its old entry leaves, a new one comes.
  mutating func put(
    _ key: FileKey, _ change: OwnChange, store: any HouseholdStore, library: MachineID, now: Now
  ) throws(StoreError) {
    let entry = Entry(
      folder: key.folder, path: key.path, content: change.content, size: change.size,
      mtime: change.mtime, kind: EntryKind(path: key.path), state: .live,
      manifest: change.manifest)
    let id = EntryID(of: entry)
    if let old = try store.liveEntry(library, key.folder, key.path) {
      guard old.id != id else { return }
      if old.entry.content == change.content {
        removed[old.id] = old.entry
      } else {
        leaving.append((old.id, old.entry, .replaced))
      }
    }
    // The same bytes came back to a path that they had left.
    for former in try store.entries(library, of: change.content)
    where former.entry.key == entry.key && !former.entry.state.isLive {
      removed[former.id] = former.entry
    }
    add(id, entry)
  }

  mutating func delete(
    _ key: FileKey, _ reason: EntryState.RetireReason, store: any HouseholdStore,
    library: MachineID
  ) throws(StoreError) {
    deleted.append(key)
    guard let old = try store.liveEntry(library, key.folder, key.path) else { return }
    leaving.append((old.id, old.entry, reason))
  }

  /// Decides what becomes of each entry that leaves: nothing when its content is live elsewhere in the library (a
  /// move), `unheld` when no copy was ever known, else `retired`.
  mutating func settleRetired(
    store: any HouseholdStore, library: MachineID, now: Now, isKnownElsewhere: (ContentID) -> Bool
  ) throws(StoreError) {
    let going = Set(leaving.map(\.id))
    let arriving = Set(added.values.lazy.filter(\.state.isLive).map(\.content))
    for (id, entry, reason) in leaving {
      removed[id] = entry
      vanishedContents.insert(entry.content)
      let staysLive = try store.entries(library, of: entry.content).contains {
        $0.entry.state.isLive && !going.contains($0.id) && removed[$0.id] == nil
      }
      let isMove = staysLive || arriving.contains(entry.content)
      if isMove { continue }
      var former = entry
      former.state =
        isKnownElsewhere(entry.content)
        ? .retired(reason, at: now.wall) : .unheld(at: now.wall)
      add(EntryID(of: former), former)
    }
  }

  private mutating func add(_ id: EntryID, _ entry: Entry) {
    if removed.removeValue(forKey: id) == nil { added[id] = entry }
  }
}
