import MantelCore
import MantelSummary

/// Forgetting: the user's word that entries of the own library are not to be kept any more, and its way back.
///
/// An entry that is forgotten becomes *dropped*: its name is gone from the library, and W has its content no more unless
/// another entry names it. What the entry was stays in this catalog alone, so that it can come back, and so that the
/// bytes are not published again: a file that has them is `skipped: forgotten` under whatever name, until it has others,
/// or `forget --undo`.
extension Replicator {
  mutating func forget(_ ids: [EntryID], now: Now) throws(StoreError) {
    guard !publication.isStopped else { return }
    var forgotten: [ForgottenEntry] = []
    for (id, entry) in try namedEntries(ids, in: machine) {
      forgotten.append(ForgottenEntry(id: id, entry: entry, forgotten: agentTime))
      publication.forgetting[id] = entry
      try dropForgottenChange(of: entry)
    }
    guard !forgotten.isEmpty else { return }
    try put(forgotten: forgotten)
    try forgetChanges(of: Set(forgotten.lazy.map(\.entry.content)), now: now)
    publication.changesDue = now.instant
  }

  /// Files with these bytes under other names that are on their way into the library, as a photo that was renamed just now: they
  /// are skipped like those that come later.
  private mutating func forgetChanges(of contents: Set<ContentID>, now: Now) throws(StoreError) {
    var going: Set<ContentID> = []
    for content in contents {
      let staysLive = try store.entries(machine, of: content).contains {
        $0.entry.state.isLive && publication.forgetting[$0.id] == nil
      }
      if !staysLive { going.insert(content) }
    }
    for key in publication.changes.filter({ going.contains($0.value.content) }).keys.sorted() {
      guard let row = publication.ledgerRows[key] else { continue }
      try keepForgotten(row, known: try store.file(key.folder, key.path), now: now)
    }
  }

  /// A file that was hashed again, because it was touched or has just come back, and has the bytes that are forgotten: the head
  /// that forgets them takes it as it is now, and no later one publishes it.
  private mutating func dropForgottenChange(of entry: Entry) throws(StoreError) {
    let key = FileKey(folder: entry.folder, path: entry.path)
    guard entry.state.isLive, publication.changes[key]?.content == entry.content,
      let row = publication.ledgerRows[key]
    else { return }
    dropChange(key)
    publication.ledgerRows[key] = nil
    try store.putFiles([row])
  }

  mutating func unforget(_ ids: [EntryID], now: Now) throws(StoreError) {
    guard !publication.isStopped else { return }
    for id in ids {
      guard let forgotten = try store.forgotten(id) else { continue }
      publication.returning[id] = forgotten
      publication.changesDue = now.instant
    }
    // A file that is about to be skipped for what returns goes on.
    for (key, deletion) in publication.deletions {
      guard let row = deletion.becoming, row.status == .skipped(.forgotten), try !staysForgotten(row) else {
        continue
      }
      publication.deletions[key]?.becoming?.status = .pending(.hashing)
      ledger.enqueue(key, row.stamp)
    }
  }

  /// What this catalog knows as forgotten, and the library that came from the peers has: that was taken back in a time that the
  /// catalog has forgotten. Scans find the files.
  mutating func noteTakenBack() throws(StoreError) {
    var after: EntryID?
    while true {
      let page = try store.forgotten(after: after, limit: settings.pendingRows)
      guard let last = page.last else { return }
      after = last.id
      var back: [EntryID] = []
      for forgotten in page {
        let entries = try store.entries(machine, at: forgotten.entry.key)
        if entries.contains(where: { $0.id == forgotten.id }) { back.append(forgotten.id) }
      }
      if !back.isEmpty { try store.removeForgotten(back) }
    }
  }

  /// Whether a file that is skipped as forgotten still is when what returns is back. One that was renamed, or copied, is
  /// forgotten for its bytes alone.
  private func staysForgotten(_ row: LedgerFile) throws(StoreError) -> Bool {
    guard let content = row.content,
      publication.returning.values.contains(where: { $0.entry.content == content })
    else { return true }
    return try store.forgotten(of: content).contains {
      publication.returning[$0.id] == nil && $0.entry.folder == row.folder && $0.entry.path == row.path
    }
  }

  /// Entries of an installed library, live, retired or unheld.
  func namedEntries(
    _ ids: [EntryID], in owner: MachineID
  ) throws(StoreError) -> [(id: EntryID, entry: Entry)] {
    var found: [(id: EntryID, entry: Entry)] = []
    for bytes in try store.entryBytes(owner, ids) {
      guard let entry = try? Entry(canonicalBytes: bytes) else { continue }
      let id = EntryID(of: entry)
      if try store.entries(owner, at: entry.key).contains(where: { $0.id == id }) {
        found.append((id, entry))
      }
    }
    return found
  }

  // MARK: The next head

