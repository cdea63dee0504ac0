import MantelCore
import MantelSummary
import MantelTestSupport

@testable import MantelReplication

/// What disks and threads do, in any order; a process that dies takes what was under way with it.
extension SimulatedHousehold {
  func carryOut(_ action: ReplicationAction, at index: Int) throws {
    let machine = machines[index]
    switch action {
    case .link(let link, let command):
      if let end = machine.links[link], end.isOpen { try obey(command, link, from: index, to: end.peer) }
    case .expect(let link, let order): machine.links[link]?.units[order.unit] = order
    case .look(_, let path): work(at: index) { [self] in try handle(machine.look(path), at: index) }
    case .hash(_, let paths): work(at: index) { [self] in try handle(machine.hash(paths), at: index) }
    case .inspect(let folder, let places, let missed):
      work(at: index) { [self] in
        let isBack = missed.contains { machine.present[$0] != nil }
        try handle(.inspected(folder, machine.found(places), isBack: isBack), at: index)
      }
    case .assemble(let content, let manifest):
      work(at: index) { [self] in try assemble(content, manifest, at: index) }
    case .discardStaged(let content):
      machine.replica.doomed.insert(content)
      work(at: index) { machine.replica.discardDoomed(content) }
    case .file(let batch, let operations):
      work(at: index) { [self] in try file(batch, operations, isRepeat: false, at: index) }
    case .fileAgain(let batch, let operations):
      work(at: index) { [self] in try file(batch, operations, isRepeat: true, at: index) }
    case .recalled(let id, let outcome): try recalled(id, outcome, at: index)
    case .reread(let target, _): work(at: index) { [self] in try reread(target, at: index) }
    case .setAside(let order): work(at: index) { [self] in try setAside(order, at: index) }
    case .compareReplica(let id): work(at: index) { [self] in try compareReplica(id, at: index) }
    case .findStrays:
      work(at: index) { [self] in
        machine.replica.sync()
        try handle(.straysSought(machine.strayFiles(), isComplete: true), at: index)
      }
    case .drawChallenge(let link):
      let position = SummaryHash.sha256(Array("\(random.next())".utf8))
      let draw = ChallengeDraw(
        position: position, part: random.next(), nonce: Array(position.bytes.prefix(Challenge.nonceBytes)))
      work(at: index) { [self] in try handle(.challengeDrawn(link, draw), at: index) }
    case .prove(let link, let challenge), .proveRange(let link, let challenge):
      work(at: index) { [self] in
        let answer = machine.payload(of: challenge.content).map(challenge.answer)
        try handle(.proved(link, challenge, answer), at: index)
      }
    case .keepGuard(let head): work(at: index) { [self] in try keepGuard(head, at: index) }
    case .rescan: work(at: index) { [self] in try scan(index) }
    case .warn(let warning): machine.warnings.append(warning)
    case .rosterChanged, .published, .installed: break
    }
  }

  /// Work of this process of a machine.
  func work(at index: Int, _ run: @escaping () throws -> Void) {
    let life = machines[index].life
    later { [self] in
      guard machines[index].life == life else { return }
      if isPutOff(at: index, run) { return }
      try run()
    }
  }

  func report(_ event: ReplicationEvent, at index: Int, life: Int) throws {
    if machines[index].life == life { try handle(event, at: index) }
  }

  private func assemble(_ content: ContentID, _ manifest: Manifest, at index: Int) throws {
    let machine = machines[index]
    // A disk that does not answer says nothing of the bytes.
    guard machine.replica.isMounted, !(faults.map { random.oneIn($0.staging) } ?? false) else {
      return try handle(.assemblyFailed(content), at: index)
    }
    guard let file = machine.replica.staged[content], file.payload.manifest == manifest,
      file.blocks == nil || file.blocks?.count == manifest.blocks.count
    else { return try handle(.contentAssembled(content, isIntact: false), at: index) }
    machine.replica.staged[content]?.blocks = nil
    work(at: index) { [self] in try handle(.contentAssembled(content, isIntact: true), at: index) }
  }

