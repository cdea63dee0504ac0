import MantelCore
import MantelHousehold
import MantelSummary

/// A catalog that is behind what this machine published, and how it catches up (design 3.1, "restored or cloned").
extension Replicator {
  // MARK: Noticing

  /// The guard file in the replica names the last head that this machine published. Of another key, or not signed, it
  /// says nothing.
  mutating func found(guarded head: Signed<Head>) throws(StoreError) {
    guard head.record.library == machine, head.record.signer == machine, roster.verify(head) else { return }
    try notice(head)
  }

  /// A head of the own library, properly signed: is it one that the catalog should know?
  private mutating func notice(_ head: Signed<Head>) throws(StoreError) {
    let mine = libraries[machine]?.installed?.record
    let order = head.record.order
    let isFork = order == mine?.order && head.record.root != mine?.root
    guard order > mine?.order ?? .none || isFork else { return }
    if libraries[machine] == nil { libraries[machine] = emptyLibrary(machine) }
    let isNews = publication.recovery.map { order > $0.known.order } ?? true
    if publication.recovery == nil {
      publication.recovery = OwnRecovery(known: head.record, patienceEnds: try endOfPatience())
      actions.append(.warn(.ownHeadAhead(order)))
    }
    guard isNews else { return }
    publication.recovery?.known = head.record
    // A guard that was restored with the catalog does not name it, and whoever has shown it may be away after a restart.
    try store.setValue(.recoveryHead, head.bytes)
  }

  /// What an earlier run was shown.
  mutating func loadRecovery() throws(StoreError) {
    guard let bytes = try store.value(.recoveryHead) else { return }
    guard let head = try? Signed<Head>(bytes: bytes) else {
      throw StoreError(code: .corrupt, message: "the head that is caught up with cannot be read")
    }
    try found(guarded: head)
  }

  /// Nothing is caught up with any more.
  mutating func forgetRecovery() throws(StoreError) {
    try store.setValue(.recoveryBegan, nil)
    try store.setValue(.recoveryHead, nil)
  }

  /// A member did not bring the entries of a head of the own library that it had shown. One that has only heard of it tells no
  /// more by it than that it was signed; it shows it again once it has it. Else, while all are waited for, that may pass;
  /// but a wait that has an end must not be begun anew by one that shows and never brings.
  mutating func noteFailure(of peer: MachineID, _ failure: FetchFailure) {
    if failure == .unknownHead { publication.recovery?.shown[peer] = nil }
    guard isOutOfPatience, let failures = publication.recovery?.failures[peer, default: 0] else { return }
    publication.recovery?.failures[peer] = failures + 1
    if failure != .notNow || failures + 1 >= settings.recoveryAttempts {
      publication.recovery?.shown[peer] = nil
      publication.recovery?.failures[peer] = nil
    }
  }

  /// A member connects whose hello claims less of the own library than it has shown: it is an older image of itself by now, or
  /// had only heard of that head. It is asked for no more than it claims, and heard when it has shown that.
  mutating func judgeShown(by peer: MachineID, which claimed: HeadOrder) {
    guard let shown = publication.recovery?.shown[peer], claimed < shown.record.order else { return }
    publication.recovery?.shown[peer] = nil
    publication.hearing.unhear(peer)
    chooseNewest()
  }

  /// A peer showed a head of this machine's library.
  mutating func received(own head: Signed<Head>, from link: LinkID) throws(StoreError) {
    try notice(head)
    if let peer = links[link]?.machine, let recovery = publication.recovery {
      let before = recovery.shown[peer]?.record.order ?? libraries[machine]?.order ?? .none
      if head.record.order > before { publication.recovery?.shown[peer] = head }
    }
    chooseNewest()
    for link in links.keys.sorted() { hear(link) }
    try readFormer(head, from: link)
  }

  /// The catalog is behind what this machine has published.
  package var isRecovering: Bool { publication.recovery != nil }

  // MARK: Catching up

  /// Whether entries of a library may be fetched up to this head: of the own one only while it is lost.
  func mayFetch(_ owner: MachineID, upTo order: HeadOrder) -> Bool { owner != machine || mayEnd(at: order) }

