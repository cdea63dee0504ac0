package import MantelCore
import MantelHousehold
import MantelSummary

/// `mantel release`: copies that this machine does not owe any more make room (design 3.3).
///
/// A content is freed only when every other full machine attests it, by a statement that was received within seven agent days
/// and has the root that follows from it, and has answered a challenge on this very content since the run began. Both are
/// judged again when its files are removed. A full machine owes its copies: nothing of it is released.
extension Replicator {
  // MARK: The user's word

  /// The one that runs, or the last one of this process.
  package var releaseReport: ReleaseReport? { release?.report }

  /// Somebody still wants to know.
  package mutating func keepReleasing(now: Now) { release?.lease = now.instant + settings.verifyLease }

  package var isReleasing: Bool { release?.report.phase == .releasing }

  /// One at a time: a second request only asks about the first.
  mutating func beginRelease(now: Now) {
    if isReleasing { return keepReleasing(now: now) }
    lastRelease += 1
    release = Release(
      report: ReleaseReport(number: lastRelease), lease: now.instant + settings.verifyLease)
  }

  mutating func endRelease(_ phase: ReleaseReport.Phase, _ refusal: ReleaseRefusal? = nil) {
    guard isReleasing else { return }
    release?.report.phase = phase
    release?.report.refusal = refusal
    release?.turn = nil
    release?.open = [:]
    release?.shown = [:]
  }

  /// Nil when a release can begin, or go on.
  package var releaseRefusal: ReleaseRefusal? {
    if role == .full { return .isFull }
    if scrub.sight.isAway { return .replicaAway }
    let machines = otherFullMachines
    if machines.isEmpty { return .nobodyKeeps }
    let connected = Set(links.values.map(\.machine))
    let away = machines.filter { !connected.contains($0) }
    if !away.isEmpty { return .away(away) }
    let said = attesting.newest[machine]?.record.libraries ?? []
    return said.contains { $0.library != machine } ? .stillAttested : nil
  }

  // MARK: Going through the copies

  mutating func releaseIfDue(now: Now) throws(StoreError) {
    guard let release, isReleasing else { return }
    if release.lease <= now.instant { return endRelease(.stopped) }
    switch releaseRefusal {
    case .stillAttested: return
    case let refusal?: return endRelease(.stopped, refusal)
    case nil: break
    }
    if release.isBetweenPages, filing.running == nil { try turnReleasePages(now: now) }
    for id in links.keys.sorted() {
      guard let link = links[id], link.challenges.due != nil, self.release?.next(for: link.machine) != nil
      else {
        continue
      }
      links[id]?.challenges.due = now.instant
    }
  }

  var releaseDeadline: Instant? {
    isReleasing ? [release?.lease, release?.turn].compactMap(\.self).min() : nil
  }

  private mutating func turnReleasePages(now: Now) throws(StoreError) {
    release?.turn = nil
    let machines = otherFullMachines
    let attested = try attested(by: machines)
    // Pages of which nothing is to be asked are passed over within one event, up to a bound.
    for _ in 0..<settings.releasePages {
      let page = try store.replicaContents(after: release?.position, limit: settings.releasePage)
      guard let last = page.last else { return endRelease(.done) }
      release?.position = last.content
      for copies in page {
        let item = Release.Item(files: copies.files, bytes: copies.bytes, waiting: Set(machines))
        release?.report.looked.add(copies.files, copies.bytes)
        if let why = reasonToKeep(copies, machines, attested) {
          release?.keep(item, why)
        } else {
          release?.open[copies.content] = item
        }
      }
      if release?.open.isEmpty == false { return }
    }
    release?.turn = now.instant
  }

  private func reasonToKeep(
    _ copies: ReplicaContent, _ machines: [MachineID], _ attested: [MachineID: KnownKeepers.Attested]
  ) -> ReleaseReport.Why? {
    let content = copies.content
    guard contents.isWantedByOther(than: machine, content) else { return .unnamed }
    if let lacking = machines.first(where: { attested[$0]?.has(content) != true }) {
      return .unattested(lacking)
    }
    // A whole file is read for an answer, here and there.
    return copies.bytes == 0 || copies.bytes > settings.challengedBytes ? .tooLarge : nil
  }

  // MARK: Challenges

  /// Before anything drawn at random.
  func releaseContent(for link: Link) -> ContentID? { isReleasing ? release?.next(for: link.machine) : nil }

  /// A challenge on a content has ended: shown, refused, or not answered.
  mutating func releaseChallenged(_ content: ContentID, of machine: MachineID, isShown: Bool) {
    if isShown {
      release?.showed(content, machine)
    } else {
      release?.evaded(content, machine)
    }
  }

  /// No file here gives the right answer.
  mutating func releaseUnreadable(_ content: ContentID) { release?.keep(content, .unreadable) }

  // MARK: Removing

  /// The plans of the next batch, when all of a page have shown what they were asked for.
  mutating func releasePlans() throws(StoreError) -> [ContentID: FilingPlan]? {
    guard isReleasing, let release, release.open.isEmpty, !release.shown.isEmpty, releaseRefusal == nil else {
      return nil
    }
    let machines = otherFullMachines
    let attested = try attested(by: machines)
    var plans: [ContentID: FilingPlan] = [:]
    self.release?.shown = [:]
    for (content, item) in release.shown.sorted(by: { $0.key < $1.key }) {
      let files = try store.replicaFiles(of: content).filter { $0.mark == nil }
      let copies = ReplicaContent(content: content, files: files.count, bytes: item.bytes)
      if let why = reasonToKeep(copies, machines, attested) {
        self.release?.keep(item, why)
      } else if filing.isUnderWay(content) || scrub.unhealed.contains(content) || files.isEmpty {
        self.release?.keep(item, .failed)
      } else {
        plans[content] = FilingPlan(released: files)
        self.release?.freeing[content] = item
      }
    }
    return plans.isEmpty ? nil : plans
  }

  /// What a batch has removed is released; what it has not stays.
  mutating func judgeReleased() throws(StoreError) {
    guard let freeing = release?.freeing, !freeing.isEmpty else { return }
    release?.freeing = [:]
    for (content, item) in freeing {
      if try store.replicaFiles(of: content).contains(where: { $0.mark == nil }) {
        release?.keep(item, .failed)
      } else {
        release?.report.released.add(item.files, item.bytes)
      }
    }
  }
}

extension FilingPlan {
  /// All copies of a content that others keep.
  init(released files: [ReplicaFile]) {
    self.init()
    for file in files { remove(file) }
  }
}