  private func keepGuard(_ head: Signed<Head>?, at index: Int) throws {
    let machine = machines[index]
    guard machine.replica.isMounted else { return }
    if let there = machine.replica.guarded, there != head, there.record.order >= head?.record.order ?? .none {
      try handle(.guardFound(there), at: index)
    } else if let head {
      machine.replica.guarded = head
    }
  }

  /// A walk that fails has told of what it saw before.
  private func compareReplica(_ id: ComparisonID, at index: Int) throws {
    let machine = machines[index]
    let isComplete = machine.replica.isMounted && !(faults.map { random.oneIn($0.reading) } ?? false)
    for event in try machine.doubtfulFiles() { try handle(event, at: index) }
    try handle(.replicaCompared(id, isComplete: isComplete), at: index)
  }

  private func reread(_ target: RereadTarget, at index: Int) throws {
    if let faults, random.oneIn(faults.reading) {
      return try handle(.reread(target, random.oneIn(3) ? .unavailable : .unsettled), at: index)
    }
    let machine = machines[index]
    let file = machine.file(target)
    let outcome = machine.reread(target)
    // Between the read and its report the file may change its name.
    work(at: index) { [self] in
      if let file { machine.notice(file, target) }
      try handle(.reread(target, outcome), at: index)
    }
  }

  private func setAside(_ order: SetAsideOrder, at index: Int) throws {
    guard machines[index].replica.isMounted, !(faults.map { random.oneIn($0.filing) } ?? false) else {
      return try handle(.setAside(order.path, .failed), at: index)
    }
    let outcome = machines[index].replica.setAside(order)
    work(at: index) { [self] in
      machines[index].replica.sync()
      try handle(.setAside(order.path, outcome), at: index)
    }
  }

  private func file(
    _ batch: BatchID, _ operations: [FilingOperation], isRepeat: Bool, at index: Int
  ) throws {
    let machine = machines[index]
    if isRepeat, canary == .trustsJournal {
      return work(at: index) { [self] in
        try handle(.filed(batch, operations.map(machine.foundInJournal)), at: index)
      }
    }
    if canary == .forgetsJournal, faults != nil, operations.contains(where: \.changesNames), random.oneIn(4) {
      return try crash(index)
    }
    var fault: (SimulatedReplica.Fault, place: Int)?
    if let faults, random.oneIn(faults.filing), let kind = random.element(of: SimulatedReplica.Fault.allCases)
    {
      fault = (kind, random.below(operations.count))
    }
    try noteReleases(operations, at: index)
    let results = machine.replica.commit(
      operations, own: machine.present, isRepeat: isRepeat, fault: fault, limit: operations.count)
    machine.lastBatchOnDisk = batch
    // What is done on the disk is durable, and known here, only later: the process may die between.
    work(at: index) { [self] in
      if canary != .reportsBeforeSync { machine.replica.sync() }
      try handle(.filed(batch, results), at: index)
    }
  }
}

extension SimulatedHousehold {
  /// Invariant 5: what goes from anywhere but the trash was released, and every member that keeps copies has it.
  func noteReleases(_ operations: [FilingOperation], at index: Int) throws {
    for case .remove(let path, let content) in operations where !FilingPlan.isInTrash(path) {
      released[index, default: []].insert(content)
      // Whom it knows to be a member: one that has just joined may be none yet.
      let roster = machines[index].replicator.roster
      for (other, keeper) in machines.enumerated()
      where other != index && roster.isMember(keeper.machine) && keeper.ask({ $0.role == .full }) {
        let isThere =
          keeper.has(content) || keeper.changed.contains(content) || keeper.rotted.contains(content)
          || keeper.replica.damaged.contains(content) || keeper.replica.rotted.contains(content)
        guard isThere else { throw SimulationError.broken("m\(index) releases what m\(other) does not have") }
      }
    }
  }
}

