import MantelCore
import MantelSummary

extension Replicator {
  mutating func loadHoldings() throws(StoreError) {
    var held: [Digest256] = []
    try store.forEachHeld { held.append($0.digest) }
    held.sort()
    contents.index.insert(sorted: held, into: contents.held)
    contents.index.insert(sorted: held, into: contents.available)
    contents.index.insert(sorted: held, into: contents.offered)
    for folder in try store.folders() where !folder.isRemoved { ledger.folders[folder.id] = folder }
    for sets in contents.byLibrary.values {
      var ids: [Digest256] = []
      contents.index.forEach(in: [sets.wanted, contents.held], notIn: [], from: .zero) {
        ids.append($0)
        return true
      }
      contents.index.insert(sorted: ids, into: sets.heldWanted)
      ids.removeAll()
      contents.index.forEach(in: [sets.live, contents.held], notIn: [], from: .zero) {
        ids.append($0)
        return true
      }
      contents.index.insert(sorted: ids, into: sets.heldLive)
    }
  }

  /// Contents of other libraries that only an own file has here: their copy may have been cut off by the last end.
  mutating func loadAwaitedCopies() throws(StoreError) {
    guard role == .full else { return }
    let mine = contents.sets(of: machine).heldLive
    var shared: Set<ContentID> = []
    for (owner, sets) in contents.byLibrary where owner != machine {
      contents.index.forEach(in: [sets.wanted, mine], notIn: [], from: .zero) {
        shared.insert(ContentID($0))
        return true
      }
    }
    for content in shared.sorted() where try store.missingContent(content) != nil {
      filing.ready.insert(content)
      filing.uncopied.insert(content)
    }
  }

  /// Something changed that says whether only an own file has a content that others want.
  mutating func noteUncopied(_ content: ContentID) throws(StoreError) {
    let mayBe = role == .full && contents.isHeld(content) && contents.isWantedByOther(than: machine, content)
    let isUncopied = mayBe ? try store.missingContent(content) != nil : false
    guard isUncopied != filing.uncopied.contains(content) else { return }
    if isUncopied { filing.uncopied.insert(content) } else { filing.uncopied.remove(content) }
    attesting.isChanged = true
  }

  /// What of a library of another machine only own files have here; ascending.
  func uncopied(in owner: MachineID) -> [ContentID] {
    guard owner != machine, !filing.uncopied.isEmpty else { return [] }
    return filing.uncopied.filter { contents.isHeld($0) && contents.isWanted($0, in: owner) }.sorted()
  }

  func hasUncopied(of owner: MachineID) -> Bool {
    owner != machine && filing.uncopied.contains { contents.isHeld($0) && contents.isWanted($0, in: owner) }
  }

  /// The store has contents whose entries changed. What is on its way here may not be wanted any more, and that is found
  /// by filing it.
  mutating func lookForUnfiled() {
    filing.hasUnfiled = true
    filing.hasAbsent = true
    filing.absentRows = nil
    filing.ready.formUnion(transfers.staged)
    filing.ready.formUnion(transfers.large.keys)
    // Nor what is bad here: then it is healed, and no plan is made of what is absent.
    let owners = contents.byLibrary.keys.filter { $0 != machine }
    filing.ready.formUnion(
      scrub.unhealed.filter { content in
        role == .source || !owners.contains { contents.isWanted(content, in: $0) }
      })
  }

  /// Starts the next batch as soon as the one before it has ended: group commit.
  mutating func fileIfIdle(now: Now) throws(StoreError) {
    if let retryAt = filing.retryAt, retryAt <= now.instant {
      filing.ready.formUnion(filing.resting)
      filing.resting = []
      filing.retryAt = nil
      filing.isPaused = false
    }
    if let repeatAt = filing.repeatAt, repeatAt <= now.instant {
      filing.repeatAt = nil
      filing.isRepeatDue = !filing.unresolved.isEmpty
    }
    filing.turn = nil
    // What is bad leaves its name before its copy is made again.
    guard mayWrite, filing.running == nil, scrub.settingAside.isEmpty else { return }
    if filing.isRepeatDue { return try repeatUnresolved(now: now) }
    if filing.hasAbsent {
      // A first install names a library of which nothing is here: no plan is needed to find that out.
      let limit = min(filing.absentRows ?? settings.firstAbsentRows, settings.absentRows)
      filing.hasAbsent = try store.fileAbsent(limit: limit) == limit
      // Few at first: the same event asks for what is missing, and that is on its way while the rest is done.
      filing.absentRows = filing.hasAbsent ? 8 * limit : nil
      if filing.hasAbsent { return filing.turn = now.instant }
    }
    try collectTrash(now: now)
    if let released = try releasePlans() { return try run(released, now: now) }
    if let gathering = endOfGathering(now: now) { return filing.turn = gathering }
    guard let batch = try nextBatch(now: now) else { return }
    try start(batch, now: now)
    // A batch without an operation has ended at once; the next one gets its turn after whoever waits.
    if filing.running == nil, filing.hasUnfiled && mayRename || !filing.ready.isEmpty {
      filing.turn = now.instant
    }
  }

