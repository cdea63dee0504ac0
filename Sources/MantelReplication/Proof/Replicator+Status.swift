package import MantelCore
import MantelHousehold
package import MantelSummary

/// The one word of `mantel status`.
package enum HouseholdState: String, Sendable {
  case complete
  case copying
  case waiting
  case attention
}

/// Why a machine is not complete, or needs a decision.
package enum StatusReason: Hashable, Sendable {
  /// No folder was scanned to its end since the agent started.
  case scanning
  case pending(files: Int)
  case missing(files: Int, bytes: UInt64)
  /// So much is missing of this library that it takes more than a third of the free space: nobody has to do anything.
  case largeShare(MachineID, bytes: UInt64)
  /// A newer head of this machine's library is known and not installed.
  case headsArriving(MachineID)
  /// Never saw a head of this member.
  case noHead(MachineID)
  case noSecondMachine
  /// Own files that no other machine is known to hold.
  case unsafe(files: Int)
  case filing
  case diskSpace
  /// The replica's filesystem takes no writes: nothing is fetched or filed until it does.
  case replicaReadOnly
  /// Nobody is connected.
  case noPeerConnected
  /// This machine has published more than its catalog knows: it was restored from a backup, or lost. Nothing is published
  /// before one of these members has brought the newest head; none are named while its entries come.
  case restored(waitingFor: [MachineID])
  /// Something is to be published, and waits until one of these was heard since the start: what is on the disk may be an
  /// old image, and they know what this machine has published.
  case unheard([MachineID])
  /// Another living copy of this machine was met by this peer: nothing is published until the agent is started anew.
  case clone(toldBy: MachineID)
  /// A folder, or a part of it, is not there: not mounted, something else in its place, or unreadable. Empty: all of it.
  case folderOffline(FolderID, [UInt8])
  /// Too much of a folder was deleted or replaced within a day: `held` changes wait for `folder accept`.
  case massChange(FolderID, FolderLosses.MassChange, held: Int)
  /// The replica's disk is not there: what it holds of others cannot be seen.
  case replicaOffline
  /// Since the start, or since the disk came back, not all copies were looked at, and those read that did not look right.
  case checkingReplica
  /// The replica could not be looked at whole: its copies are not counted anew.
  case replicaUnreadable
  /// The replica's disk failed to sync what was written, again and again: nothing more is landed there until it was mounted anew.
  case failingDisk
  /// Copies were found bad and are not healed.
  case badFiles(files: Int)
  /// Copies were found bad, and no machine is known to have their bytes.
  case unhealable(files: Int)
  /// Own files changed though nobody wrote to them; of so many another machine proves to have the bytes.
  case suspectedRot(files: Int, safe: Int)
  /// This machine showed other bytes than it claims to hold: nothing that it says counts.
  case refuted(MachineID)
  /// This machine has not shown what it was asked for, again and again: nothing that it says counts meanwhile.
  case unproven(MachineID)
  /// A library dropped more at once than goes without a question: its bytes stay until they are confirmed here.
  case heldDrops(MachineID, files: Int, bytes: UInt64)
  /// A library grew within a day by more than goes without a question: its newest head waits to be confirmed here.
  /// `isFirst`: nothing of it is here.
  case heldGrowth(MachineID, entries: Int, isFirst: Bool)
  /// This machine signed two different heads of one order: two copies of it run, or it lies; nobody has acknowledged that.
  case forked(MachineID)
  /// Own photos that were deleted or replaced, and that no machine has any more; nobody has acknowledged that.
  case lost(files: Int)
  /// So many contents fell out of this machine's library without a word, and nobody has acknowledged that; their copies stay.
  case orphaned(MachineID, files: Int)
  /// This machine was removed from the household.
  case removed
}

extension StatusReason {
  /// Nothing but a person ends it.
  var needsDecision: Bool {
    switch self {
    case .massChange, .suspectedRot, .unhealable, .refuted, .heldDrops, .heldGrowth, .forked, .lost,
      .orphaned, .failingDisk:
      true
    default: false
    }
  }

  /// Nobody owes anything of it: this machine has all that it owes, or more.
  var leavesComplete: Bool {
    switch self {
    case .heldDrops, .forked, .lost, .orphaned: true
    default: false
    }
  }
}

