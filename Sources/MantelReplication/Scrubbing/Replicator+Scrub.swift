import DequeModule
import MantelCore

/// Everything held is read again within the period: the root of an attestation proves what was said, not what the
/// disk still has.
extension Replicator {
  mutating func loadBadFiles() throws(StoreError) {
    var after: Int64?
    while true {
      let page = try store.openBadFiles(after: after, limit: settings.scrubPage)
      guard let last = page.last else { break }
      for (_, file) in page {
        if !file.isSettled { setAside(file) }
        guard file.healed == nil else { continue }
        scrub.unhealed.insert(file.content)
        filing.ready.insert(file.content)
      }
      after = last.number
    }
  }

  // MARK: What to read next

  mutating func scrubIfDue(now: Now) throws(StoreError) {
    defer { scrub.judgeSight() }
    try compareIfDue(now: now)
    try seekStraysIfDue(now: now)
    try surveyIfDue(now: now)
    try verifyIfDue(now: now)
    guard scrub.running == nil, !scrub.isResting else { return }
    while let target = scrub.nextDoubted() {
      if try reread(target, isDoubted: true, now: now) { return }
    }
    if !scrub.hasDoubts, scrub.sight.isSeen, !filing.doubted.isEmpty {
      // The last doubt was of a file that has no row any more: nothing was read.
      planUnseen()
      filing.turn = now.instant
    }
    compareAgainIfForgotten(now: now)
    if try readForVerification(now: now) { return }
    guard scrub.readDue <= now.instant, let pace = scrub.pace, var walk = scrub.walk else { return }
    let target = try next(of: &walk)
    scrub.walk = walk
    guard let target else { return try recordVerified(now: now) }
    try reread(target, bytesPerSecond: pace.bytesPerSecond, now: now)
  }

  /// False if the catalog names no such file any more.
  @discardableResult mutating func reread(
    _ target: RereadTarget, bytesPerSecond: UInt64? = nil, isDoubted: Bool = false, now: Now
  ) throws(StoreError) -> Bool {
    var content: ContentID?
    if case .replica(let path) = target {
      content = try store.replicaFile(at: path)?.content
      guard content != nil else { return false }
    }
    scrub.running = Scrub.Running(
      target: target, content: content, isDoubted: isDoubted, began: now.instant)
    actions.append(.reread(target, bytesPerSecond: bytesPerSecond))
    return true
  }

  /// The next file of a walk; nil at its end. Only a page of it is in memory at a time.
  mutating func next(of walk: inout RereadWalk) throws(StoreError) -> RereadTarget? {
    while true {
      while let target = walk.targets.popFirst() {
        guard case .replica(let path) = target else { return target }
        if let file = try store.replicaFile(at: path), !scrub.isRead(file) { return target }
      }
      let limit = settings.scrubPage
      switch walk.part {
      case .replica:
        let (files, last) = try store.replicaFiles(
          of: walk.library, verifiedBefore: walk.threshold, after: walk.position, limit: limit)
        walk.targets.append(contentsOf: files.map { .replica($0.path) })
        walk.turn(to: last, isLast: files.count < limit)
      case .own:
        let (files, last) = try store.ownFiles(
          verifiedBefore: walk.threshold, after: walk.position, limit: limit)
        walk.targets.append(contentsOf: files.map { .own($0.folder, $0.path) })
        walk.turn(to: last, isLast: files.count < limit)
      case .done: return nil
      }
    }
  }

  /// Looks how much there is to read, and begins the walk anew: with the files that were passed over.
  private mutating func surveyIfDue(now: Now) throws(StoreError) {
    guard scrub.surveyDue <= now.instant, scrub.running == nil else { return }
    scrub.surveyDue = now.instant + settings.scrubSurvey
    scrub.isResting = false
    try recordVerified(now: now)
    try store.forgetVerifications(
      after: WallTime(nanoseconds: now.wall.nanoseconds + settings.scrubCatchUp.inNanoseconds))
    let threshold = ScrubPace.threshold(now: now.wall, settings)
    let backlog = try store.replicaBacklog(of: nil, before: threshold) + store.ownBacklog(before: threshold)
    let pace = ScrubPace(backlog, now: now.wall, settings)
    scrub.pace = pace
    scrub.walk = pace.isIdle ? nil : RereadWalk(threshold: threshold, library: nil, of: machine)
  }