  /// Whether a head may be taken for the end of the history: nothing newer was ever seen, nobody is left to ask, or whoever
  /// is connected has to do.
  private func mayEnd(at order: HeadOrder) -> Bool {
    guard let recovery = publication.recovery else { return false }
    return order >= recovery.known.order || unheard.isEmpty || isOutOfPatience
  }

  /// The head that is caught up with: the newest that any member has shown, whether or not it is here; without patience,
  /// that any connected one has shown. A member that was removed is waited for no more.
  private mutating func chooseNewest() {
    guard let recovery = publication.recovery, let library = libraries[machine] else { return }
    let connected = Set(links.values.map(\.machine))
    let members = isOutOfPatience ? others.filter { connected.contains($0) } : others
    let newest = recovery.newest(of: members)
    let isNews = newest.map { $0.record.order > library.order } ?? false
    libraries[machine]?.newest = isNews ? newest : library.installed
  }

  /// The wait for members that are away has an end: some never come back, and nothing is published meanwhile. What only
  /// they know is orphaned, and taken back when they come. Somebody has to be there to go on with.
  private var isOutOfPatience: Bool {
    guard let recovery = publication.recovery, recovery.patienceEnds <= agentTime else { return false }
    return links.values.contains { publication.hearing.heard.contains($0.machine) }
  }

  var recoveryDeadline: Instant? {
    guard let ends = publication.recovery?.patienceEnds, ends > agentTime else { return nil }
    return countedTime.counter.soonest(ends)
  }

  /// Counted from when the recovery began, however often the agent was started since.
  private func endOfPatience() throws(StoreError) -> AgentTime {
    if let bytes = try store.value(.recoveryBegan), let began = AgentTime(bytes: bytes) {
      return began + settings.recoveryPatience
    }
    try store.setValue(.recoveryBegan, agentTime.bytes)
    return agentTime + settings.recoveryPatience
  }

  /// Members for which the recovery waits: those that may know more than anybody who was heard, and those that have shown
  /// the newest head, while nobody brings its entries.
  var awaitedInRecovery: [MachineID] {
    guard let recovery = publication.recovery, let library = libraries[machine] else { return [] }
    let newest = library.newestOrder
    let isLacking = !library.isComing && newest > library.order && mayEnd(at: newest)
    return others.filter { peer in
      if !publication.hearing.heard.contains(peer) { return true }
      return isLacking && recovery.shown[peer]?.record.order == newest
    }
  }

  /// The own library is as new as anybody knows: its history goes on.
  mutating func endRecoveryIfDone(now: Now) throws(StoreError) {
    chooseNewest()
    guard let recovery = publication.recovery, let library = libraries[machine], !library.isComing,
      library.newestOrder <= library.order, mayEnd(at: library.order)
    else { return }
    let epoch = max(recovery.known.order.epoch, library.order.epoch) + 1
    // First: a crash from here on repeats the rest, see `loadEpoch`.
    try store.setValue(.ownEpoch, withUnsafeBytes(of: epoch.bigEndian, Array.init))
    try forgetRecovery()
    publication.recovery = nil
    publication.epoch = nil
    publication.leastEpoch = epoch
    try recallLedger(now: now)
    publication.isFirst = true
    ledger.scanned.removeAll()
    attesting.isChanged = true
    actions.append(.warn(.ownHistoryResumed(epoch: epoch)))
    actions.append(.rescan)
  }

  /// An epoch that was begun, and of which no head came before the process ended: its ledger may be half recalled.
  mutating func loadEpoch(now: Now) throws(StoreError) {
    guard let bytes = try store.value(.ownEpoch) else { return }
    let epoch = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    publication.leastEpoch = epoch
    guard epoch > libraries[machine]?.order.epoch ?? 0 else { return }
    publication.isFirst = true
    try recallLedger(now: now)
  }

