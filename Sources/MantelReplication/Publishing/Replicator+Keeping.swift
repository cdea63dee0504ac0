package import MantelCore
import MantelHousehold
import MantelSummary

/// The library of a removed machine, as its keeper has heard of it in this run, and what the next head of it will change.
struct KeptLibrary: Sendable {
  /// The epoch of this run's heads; nil before the first.
  var epoch: UInt64?
  /// The newest head that was shown and does not count, or that nobody has any more: some may have installed it.
  var outdated = HeadOrder.none
  /// Members that have shown since the start what they have of it.
  var heard: Set<MachineID> = []
  /// What members showed last that is newer than what is installed, also those that are not there any more.
  var showing: [MachineID: HeadOrder] = [:]
  /// Their heads, as far as they were shown.
  var shown: [MachineID: ShownHeads] = [:]
  /// When this run signed its last head.
  var signed: Instant?
  /// When the next one goes out, if only time is waited for.
  var due: Instant?
  var pending = Pending()

  struct Pending: Sendable {
    /// Given up, or found again.
    var changing: [EntryID: (entry: Entry, state: EntryState)] = [:]
    var forgetting: [EntryID: Entry] = [:]
    var returning: [EntryID: ForgottenEntry] = [:]
    var orphans: [EntryKey: Entry] = [:]

    var isUsersWord: Bool { !forgetting.isEmpty || !returning.isEmpty }
    var isEmpty: Bool {
      changing.isEmpty && forgetting.isEmpty && returning.isEmpty && orphans.isEmpty
    }
  }
}

/// The library of a removed machine goes on as its keeper's (design 3.6): there are no files to be found in a folder, but
/// entries are given up, forgotten, and taken back as in the own one. Nothing of it expires: its rules were its owner's.
///
/// The keeper signs one head when it takes over, in an epoch above all that it has heard of: whatever the removed machine, or
/// a former keeper, has signed beyond what counts is outranked wherever it was installed, and what that named is orphaned
/// there, shown to the keeper, and taken back.
///
/// No place in the order gets two heads, as in the own library: each run signs in an epoch of its own by the clock, and
/// nothing before a full member has shown what it has of this library (see `Hearing`). A keeper whose catalog was lost, or
/// is an older one, takes its own heads in like any other machine's first.
extension Replicator {
  /// Whether this machine signs the heads of a removed machine's library.
  func keeps(_ library: MachineID) -> Bool {
    library != machine && roster.isMember(machine) && roster.removedMember(library)?.keeper == machine
  }

  private var keptLibraries: [MachineID] {
    roster.removed.lazy.map(\.machine).filter { keeps($0) }.sorted()
  }

  /// Its own, and those that it keeps and has something of.
  package var signedLibraries: [MachineID] {
    [machine] + keptLibraries.filter { libraries[$0]?.installed != nil }
  }

  var keepingDeadline: Instant? { kept.values.lazy.compactMap(\.due).min() }

  /// Whether no head of a library can be signed now.
  package func isPublishingStopped(of library: MachineID) -> Bool {
    library == machine ? publication.isStopped : !maySign(library)
  }

  // MARK: What is heard

  /// Of a former keeper's heads, which count no more, the new one takes in what was there before it began to sign.
  func mayTakeIn(_ head: Signed<Head>) -> Bool {
    if roster.accepts(head) { return true }
    let library = head.record.library
    return keeps(library) && !isTakenOver(library) && head.record.signer != library && roster.isOutdated(head)
  }

  private func isTakenOver(_ library: MachineID) -> Bool {
    guard let head = libraries[library]?.installed?.record else { return false }
    // What it signed before another removal was known may count no more.
    return head.signer == machine && roster.counts(head)
  }

  /// A head that does not count, of a library that is signed here: it is outranked, and what a kept one had is asked for.
  /// Returns whether it is one.
  mutating func received(outdated head: Signed<Head>, from link: LinkID) throws(StoreError) -> Bool {
    let library = head.record.library
    let isOwn = library == machine && roster.isMember(machine)
    guard isOwn || keeps(library), roster.isOutdated(head) else { return false }
    if isOwn {
      outrank(head.record.order)
      return true
    }
    noteOutdated(head.record)
    try readFormer(head, from: link)
    return true
  }

