import MantelCore
import MantelHousehold
package import MantelSummary

/// One library as the decisions know it.
struct Library: Sendable {
  /// The newest head whose entries are all here.
  var installed: Signed<Head>?
  /// Entry ids of the installed view.
  var entries: SetSnapshot
  /// Recent installed views, newest last: a peer that reconciles with one of them can finish.
  var recent: [(order: HeadOrder, entries: SetSnapshot)] = []
  /// The newest head that anyone showed.
  var newest: Signed<Head>?
  /// A head that was known before a restart: entries of it are staged, itself has to be shown again.
  var staging: HeadOrder?
  /// Since when a newer head than the installed one is known, without any having been installed. Nil: longer than this
  /// run.
  var outstandingSince: Instant?
  var fetch: LibraryFetch?
  /// One that has brought all, and that the catalog's disk has no room to install. Nothing else of the library is fetched.
  var awaitingRoom: LibraryFetch?
  /// A head that its owner signed, and whose entries are no library: whoever serves it serves the same.
  var impossible: Head?
  /// The head that a link failed to serve last, and when it may be asked for it again.
  var refused: [LinkID: (order: HeadOrder, until: Instant)] = [:]

  var retryAt: Instant? { refused.values.lazy.map(\.until).min() }

  var order: HeadOrder { installed?.record.order ?? .none }
  var newestOrder: HeadOrder { max(newest?.record.order ?? .none, order) }
  /// Some newer head than the installed one is known, whether or not it could be fetched.
  var isBehind: Bool { max(newestOrder, staging ?? .none) > order }
  /// Entries of a newer head are on their way, or all here.
  var isComing: Bool { fetch != nil || awaitingRoom != nil }
}

/// Entries of a newer head on their way from one link.
struct LibraryFetch: Sendable {
  var link: LinkID
  var target: Signed<Head>
  /// The comparison that shows what is lacking, while it runs.
  var reconciliation: LinkJob?
  var openJobs: Set<LinkJob> = []
  /// Entries to be fetched by their ids once those on their way are here.
  var lacking: [EntryID] = []
  /// A delta that does not lead to the head's root is followed by one reconciliation.
  var hasReconciled = false
  /// Came, and not staged yet.
  var arrived = ArrivedEntries()
  /// Entries that came at all.
  var taken: UInt64 = 0
  /// What is staged of it, in rows that the install writes at once; known when it has to wait for room.
  var bulkRows: UInt64 = 0

  /// More than a delta and what it lacked can be of the head: what is repeated takes room, too, until a head is installed.
  var hasTooMany: Bool { taken > 2 * target.record.counts.entries }
}

/// Why a link did not bring the entries of a head.
enum FetchFailure: Sendable {
  /// It may another time.
  case notNow
  /// It has not installed the head, and may only have heard of it.
  case unknownHead
  /// What it brought is not what the head says.
  case contradiction
}

extension Replicator {
  // MARK: Loading

  mutating func loadLibraries() throws(StoreError) {
    for state in try store.libraries() where !state.isClosed {
      var ids: [Digest256] = []
      try store.forEachEntryID(state.machine) { ids.append($0.digest) }
      let tag = SetTag.entries(household, library: state.machine)
      var library = Library(
        installed: state.installed, entries: SetSnapshot(sorted: ids, tag: tag))
      library.newest = state.installed
      library.staging = state.staging
      library.recent = [(library.order, library.entries)]
      libraries[state.machine] = library
      try loadWanted(state.machine)
    }
    for member in roster.members where libraries[member.machine] == nil {
      libraries[member.machine] = emptyLibrary(member.machine)
    }
  }

  func emptyLibrary(_ machine: MachineID) -> Library {
    Library(
      installed: nil,
      entries: SetSnapshot(sorted: [], tag: .entries(household, library: machine)))
  }

  /// Wanted contents that are placed at once, so that those of a large library are not in memory twice.
  private static let placedAtOnce = 16_384

  private mutating func loadWanted(_ machine: MachineID) throws(StoreError) {
    var wanted: [Digest256] = []
    var live: [Digest256] = []
    let store = store
    try store.forEachWanted(machine) { content, isLive in
      wanted.append(content.digest)
      if isLive { live.append(content.digest) }
      guard wanted.count == Self.placedAtOnce else { return }
      contents.place(wanted: wanted, live: live, in: machine)
      wanted.removeAll(keepingCapacity: true)
      live.removeAll(keepingCapacity: true)
    }
    contents.place(wanted: wanted, live: live, in: machine)
  }

  // MARK: Heads