/// One other member as this machine knows it.
package struct PeerReport: Hashable, Sendable {
  package var machine: MachineID
  package var name: String
  package var role: Role
  package var isConnected: Bool
  /// It proves to hold all that it owes of every library at the heads installed here.
  package var isComplete: Bool
  package var lacksFiles: Int
  package var lacksBytes: UInt64
  /// When it signed its newest attestation.
  package var attested: WallTime?
  package var program: String?
  /// How far its clock is ahead of this machine's, at the hello.
  package var clockSkew: Duration?
  /// Wanted contents of its library, and how many of them this machine holds.
  package var libraryFiles: Int
  package var heldHere: Int
}

/// What `status` and `peers` show.
package struct StatusReport: Sendable {
  package var state: HouseholdState
  package var isComplete: Bool
  /// Complete against the exact heads, and every reachable full peer (at least one) proves to hold the own library.
  package var isSettledEverywhere: Bool
  package var reasons: [StatusReason]
  package var missingFiles: Int
  package var missingBytes: UInt64
  package var arriving: Int
  package var ledger: LedgerCounts
  package var peers: [PeerReport]
  package var ownHead: HeadOrder
  package var receivedBytes: UInt64
  package var trash: [TrashReport] = []
}

/// What the replica's trash has of one library.
package struct TrashReport: Hashable, Sendable {
  package var library: MachineID
  package var files: Int
  package var bytes: UInt64
  /// Agent time until the first of them is deleted.
  package var left: Duration
}

/// Which of the own live contents some other machine is known to hold.
package enum OwnSafety: Sendable {
  case allBut([ContentID])
  case only([ContentID])
  case mixed(SetSnapshot)
}

extension Replicator {
  /// Counts files; `tally` is the ledger's own count, `publishedUnsafe` the published files whose content is not safe.
  package mutating func report(
    tally: LedgerCounts, publishedUnsafe: Int, now: Now
  ) throws(StoreError) -> StatusReport {
    var reasons: [StatusReason] = []
    if publication.recovery != nil { reasons.append(.restored(waitingFor: awaitedInRecovery)) }
    if let peer = publication.cloneToldBy { reasons.append(.clone(toldBy: peer)) }
    if isRemoved { reasons.append(.removed) }
    for peer in challenging.doubts.keys.filter(roster.isMember).sorted() {
      reasons.append(challenging.failure(of: peer) == .refuted ? .refuted(peer) : .unproven(peer))
    }
    if ledger.folders.keys.contains(where: { !ledger.scanned.contains($0) && !isOffline($0) })
      || publication.isFirst
    {
      reasons.append(.scanning)
    }
    for folder in ledger.folders.keys.sorted() {
      reasons += awayParts(of: folder).map { .folderOffline(folder, $0.path) }
    }
    if scrub.sight.isAway { reasons.append(.replicaOffline) }
    if isDiskFailing { reasons.append(.failingDisk) }
    if filing.isReadOnly { reasons.append(.replicaReadOnly) }
    let massChanges = try heldChanges()
    reasons += massChanges.map { .massChange($0.folder, $0.why, held: $0.files) }
    let suspected = try store.suspectedCount()
    if suspected > 0 {
      reasons.append(.suspectedRot(files: suspected, safe: try safeSuspects()))
    }
    let awaited = publication.recovery == nil ? awaitedWitnesses : []
    if !awaited.isEmpty, !publication.isIdle || publication.isFirst { reasons.append(.unheard(awaited)) }
    let pending = max(tally.pending - suspected - massChanges.reduce(0) { $0 + $1.files }, 0)
    if pending > 0 || !publication.isIdle || !ledger.isIdle {
      reasons.append(.pending(files: max(pending, 1)))
    }
    reasons += try badFileReasons(now: now)
    if publishedUnsafe > 0 { reasons.append(.unsafe(files: publishedUnsafe)) }
    let (exact, lenient) = headReasons(now: now)
    let (missingFiles, missingBytes, largeShares) = try missingHere(now: now)
    if missingFiles > 0 { reasons.append(.missing(files: missingFiles, bytes: missingBytes)) }
    if !filing.isIdle { reasons.append(.filing) }
    let isShort = room?.isLow == true || transfers.leftForRoom != nil
    if isShort && missingFiles > 0 || !filing.copies.waiting.isEmpty { reasons.append(.diskSpace) }
    if let reason = unjudgedReplica(now: now) { reasons.append(reason) }
    if fullMachines.count < 2 { reasons.append(.noSecondMachine) }
    for (library, held) in try undecidedDrops().sorted(by: { $0.key < $1.key }) {
      reasons.append(.heldDrops(library, files: held.files, bytes: held.bytes))
    }
    reasons += largeShares + growthReasons + forkReasons
    // What a removed machine left out is its keeper's to take back, which nobody has to decide on: its copies stay meanwhile.
    for (library, count) in orphans.counts.sorted(by: { $0.key < $1.key })
    where library != machine && roster.isMember(library) && count.open > 0 {
      reasons.append(.orphaned(library, files: count.open))
    }
    let lost = try store.lostCounts().open
    if lost > 0 { reasons.append(.lost(files: lost)) }
    let isComplete = reasons.allSatisfy(\.leavesComplete) && lenient.isEmpty
    reasons += lenient
    if links.isEmpty, !isComplete { reasons.append(.noPeerConnected) }
    let peers = try peerReports(now: now)
    return StatusReport(
      state: state(isComplete: isComplete, reasons, peers), isComplete: isComplete,
      isSettledEverywhere: isComplete && exact.isEmpty && isProvenByReachable(now: now),
      reasons: reasons, missingFiles: missingFiles, missingBytes: missingBytes,
      arriving: exact.count, ledger: tally, peers: peers,
      ownHead: libraries[machine]?.order ?? .none, receivedBytes: transfers.receivedBytes,
      trash: try trashReports())
  }