  private mutating func noteOutdated(_ head: Head) {
    let known: HeadOrder = kept[head.library]?.outdated ?? .none
    kept[head.library, default: KeptLibrary()].outdated = max(known, head.order)
  }

  /// The roster changed: heads that count no more are waited for no longer, but older ones that somebody has are.
  mutating func judgeNewest() throws(StoreError) {
    for owner in libraries.keys.sorted() where owner != machine {
      guard let library = libraries[owner], let newest = library.newest,
        newest.record.order > library.order, !mayTakeIn(newest)
      else { continue }
      // Others may have installed it.
      if keeps(owner), roster.isOutdated(newest) { noteOutdated(newest.record) }
      try stageArrived(owner)
      let shown = newestShown(of: owner) ?? library.installed
      libraries[owner]?.fetch = nil
      libraries[owner]?.awaitingRoom = nil
      libraries[owner]?.newest = shown
      libraries[owner]?.staging = nil
    }
  }

  /// The roster changed, and the peers were told: who signs now is shown what fell out, and what is installed and counts no more.
  /// When that was shown before, it may have counted, and stood where the peer's own head stands: then it was no news.
  mutating func showWhoSignsNow() throws(StoreError) {
    for link in links.keys.sorted() {
      showOutdated(over: link)
      try showOrphaned(over: link)
    }
  }

  private mutating func showOutdated(over link: LinkID) {
    guard let peer = links[link]?.machine else { return }
    for owner in libraries.keys.sorted() where roster.publisher(of: owner) == peer {
      guard let head = libraries[owner]?.installed, roster.isOutdated(head) else { continue }
      actions.append(.link(link, .announceHead(head)))
    }
  }

  private mutating func noteHeard(of library: MachineID) {
    let known: HeadOrder = max(libraries[library]?.newestOrder ?? .none, kept[library]?.outdated ?? .none)
    for link in links.values where link.heads[library] ?? .none <= known {
      kept[library, default: KeptLibrary()].heard.insert(link.machine)
    }
    noteShowing(of: library)
  }

  /// Who is there counts by what it claims now: it may have lost what it had, or have only heard of it.
  private mutating func noteShowing(of library: MachineID) {
    let installed: HeadOrder = libraries[library]?.order ?? .none
    var claims: [MachineID: HeadOrder] = [:]
    for link in links.values {
      let claimed: HeadOrder = link.heads[library] ?? .none
      let known: HeadOrder = claims[link.machine] ?? .none
      claims[link.machine] = max(claimed, known)
    }
    var showing = kept[library]?.showing ?? [:]
    showing.merge(claims) { _, claimed in claimed }
    showing = showing.filter { $0.value > installed && roster.isMember($0.key) }
    kept[library, default: KeptLibrary()].showing = showing
    noteShown(of: library, by: showing, above: installed)
  }

  /// What they have shown stays known when they have gone, as long as they are waited for.
  private mutating func noteShown(
    of library: MachineID, by showing: [MachineID: HeadOrder], above installed: HeadOrder
  ) {
    var shown = kept[library]?.shown ?? [:]
    for link in links.values {
      guard let heads = link.shown[library] else { continue }
      shown[link.machine, default: ShownHeads()].add(heads, above: installed)
    }
    for machine in shown.keys {
      let claimed: HeadOrder = showing[machine] ?? .none
      shown[machine]?.remove { $0 > claimed }
      if shown[machine]?.newest == nil { shown[machine] = nil }
    }
    kept[library]?.shown = shown
  }

  /// Nobody has the newest head any more. What comes next is the newest that somebody does have: it is fetched first, for what it
  /// names would fall out of W there. The head that is signed then stands above both.
  private mutating func giveUpNewest(of owner: MachineID) {
    let heard = kept[owner]?.heard ?? []
    guard let library = libraries[owner], !library.isComing, let newest = library.newest?.record,
      newest.order > library.order, others.allSatisfy(heard.contains),
      !isAwaited(owner, library), let next = newestShown(of: owner), next.record.order < newest.order
    else { return }
    noteOutdated(newest)
    libraries[owner]?.newest = next
  }

  // MARK: Signing

