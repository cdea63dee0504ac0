import MantelCore

/// What becomes of replica files that nobody wants any more.
///
/// A file leaves its place only when the library that it stands for says *dropped* and no other names its bytes. Then it
/// lies in the trash for 30 agent days, under a row like any other file's: a content that is wanted again is found there by
/// filing, is never missing, and never fetched. What a library drops beyond its limit stays where it is, marked, until
/// somebody on this machine confirms; once that has begun all further drops of the library wait with it.
///
/// Everything else that takes a content out of W (an entry that vanished, an unheld one, a closed library, another role)
/// leaves its files alone.
extension Replicator {
  /// Plans for those of some contents that nothing wants, and that were dropped: judged together, so that a head that drops
  /// too much does not get its first files out.
  func droppingPlans(of contents: Set<ContentID>) throws(StoreError) -> [ContentID: FilingPlan] {
    var dropped: [ContentID: [ReplicaFile]] = [:]
    var unjudged: [MachineID: Int] = [:]
    let owners = self.contents.byLibrary.keys.filter { $0 != machine }
    for content in contents.sorted()
    where !owners.contains(where: { self.contents.isWanted(content, in: $0) }) {
      let files = try droppedFiles(of: content)
      guard let first = files.first else { continue }
      dropped[content] = files
      if files.allSatisfy({ $0.mark == nil }) { unjudged[first.library, default: 0] += 1 }
    }
    guard !dropped.isEmpty else { return [:] }
    let held = try store.heldDrops()
    var asks: Set<MachineID> = []
    for (library, count) in unjudged {
      let dropped = try store.unconfirmedDrops(of: library, since: agentTime + (.zero - settings.trashLife))
      if held[library] != nil || dropped + count > dropLimit(of: library) { asks.insert(library) }
    }
    var plans: [ContentID: FilingPlan] = [:]
    for (content, files) in dropped {
      plans[content] = FilingPlan(
        content: content, dropped: files,
        fate: fate(of: files, mustAsk: files.first.map { asks.contains($0.library) } ?? true))
    }
    return plans
  }

  /// Files of a content that nobody names any more, of libraries that dropped it.
  private func droppedFiles(of content: ContentID) throws(StoreError) -> [ReplicaFile] {
    let files = try store.replicaFiles(of: content)
    guard !files.isEmpty else { return [] }
    let droppers = try store.droppers(of: content)
    guard let first = droppers.first else { return [] }
    return files.compactMap { file in
      var file = file
      // Taken over from a directory: nobody knows whose it was.
      if file.library == machine { file.library = first }
      return droppers.contains(file.library) ? file : nil
    }
  }

  private func fate(of files: [ReplicaFile], mustAsk: Bool) -> DropFate {
    let moment = agentTime + (.zero - settings.trashLife)
    if files.allSatisfy({ $0.mark?.hasBeenInTrash(since: moment) == true }) { return .goes }
    if files.contains(where: { $0.mark == .confirmed || $0.mark?.isInTrash == true }) { return .goesToTrash }
    return mustAsk || files.contains { $0.mark == .held } ? .isHeld : .goesToTrash
  }

  func dropLimit(of library: MachineID) -> Int {
    settings.dropLimit.contents(entries: libraries[library]?.installed?.record.counts.entries ?? 0)
  }

  // MARK: The trash

  /// What came to the trash in a batch is marked in the transaction that records it.
  func markTrashed(_ outcome: inout BatchOutcome) throws(StoreError) {
    for (path, former) in outcome.discarded where outcome.put[path] != nil {
      let isConfirmed = try store.replicaFile(at: former)?.mark == .confirmed
      outcome.put[path]?.mark = .trashed(since: agentTime, isConfirmed: isConfirmed)
    }
  }

  /// Remembers when the first file is due.
  mutating func noteTrash() throws(StoreError) {
    filing.trashDue = try store.oldestTrashed().map { $0 + settings.trashLife }
  }

  /// What is over is planned with the next batch, which looks once more whether anybody wants it.
  mutating func collectTrash(now: Now) throws(StoreError) {
    guard let due = filing.trashDue, due <= agentTime, isPastGrace(now) else { return }
    // Until the batch ends: what fails then rests like any other content.
    filing.trashDue = nil
    filing.ready.formUnion(
      try store.trashed(until: agentTime + (.zero - settings.trashLife), limit: settings.batchFiles))
  }

  /// Nothing is held, or offered, while a batch deletes it: it may be wanted again before the batch has ended.
  mutating func unholdDeleted(_ steps: [FilingPlan.Step]) throws(StoreError) {
    for step in steps where FilingPlan.isDeletion(step.operation) {
      let content = step.operation.content
      guard !transfers.staged.contains(content), try publishedFiles(of: content).isEmpty else { continue }
      contents.setHeld(content, false)
      makeUnavailable(content)
    }
  }

  /// What the batch did not delete after all is there as before; what is gone, and wanted again, is missing.
  mutating func judgeDeleted(_ batch: FilingBatch) throws(StoreError) {
    for step in batch.steps where FilingPlan.isDeletion(step.operation) {
      let content = step.operation.content
      if try store.replicaFiles(of: content).isEmpty {
        try releaseIfGone(content)
        reconsider(content)
      } else if !filing.isUnderWay(content) {
        makeAvailable(content)
        contents.setHeld(content, true)
      }
    }
  }

  var trashDeadline: Instant? {
    guard filing.running == nil, !filing.isPaused, let due = filing.trashDue else { return nil }
    return max(countedTime.counter.soonest(due), graceEnd)
  }

  // MARK: The user's word

  mutating func confirmDrops(of library: MachineID) throws(StoreError) {
    guard try store.confirmDrops(of: library) > 0 else { return }
    lookForUnfiled()
  }
}