  func draftForgetting(_ update: inout OwnUpdate, now: Now) throws(StoreError) {
    for (id, entry) in publication.forgetting.sorted(by: { $0.key < $1.key }) {
      try update.drop(id, entry, store: store, library: machine, now: now)
      if entry.state.isLive { try draftForgotten(entry, &update) }
    }
    for (id, entry) in publication.expiring.sorted(by: { $0.key < $1.key }) {
      // It may have come back, or have been forgotten, since.
      if try store.entries(machine, at: entry.key).contains(where: { $0.id == id }) {
        try update.drop(id, entry, store: store, library: machine, now: now)
      }
    }
    try draftLost(&update)
    for (_, forgotten) in publication.returning.sorted(by: { $0.key < $1.key }) {
      try draftReturning(forgotten, &update, now: now)
    }
    try draftRehashing(&update)
  }

  /// What the ledger says of a file whose live entry goes. One that has changed since, and is on its way into the library,
  /// goes on: its bytes are new, or are found to be forgotten when they are hashed.
  private func draftForgotten(_ entry: Entry, _ update: inout OwnUpdate) throws(StoreError) {
    let key = FileKey(folder: entry.folder, path: entry.path)
    update.vanishedContents.insert(entry.content)
    guard publication.ledgerRows[key] == nil, var row = try store.file(key.folder, key.path) else { return }
    switch row.status {
    case .published, .pending(.suspectedRot):
      guard row.content == entry.content else { return }
      row.status = .skipped(.forgotten)
      row.isAccepted = false
      update.files.append(row)
    case .pending(.massChange) where row.content == nil: update.gone.append(key)
    case .pending(.massChange):
      row.status = .pending(.settling)
      update.files.append(row)
      update.looked.append(key)
    case .pending, .skipped: break
    }
  }

  /// As it was, if its file is as it was; else as what became of it.
  private func draftReturning(
    _ forgotten: ForgottenEntry, _ update: inout OwnUpdate, now: Now
  ) throws(StoreError) {
    var entry = forgotten.entry
    let key = FileKey(folder: entry.folder, path: entry.path)
    // On its way by itself.
    if publication.changes[key]?.content == entry.content { return }
    if entry.state.isLive {
      let row = try ledgerFile(key)
      if var row, row.status == .skipped(.forgotten), row.content == entry.content,
        ledger.folders[key.folder] != nil, try store.liveEntry(machine, key.folder, key.path) == nil
      {
        // Pending, so that scans go on with it when its folder is away just now, or the process ends.
        row.status = .pending(.hashing)
        entry.mtime = row.stamp.mtime
        update.files.append(row)
        update.rehashed.append(row)
      } else {
        let reason: EntryState.RetireReason =
          ledger.folders[key.folder] == nil ? .excluded : row == nil ? .deleted : .replaced
        entry.state = .retired(reason, at: now.wall)
      }
    }
    try update.restore(entry, store: store, library: machine)
  }

  /// Files with the bytes of what returns, under whatever name they have now: what they are is judged when they were read.
  private func draftRehashing(_ update: inout OwnUpdate) throws(StoreError) {
    var known = Set(update.files.map { FileKey(folder: $0.folder, path: $0.path) })
    for content in Set(publication.returning.values.map(\.entry.content)).sorted() {
      for var row in try store.forgottenFiles(of: content) {
        let key = FileKey(folder: row.folder, path: row.path)
        guard publication.ledgerRows[key] == nil, ledger.folders[key.folder] != nil,
          try !staysForgotten(row), known.insert(key).inserted
        else { continue }
        row.status = .pending(.hashing)
        update.files.append(row)
        update.rehashed.append(row)
      }
    }
  }

  mutating func settleForgetting(_ update: OwnUpdate, now: Now) throws(StoreError) {
    for key in update.looked { actions.append(.look(key.folder, key.path)) }
    for row in update.rehashed {
      // That it is durable is said again when it was read again.
      ledger.enqueue(FileKey(folder: row.folder, path: row.path), row.stamp)
    }
    if !publication.returning.isEmpty { try store.removeForgotten(publication.returning.keys.sorted()) }
    // Its turn in this event is over: what is to be hashed now would wait for another one.
    if !update.rehashed.isEmpty { try advanceLedger(now: now) }
    absences.changing.removeAll()
    if !absences.lost.isEmpty { try judgeFound(now: now) }
    publication.expiring.removeAll()
    publication.forgetting.removeAll()
    publication.returning.removeAll()
  }

  /// After the head: what nothing in the library names any more.
  mutating func settleForgotten(_ forgotten: Set<ContentID>) throws(StoreError) {
    try judgeForgotten(forgotten)
    for content in forgotten.sorted() where !contents.isWanted(content, in: machine) {
      // When it is published again somebody has to prove anew that it is held.
      contents.index.remove(content.digest, from: contents.safe)
    }
    try settleUnnamed(forgotten)
  }

  /// What no library that this machine signs for names any more, nobody misses.
  mutating func settleUnnamed(_ forgotten: Set<ContentID>) throws(StoreError) {
    var unnamed: [ContentID] = []
    let owners = signedLibraries
    for content in forgotten.sorted() {
      var isNamed = false
      for owner in owners where !isNamed {
        isNamed = contents.isWanted(content, in: owner)
        if !isNamed { isNamed = try !store.formerEntries(owner, of: content).isEmpty }
      }
      if !isNamed { unnamed.append(content) }
    }
    guard !unnamed.isEmpty else { return }
    for content in unnamed {
      absences.lost.remove(content)
      absences.since[content] = nil
    }
    try store.removeLost(unnamed)
    try store.setAbsences([:], ended: unnamed)
  }