  /// Makes the ledger speak of the files that the own library names: what it does not know is to be hashed, and what is
  /// not there is found missing, by the next scan. Held is only what is hashed again.
  private mutating func recallLedger(now: Now) throws(StoreError) {
    guard let library = libraries[machine] else { return }
    var known = Set(try store.folders().map(\.id))
    var lost: Set<FolderID> = []
    var after: Digest256? = nil
    while true {
      var page: [EntryID] = []
      library.entries.forEach(from: after ?? .zero) { id in
        if id != after { page.append(EntryID(id)) }
        return page.count < Self.recalledPage
      }
      guard let last = page.last else { break }
      after = last.digest
      var rows: [LedgerFile] = []
      var former: Set<ContentID> = []
      for bytes in try store.entryBytes(machine, page) {
        guard let entry = try? Entry(canonicalBytes: bytes) else {
          throw StoreError(code: .corrupt, message: "an entry of the own library cannot be read")
        }
        guard entry.state.isLive else { continue }
        if known.insert(entry.folder).inserted {
          lost.insert(entry.folder)
          try store.putFolder(.lost(entry.folder))
        }
        guard let recalled = try recalled(entry) else { continue }
        rows.append(recalled.row)
        if let content = recalled.former { former.insert(content) }
      }
      try put(rows, insteadOf: former)
    }
    for folder in ledger.folders.keys.sorted() {
      try doubtUnpublished(of: folder)
      try endDecidedMassChange(of: folder)
    }
    for folder in lost.sorted() { try retireFiles(of: folder, now: now) }
  }

  private static let recalledPage = 1_000

  /// The row of a live entry's file, if there is none that agrees, and what the former one said that the file has.
  private mutating func recalled(
    _ entry: Entry
  ) throws(StoreError) -> (row: LedgerFile, former: ContentID?)? {
    // What was hashed meanwhile was judged without knowing of the entry: the next scan has it hashed again.
    let key = FileKey(folder: entry.folder, path: entry.path)
    dropChange(key)
    publication.ledgerRows[key] = nil
    let former = try store.file(entry.folder, entry.path)
    switch former?.status {
    case nil: break
    case .published: guard former?.content != entry.content else { return nil }
    // The very bytes that were held are out since: there is nothing left to decide.
    case .pending(.massChange): guard former?.content == entry.content else { return nil }
    case .pending:
      // What was accepted was the loss of what the library had then.
      guard var row = former, row.isAccepted else { return nil }
      row.isAccepted = false
      return (row, nil)
    default: return nil
    }
    let row = LedgerFile(
      folder: entry.folder, path: entry.path, stamp: FileStamp(of: entry), status: .pending(.hashing),
      content: entry.content, manifest: entry.manifest, changes: 0)
    return (row, former?.content)
  }

  /// Rows that say "published" of what the library does not name: hashed again, and published then. So is what a mass change
  /// holds of it: the library has lost it since, and nobody is to be asked. Of a deletion that was held nothing is left.
  private mutating func doubtUnpublished(of folder: FolderID) throws(StoreError) {
    var after: [UInt8]?
    while true {
      let page = try store.files(folder, after: after, limit: Self.recalledPage)
      guard let last = page.last else { return }
      after = last.path
      var rows: [LedgerFile] = []
      var gone: [FileKey] = []
      var former: Set<ContentID> = []
      for var row in page where row.status == .published || row.status == .pending(.massChange) {
        guard try store.liveEntry(machine, folder, row.path) == nil else { continue }
        let key = FileKey(folder: folder, path: row.path)
        if row.content == nil, publication.ledgerRows[key] == nil {
          gone.append(key)
          continue
        }
        if let content = row.content { former.insert(content) }
        row.status = .pending(.hashing)
        row.content = nil
        row.isAccepted = false
        rows.append(row)
      }
      if !gone.isEmpty { try store.removeFiles(gone.map { ($0.folder, $0.path) }) }
      try put(rows, insteadOf: former)
    }
  }

  /// What has the former contents still is asked when all rows are written: until then files of equal bytes would each be
  /// held for the sake of the others.
  private mutating func put(
    _ rows: [LedgerFile], insteadOf former: Set<ContentID>
  ) throws(StoreError) {
    try store.putFiles(rows)
    for content in former.sorted() { try releaseIfGone(content) }
  }
}

extension Folder {
  /// A folder of the own library whose directory nobody remembers: its photos are retired, as of a removed one.
  fileprivate static func lost(_ id: FolderID) -> Folder {
    Folder(id: id, name: "lost \(id)", root: [], excludes: [], filesystem: [], isRemoved: true)
  }
}