  /// One transaction for many files; at most a page of work is repeated after a crash.
  mutating func recordVerified(now: Now) throws(StoreError) {
    guard scrub.hasMarks else { return }
    try store.setVerified(scrub.verified, own: scrub.verifiedOwn, at: now.wall)
    scrub.verified.removeAll()
    scrub.verifiedOwn.removeAll()
  }

  // MARK: What was read

  mutating func reread(_ target: RereadTarget, _ outcome: RereadOutcome, now: Now) throws(StoreError) {
    guard let running = scrub.running, running.target == target else { return }
    scrub.running = nil
    let size =
      switch target {
      case .replica(let path): try judge(replica: path, of: running.content, outcome, now: now)
      case .own(let folder, let path): try judge(own: FileKey(folder: folder, path: path), outcome, now: now)
      }
    if outcome == .unavailable {
      // Nothing is known, so the doubt stays.
      if running.isDoubted { doubt(target) }
      return rest(now: now)
    }
    if running.isDoubted { planDoubted(running.content) }
    if let pace = scrub.pace {
      scrub.readDue = max(now.instant, running.began + pace.time(for: size))
    }
    noteVerification(bytes: size)
    if scrub.verified.count + scrub.verifiedOwn.count >= settings.scrubPage { try recordVerified(now: now) }
  }

  /// The disk is not there: nothing is said about what lies on it.
  private mutating func rest(now: Now) {
    scrub.isResting = true
    scrub.surveyDue = now.instant + settings.scrubDelay
    endVerification(.unavailable)
  }

  /// Returns the bytes that were read. Only what was read, or seen to be gone, of the file that the catalog means counts
  /// against it: a batch that is under way may have moved it.
  private mutating func judge(
    replica path: [UInt8], of content: ContentID?, _ outcome: RereadOutcome, now: Now
  ) throws(StoreError) -> UInt64 {
    // Moved, or dropped, while it was read: its turn comes again.
    guard let file = try store.replicaFile(at: path), file.content == content else { return 0 }
    let isMoving = filing.isUnderWay(file.content)
    switch outcome {
    case .read(let content, let stamp) where content == file.content:
      // Its change time moves with every further link, its device number with every mount.
      if stamp.size == file.stamp.size, stamp.mtime == file.stamp.mtime, stamp.inode == file.stamp.inode {
        scrub.verified.append(VerifiedFile(file))
      } else {
        try touched(file, stamp, now: now)
      }
      return stamp.size
    case .read(let found, let stamp):
      let isTouched = stamp.mtime != file.stamp.mtime || stamp.size != file.stamp.size
      let isAnother = stamp.inode != file.stamp.inode
      if isMoving, isAnother {
        lookAgainAfterFiling(file)
      } else if isAnother, try isOnlyCopy(found) {
        // Names were exchanged, or the catalog is an old one: nothing is bad, and the file stays to be found.
        try condemn(path, .vanished, now: now)
      } else {
        try condemn(path, isTouched ? .changed : .rotten, found: stamp, now: now)
      }
      return stamp.size
    case .unreadable where isMoving, .gone where isMoving: lookAgainAfterFiling(file)
    case .unreadable(let errno): try condemn(path, .unreadable(errno: errno), now: now)
    case .gone: try condemn(path, .vanished, now: now)
    // Somebody is writing to it: seen again by the next comparison or walk.
    case .unsettled, .unavailable: return 0
    }
    return file.stamp.size
  }

  /// A library names the bytes, and the catalog knows of no other file here that has them and is not in doubt itself.
  private func isOnlyCopy(_ content: ContentID) throws(StoreError) -> Bool {
    guard try store.isWanted(content) else { return false }
    return try !store.replicaFiles(of: content).contains { !scrub.doubts(.replica($0.path)) }
  }

  /// The right bytes, whatever was done to the file (a filesystem may show all times anew after a mount): it is held as
  /// before, and gets its time back.
  private mutating func touched(
    _ file: ReplicaFile, _ stamp: FileStamp, now: Now
  ) throws(StoreError) {
    var found = file
    found.stamp = stamp
    found.verified = now.wall
    try store.commitFiling(put: [found], removed: [], filed: [])
    guard stamp.mtime != file.stamp.mtime else { return }
    try store.markUnfiled([file.content])
    filing.ready.insert(file.content)
    filing.running?.staying.removeAll { $0.path == file.path }
    filing.running?.outdated.insert(file.content)
  }

