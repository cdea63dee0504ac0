import MantelCatalog
import MantelCore
import MantelSummary

@testable import MantelReplication

/// Mistakes in what a machine makes of events; those of disks and sessions stand where these are simulated.
extension SimulatedMachine {
  /// What the machine does wrong with an event; nil when it handles it as it should.
  func err(_ canary: Canary, _ event: ReplicationEvent, now: Now) throws -> [ReplicationAction]? {
    switch (canary, event) {
    case (.skipsRootCheck, .entriesReceived(let link, let job, _, _)):
      let owner = ask { replicator -> MachineID? in
        if case .library(let owner) = replicator.links[link]?.jobs[job] { owner } else { nil }
      }
      let actions = try ask { try $0.handle(event, now: now) }
      guard let owner else { return actions }
      return actions + (try ask { try $0.installUnchecked(owner, now: now) })
    case (.installsOlderHeads, .headReceived(_, let head)):
      let owner = head.record.library
      ask { replicator in
        guard owner != machine, head.record.order < replicator.libraries[owner]?.order ?? .none else {
          return
        }
        replicator.libraries[owner]?.installed = head
      }
      return nil
    case (.ignoresFormerHeads, .headReceived(_, let head)):
      guard head.record.library == machine else { return nil }
      return ask { head.record.order < $0.libraries[machine]?.order ?? .none } ? [] : nil
    case (.showsNoFormerHeads, _):
      let actions = try ask { try $0.handle(event, now: now) }
      return actions.filter { action in
        guard case .link(_, .announceHead(let head)) = action else { return true }
        return head.record.order >= ask { $0.libraries[head.record.library]?.order ?? .none }
      }
    case (.releasesForOne, .releaseWanted):
      return try ask { replicator in
        try replicator.releaseUnshown(now: now) { attested in !attested.isEmpty }
      }
    case (.releasesWithoutTheAbsent, _):
      let actions = try ask { try $0.handle(event, now: now) }
      return try actions
        + ask { replicator in
          let here = Set(replicator.connectedMembers).intersection(replicator.otherFullMachines)
          return try replicator.releaseUnshown(now: now) { !here.isEmpty && here.isSubset(of: $0) }
        }
    case (.countsStaleAttestations, .attestationReceived(_, let attestation)):
      let holder = attestation.record.holder
      guard holder != machine else { return nil }
      try ask { replicator in
        replicator.attesting.newest[holder] = attestation
        replicator.attesting.received[holder] = replicator.agentTime
        try replicator.recountSafe()
      }
      return nil
    case (.signsUnheard, _):
      ask { replicator in
        guard replicator.publication.recovery == nil else { return }
        replicator.publication.hearing.end(ifHeardAnyOf: [])
        replicator.publication.epoch = max(replicator.libraries[machine]?.order.epoch ?? 0, 1)
      }
      return nil
    case (.countsWallTime, _):
      let passed = now.wall.nanoseconds - SimulatedHousehold.start.wall.nanoseconds
      ask { replicator in
        replicator.countedTime.counter = AgentTimeCounter(
          from: AgentTime(nanoseconds: max(0, passed)), now: now)
      }
      return nil
    case (.forgetsWhatIsAway, .replicaAway): return []
    case (.countsOwnFiles, _):
      let actions = try ask { try $0.handle(event, now: now) }
      ask { replicator in
        var live: [Digest256] = []
        replicator.contents.index.forEach(
          in: [replicator.contents.sets(of: machine).heldLive], notIn: [], from: .zero
        ) {
          live.append($0)
          return true
        }
        replicator.contents.index.insert(sorted: live, into: replicator.contents.safe)
      }
      return actions
    case (.signsTwice, _):
      var actions = try ask { try $0.handle(event, now: now) }
      for (index, action) in actions.enumerated() {
        guard case .link(let link, .announceHead(let head)) = action, head.record.library == machine,
          link.number.isMultiple(of: 2)
        else { continue }
        var other = head.record
        other.root = Digest256(other.root.word1, other.root.word0, other.root.word2, other.root.word3)
        guard let signed = ask({ $0.sign(other) }) else { continue }
        actions[index] = .link(link, .announceHead(signed))
      }
      return actions
    default: return nil
    }
  }

  /// What a machine that trusts its journal finds of a step there: it was done.
  func foundInJournal(_ operation: FilingOperation) -> FilingResult {
    if case .remove = operation { return .done(path: operation.path, nil) }
    let made = FileStamp(size: 1, mtime: 1, ctime: 1, inode: 1, device: 1)
    return .done(path: operation.path, replica.files[operation.path]?.stamp ?? made)
  }

  func forgetStatements() {
    ask { replicator in
      replicator.attesting.newest = replicator.attesting.newest.filter { $0.key == machine }
      replicator.contents.index.removeAll(from: replicator.contents.safe)
    }
  }
}

extension Replicator {
  /// Takes what is staged of a library for the head that it is fetched for.
  fileprivate mutating func installUnchecked(_ owner: MachineID, now: Now) throws -> [ReplicationAction] {
    guard let library = libraries[owner], let fetch = library.fetch else { return [] }
    let staged = try store.staged(owner)
    let view = library.entries.applying(
      added: staged.added.map(\.digest), removed: staged.removed.map(\.digest))
    try store.install(owner, head: fetch.target)
    libraries[owner]?.fetch = nil
    try installed(owner, fetch.target, view, wasEmpty: library.entries.count == 0, now: now)
    defer { actions.removeAll() }
    return actions
  }

  /// Lets go of all copies that enough machines attest, of a source; nobody has to show them.
  fileprivate mutating func releaseUnshown(
    now: Now, _ isEnough: (Set<MachineID>) -> Bool
  ) throws -> [ReplicationAction] {
    guard role == .source, filing.running == nil, !scrub.sight.isAway else { return [] }
    let attested = try attested(by: others)
    var plans: [ContentID: FilingPlan] = [:]
    for copies in try store.replicaContents(after: nil, limit: 1_000)
    where contents.isWantedByOther(than: machine, copies.content) && !filing.isUnderWay(copies.content) {
      guard isEnough(Set(attested.keys.filter { attested[$0]?.has(copies.content) == true })) else {
        continue
      }
      let files = try store.replicaFiles(of: copies.content)
      plans[copies.content] = FilingPlan(released: files.filter { $0.mark == nil })
    }
    if !plans.isEmpty { try run(plans, now: now) }
    defer { actions.removeAll() }
    return actions
  }
}

/// What is on the disk of a catalog whose commits are not synced: now and then all of it.
struct UnsyncedCatalog {
  private(set) var older: Catalog?
  private var commits = 0

  mutating func note(_ catalog: Catalog) throws {
    commits += 1
    guard commits % 32 == 1 else { return }
    older = try catalog.copied()
  }
}
