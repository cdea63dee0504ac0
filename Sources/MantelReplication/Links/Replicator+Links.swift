package import MantelCore
import MantelHousehold
import MantelSummary

extension Replicator {
  /// A connection is about to say hello with what is true now: what changes until it is open is told to it then.
  package mutating func prepare(_ link: LinkID) {
    opening[link] = OpeningLink(holdings: contents.index.snapshot(of: contents.offered))
    if isOwnWordStale { attesting.isWithheld = true }
  }

  mutating func opened(_ id: LinkID, _ opening: LinkOpening, now: Now) throws(StoreError) {
    let prepared = self.opening.removeValue(forKey: id)
    guard guests[id] == nil else { return openedGuest(id) }
    guard roster.isMember(opening.machine) else {
      actions.append(.link(id, .close(.notMember)))
      return
    }
    // The peer's sets keep no hash: nobody asks for their roots.
    let set = contents.index.addSet(.holdings(household))
    let settled = contents.index.addSet(.holdings(household))
    links[id] = Link(
      machine: opening.machine, heads: opening.heads, contents: set,
      comparison: HoldingsComparison(mine: prepared?.compared, settled: settled),
      hasSpoken: opening.saysItsWord,
      fetching: LinkFetching(settings), takesPulls: opening.takesPulls, peerTime: opening.time, openedAt: now)
    links[id]?.challenges.due = now.instant + settings.challengeDelay
    shared.opened(id, isAskedAll: !opening.takesPulls)
    judgeShown(by: opening.machine, which: opening.heads[machine] ?? .none)
    hear(id)
    for command in prepared?.backlog ?? [] { actions.append(.link(id, command)) }
    if let reminder = remind(opening.machine, over: id) { actions.append(reminder) }
    try askAgain(over: id)
    try showOrphaned(over: id)
    for owner in libraries.keys.sorted() where roster.publisher(of: owner) == opening.machine {
      judgeStaging(of: owner, which: opening.heads[owner] ?? .none)
    }
    // Judged by the two hellos, as the peer does: else one side might wait for a comparison that the other, whose
    // holdings have changed since, takes for needless.
    let mine = prepared?.holdings ?? contents.index.snapshot(of: contents.offered)
    if UInt64(mine.count) == opening.holdingsCount, mine.root == opening.holdingsRoot {
      links[id]?.comparison?.mine = mine
      knowHoldings(of: id)
    } else if opening.isDialer {
      compareHoldings(with: id)
    }
    transfers.isWorthLooking = true
  }

  mutating func closed(_ id: LinkID) throws(StoreError) {
    opening[id] = nil
    guests[id] = nil
    for source in orphans.readings.keys where source.link == id { orphans.readings[source] = nil }
    guard let link = links.removeValue(forKey: id) else { return }
    rememberSeen(on: link)
    contents.index.removeSet(link.contents)
    if let comparison = link.comparison { contents.index.removeSet(comparison.settled) }
    for owner in libraries.keys {
      if libraries[owner]?.fetch?.link == id {
        try stageArrived(owner)
        libraries[owner]?.fetch = nil
      }
      libraries[owner]?.refused[id] = nil
    }
    uplink.closed(id)
    shared.closed(id)
    transfers.isWorthLooking = true
    // What it was asked for is asked of the others now.
    for unit in link.fetching.orders.keys.sorted() { release(unit) }
  }

  // MARK: Holdings of the peer

  /// Starts the comparison; the side that dialled does, and both come to know.
  private mutating func compareHoldings(with id: LinkID) {
    let job = nextJob()
    let mine = contents.index.snapshot(of: contents.offered)
    links[id]?.jobs[job] = .holdings
    links[id]?.comparison?.mine = mine
    links[id]?.comparison?.retryAt = nil
    actions.append(.link(id, .reconcile(job, .holdings, mine: mine)))
  }