  // MARK: Files with forgotten bytes

  /// Whether a file of these bytes is not published, because its user forgot them. What is live under another name was not.
  func isForgotten(_ content: ContentID) throws(StoreError) -> Bool {
    // Nothing was ever dropped: the usual case costs no question. After a rekey the library is a new one, that has dropped
    // nothing, and what was forgotten is so still.
    guard hasDropped || publication.hasForgotten else { return false }
    var isForgotten = try store.isForgotten(content)
    if !isForgotten, hasDropped { isForgotten = try isDroppedForGood(content) }
    guard isForgotten else { return false }
    let own = try store.entries(machine, of: content)
    if own.contains(where: { $0.entry.state.isLive }) { return false }
    // What the library has had since a rekey, and has live no more, is judged by itself.
    guard own.isEmpty, try store.droppedEntries(machine, of: content).isEmpty else { return true }
    // Forgotten bytes may have been live under another name at the rekey: that file goes into the new library like all others. What
    // the former one says by now is another machine's word, and so is any other's.
    return try !store.wasLiveBeforeRekey(content)
  }

  /// The own library has dropped entries.
  var hasDropped: Bool { libraries[machine]?.installed?.record.counts.dropped ?? 0 > 0 }

  /// A catalog that was lost knows only what its library says: what no rule lets expire was forgotten. What expired by this
  /// catalog's own word is known, whatever the rules say by now.
  private func isDroppedForGood(_ content: ContentID) throws(StoreError) -> Bool {
    guard try !store.hasExpired(content) else { return false }
    let rules = settings.keep
    return try store.droppedEntries(machine, of: content).contains { rules[$0.entry.kind] == .forEver }
  }

  /// A file was hashed, and has forgotten bytes: nothing of it goes into the library, and what the library has at its path
  /// was replaced.
  mutating func keepForgotten(_ file: LedgerFile, known: LedgerFile?, now: Now) throws(StoreError) {
    var row = file
    row.status = .skipped(.forgotten)
    let key = FileKey(folder: file.folder, path: file.path)
    dropChange(key)
    publication.deletions[key] = nil
    publication.ledgerRows[key] = nil
    if let content = row.content, try !store.isForgotten(content) {
      // The catalog was lost: this is what can be taken back from now on.
      try put(forgotten: [forgottenEntry(row, content)])
    }
    guard let known else { return try store.putFiles([row]) }
    try vanished(known, reason: .replaced, becoming: row, now: now)
  }
}

extension Replicator {
  mutating func loadForgotten() throws(StoreError) {
    publication.hasForgotten = try !store.forgotten(after: nil, limit: 1).isEmpty
  }

  private mutating func put(forgotten entries: [ForgottenEntry]) throws(StoreError) {
    try store.putForgotten(entries)
    publication.hasForgotten = true
  }

  private func forgottenEntry(_ row: LedgerFile, _ content: ContentID) -> ForgottenEntry {
    let entry = Entry(
      folder: row.folder, path: row.path, content: content, size: row.stamp.size, mtime: row.stamp.mtime,
      kind: EntryKind(path: row.path), state: .live, manifest: row.manifest)
    return ForgottenEntry(id: EntryID(of: entry), entry: entry, forgotten: agentTime)
  }
}

extension OwnUpdate {
  /// One dropped entry says it for all that a folder had of a content.
  mutating func drop(
    _ id: EntryID, _ entry: Entry, store: any HouseholdStore, library: MachineID, now: Now
  ) throws(StoreError) {
    removed[id] = entry
    forgotten.insert(id)
    let there = try store.droppedEntries(library, of: entry.content)
    guard !there.contains(where: { $0.entry.folder == entry.folder }),
      self.dropped.insert(DroppedContent(folder: entry.folder, content: entry.content)).inserted
    else { return }
    var dropped = entry
    dropped.path = []
    dropped.state = .dropped(at: now.wall)
    add(EntryID(of: dropped), dropped)
  }

  /// An entry is there again, whatever was said of its content in its folder.
  mutating func restore(
    _ entry: Entry, store: any HouseholdStore, library: MachineID
  ) throws(StoreError) {
    let id = EntryID(of: entry)
    let there = try store.entries(library, at: entry.key)
    for dropped in try store.droppedEntries(library, of: entry.content)
    where dropped.entry.folder == entry.folder {
      removed[dropped.id] = dropped.entry
    }
    guard !there.contains(where: { $0.id == id || $0.entry.state.isLive }) else { return }
    if entry.state.isLive {
      for former in there { removed[former.id] = former.entry }
    }
    add(id, entry)
  }
}

extension Entry {
  var isDropped: Bool {
    if case .dropped = state { true } else { false }
  }
}