extension ReplicationEvent {
  /// For a trace: what tells events apart, without what differs from run to run (signatures).
  var traced: String {
    switch self {
    case .linkOpened(let link, let opening):
      "opened \(link.number) \(opening.holdingsCount) \(opening.holdingsRoot.word0)"
    case .linkClosed(let link): "closed \(link.number)"
    case .headReceived(let link, let head):
      "head \(link.number) \(head.record.order.sequence) \(head.record.root.word0)"
    case .attestationReceived(let link, let attestation):
      "attestation \(link.number) \(attestation.record.holder.digest.word0) \(attestation.record.number)"
    case .recordReceived(let link, let record): "record \(link.number) \(record.record.number)"
    case .rosterReceived(_, let statements): "roster \(statements.count)"
    case .entriesReceived(let link, let job, let added, let removed):
      "entries \(link.number) \(job.number) \(added.count) \(removed.count)"
    case .differenceFound(let link, _, let theirs, let mine):
      "difference \(link.number) \(theirs.count) \(mine.count)"
    case .holdingsCompared(let link): "compared \(link.number)"
    case .jobEnded(let link, let job, let outcome): "job \(link.number) \(job.number) \(outcome)"
    case .availabilityChanged(let link, let added, let removed):
      "available \(link.number) \(added.map(\.digest.word0)) \(removed.map(\.digest.word0))"
    case .blocksAvailable(let link, let content, let ranges):
      "blocks \(link.number) \(content.digest.word0) \(ranges.map(\.indices))"
    case .unitsVerified(let link, let units):
      "verified \(link.number) \(units.map(\.traced).joined(separator: " "))"
    case .manifestVerified(let link, let content, _): "manifest \(link.number) \(content.digest.word0)"
    case .unitCorrupt(let link, let unit): "corrupt \(link.number) \(unit.traced)"
    case .unitEnded(let link, let unit, let outcome): "unit \(link.number) \(unit.traced) \(outcome)"
    case .stagingFailed(let unit, let failure): "staging failed \(unit.traced) \(failure)"
    case .couldNotServe(let contents): "not served \(contents.map(\.digest.word0))"
    case .contentAssembled(let content, let isIntact): "assembled \(content.digest.word0) \(isIntact)"
    case .assemblyFailed(let content): "not assembled \(content.digest.word0)"
    case .stagedFound(let content, let blocks): "staged \(content.digest.word0) \(blocks?.count ?? -1)"
    case .filed(let batch, let results):
      "filed \(batch.number) \(results.map(\.traced).joined(separator: " "))"
    case .sighted(_, let path, _): "sighted \(String(decoding: path, as: UTF8.self))"
    case .hashed(_, let files):
      "hashed \(files.map { String(decoding: $0.path, as: UTF8.self) }.joined(separator: " "))"
    case .directoryScanned(_, let sight): "scanned \(sight.files.count)"
    case .reread(let target, let outcome): "reread \(target) \(outcome)"
    case .setAside(let path, let outcome): "aside \(String(decoding: path, as: UTF8.self)) \(outcome)"
    case .replicaFileDoubted(let path): "doubted \(String(decoding: path, as: UTF8.self))"
    case .replicaCompared(_, let isComplete): "compared with the disk \(isComplete)"
    case .recovered: "recovered"
    case .guardFound(let head): "guard \(head.record.order)"
    case .recall(let id, let order): "recall \(id.number) \(order.content.content.digest.word0)"
    case .recallReleased(let id): "released \(id.number)"
    case .roleChanged(let role): "role \(role)"
    case .releaseWanted: "release"
    case .tick: "tick"
    default: Mirror(reflecting: self).children.first?.label ?? "\(self)"
    }
  }
}

extension FilingOperation {
  /// Files that are there go, or get other names.
  fileprivate var changesNames: Bool {
    switch self {
    case .move, .remove: true
    case .land, .link, .copy, .copyOwn: false
    }
  }
}

extension UnitID {
  fileprivate var traced: String { "\(content.digest.word0)/\(part)" }
}

extension FilingResult {
  fileprivate var traced: String {
    switch self {
    case .done(let path, _): "done \(String(decoding: path, as: UTF8.self))"
    case .adopted(let path, _): "adopted \(String(decoding: path, as: UTF8.self))"
    case .sourceChanged: "source"
    case .failed(let failure): "failed \(failure.code)"
    }
  }
}