  /// A comparison that came to nothing leaves the peer's holdings unknown: it is started again.
  mutating func compareAgainIfDue(now: Now) {
    for id in links.keys.sorted() {
      guard let retryAt = links[id]?.comparison?.retryAt, retryAt <= now.instant else { continue }
      compareHoldings(with: id)
    }
  }

  /// A part of the difference. What the peer has can be asked for at once.
  mutating func foundHoldings(theirsOnly: [Digest256], mineOnly: [Digest256], link id: LinkID) {
    guard takesContents(theirsOnly.count, over: id), let link = links[id],
      let settled = link.comparison?.settled
    else { return }
    for content in theirsOnly where !contents.index.contains(content, in: settled) {
      contents.index.insert(content, into: link.contents)
      noteShared(ContentID(content), isHeldBy: id)
      reconsider(ContentID(content), over: id)
    }
    for content in mineOnly { contents.index.insert(content, into: settled) }
  }

  /// The whole difference was named: what this machine had, and the peer does not lack, both have.
  mutating func knowHoldings(of id: LinkID) {
    guard let link = links[id], let comparison = link.comparison, let mine = comparison.mine else { return }
    var common: [Digest256] = []
    mine.forEach(from: .zero) {
      if !contents.index.contains($0, in: comparison.settled) { common.append($0) }
      return true
    }
    contents.index.insert(sorted: common, into: link.contents)
    contents.index.removeSet(comparison.settled)
    links[id]?.comparison = nil
    announceAllBlocks(over: id)
    // Some of it may have gone here since.
    links[id]?.fetching.walk.restart()
    transfers.isWorthLooking = true
    absences.isChanged = true
  }

  mutating func availabilityChanged(
    _ id: LinkID, added: [ContentID], removed: [ContentID], now: Now
  ) {
    guard takesContents(added.count + removed.count, over: id), let link = links[id] else { return }
    if let settled = link.comparison?.settled {
      for content in added + removed { contents.index.insert(content.digest, into: settled) }
    }
    for content in removed {
      // Nothing is waited for: it is asked for when it is offered again, and at once.
      links[id]?.fetching.putOff.forget(content)
      let hadPart = links[id]?.blocks.removeValue(forKey: content) != nil
      let hadAll = contents.index.remove(content.digest, from: link.contents)
      if hadPart || hadAll { noteShared(content, isLackedBy: id) }
      guard hadAll else { continue }
      recalls.takenBack(content, now: now)
      rememberSeen(content)
      announceAllBlocks(of: content, over: id)
    }
    if !added.isEmpty, !absences.lost.isEmpty { absences.isChanged = true }
    for content in added {
      contents.index.insert(content.digest, into: link.contents)
      links[id]?.blocks[content] = nil
      noteShared(content, isHeldBy: id)
      reconsider(content, over: id)
    }
  }

  // MARK: Roster and records

  mutating func received(
    roster statements: [[UInt8]], from link: LinkID?, now: Now
  ) throws(StoreError) {
    var decoded: [SignedStatement] = []
    for bytes in statements {
      do {
        decoded.append(try SignedStatement(bytes: bytes))
      } catch {
        actions.append(.warn(.rejectedStatement("\(error)")))
      }
    }
    var news = roster.merge(decoded)
    guard !news.isEmpty else { return }
    // A vote that cannot be signed is cast when the next statement comes.
    let votes = roster.merge((try? roster.countersigning(by: key, now: now.wall)) ?? [])
    news += votes
    try store.addStatements(news.map { ($0.id, $0.bytes) })
    for member in roster.members where libraries[member.machine] == nil {
      libraries[member.machine] = emptyLibrary(member.machine)
    }
    try judgeNewest()
    // Who keeps a library now, or keeps none any more, misses other photos.
    try lookForGivenUp()
    // What a removed machine attested counts no more.
    try recountSafe()
    attesting.isChanged = true
    // Told before connections end, so that a removed machine hears of it.
    sendToAll(except: link, .announceRoster(news.map(\.bytes)))
    if let link { tell(link, ofVotes: votes) }
    tellGuests(news.map(\.bytes), except: link)
    try showWhoSignsNow()
    actions.append(.rosterChanged)
    for id in links.keys.sorted() where links[id].map({ !roster.isMember($0.machine) }) ?? false {
      actions.append(.link(id, .close(.notMember)))
    }
  }