  /// Signs what is to be signed, at most one head of a library in the interval of heads under load; but what a user has said is
  /// only durable in a head, and goes out with the event that says it.
  mutating func keepLibraries(now: Now) throws(StoreError) {
    let owners = keptLibraries
    for former in kept.keys.sorted() where !owners.contains(former) { kept[former] = nil }
    for owner in owners {
      noteHeard(of: owner)
      giveUpNewest(of: owner)
      kept[owner]?.due = nil
      guard needsHead(owner), maySign(owner) else { continue }
      if kept[owner]?.pending.isUsersWord != true, let signed = kept[owner]?.signed,
        now.instant < signed + settings.publishInterval
      {
        kept[owner]?.due = signed + settings.publishInterval
        continue
      }
      try publish(kept: owner, now: now)
    }
  }

  private func needsHead(_ owner: MachineID) -> Bool {
    guard let removed = roster.removedMember(owner) else { return false }
    let order: HeadOrder = libraries[owner]?.order ?? .none
    let outdated: HeadOrder = kept[owner]?.outdated ?? .none
    // Nobody knows of any photo of it.
    guard order > .none || removed.lastHead > .none || outdated > .none else { return false }
    return !isTakenOver(owner) || isRivalled(owner, order) || kept[owner]?.pending.isEmpty == false
  }

  /// What does not count stands above this place in the order, or at it: of two keepers that do not know of each other, either
  /// may choose the place that the other has chosen. Who has installed the one takes in none but what is above it.
  private func isRivalled(_ owner: MachineID, _ order: HeadOrder) -> Bool {
    let outdated: HeadOrder = kept[owner]?.outdated ?? .none
    return outdated > .none && outdated >= order
  }

  /// The newest head that counts is installed, or no member has it and nobody is left to ask; and there is a place above it.
  private func maySign(_ owner: MachineID) -> Bool {
    guard !publication.isStopped, keeps(owner), let removed = roster.removedMember(owner) else {
      return false
    }
    let heard = kept[owner]?.heard ?? []
    let witnesses = otherFullMachines
    guard witnesses.isEmpty || witnesses.contains(where: heard.contains) else { return false }
    let library = libraries[owner] ?? emptyLibrary(owner)
    guard !library.isComing, hasPlace(owner, library) else { return false }
    let newest = max(library.newestOrder, removed.lastHead)
    if library.order >= newest { return true }
    return others.allSatisfy(heard.contains) && !isAwaited(owner, library)
  }

  /// Somebody may still bring a newer head than the installed one: who has shown it may come back, and whoever is asked
  /// whether so much growth is meant may say so.
  private func isAwaited(_ owner: MachineID, _ library: Library) -> Bool {
    let showing = kept[owner]?.showing ?? [:]
    guard let newest = library.newest?.record, newest.order > library.order else {
      // It claimed a head when it came, and went before it showed it.
      let outdated: HeadOrder = kept[owner]?.outdated ?? .none
      return showing.values.contains { $0 > outdated }
    }
    if isTooMuch(newest) { return true }
    // The removed machine itself is no member, and may serve until its connection ends.
    let isThere = links.values.contains { $0.heads[owner] ?? .none >= newest.order }
    return isThere || showing.values.contains { $0 >= newest.order }
  }

  private mutating func publish(kept owner: MachineID, now: Now) throws(StoreError) {
    if libraries[owner] == nil { libraries[owner] = emptyLibrary(owner) }
    let isTakingOver = !isTakenOver(owner)
    if isTakingOver { try takeBack(try store.orphanedEntries(owner), in: owner, now: now) }
    guard let library = libraries[owner] else { return }
    let pending = kept[owner]?.pending ?? KeptLibrary.Pending()
    let isOutranked = isRivalled(owner, library.order)
    let update = try draft(pending, in: owner, now: now)
    let change = update.libraryChange
    if !change.isEmpty || isTakingOver || isOutranked {
      let order = nextOrder(of: owner, library, now: now)
      let (head, view) = headed(update, of: owner, library, at: order, now: now)
      // What is pending stays so, and is tried again: its user was told that it is not done.
      guard let signed = sign(head) else { return }
      try store.publish(change, head: signed, files: [])
      let named: HeadOrder = roster.removedMember(owner)?.lastHead ?? .none
      if named > library.order { actions.append(.warn(.lastHeadUnseen(owner))) }
      kept[owner, default: KeptLibrary()].signed = now.instant
      libraries[owner]?.newest = signed
      kept[owner]?.pending = KeptLibrary.Pending()
      try installed(owner, signed, view, wasEmpty: library.entries.count == 0, now: now)
    } else {
      kept[owner]?.pending = KeptLibrary.Pending()
    }
    if !pending.returning.isEmpty {
      try store.removeForgotten(pending.returning.keys.sorted(), in: owner)
    }
    if !pending.orphans.isEmpty { actions.append(.warn(.orphansTakenBack(pending.orphans.count))) }
    let forgotten = Set(pending.forgetting.values.map(\.content))
    try judgeForgotten(forgotten)
    try settleUnnamed(forgotten)
    noteUnheld(update.added.values)
    if isTakingOver { try lookForGivenUp() }
  }

