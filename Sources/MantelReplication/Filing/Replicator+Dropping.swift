import MantelCore
import MantelHousehold

/// The walk over what lies in the trash for longer than it has to.
struct TrashWalk: Sendable {
  /// When there is something to do, as far as the last look told.
  var due: AgentTime?
  /// What the walk has passed; nil between two walks.
  var passed: (since: AgentTime, content: ContentID)?
  /// What came there until then was looked at; what of it stays is looked at again a day later.
  var walked: AgentTime?
  /// What it has brought up and is not judged yet: nothing else is deleted.
  var judging: Set<ContentID> = []
}

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
  func droppingPlans(of contents: Set<ContentID>, now: Now) throws(StoreError) -> [ContentID: FilingPlan] {
    var dropped: [ContentID: [ReplicaFile]] = [:]
    var doubts: [ContentID: Doubt] = [:]
    var unjudged: [MachineID: Int] = [:]
    let owners = self.contents.byLibrary.keys.filter { $0 != machine }
    for content in contents.sorted()
    where !owners.contains(where: { self.contents.isWanted(content, in: $0) }) {
      let files = try droppedFiles(of: content)
      guard let first = files.first else { continue }
      dropped[content] = files
      let judged = try doubt(of: content, in: first.library)
      doubts[content] = judged
      if judged == .counted, isUnjudged(files) { unjudged[first.library, default: 0] += 1 }
    }
    guard !dropped.isEmpty else { return [:] }
    // Judged before, and no row tells of it: nobody knows yet whether they have moved.
    var moving: [MachineID: Set<ContentID>] = [:]
    for step in filing.unresolved where !step.isSecondCopy && FilingPlan.isDiscarded(step.operation.path) {
      guard let place = step.place else { continue }
      moving[place.library, default: []].insert(step.operation.content)
    }
    let held = try store.heldDrops()
    var asks: Set<MachineID> = []
    for (library, count) in unjudged {
      // What a keeper has dropped is as good as confirmed in the trash, and counts for a month all the same.
      var dropped = try store.countedDrops(
        of: library, since: agentTime + (.zero - settings.trashLife), withConfirmed: !roster.isMember(library)
      )
      dropped += moving[library]?.count ?? 0
      if held[library] != nil || dropped + count > dropLimit(of: library) { asks.insert(library) }
    }
    var plans: [ContentID: FilingPlan] = [:]
    for (content, files) in dropped {
      let mustAsk =
        switch doubts[content] {
        case .own: false
        case .counted: files.first.map { asks.contains($0.library) } ?? true
        case .certain, nil: true
        }
      var mayGo = mayDelete(content, now)
      if mayGo, try isOnlyCopyOfOwn(content) { mayGo = false }
      plans[content] = FilingPlan(
        content: content, dropped: files, fate: fate(of: files, mayGo: mayGo, mustAsk: mustAsk))
    }
    return plans
  }

  /// Whether somebody has to be asked about a drop.
  private enum Doubt {
    /// The user of this machine forgot it, in a library that is kept here.
    case own
    /// Only when it is too much.
    case counted
    /// A machine that was removed may have been in the wrong hands when it dropped this.
    case certain
  }

  private func doubt(of content: ContentID, in library: MachineID) throws(StoreError) -> Doubt {
    if roster.isMember(library) { return .counted }
    guard try isDroppedByKeeper(content, in: library) else { return .certain }
    return keeps(library) ? .own : .counted
  }

  /// Whether it was the present keeper of a removed machine's library that dropped a content. The keeper's first head is what it
  /// took over, and before that only the removed machine could sign, if nobody else has kept the library: what was still
  /// wanted then nobody else has dropped. What this machine did not see wanted counts as the removed machine's.
  private func isDroppedByKeeper(_ content: ContentID, in library: MachineID) throws(StoreError) -> Bool {
    guard let removed = roster.removedMember(library), roster.isMember(removed.keeper),
      libraries[library]?.installed?.record.signer == removed.keeper
    else { return false }
    if let first = try store.firstHead(of: library, signedBy: removed.keeper),
      try store.wasWanted(content, in: library, at: first) == true
    {
      return true
    }
    guard roster.formerKeepers(of: library).isEmpty else { return false }
    return try store.wasWanted(content, in: library, at: removed.lastHead) == true
  }

  /// Files of a content that nobody names any more, of libraries that dropped it.
  private func droppedFiles(of content: ContentID) throws(StoreError) -> [ReplicaFile] {
    let files = try store.replicaFiles(of: content)
    guard !files.isEmpty else { return [] }
    let droppers = try store.droppers(of: content)
    guard let first = droppers.first else { return [] }
    let mayJudge = knowsAllLibraries
    return files.compactMap { file in
      var file = file
      // Taken over from a directory: nobody knows whose it was, and who is not heard yet may name it.
      if file.library == machine {
        guard mayJudge else { return nil }
        file.library = first
      }
      return droppers.contains(file.library) ? file : nil
    }
  }

  /// The own library has it live, and no own file is known to be there: it rotted, its folder or disk is away or was not looked at
  /// yet, or just is (a walk takes nothing for away when it begins), or its deletion waits for somebody; or it lies on a network
  /// filesystem, where nothing is held.
  /// Others may have let go of their copies because of the one in the trash here.
  private func isOnlyCopyOfOwn(_ content: ContentID) throws(StoreError) -> Bool {
    guard contents.isLive(content, in: machine) else { return false }
    return try !heldOwnFiles(of: content).contains { file in
      let key = FileKey(folder: file.folder, path: file.path)
      return ledger.folders[key.folder] != nil && ledger.scanned.contains(key.folder)
        && ledger.scans[key.folder] == nil && !isAway(key) && publication.deletions[key] == nil
    }
  }

  /// What only a library that is signed here kept in the replica is judged anew. It may lie in the trash for long, for the drop of
  /// somebody else which that library has outlasted: the thirty days in which it can be taken back begin now.
  mutating func judgeForgotten(_ forgotten: Set<ContentID>) throws(StoreError) {
    let contents = forgotten.sorted()
    try store.restartTrash(of: contents, at: agentTime)
    try store.markUnfiled(contents)
    filing.ready.formUnion(forgotten)
  }

  private var knowsAllLibraries: Bool {
    roster.members.allSatisfy { $0.machine == machine || libraries[$0.machine]?.installed != nil }
  }

  /// The last library that was to be heard is here: what was taken over is judged now.
  mutating func judgeTakenOver() throws(StoreError) {
    guard knowsAllLibraries else { return }
    filing.ready.formUnion(try store.takenOverContents())
  }

  /// Nobody has counted the drop of the files that are in their places, whatever lies in the trash already: one of which
  /// a part went there is counted twice, and rather asks too often.
  private func isUnjudged(_ files: [ReplicaFile]) -> Bool {
    let outside = files.filter { $0.mark?.isInTrash != true }
    return !outside.isEmpty && outside.allSatisfy { $0.mark == nil }
  }

  private func fate(of files: [ReplicaFile], mayGo: Bool, mustAsk: Bool) -> DropFate {
    let moment = agentTime + (.zero - settings.trashLife)
    let outside = files.filter { $0.mark?.isInTrash != true }
    if outside.isEmpty, mayGo, files.allSatisfy({ $0.mark?.hasBeenInTrash(since: moment) == true }) {
      // A machine that was removed may have been in the wrong hands when it dropped this.
      let isDoubtful = files.contains { $0.mark?.isCountedDrop == true && !roster.isMember($0.library) }
      return isDoubtful ? .goesToTrash : .goes
    }
    if outside.contains(where: { $0.mark == .confirmed }) { return .goesToTrash }
    return mustAsk || outside.contains { $0.mark == .held } ? .isHeld : .goesToTrash
  }

  func dropLimit(of library: MachineID) -> Int {
    settings.dropLimit.contents(entries: libraries[library]?.installed?.record.counts.entries ?? 0)
  }

  // MARK: The trash

  /// What came to the trash in a batch is marked in the transaction that records it.
  func markTrashed(_ outcome: inout BatchOutcome) throws(StoreError) {
    for (path, former) in outcome.discarded {
      guard let file = outcome.put[path] else { continue }
      let former = try store.replicaFile(at: former)?.mark
      // A second copy asks nobody; that it is one was judged when the batch was planned.
      var isConfirmed = former == .confirmed || outcome.secondCopies.contains(path)
      // By now it is known who dropped it, and in a month it may not be. Nothing of a keeper's waits at the trash's end.
      if !isConfirmed, !roster.isMember(file.library) {
        isConfirmed = try isDroppedByKeeper(file.content, in: file.library)
      }
      outcome.put[path]?.mark = .trashed(since: agentTime, isConfirmed: isConfirmed)
    }
  }

  func trashEnd(_ now: Now) -> TrashEnd {
    TrashEnd(
      trashed: agentTime + (.zero - settings.trashLife),
      read: WallTime(nanoseconds: now.wall.nanoseconds - settings.trashLife.inNanoseconds)...now.wall)
  }

  /// Only what the walk has brought up, and only when everybody had the time to say that they want it, and what this machine's
  /// user had refused is known: a plan may be made at any moment, also for what a crash has left.
  func mayDelete(_ content: ContentID, _ now: Now) -> Bool {
    filing.trash.judging.contains(content) && filing.areRefusalsKnown && isPastGrace(now)
  }

  /// What a batch did not delete, though it was planned, or was found not to be deleted, is brought up by the next walk; what
  /// only failed rests, and is tried again.
  mutating func endDeletions(of batch: FilingBatch, failed: Set<ContentID>) {
    guard !filing.trash.judging.isEmpty else { return }
    let trying = batch.isRepeat ? [] : failed.subtracting(filing.unresolvedContents)
    filing.trash.judging.subtract(batch.contents.filter { !trying.contains($0) })
  }

  /// Remembers when there is something to do: when the next file is due, or what the last walk left is looked at again.
  mutating func noteTrash() throws(StoreError) {
    guard filing.trash.passed == nil else { return filing.trash.due = agentTime }
    let oldest = try store.oldestTrashed(after: nil)
    guard let walked = filing.trash.walked, let left = oldest, left <= walked else {
      return filing.trash.due = oldest.map { $0 + settings.trashLife }
    }
    let next = try store.oldestTrashed(after: walked)
    filing.trash.due =
      min(next ?? walked + settings.trashRetry, walked + settings.trashRetry) + settings.trashLife
  }

  /// What is over is planned with the next batch, which looks once more whether anybody wants it. What stays all the same
  /// (somebody names it, or its copy was not read for long) is looked at a day later, and holds up nothing.
  mutating func collectTrash(now: Now) throws(StoreError) {
    guard filing.areRefusalsKnown, let due = filing.trash.due, due <= agentTime, isPastGrace(now) else {
      return
    }
    // Until the batch ends: what fails then rests like any other content.
    filing.trash.due = nil
    let moment = agentTime + (.zero - settings.trashLife)
    let page = try store.trashed(until: moment, after: filing.trash.passed, limit: settings.batchFiles)
    filing.ready.formUnion(page.map(\.content))
    filing.trash.judging.formUnion(page.map(\.content))
    filing.trash.passed = page.count == settings.batchFiles ? page.last : nil
    if filing.trash.passed == nil { filing.trash.walked = moment }
    if page.isEmpty { try noteTrash() }
  }

  /// Nothing is held, or offered, while a batch deletes it: it may be wanted again before the batch has ended.
  mutating func unholdDeleted(_ steps: [FilingPlan.Step]) throws(StoreError) {
    let deletions = steps.filter { FilingPlan.isDeletion($0.operation) }
    let gone = Set(deletions.map(\.operation.path))
    for content in Set(deletions.map(\.operation.content)).sorted() {
      try releaseIfGone(content, without: gone)
    }
  }

  /// What the batch did not delete after all is there as before; what is gone, and wanted again, is missing.
  mutating func judgeDeleted(_ batch: FilingBatch) throws(StoreError) {
    let deletions = batch.steps.lazy.map(\.operation).filter(FilingPlan.isDeletion)
    for content in Set(deletions.map(\.content)).sorted() {
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
    guard filing.running == nil, mayWrite, filing.areRefusalsKnown, let due = filing.trash.due else {
      return nil
    }
    return max(countedTime.counter.soonest(due), graceEnd)
  }
}
