package import MantelCore

/// `mantel verify`: everything is re-read now, at the disk's speed, and healed.
extension Replicator {
  /// The one that runs, or the last one of this process.
  package var verifyReport: VerifyReport? {
    guard var report = scrub.verification?.report else { return nil }
    report.healed = report.bad - openBadFiles
    return report
  }

  private var openBadFiles: Int { scrub.verification?.open.values.reduce(0, +) ?? 0 }

  /// One at a time: a second request only asks about the first.
  mutating func beginVerification(_ request: VerifyRequest, now: Now) throws(StoreError) {
    if scrub.verification?.report.isRunning == true { return keepVerifying(now: now) }
    try recordVerified(now: now)
    let age = request.isAll ? .zero : settings.scrubPeriod
    let threshold = WallTime(nanoseconds: now.wall.nanoseconds - age.inNanoseconds)
    let walk = RereadWalk(threshold: threshold, library: request.library, of: machine)
    let work = try backlog(of: walk)
    scrub.lastVerification += 1
    scrub.verification = Verification(
      request: request,
      report: VerifyReport(
        number: scrub.lastVerification, phase: .reading, files: 0, bytes: 0, totalFiles: work.files,
        totalBytes: work.bytes, bad: 0, healed: 0, suspected: try store.suspectedCount()),
      walk: walk, walksLeft: settings.verifyWalks, lease: now.instant + settings.verifyLease)
    scrub.isResting = false
  }

  private func backlog(of walk: RereadWalk) throws(StoreError) -> RereadBacklog {
    var work = RereadBacklog()
    if walk.library != machine {
      work = try store.replicaBacklog(of: walk.library, before: walk.threshold)
    }
    if walk.withOwn { work = work + (try store.ownBacklog(before: walk.threshold)) }
    return work
  }

  /// Somebody still wants to know.
  package mutating func keepVerifying(now: Now) {
    scrub.verification?.lease = now.instant + settings.verifyLease
  }

  mutating func endVerification(_ phase: VerifyReport.Phase) {
    guard scrub.verification?.report.isRunning == true else { return }
    scrub.verification?.report.phase = phase
    // What it read is as good as a scrub: the next attestation tells.
    attesting.isChanged = true
  }

  mutating func verifyIfDue(now: Now) throws(StoreError) {
    guard let verification = scrub.verification, verification.report.isRunning else { return }
    if verification.lease <= now.instant { return endVerification(.stopped) }
    guard verification.report.phase == .healing else { return }
    // Moving away what was bad belongs to healing it.
    let isHealed = verification.open.isEmpty && scrub.settingAside.isEmpty
    if isHealed || (verification.healDeadline ?? now.instant) <= now.instant {
      scrub.verification?.report.suspected = try store.suspectedCount()
      endVerification(.done)
    }
  }

  /// Asks for the next file; false when there is none to ask for.
  mutating func readForVerification(now: Now) throws(StoreError) -> Bool {
    guard var verification = scrub.verification, verification.report.phase == .reading else { return false }
    var target = try next(of: &verification.walk)
    if target == nil {
      try recordVerified(now: now)
      // What was moved behind the walk's back is still to be read.
      let left = try backlog(of: verification.walk).files
      if left > 0, verification.walksLeft > 0 {
        verification.walksLeft -= 1
        verification.walk = RereadWalk(
          threshold: verification.walk.threshold, library: verification.request.library, of: machine)
        target = try next(of: &verification.walk)
      }
    }
    if target == nil {
      verification.report.phase = .healing
      verification.healDeadline = now.instant + settings.verifyHealing
    }
    scrub.verification = verification
    guard let target else {
      try verifyIfDue(now: now)
      return false
    }
    return try reread(target, now: now)
  }

  // MARK: What it counts

  mutating func noteVerification(bytes: UInt64) {
    guard scrub.verification?.report.phase == .reading else { return }
    scrub.verification?.report.files += 1
    scrub.verification?.report.bytes += bytes
  }

  mutating func noteVerification(bad: Int, of content: ContentID) {
    guard scrub.verification?.report.isRunning == true else { return }
    scrub.verification?.report.bad += bad
    scrub.verification?.open[content, default: 0] += bad
  }

  mutating func noteVerification(healed content: ContentID) {
    scrub.verification?.open[content] = nil
  }
}