  mutating func received(
    _ head: Signed<Head>, from link: LinkID, now: Now
  ) throws(StoreError) {
    guard let peer = links[link] else { return }
    let owner = head.record.library
    guard mayTakeIn(head) else {
      if try received(outdated: head, from: link) { return }
      actions.append(.warn(.rejectedHead(owner, "its signature or signer is not the library's")))
      return disproved(head.record, by: link)
    }
    let order = head.record.order
    links[link]?.heads[owner] = max(order, peer.heads[owner] ?? .none)
    if owner == machine { return try received(own: head, from: link) }
    let installed: HeadOrder = libraries[owner]?.order ?? .none
    links[link]?.shown[owner, default: ShownHeads()].add(head, above: installed)
    if keeps(owner) { try readFormer(head, from: link) }
    if libraries[owner] == nil { libraries[owner] = emptyLibrary(owner) }
    guard order > libraries[owner]?.newestOrder ?? .none else { return try lookForFork(at: head.record) }
    // An owner that publishes again and again is no reason to be complete: it counts from the first.
    if libraries[owner]?.isBehind == false { libraries[owner]?.outstandingSince = now.instant }
    libraries[owner]?.newest = head
  }

  // MARK: Fetching entries

  /// Starts a fetch for every library of which a link has a newer head.
  mutating func fetchLibraries(now: Now) throws(StoreError) {
    for owner in libraries.keys.sorted() {
      for (link, refused) in libraries[owner]?.refused ?? [:] where refused.until <= now.instant {
        libraries[owner]?.refused[link] = nil
      }
      guard let library = libraries[owner], !library.isComing, let newest = library.newest,
        newest.record.order > library.order, mayFetch(owner, upTo: newest.record.order)
      else { continue }
      let target = newest.record.order
      let holders = links.keys.sorted().filter { (links[$0]?.heads[owner] ?? .none) >= target }
      guard !holders.isEmpty else {
        showUnserved(newest)
        continue
      }
      if isTooMuch(newest.record) || newest.record == library.impossible { continue }
      let servers = holders.filter { library.refused[$0]?.order != target }
      // The owner itself first: it is the least likely to be behind again in a moment.
      guard let link = servers.first(where: { links[$0]?.machine == owner }) ?? servers.first else {
        continue
      }
      try startFetch(owner, newest, from: link)
    }
  }

  private mutating func startFetch(
    _ owner: MachineID, _ target: Signed<Head>, from link: LinkID
  ) throws(StoreError) {
    guard let library = libraries[owner] else { return }
    let staged = try stagedWithoutRepeats(owner)
    let isClean = staged.added.isEmpty && staged.removed.isEmpty
    libraries[owner]?.fetch = LibraryFetch(link: link, target: target)
    if isClean {
      let job = nextJob()
      libraries[owner]?.fetch?.openJobs = [job]
      links[link]?.jobs[job] = .library(owner)
      actions.append(
        .link(
          link,
          .fetchDelta(job, library: owner, from: library.order, to: target.record.order)))
    } else {
      try reconcile(owner)
    }
  }

  private mutating func reconcile(_ owner: MachineID) throws(StoreError) {
    guard let library = libraries[owner], let fetch = library.fetch else { return }
    let job = nextJob()
    libraries[owner]?.fetch?.reconciliation = job
    libraries[owner]?.fetch?.hasReconciled = true
    libraries[owner]?.fetch?.openJobs = [job]
    links[fetch.link]?.jobs[job] = .library(owner)
    actions.append(
      .link(
        fetch.link,
        .reconcile(
          job, .library(owner, fetch.target.record.order), mine: try candidate(owner, library).view)))
  }

  /// What is staged, and none of it if some of that was repeated: only an install takes repeats away, so that those of one fetch
  /// after another would pile up, whether they contradict their head or are cut off before that shows.
  private func stagedWithoutRepeats(_ owner: MachineID) throws(StoreError) -> StagedView {
    let staged = try store.staged(owner)
    guard staged.repeats > 0 else { return staged }
    try store.discardStaged(owner)
    return try store.staged(owner)
  }

  /// The installed view with what is staged.
  private func candidate(
    _ owner: MachineID, _ library: Library
  ) throws(StoreError) -> (view: SetSnapshot, staged: StagedView) {
    let staged = try store.staged(owner)
    let view = library.entries.applying(
      added: staged.added.map(\.digest), removed: staged.removed.map(\.digest))
    return (view, staged)
  }

