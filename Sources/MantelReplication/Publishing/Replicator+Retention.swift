import MantelCore

/// The walk over the replaced entries of the own library: when it goes on, and where.
struct Retention: Sendable {
  var due: Instant?
  /// The path that the walk has passed last; nil between two walks.
  var after: EntryKey?

  init(due: Instant) { self.due = due }
}

/// Expiry: the owner drops the replaced versions that its rules do not keep.
///
/// All machines ask a person when a library drops much at once (`DropLimit`). So that nobody is ever asked about
/// expiry, no more than half of what goes without a question expires within the same time; the rest waits, oldest paths
/// first, and costs nothing but room. Nothing of a removed machine's library expires: how long it keeps what was its owner's word.
extension Replicator {
  mutating func expireIfDue(now: Now) throws(StoreError) {
    guard let due = retention.due, due <= now.instant else { return }
    retention.due = now.instant + settings.retentionInterval
    let kinds = settings.keep.expiringKinds
    guard !publication.isStopped, !kinds.isEmpty, libraries[machine]?.installed != nil else { return }
    let page = try nextReplaced(kinds)
    let new = page.filter { $0.noted == nil }
    try store.noteRetired(new.map(\.id), at: agentTime)
    try store.noteFirstVersions(ofPathsOf: new.filter(\.entry.kind.isOriginal).map(\.id))
    let expired = Dictionary(grouping: page, by: \.entry.place).values.flatMap {
      settings.keep.expired($0, at: agentTime)
    }
    let day = agentTime.nanoseconds / Duration.agentDay.inNanoseconds
    let window = settings.trashLife.inNanoseconds / Duration.agentDay.inNanoseconds
    let room = dropLimit(of: machine) / 2 - (try store.expired(since: day - window))
    let chosen = expired.sorted { ($0.noted ?? agentTime, $0.id) < ($1.noted ?? agentTime, $1.id) }
      .prefix(max(room, 0))
    guard !chosen.isEmpty else { return }
    // Before the head: a crash in between counts twice, never too little.
    try store.addExpired(chosen.map(\.entry.content), day: day)
    for version in chosen { publication.expiring[version.id] = version.entry }
    publication.changesDue = publication.changesDue ?? now.instant
  }

  /// The next page of whole paths. The last one of a full page may be cut off: it begins the next, unless it is alone.
  private mutating func nextReplaced(_ kinds: Set<EntryKind>) throws(StoreError) -> [RetiredEntry] {
    var page = try store.replacedEntries(kinds: kinds, after: retention.after, limit: settings.retentionPage)
    let isLast = page.count < settings.retentionPage
    if !isLast, let cut = page.last?.entry.place, page.first?.entry.place != cut {
      page.removeAll { $0.entry.place == cut }
    }
    retention.after = isLast ? nil : page.last?.entry.key
    if !isLast {
      retention.due = retention.due.map { $0 + (.zero - settings.retentionInterval) + .seconds(1) }
    }
    return page
  }
}

extension Entry {
  /// Where it lies, or lay.
  fileprivate var place: FileKey { FileKey(folder: folder, path: path) }
}