  /// Why it is not known what lies in the replica, which is there.
  private func unjudgedReplica(now: Now) -> StatusReason? {
    guard role == .full, !scrub.sight.isAway else { return nil }
    if scrub.sight.hasFailed { return .replicaUnreadable }
    return scrub.sight.isLookedAt(at: now.instant) ? nil : .checkingReplica
  }

  private func trashReports() throws(StoreError) -> [TrashReport] {
    // What nobody has decided on has no end.
    try store.trash().filter { roster.isMember($0.key) }.sorted { $0.key < $1.key }.map { library, files in
      TrashReport(
        library: library, files: files.files, bytes: files.bytes,
        left: max(.zero, (files.oldest ?? agentTime) + settings.trashLife - agentTime))
    }
  }

  /// Whether any other machine is known to hold a content of an own file.
  package func isSafe(_ content: ContentID) -> Bool { contents.isSafe(content) }

  /// Machines whose current attestations name a content of a library as held, and this one if it is held here.
  package func holders(of content: ContentID, in owner: MachineID) throws(StoreError) -> [MachineID] {
    try lastKnownHolders(of: content, in: owner).filter {
      isCurrent($0)
    } + (contents.isHeld(content) ? [machine] : [])
  }

  package func isHeld(_ content: ContentID) -> Bool { contents.isHeld(content) }

  /// What a removal names: the newest head that anyone has shown, so that nothing that was seen of it is cut off. One that waits
  /// here for a confirmation is none: it would count for good, and be waited for, though maybe nobody has it. Whoever has
  /// accepted it shows the keeper what it had.
  package func lastHead(of owner: MachineID) -> Head? {
    guard let library = libraries[owner], let newest = library.newest?.record else { return nil }
    return newest.order > library.order && isTooMuch(newest) ? library.installed?.record : newest
  }

  package func installedHead(of owner: MachineID) -> Head? { libraries[owner]?.installed?.record }

  /// Roots of W and of H∩W of a library at the installed head: the proof of completeness.
  package mutating func roots(of owner: MachineID) -> (wanted: Digest256, held: Digest256, files: Int) {
    let sets = contents.sets(of: owner)
    let isOwn = owner == machine
    let wanted = isOwn ? sets.live : sets.wanted
    let held = isOwn ? sets.heldLive : sets.heldWanted
    return (
      contents.index.root(of: wanted), contents.index.root(of: held),
      contents.index.count(of: wanted)
    )
  }

  package var attestedAt: [MachineID: WallTime] {
    attesting.newest.mapValues(\.record.time)
  }

  /// Libraries of which this machine owes something: by its role all, or its own alone.
  package var owedLibraries: [MachineID] {
    libraries.keys.sorted().filter { $0 == machine || role == .full }
  }

  // MARK: Parts

  /// How many of the suspected files (of the first of them) another machine proves to have.
  private func safeSuspects() throws(StoreError) -> Int {
    try store.suspectedFiles(limit: settings.sizeSample).count { file in
      file.content.map { contents.isSafe($0) } ?? false
    }
  }

