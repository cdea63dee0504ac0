import MantelCore
import MantelSummary

@testable import MantelReplication

extension FilingOperation {
  var mtime: Int64 {
    switch self {
    case .land(_, _, let mtime), .move(_, _, _, let mtime), .link(_, _, _, let mtime),
      .copy(_, _, _, let mtime), .copyOwn(_, _, _, _, let mtime):
      mtime
    case .remove: 0
    }
  }
}

extension [ReplicationAction] {
  /// Commands to one link.
  func commands(_ link: LinkID) -> [LinkCommand] {
    compactMap { if case .link(link, let command) = $0 { command } else { nil } }
  }

  func orders(_ link: LinkID) -> [UnitOrder] {
    commands(link).flatMap { if case .fetch(let orders) = $0 { orders } else { [UnitOrder]() } }
  }

  func pulls(_ link: LinkID) -> [(job: LinkJob, units: [UnitID])] {
    commands(link).compactMap {
      if case .pull(let job, let orders, _, _) = $0 { (job, orders.map(\.unit)) } else { nil }
    }
  }

  func deltas(_ link: LinkID) -> [LinkJob] {
    commands(link).compactMap { if case .fetchDelta(let job, _, _, _) = $0 { job } else { nil } }
  }

  func entryFetches(_ link: LinkID) -> [(job: LinkJob, ids: [EntryID])] {
    commands(link).compactMap {
      if case .fetchEntries(let job, _, let ids) = $0 { (job, ids) } else { nil }
    }
  }

  /// The comparison of holdings that a link was asked for.
  func compared(_ link: LinkID) -> (LinkJob, SetSnapshot)? {
    commands(link).lazy.compactMap {
      if case .reconcile(let job, .holdings, let mine) = $0 { (job, mine) } else { nil }
    }.first
  }

  func reconciliations(_ link: LinkID) -> [(job: LinkJob, mine: SetSnapshot)] {
    commands(link).compactMap {
      if case .reconcile(let job, .library, let mine) = $0 { (job, mine) } else { nil }
    }
  }

  var batches: [(id: BatchID, operations: [FilingOperation])] {
    compactMap {
      switch $0 {
      case .file(let id, let operations), .fileAgain(let id, let operations): (id, operations)
      default: nil
      }
    }
  }

  var looks: [[UInt8]] { compactMap { if case .look(_, let path) = $0 { path } else { nil } } }
  var hashes: [[UInt8]] { hashJobs.flatMap(\.self) }
  var hashJobs: [[[UInt8]]] { compactMap { if case .hash(_, let paths) = $0 { paths } else { nil } } }
  var published: [HeadOrder] {
    compactMap { if case .published(let order) = $0 { order } else { nil } }
  }
  var discarded: [ContentID] {
    compactMap { if case .discardStaged(let content) = $0 { content } else { nil } }
  }
  var assembled: [ContentID] {
    compactMap { if case .assemble(let content, _) = $0 { content } else { nil } }
  }
  var warnings: [ReplicationWarning] {
    compactMap { if case .warn(let warning) = $0 { warning } else { nil } }
  }

  var recalled: [(id: RecallID, outcome: RecallOutcome)] {
    compactMap { if case .recalled(let id, let outcome) = $0 { (id, outcome) } else { nil } }
  }

  /// Own attestations that were announced, over all links.
  var attestations: [Attestation] {
    compactMap {
      if case .link(_, .announceAttestation(let signed)) = $0 { signed.record } else { nil }
    }
  }

  /// Whether a link was told that a content came (true) or went (false).
  func told(_ link: LinkID, of content: ContentID) -> Bool? {
    commands(link).compactMap { command -> Bool? in
      guard case .available(let added, let removed) = command else { return nil }
      if added.contains(content) { return true }
      return removed.contains(content) ? false : nil
    }.last
  }
}
