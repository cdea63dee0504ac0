import MantelCore

/// A replica file that is not what it should be: out of the way, told to all, and made again from bytes that are right.
extension Replicator {
  /// From now on the file has no content. Reported, and taken back from every claim, in one transaction.
  /// `found`: what lies there now, if that is known not to be the catalog's file.
  mutating func condemn(
    _ path: [UInt8], _ fault: FileFault, found: FileStamp? = nil, now: Now
  ) throws(StoreError) {
    guard let file = try store.replicaFile(at: path) else { return }
    if filing.isUnderWay(file.content) {
      // The batch may be moving the very file, or copying from it: what is to be done is known when it has ended.
      scrub.awaiting.append(Scrub.Awaiting(content: file.content, inode: file.stamp.inode, fault: fault))
      filing.running?.outdated.insert(file.content)
      filing.running?.staying.removeAll { $0.path == path }
      return try unholdUnlessElsewhere(file)
    }
    try condemn([file], fault, found: found, now: now)
  }

  private mutating func condemn(
    _ files: [ReplicaFile], _ fault: FileFault, found: FileStamp? = nil, now: Now
  ) throws(StoreError) {
    guard let content = files.first?.content else { return }
    var names = files
    if fault.leavesFile {
      // All names of one file have the same bytes.
      names += try store.replicaFiles(of: content).filter { other in
        files.contains { $0.stamp.inode == other.stamp.inode }
          && !files.contains { $0.path == other.path }
      }
    }
    var reports = names.map { BadFile($0, fault, found: now.wall) }
    if let found { reports[0].inode = found.inode }
    try store.condemn(reports)
    for report in reports where !report.isSettled { setAside(report) }
    scrub.unhealed.insert(content)
    noteVerification(bad: reports.count, of: content)
    try releaseIfGone(content)
    try noteUncopied(content)
    // It may have been unavailable before, while the catalog did not yet know it to be missing.
    reconsider(content)
    filing.ready.insert(content)
    attesting.retract()
    transfers.isWorthLooking = true
    if !fault.leavesFile {
      if scrub.vanished.count < settings.doubtedFiles { scrub.vanished.insert(content) }
      expectStrays(now: now)
    }
    actions.append(.warn(.badFile(content, fault)))
  }

  /// A claim that has become false is taken back at once, whatever the batch brings.
  private mutating func unholdUnlessElsewhere(_ bad: ReplicaFile) throws(StoreError) {
    guard try unhold(bad.content, withoutReplica: { $0.stamp.inode == bad.stamp.inode }) else { return }
    noteLost(bad.content)
    attesting.retract()
  }

  /// What was found while a batch was under way, by the file's number: it may have another name now.
  mutating func judgeAwaiting(now: Now) throws(StoreError) {
    let awaiting = scrub.awaiting.filter { !filing.isUnderWay($0.content) }
    scrub.awaiting.removeAll { !filing.isUnderWay($0.content) }
    for file in awaiting {
      let files = try store.replicaFiles(of: file.content).filter { $0.stamp.inode == file.inode }
      if let fault = file.fault {
        try condemn(files, fault, now: now)
      } else {
        for file in files { doubt(.replica(file.path)) }
      }
    }
  }

  mutating func setAside(_ file: BadFile) {
    guard scrub.settingAside.insert(file.path).inserted else { return }
    actions.append(.setAside(SetAsideOrder(file)))
  }

  /// What could not be moved stays, and its copy gets a suffix: one bad file blocks nobody.
  mutating func setAside(_ path: [UInt8], _ outcome: SetAsideOutcome) throws(StoreError) {
    guard scrub.settingAside.remove(path) != nil else { return }
    switch outcome {
    case .done(let target): try store.settleBadFile(at: path, aside: target)
    case .gone: try store.settleBadFile(at: path, aside: nil)
    // Tried again at the next start.
    case .failed: break
    }
  }

  /// Contents of which every copy is in its place again, or that nobody wants any more.
  mutating func healed(_ filed: [ContentID], now: Now) throws(StoreError) {
    var healed: [ContentID] = []
    var unwanted: [ContentID] = []
    for content in filed where scrub.unhealed.contains(content) {
      // Whoever recalls it waits for bytes, not for a copy.
      if role == .full, try store.missingContent(content) != nil { continue }
      // Of what lay in the trash, or is not owed here, nothing is made again.
      if try store.replicaFiles(of: content).isEmpty,
        role == .source || !contents.isWantedByOther(than: machine, content)
      {
        unwanted.append(content)
      } else {
        healed.append(content)
      }
    }
    try store.endReports(of: unwanted, at: now.wall)
    scrub.unhealed.subtract(unwanted)
    guard !healed.isEmpty else { return }
    try store.markHealed(healed, at: now.wall)
    for content in healed {
      scrub.unhealed.remove(content)
      noteVerification(healed: content)
    }
  }
}