  private var isRemoved: Bool { roster.removedMember(machine) != nil }

  /// Heads that are known and not installed: all of them, and those older than the checkpoint.
  private func headReasons(now: Now) -> (exact: [StatusReason], lenient: [StatusReason]) {
    var exact: [StatusReason] = []
    var lenient: [StatusReason] = []
    for member in roster.members where member.machine != machine {
      let isMissing = libraries[member.machine]?.installed == nil
      let reason: StatusReason = isMissing ? .noHead(member.machine) : .headsArriving(member.machine)
      guard isMissing || isArriving(member.machine) else { continue }
      exact.append(reason)
      if isMissing || isOverdue(member.machine, now: now) { lenient.append(reason) }
    }
    // A removed machine's library stays in W: its keeper's heads count like a member's, and so does what the removal names,
    // which whoever came later has not heard of otherwise. If nobody has that any more, the keeper signs above it.
    for removed in roster.removed where removed.machine != machine && roster.isListed(removed.machine) {
      let isMissing = libraries[removed.machine]?.installed == nil && removed.lastHead > .none
      let isBehind = removed.lastHead > libraries[removed.machine]?.order ?? .none
      let reason: StatusReason = isMissing ? .noHead(removed.machine) : .headsArriving(removed.machine)
      guard isBehind || isArriving(removed.machine) else { continue }
      exact.append(reason)
      if isMissing || isOverdue(removed.machine, now: now) { lenient.append(reason) }
    }
    return (exact, lenient)
  }

  /// A newer head is known; or the installed one was signed by who may not sign any more, or not this far, and is outranked.
  private func isArriving(_ owner: MachineID) -> Bool {
    guard let library = libraries[owner] else { return false }
    return library.isBehind || library.installed.map { !roster.counts($0.record) } ?? false
  }

  private func isOverdue(_ owner: MachineID, now: Now) -> Bool {
    let age = libraries[owner]?.outstandingSince.map { now.instant - $0 } ?? settings.checkpointAge
    return age >= settings.checkpointAge
  }

  private func state(
    isComplete: Bool, _ reasons: [StatusReason], _ peers: [PeerReport]
  ) -> HouseholdState {
    if publication.cloneToldBy != nil || isRemoved || reasons.contains(where: \.needsDecision) {
      return .attention
    }
    if publication.recovery != nil { return libraries[machine]?.fetch == nil ? .waiting : .copying }
    if isComplete { return .complete }
    if reasons.contains(where: { if case .unheard = $0 { true } else { false } }) { return .waiting }
    let holdingUp: Set<StatusReason> = [.diskSpace, .replicaReadOnly, .noSecondMachine]
    if !holdingUp.isDisjoint(with: reasons) { return .waiting }
    let isBusy = reasons.contains { reason in
      switch reason {
      case .scanning, .pending, .filing: true
      case .missing, .unsafe, .headsArriving, .noHead, .badFiles: !links.isEmpty
      default: false
      }
    }
    return isBusy ? .copying : .waiting
  }

  private mutating func isProvenByReachable(now: Now) -> Bool {
    let reachable = Set(links.values.map(\.machine)).filter {
      (records[$0]?.record.role ?? .full) == .full
    }
    guard !reachable.isEmpty else { return false }
    for peer in reachable where !proves(peer, holds: machine) { return false }
    return true
  }

  private mutating func peerReports(now: Now) throws(StoreError) -> [PeerReport] {
    var reports: [PeerReport] = []
    for member in roster.members where member.machine != machine {
      let record = records[member.machine]?.record
      let link = links.values.first { $0.machine == member.machine }
      let lacks = try lacks(member.machine, link: link, now: now)
      let sets = contents.sets(of: member.machine)
      var isComplete = true
      for owner in libraries.keys.sorted() where owner == member.machine || record?.role != .source {
        if !roster.isListed(owner) { continue }
        if !roster.isMember(owner), libraries[owner]?.installed == nil { continue }
        if !proves(member.machine, holds: owner) { isComplete = false }
      }
      reports.append(
        PeerReport(
          machine: member.machine, name: record?.name ?? member.name,
          role: record?.role ?? .full, isConnected: link != nil, isComplete: isComplete,
          lacksFiles: isComplete ? 0 : lacks.files, lacksBytes: isComplete ? 0 : lacks.bytes,
          attested: attesting.newest[member.machine]?.record.time, program: record?.program,
          clockSkew: link.map {
            .nanoseconds($0.peerTime.nanoseconds - $0.openedAt.wall.nanoseconds)
          },
          libraryFiles: contents.index.count(of: sets.wanted),
          heldHere: contents.index.count(of: sets.heldWanted)))
    }
    return reports
  }