  /// Whoever brought a removal has what it brought, and cannot have the votes that this machine has cast on it just now. That
  /// ends: a machine votes once about each other one, and a vote that comes back is no news.
  private mutating func tell(_ link: LinkID, ofVotes votes: [SignedStatement]) {
    guard links[link] != nil || guests[link]?.isOpen == true, !votes.isEmpty else { return }
    actions.append(.link(link, .announceRoster(votes.map(\.bytes))))
  }

  mutating func received(
    _ record: Signed<MachineRecord>, from link: LinkID, now: Now
  ) throws(StoreError) {
    let subject = record.record.machine
    guard guests[link] == nil, roster.isListed(subject), roster.verify(record) else { return }
    if subject == machine { return try receivedOwn(record, now: now) }
    guard record.record.number > records[subject]?.record.number ?? 0 else { return }
    try keep(record)
    sendToAll(except: link, .announceRecord(record))
  }

  /// The own one comes from a peer after a loss of the catalog, or its going back in time. What it says of the role is the
  /// user's last word, unless that was said in this run; of all else this run knows better.
  private mutating func receivedOwn(_ record: Signed<MachineRecord>, now: Now) throws(StoreError) {
    let mine = records[machine]
    guard record != mine else { return }
    let role = ownRecord.show(record, mine: mine?.record, now: now, settings)
    if mine == nil { try keep(record) }
    if let role { try adopt(role: role) }
  }

  mutating func signOwnRecordIfDue(now: Now) throws(StoreError) {
    guard ownRecord.answers(now: now), publication.cloneToldBy == nil, var record = records[machine]?.record
    else { return }
    record.role = role
    try changed(record, isPassing: true)
  }

  /// This machine's own record changed: it is signed with the next number and told to all. `isPassing`: also when it is what it
  /// was, because others have one of a greater number.
  mutating func changed(_ record: MachineRecord, isPassing: Bool = false) throws(StoreError) {
    var record = record
    let number: UInt64
    if var known = records[machine]?.record {
      number = max(known.number, ownRecord.shown)
      known.number = record.number
      guard known != record || isPassing else { return }
    } else {
      number = ownRecord.shown
    }
    guard number < .max else { return }
    record.number = number + 1
    set(role: record.role)
    guard let signed = sign(record) else { return }
    ownRecord.note(signed)
    try keep(signed)
    sendToAll(.announceRecord(signed))
  }

  mutating func set(role new: Role) {
    guard new != role else { return }
    role = new
    shared.removeAll()
    lookAgain()
  }

  private mutating func keep(_ record: Signed<MachineRecord>) throws(StoreError) {
    try store.putRecord(record)
    records[record.record.machine] = record
    lookForUnfiled()
  }

  /// Nil when the key refuses, which it does not for a well-formed record; the caller goes on without.
  func sign<Record: SignableRecord & Hashable>(_ record: Record) -> Signed<Record>? {
    try? key.sign(record, in: household)
  }

}

extension Replicator {
  package func folder(_ id: FolderID) -> Folder? { ledger.folders[id] }
  package var folders: [Folder] { ledger.folders.values.sorted { $0.name < $1.name } }

  /// What the machine record says of folders: removed ones too, because entries name them for ever. When there are more
  /// than a record takes, removed ones go unnamed.
  package func folderNames() throws(StoreError) -> [FolderName] {
    let removed = try store.folders().filter { $0.isRemoved && ledger.folders[$0.id] == nil }
      .sorted { $0.id < $1.id }
    return (folders + removed).prefix(Limits.folders).map { FolderName(id: $0.id, name: $0.name) }
  }
  package func isScanned(_ id: FolderID) -> Bool { ledger.scanned.contains(id) }
}