  /// Until when the next batch waits for more of what is on its way; nil: it does not. However small it is, a batch costs two
  /// syncs of the filesystem and two of the catalog, which writes each page that it touched.
  private func endOfGathering(now: Now) -> Instant? {
    guard let ended = filing.endedAt, transfers.inFlight.count >= settings.gatherUnits, !filing.hasUnfiled,
      !filing.ready.isEmpty, filing.ready.count < settings.batchFiles / 2
    else { return nil }
    let end = ended + settings.gatherFor
    return end > now.instant ? end : nil
  }

  private mutating func nextBatch(now: Now) throws(StoreError) -> Set<ContentID>? {
    guard filing.unresolved.count < 2 * settings.unresolvedSteps,
      filing.unresolvedBytes < 4 * settings.journalBytes
    else { return nil }
    // What was fetched for somebody stays in the staging area, where it is looked for, until it is let go.
    let recalled = recalls.open.keys.filter(transfers.staged.contains)
    var waiting = filing.resting.union(filing.unresolvedContents).union(filing.blocked).union(recalled)
    var batch = Set<ContentID>()
    var bytes: UInt64 = 0
    for content in filing.ready.sorted() where !waiting.contains(content) {
      guard batch.count < settings.batchFiles, bytes < settings.batchBytes else { break }
      batch.insert(content)
      if let size = transfers.stagedSizes[content] {
        bytes += size
      } else {
        bytes += try store.missingContent(content)?.size ?? 0
      }
    }
    filing.ready.subtract(batch)
    filing.ready.subtract(waiting)
    // What waits for room alone is planned when something happens to it.
    waiting.formUnion(filing.copies.waiting)
    // Else the first of them, which have to wait for the comparison, would be looked at again and again.
    if filing.hasUnfiled, mayRename {
      let limit = settings.batchFiles + waiting.count
      let unfiled = try store.unfiled(limit: limit)
      batch.formUnion(unfiled.filter { !waiting.contains($0) }.prefix(settings.batchFiles))
      filing.hasUnfiled = unfiled.count == limit
    }
    if filing.unresolved.count >= settings.unresolvedSteps {
      let here = batch.filter { contents.isHeld($0) }
      filing.blocked.formUnion(here)
      batch.subtract(here)
      if !here.isEmpty { filing.turn = now.instant }
    }
    return batch.isEmpty ? nil : batch
  }

  /// The replica's disk does not keep what is written to it: nothing is written there, until it is mounted anew or the agent is
  /// started again, and nothing is fetched but what somebody waits for.
  var isDiskFailing: Bool { filing.syncFaults.batches >= settings.failingSyncs }

  /// After an outage of the catalog: that says nothing of the replica's disk.
  package mutating func keepSyncFaults(of former: Replicator) { filing.syncFaults = former.filing.syncFaults }

  /// The replica's disk takes what is written there, as far as is known.
  var mayWrite: Bool { !filing.isPaused && !filing.isReadOnly && !isDiskFailing }

  /// Nothing is being filed, and nothing waits for it.
  package var isFilingIdle: Bool { filing.isIdle }

  // MARK: After the batch

  mutating func filed(
    _ id: BatchID, _ results: [FilingResult], now: Now
  ) throws(StoreError) {
    guard let batch = filing.running, batch.id == id else { return }
    precondition(results.count == batch.steps.count, "one result for each operation")
    filing.syncFaults.ended(results)
    if results.contains(where: \.isReadOnly) { becameReadOnly() }
    try finish(batch, results: results, now: now)
  }