  mutating func received(
    added: [Entry], removed: [EntryID], job: LinkJob, from link: LinkID, now: Now
  ) throws(StoreError) {
    if case .orphans(let owner) = links[link]?.jobs[job] {
      return try receivedFormer(added: added, removed: removed, of: owner, over: link, now: now)
    }
    // Also what a fetch that was given up still brings must not get into the next one.
    guard case .library(let owner) = links[link]?.jobs[job], let fetch = libraries[owner]?.fetch,
      fetch.openJobs.contains(job)
    else { return }
    libraries[owner]?.fetch?.taken += UInt64(added.count)
    guard libraries[owner]?.fetch?.hasTooMany == false else {
      actions.append(.warn(.rejectedHead(owner, "more entries came than it has")))
      return try giveUp(owner, until: now.instant + settings.contradiction, .contradiction)
    }
    libraries[owner]?.fetch?.arrived.add(added)
    if !removed.isEmpty || libraries[owner]?.fetch?.arrived.isMany(settings) == true {
      try stageArrived(owner)
    }
    if !removed.isEmpty { try store.stageRemoval(owner, fetch.target.record.order, removed) }
  }

  mutating func found(
    theirsOnly: [Digest256], mineOnly: [Digest256], job: LinkJob?, link: LinkID
  ) throws(StoreError) {
    guard let job, case .library(let owner) = links[link]?.jobs[job] else {
      foundHoldings(theirsOnly: theirsOnly, mineOnly: mineOnly, link: link)
      return
    }
    guard let library = libraries[owner], let fetch = library.fetch, fetch.openJobs.contains(job) else {
      return
    }
    try stageArrived(owner)
    let theirs = Set(theirsOnly.map(EntryID.init))
    let mine = mineOnly.map(EntryID.init)
    // An id that is installed but marked as gone shows as theirs: the mark goes, nothing is fetched.
    let unmarked = theirs.filter { library.entries.contains($0.digest) }
    try store.unstage(
      owner, added: mine.filter { !library.entries.contains($0.digest) },
      removed: unmarked.sorted())
    try store.stageRemoval(
      owner, fetch.target.record.order, mine.filter { library.entries.contains($0.digest) })
    let lacking = theirs.subtracting(unmarked).sorted()
    libraries[owner]?.fetch?.lacking += lacking
    fetchLacking(owner)
  }

  /// Asks for entries by their ids, in one job at a time: a difference comes in many pieces.
  private mutating func fetchLacking(_ owner: MachineID) {
    guard let fetch = libraries[owner]?.fetch, !fetch.lacking.isEmpty,
      fetch.openJobs.isSubset(of: [fetch.reconciliation].compactMap(\.self))
    else { return }
    let job = nextJob()
    libraries[owner]?.fetch?.lacking = []
    libraries[owner]?.fetch?.openJobs.insert(job)
    links[fetch.link]?.jobs[job] = .library(owner)
    actions.append(.link(fetch.link, .fetchEntries(job, library: owner, fetch.lacking)))
  }

  mutating func ended(
    _ job: LinkJob, _ outcome: LinkOutcome, link: LinkID, now: Now
  ) throws(StoreError) {
    switch links[link]?.jobs.removeValue(forKey: job) {
    case .holdings:
      // Nothing may have differed any more; then this is all that is said of the peer's holdings.
      if outcome == .complete { return knowHoldings(of: link) }
      links[link]?.comparison?.retryAt = now.instant + settings.retry
    case .library(let owner):
      guard libraries[owner]?.fetch?.openJobs.remove(job) != nil else { return }
      try advanceFetch(of: owner, outcome, link: link, now: now)
    case .pull: pullEnded(outcome, link: link, now: now)
    case .challenge(let challenge, let answer):
      try challengeEnded(challenge, answer: answer, outcome, link: link, now: now)
    case .orphans(let owner): try endedFormer(outcome, of: owner, over: link, now: now)
    case nil: break
    }
  }

  /// One of the jobs of a fetch has ended.
  private mutating func advanceFetch(
    of owner: MachineID, _ outcome: LinkOutcome, link: LinkID, now: Now
  ) throws(StoreError) {
    try stageArrived(owner)
    guard outcome == .complete else {
      if libraries[owner]?.fetch?.hasReconciled == false, outcome == .unknownHead {
        try reconcile(owner)
      } else {
        let failure = outcome == .unknownHead ? FetchFailure.unknownHead : .notNow
        try giveUp(owner, until: now.instant + settings.retry, failure)
      }
      return
    }
    fetchLacking(owner)
    guard libraries[owner]?.fetch?.openJobs.isEmpty == true else { return }
    try installIfWhole(owner, now: now)
  }

  /// The link does not serve this head now, or served something else: what is staged stays for the next attempt.
  private mutating func giveUp(
    _ owner: MachineID, until: Instant, _ failure: FetchFailure
  ) throws(StoreError) {
    guard let fetch = libraries[owner]?.fetch else { return }
    if failure == .contradiction { _ = try stagedWithoutRepeats(owner) }
    // It has only heard of the head: others come first, until it shows the head again.
    if failure == .unknownHead, owner == machine || keeps(owner) {
      links[fetch.link]?.withdraw(fetch.target.record.order, of: owner)
    }
    if owner == machine, let peer = links[fetch.link]?.machine { noteFailure(of: peer, failure) }
    libraries[owner]?.fetch = nil
    libraries[owner]?.refused[fetch.link] = (fetch.target.record.order, until)
  }