  /// All that is known of the library, counting or not: its next head goes above that.
  private func newestKnown(_ owner: MachineID, _ library: Library) -> HeadOrder {
    max(
      library.newestOrder, library.staging ?? .none, kept[owner]?.outdated ?? .none,
      roster.removedMember(owner)?.lastHead ?? .none)
  }

  /// The next head stays in the epoch of this run, unless a rival has signed in that too.
  private func goesOn(_ owner: MachineID, _ library: Library) -> Bool {
    kept[owner]?.epoch == library.order.epoch && newestKnown(owner, library) <= library.order
      && !isRivalled(owner, library.order)
  }

  /// False only above a head of this machine's own key in the last epoch: one that another run signed, or whoever has that key.
  /// It counts, and nobody would take in a head beyond it until another statement is kept. What others signed, and what the
  /// removal names, always leaves room (`Roster.lastEpoch`), and a run takes one epoch.
  private func hasPlace(_ owner: MachineID, _ library: Library) -> Bool {
    goesOn(owner, library) || newestKnown(owner, library).epoch < roster.lastEpoch
  }

  /// Precondition: there is a place.
  private mutating func nextOrder(of owner: MachineID, _ library: Library, now: Now) -> HeadOrder {
    if goesOn(owner, library) { return library.order.next(in: library.order.epoch) }
    let others = newestKnown(owner, library)
    let epoch = max(others.epoch + 1, UInt64(clamping: now.wall.nanoseconds / 1_000))
    kept[owner, default: KeptLibrary()].epoch = epoch
    return others.next(in: epoch)
  }

  private func draft(
    _ pending: KeptLibrary.Pending, in owner: MachineID, now: Now
  ) throws(StoreError) -> OwnUpdate {
    var update = OwnUpdate()
    for (id, entry) in pending.forgetting.sorted(by: { $0.key < $1.key }) {
      if try store.entries(owner, at: entry.key).contains(where: { $0.id == id }) {
        try update.drop(id, entry, store: store, library: owner, now: now)
      }
    }
    try draft(pending.changing, in: owner, &update)
    for (_, forgotten) in pending.returning.sorted(by: { $0.key < $1.key }) {
      try update.restore(forgotten.entry, store: store, library: owner)
    }
    try draft(orphans: pending.orphans, in: owner, &update)
    return update
  }

  // MARK: Forgetting

  /// Somebody's word to forget, or to take that back, of which no head tells yet: one could not be signed.
  package func isWordPending(of library: MachineID) -> Bool {
    library == machine
      ? !publication.forgetting.isEmpty || !publication.returning.isEmpty
      : kept[library]?.pending.isUsersWord == true
  }

  /// Only entries go: there is no file in a folder that would be skipped from then on.
  mutating func forget(_ ids: [EntryID], in owner: MachineID, now: Now) throws(StoreError) {
    guard maySign(owner) else { return }
    var forgotten: [ForgottenEntry] = []
    for (id, entry) in try namedEntries(ids, in: owner) {
      forgotten.append(ForgottenEntry(id: id, entry: entry, forgotten: agentTime))
      kept[owner, default: KeptLibrary()].pending.forgetting[id] = entry
      kept[owner]?.pending.returning[id] = nil
    }
    // Before the head, as of the own library.
    if !forgotten.isEmpty { try store.putForgotten(forgotten, in: owner) }
  }

  mutating func unforget(_ ids: [EntryID], in owner: MachineID, now: Now) throws(StoreError) {
    guard maySign(owner) else { return }
    for id in ids {
      guard let forgotten = try store.forgotten(id, in: owner) else { continue }
      kept[owner, default: KeptLibrary()].pending.forgetting[id] = nil
      kept[owner]?.pending.returning[id] = forgotten
    }
  }
}