  /// What a peer lacks of the other libraries: by its live connection what it cannot serve, else by its attestation.
  /// Bytes of more than a few files are the library's mean size times their number.
  private mutating func lacks(
    _ peer: MachineID, link: Link?, now: Now
  ) throws(StoreError) -> (files: Int, bytes: UInt64) {
    var files = 0
    var bytes: UInt64 = 0
    let isSource = records[peer]?.record.role == .source
    for owner in libraries.keys.sorted() where owner != peer && !isSource {
      let sets = contents.sets(of: owner)
      if let link, link.knowsContents {
        let (count, size) = try size(of: sets.wanted, notIn: link.contents, owner)
        files += count
        bytes += size
      } else if let statement = attesting.newest[peer]?.record.libraries.first(where: {
        $0.library == owner
      }) {
        files += Int(clamping: statement.missingCount)
        bytes += statement.missingBytes
      } else {
        files += contents.index.count(of: sets.wanted)
        bytes += libraries[owner]?.installed?.record.counts.bytes ?? 0
      }
    }
    return (files, bytes)
  }

  private mutating func size(
    of wanted: SetHandle, notIn held: SetHandle, _ owner: MachineID
  ) throws(StoreError) -> (files: Int, bytes: UInt64) {
    var files = 0
    var few: [ContentID] = []
    contents.index.forEach(in: [wanted], notIn: [held], from: .zero) { id in
      files += 1
      if few.count < settings.exactSizes { few.append(ContentID(id)) }
      return true
    }
    if files == few.count { return (files, try totalSize(of: few, owner)) }
    let order = libraries[owner]?.order ?? .none
    if let mean = sizes.mean(of: owner, at: order) { return (files, UInt64(mean * Double(files))) }
    let mean = try meanSize(of: wanted, owner)
    sizes.sampled(mean, of: owner, at: order)
    return (files, UInt64(mean * Double(files)))
  }

  private func meanSize(of wanted: SetHandle, _ owner: MachineID) throws(StoreError) -> Double {
    var sample: [ContentID] = []
    contents.index.forEach(in: [wanted], notIn: [], from: .zero) { id in
      sample.append(ContentID(id))
      return sample.count < settings.sizeSample
    }
    guard !sample.isEmpty else { return 0 }
    return Double(try totalSize(of: sample, owner)) / Double(sample.count)
  }

  private func totalSize(of contents: [ContentID], _ owner: MachineID) throws(StoreError) -> UInt64 {
    var bytes: UInt64 = 0
    for content in contents { bytes += try store.entries(owner, of: content).first?.entry.size ?? 0 }
    return bytes
  }
}

extension Replicator {
  /// What of the own live contents is safe, told by the few that are, or by the few that are not, so that nobody has to look
  /// at all files while nearly all are the one or the other.
  package mutating func ownSafety() -> OwnSafety {
    let live = contents.sets(of: machine).live
    if let few = few(in: [live], notIn: [contents.safe]) { return .allBut(few) }
    if let few = few(in: [live, contents.safe], notIn: []) { return .only(few) }
    return .mixed(safeContents)
  }

  /// Own contents that some other machine is known to hold.
  package var safeContents: SetSnapshot {
    mutating get { contents.index.snapshot(of: contents.safe) }
  }

  /// Nil when they are many.
  private func few(in included: [SetHandle], notIn excluded: [SetHandle]) -> [ContentID]? {
    var found: [ContentID] = []
    contents.index.forEach(in: included, notIn: excluded, from: .zero) {
      found.append(ContentID($0))
      return found.count <= settings.safetyList
    }
    return found.count <= settings.safetyList ? found : nil
  }

  /// Connected machines that say that they can serve a content now.
  package func connectedHolders(of content: ContentID) -> [MachineID] {
    links.values.filter {
      $0.knowsContents && contents.index.contains(content.digest, in: $0.contents)
    }.map(\.machine)
  }

  /// When the file that a machine re-read longest ago was re-read, by its own word.
  package func rereadAt(_ machine: MachineID) -> WallTime? {
    attesting.newest[machine]?.record.oldestReread
  }
}