  mutating func installIfWhole(_ owner: MachineID, now: Now) throws(StoreError) {
    guard let library = libraries[owner], let fetch = library.fetch else { return }
    let (view, staged) = try candidate(owner, library)
    let head = fetch.target.record
    guard view.root == head.root, staged.counts == head.counts else {
      if fetch.hasReconciled {
        actions.append(.warn(.rejectedHead(owner, "its entries do not have its root")))
        try giveUp(owner, until: now.instant + settings.contradiction, .contradiction)
      } else {
        try reconcile(owner)
      }
      return
    }
    guard hasRoom(toInstall: staged.bulkRows) else { return awaitRoom(for: owner, staged.bulkRows) }
    let wasEmpty = library.entries.count == 0
    do {
      try store.install(owner, head: fetch.target)
    } catch {
      guard error.code == .constraint else { throw error }
      // Signed by its owner, and still not a library: two live entries at one path.
      actions.append(.warn(.rejectedHead(owner, error.message)))
      // To find that out takes as long as an install. A recovery of the own library hears its members one by one.
      if owner != machine { libraries[owner]?.impossible = head }
      try giveUp(owner, until: now.instant + settings.contradiction, .contradiction)
      return
    }
    libraries[owner]?.fetch = nil
    takeRoom(forInstalled: staged.bulkRows)
    try countGrowth(of: head, over: library.installed?.record.counts.entries ?? 0)
    try installed(owner, fetch.target, view, wasEmpty: wasEmpty, now: now)
    guard owner == machine else { return try readUnread(of: owner) }
    try lookForGivenUp()
    try noteTakenBack()
  }

  /// Follows an install, or an own publication, in memory and tells the peers. `newlyLive`: all that it changes, when that
  /// is known to be live now.
  mutating func installed(
    _ owner: MachineID, _ head: Signed<Head>, _ view: SetSnapshot, wasEmpty: Bool,
    newlyLive: [ContentID]? = nil, now: Now
  ) throws(StoreError) {
    let limit = settings.servedViews
    libraries[owner]?.installed = head
    libraries[owner]?.entries = view
    libraries[owner]?.awaitingRoom = nil
    // What came meanwhile has its time from now.
    libraries[owner]?.outstandingSince = now.instant
    libraries[owner]?.refused.removeAll()
    libraries[owner]?.recent.append((head.record.order, view))
    if let count = libraries[owner]?.recent.count, count > limit {
      libraries[owner]?.recent.removeFirst(count - limit)
    }
    let changed = if let newlyLive { newlyLive } else { try store.changedContents(owner) }
    if let newlyLive {
      contents.placeLive(newlyLive, in: owner)
    } else if wasEmpty {
      try loadWanted(owner)
    } else {
      for content in changed { try replace(content, in: owner) }
    }
    if owner != machine {
      for content in changed where contents.isLive(content, in: machine) { try noteUncopied(content) }
    }
    filing.running?.outdated.formUnion(changed)
    // An own entry that came or went leaves no mark in the queue.
    filing.ready.formUnion(changed.filter(filing.copies.waiting.contains))
    for content in changed where shared.contains(content) {
      if try missing(content) == nil { unshare(content) }
    }
    if changed.count <= settings.missingPage {
      // A head every few seconds must not make every link walk over all that is missing.
      let order = AskingOrder(of: machine)
      for content in changed.sorted(by: { order.isBefore($0, $1) }) { reconsider(content) }
      transfers.isWorthLooking = true
    } else {
      lookAgain()
    }
    lookForUnfiled()
    if wasEmpty, owner != machine { try judgeTakenOver() }
    attesting.isChanged = true
    actions.append(.installed(owner, head.record.order))
    sendToAll(.announceHead(head))
    try noteOrphans(in: owner, now: now)
  }

  private mutating func replace(_ content: ContentID, in owner: MachineID) throws(StoreError) {
    let entries = try store.entries(owner, of: content)
    contents.place(
      content, in: owner, wanted: !entries.isEmpty, live: entries.contains { $0.entry.state.isLive })
  }

  // MARK: Serving

  /// The view that a peer's reconciliation over a link compares with; nil when it is not here (any more).
  package mutating func snapshot(of set: ComparedSet, for link: LinkID) -> SetSnapshot? {
    switch set {
    case .holdings:
      let mine = contents.index.snapshot(of: contents.offered)
      // The question may come before the news that the link is open.
      opening[link]?.compared = mine
      links[link]?.comparison?.mine = mine
      return mine
    case .library(let owner, let order):
      return libraries[owner]?.recent.last { $0.order == order }?.entries
    }
  }
}
