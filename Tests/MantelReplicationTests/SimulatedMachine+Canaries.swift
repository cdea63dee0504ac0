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