  mutating func finish(
    _ batch: FilingBatch, results: [FilingResult], now: Now
  ) throws(StoreError) {
    let results = BatchOutcome.settled(results, of: batch)
    var outcome = BatchOutcome(batch)
    for (step, result) in zip(batch.steps, results) { outcome.take(step, result, now: now) }
    // A content of which nothing is here is filed too: it is missing, and comes back when its bytes do.
    if batch.isRepeat {
      // Since the batch was cut off another content may have got the name.
      for (path, content) in outcome.freed where try store.replicaFile(at: path)?.content != content {
        outcome.removed.remove(path)
      }
    }
    let isLeft = { [failed = outcome.failed] (content: ContentID) -> Bool in
      failed.contains(content) || batch.outdated.contains(content) || batch.lackingRoom.contains(content)
    }
    let filed = batch.contents.filter { !isLeft($0) }
    outcome.removed.subtract(outcome.put.keys)
    try markTrashed(&outcome)
    filing.ready.formUnion(batch.outdated.intersection(batch.contents))
    let put = outcome.put.values.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    keepUnresolved(of: batch, results, now: now)
    endDeletions(of: batch, failed: outcome.failed)
    try store.commitFiling(
      put: put, removed: Array(outcome.removed), filed: filed,
      journal: filing.unresolved.isEmpty ? nil : FilingJournal.bytes(of: filing.unresolved))
    // What was missing had been filed, and is missing no more when one of its files has come: what became of the others is
    // not to be lost with the process.
    try store.markUnfiled(batch.contents.filter(isLeft))
    filing.running = nil
    if !batch.steps.isEmpty { filing.endedAt = now.instant }
    endCopies(of: batch)
    for content in outcome.unstaged.sorted() {
      // While a batch is repeated its contents are fetched too: what came is not needed where the file was found.
      if batch.isRepeat || transfers.cameAgain.contains(content), transfers.staged.contains(content) {
        actions.append(.discardStaged(content))
      }
      try forgetStaged(content)
    }
    for content in Set(put.map(\.content)).sorted() {
      makeAvailable(content)
      contents.setHeld(content, true)
    }
    // What a batch has removed may be wanted again by now, and lie in an own folder alone.
    let freed = Set(outcome.freed.values)
    for content in Set(batch.contents).union(freed)
    where filing.uncopied.contains(content) || outcome.failed.contains(content) || freed.contains(content) {
      try noteUncopied(content)
    }
    try judgeDeleted(batch)
    try judgeReleased()
    try noteTrash()
    try judgeAwaiting(now: now)
    // Where bytes should have been taken from and were not: their bytes decide, before the batch is tried again.
    for (path, content) in outcome.sources.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) })
    where try store.replicaFile(at: path)?.content == content { doubt(.replica(path)) }
    doubtRenamed(by: batch, outcome)
    for content in outcome.failed.sorted() { try releaseIfGone(content) }
    for content in filed { try dropIfUnwanted(content) }
    try healed(filed, now: now)
    rest(outcome, of: batch, now: now)
    for source in outcome.ownSources {
      guard let folder = ledger.folders.values.first(where: { $0.root == source.root }) else { continue }
      actions.append(.look(folder.id, source.path))
      // A look sees no rot.
      doubt(.own(folder.id, source.path))
    }
    attesting.isChanged = true
    transfers.isWorthLooking = true
  }

  /// What failed is tried again, for its files do not match their entries yet.
  private mutating func rest(_ outcome: BatchOutcome, of batch: FilingBatch, now: Now) {
    guard !outcome.failed.isEmpty else { return }
    filing.resting.formUnion(outcome.failed)
    filing.retryAt = filing.retryAt ?? now.instant + settings.retry
    guard let failure = outcome.failure else { return }
    // A repeat says nothing of the disk: its steps are those that have failed before.
    if !batch.isRepeat { filing.isPaused = !outcome.hasSucceeded }
    actions.append(.warn(.filingFailed(failure)))
  }

  /// What was fetched of a content is not needed: nobody wants it any more, or another file has brought it.
  mutating func dropIfUnwanted(_ content: ContentID) throws(StoreError) {
    guard transfers.staged.contains(content) || transfers.large[content] != nil,
      try missing(content) == nil
    else { return }
    try forgetStaged(content)
    if transfers.large[content] != nil { try abandonLarge(content) }
    actions.append(.discardStaged(content))
    try releaseIfGone(content)
  }

  /// Nothing in the staging area is to be landed for a content any more.
  private mutating func forgetStaged(_ content: ContentID) throws(StoreError) {
    transfers.staged.remove(content)
    transfers.stagedSizes[content] = nil
    transfers.cameAgain.remove(content)
    if transfers.stagedLarge.remove(content) != nil { try store.removePartial(content) }
  }
}
