package import MantelCore
import MantelHousehold
import MantelSummary

/// What `status` says: the reasons, the state that follows from them, and what else it is asked.
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
    if let reason = notOnDisk(besides: reasons) { reasons.append(reason) }
    let (exact, lenient) = headReasons(now: now)
    let (missingFiles, missingBytes, largeShares) = try missingHere(now: now)
    if missingFiles > 0 { reasons.append(.missing(files: missingFiles, bytes: missingBytes)) }
    if !filing.isIdle { reasons.append(.filing) }
    reasons += roomReasons(missingFiles: missingFiles)
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

  /// What waits for room: copies on either disk, installs on the catalog's.
  private func roomReasons(missingFiles: Int) -> [StatusReason] {
    let isShort = room?.isLow == true || transfers.leftForRoom != nil
    let isWaiting = isShort && missingFiles > 0 || !filing.copies.waiting.isEmpty
    let copies: [StatusReason] = isWaiting ? [.diskSpace] : []
    let installs = libraries.sorted { $0.key < $1.key }.compactMap { owner, library in
      library.awaitingRoom.map { StatusReason.catalogSpace(owner, bytes: installBytes($0.bulkRows)) }
    }
    return copies + installs
  }

  /// Why it is not known what lies in the replica, which is there.
  private func unjudgedReplica(now: Now) -> StatusReason? {
    guard role == .full, !scrub.sight.isAway else { return nil }
    if scrub.sight.hasFailed { return .replicaUnreadable }
    return scrub.sight.isLookedAt(at: now.instant) ? nil : .checkingReplica
  }

  private func trashReports() throws(StoreError) -> [TrashReport] {
    // What a machine had dropped that is no member any more has no end until somebody has decided on it; what its keeper
    // dropped has one.
    let members = try store.trash().filter { roster.isMember($0.key) }
    let removed = try store.confirmedTrash().filter { !roster.isMember($0.key) }
    return (Array(members) + Array(removed)).sorted { $0.key < $1.key }.map { library, files in
      TrashReport(
        library: library, files: files.files, bytes: files.bytes,
        left: max(.zero, (files.oldest ?? agentTime) + settings.trashLife - agentTime))
    }
  }

  /// Whether any other machine is known to hold a content of an own file.
  package func isSafe(_ content: ContentID) -> Bool { contents.isSafe(content) }

  /// Machines whose current attestations prove that they hold a content of a library, and this one if it is held here. A word
  /// that nothing follows from counts for nothing: no challenge is drawn from it either.
  package mutating func holders(
    of content: ContentID, in owner: MachineID
  ) throws(StoreError) -> [MachineID] {
    var holders: [MachineID] = []
    for holder in try lastKnownHolders(of: content, in: owner) where isCurrent(holder) {
      if try isProven(by: holder, of: owner) { holders.append(holder) }
    }
    if contents.isHeld(content) { holders.append(machine) }
    return holders
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
    let isHeldUp = reasons.contains { reason in
      switch reason {
      case .diskSpace, .catalogSpace, .replicaReadOnly, .noSecondMachine: true
      default: false
      }
    }
    if isHeldUp { return .waiting }
    let isBusy = reasons.contains { reason in
      switch reason {
      case .scanning, .pending, .filing: true
      case .missing, .unsafe, .headsArriving, .noHead, .badFiles: !links.isEmpty
      default: false
      }
    }
    return isBusy ? .copying : .waiting
  }
}