  private mutating func lookAgainAfterFiling(_ file: ReplicaFile) {
    scrub.awaiting.append(Scrub.Awaiting(content: file.content, inode: file.stamp.inode, fault: nil))
  }

  /// Bytes of an own file that changed while size and times did not are neither published nor overwritten.
  private mutating func judge(
    own key: FileKey, _ outcome: RereadOutcome, now: Now
  ) throws(StoreError) -> UInt64 {
    guard ledger.folders[key.folder] != nil, let file = try ledgerFile(key), file.status == .published,
      let content = file.content
    else { return 0 }
    switch outcome {
    case .read(let found, let stamp):
      guard stamp.isSame(as: file.stamp) else {
        // Changed by its user, and nobody has told: the usual way.
        actions.append(.look(key.folder, key.path))
        return stamp.size
      }
      if found == content {
        scrub.verifiedOwn.append((key.folder, key.path, content))
      } else {
        try suspect(file, now: now)
      }
      return stamp.size
    case .unreadable:
      try suspect(file, now: now)
      return file.stamp.size
    // A file that is gone may lie on a disk that is: the scan tells.
    case .gone, .unsettled, .unavailable: return 0
    }
  }

  /// The content is no longer held here; the file's row keeps what it was, and its peers' copies are the good ones.
  mutating func suspect(_ file: LedgerFile, now: Now) throws(StoreError) {
    var row = file
    row.status = .pending(.suspectedRot)
    try unhold(file)
    if let content = file.content { noteLost(content) }
    publication.ledgerRows[FileKey(folder: file.folder, path: file.path)] = nil
    try store.putFiles([row])
    attesting.retract()
    if let content = file.content { actions.append(.warn(.suspectedRot(content))) }
  }

  // MARK: Comparing by stat

  /// At start, daily, and when the disk has come back.
  private mutating func compareIfDue(now: Now) throws(StoreError) {
    guard let due = scrub.sight.nextComparison(patience: comparePatience), due <= now.instant else { return }
    actions.append(.compareReplica(scrub.beginComparison()))
  }

  /// Not while files are on their way: the catalog names places that are just being left. But what waits for a judgement does not
  /// wait for those, which may take hours.
  private var comparePatience: Duration {
    filing.isIdle || !scrub.sight.isComplete || scrub.hasForgottenDoubts
      ? .zero : settings.comparePatience
  }

  /// A comparison that waits for filing is due with the event that ends it, or when patience does.
  var scrubDeadline: Instant? {
    [scrub.nextDeadline(comparePatience: comparePatience), straysDeadline].compactMap(\.self).min()
  }

  mutating func compared(_ id: ComparisonID, isComplete: Bool, now: Now) {
    guard scrub.sight.comparisonEnded(id, isComplete: isComplete, now: now.instant, settings) else { return }
    if scrub.sight.isSeen { planUnseen() }
    expectStrays(now: now)
  }

  /// More files were doubted than were kept in mind, and those are judged.
  private mutating func compareAgainIfForgotten(now: Now) {
    guard scrub.hasForgottenDoubts, scrub.sight.comparing == nil else { return }
    scrub.sight.compareBy(now.instant + settings.compareAgain)
  }

  /// The replica's disk is not there, as far as was told.
  package var isReplicaAway: Bool { scrub.sight.isAway }

  /// What lies there cannot be seen: status says so, and nothing new is attested of it.
  mutating func away(now: Now) {
    guard !scrub.sight.isAway else { return }
    scrub.sight.unmounted()
    rest(now: now)
  }

  mutating func mounted(now: Now) {
    scrub.sight.mounted(now: now.instant, settings)
    filing.isRepeatDue = !filing.unresolved.isEmpty
    if isDiskFailing { lookAgain() }
    filing.syncFaults = SyncFaults()
    becameWritable()
    if scrub.isResting { scrub.surveyDue = now.instant }
    attesting.isChanged = true
    cameBack(now: now)
    actions.append(.keepGuard(libraries[machine]?.installed))
  }

  /// A file is not what it was taken for, it seems: its bytes decide.
  mutating func doubt(_ target: RereadTarget) { scrub.doubt(target, limit: settings.doubtedFiles) }
}
