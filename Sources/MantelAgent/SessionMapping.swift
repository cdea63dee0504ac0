import MantelCore
import MantelReplication
import MantelSession
import MantelTransport
import MantelWire

/// The decisions speak of links, the wire of sessions: one number, two words, because neither module knows the other.
extension LinkOutcome {
  init(_ outcome: Outcome) {
    switch outcome {
    case .complete: self = .complete
    case .notHeld: self = .notHeld
    case .changed: self = .changed
    case .busy: self = .busy
    case .cancelled: self = .cancelled
    case .failed: self = .failed
    case .unknownHead: self = .unknownHead
    case .unsupported: self = .unsupported
    }
  }
}

extension ComparedSet {
  init(_ reference: SetReference) {
    switch reference {
    case .library(let machine, let order): self = .library(machine, order)
    case .holdings: self = .holdings
    }
  }

  var reference: SetReference {
    switch self {
    case .library(let machine, let order): .library(machine, order)
    case .holdings: .holdings
    }
  }
}

extension LinkCommand {
  /// The session's command; the orders of a fetch are told to the transfer sink as well.
  var sessionCommand: SessionCommand {
    switch self {
    case .announceHead(let head): .announceHead(head)
    case .announceRecord(let record): .announceRecord(record)
    case .announceAttestation(let attestation): .announceAttestation(attestation)
    case .announceForgetRequest(let request): .announceForgetRequest(request)
    case .announceRoster(let statements): .announceRoster(statements)
    case .fetchDelta(let job, let library, let from, let to):
      .fetchDelta(JobID(job.number), library: library, from: from, to: to)
    case .fetchEntries(let job, let library, let ids):
      .fetchEntries(JobID(job.number), library: library, ids)
    case .reconcile(let job, let set, let mine):
      .reconcile(JobID(job.number), set.reference, mine: mine)
    case .fetch(let orders): .fetch(orders.map { UnitFetch(unit: $0.unit, bytes: $0.bytes) })
    case .cancelFetch(let units): .cancelFetch(units)
    case .pull(let job, let orders, let count, let bytes):
      .pull(
        JobID(job.number),
        PullRequest(
          units: orders.map { UnitFetch(unit: $0.unit, bytes: $0.bytes) }, count: count, bytes: bytes))
    case .available(let added, let removed): .available(added: added, removed: removed)
    case .availableBlocks(let content, let ranges): .availableBlocks(content, ranges)
    case .challenge(let job, let challenge): .challenge(JobID(job.number), challenge)
    case .close(.notMember): .close(.notMember, message: "not a member")
    case .close(.accepted): .close(.normal, message: "accepted: connect again, as a member")
    case .close(.protocolError(let message)): .close(.protocolError, message: message)
    case .close(.overLimit(let message)): .close(.overLimit, message: message)
    }
  }
}

extension ReplicationEvent {
  /// What a session's event means to the decisions; nil for those that others handle (units, liveness).
  init?(_ event: SessionEvent, link: LinkID, peer: MachineID, isDialer: Bool) {
    switch event {
    case .opened(let hello, _, let features):
      var heads: [MachineID: HeadOrder] = [:]
      for member in hello.members { heads[member.machine] = member.head }
      // By its number, also when the word is known here: it is not sent again then.
      let saysItsWord = hello.members.contains { $0.machine == peer && $0.attestation > 0 }
      self = .linkOpened(
        link,
        LinkOpening(
          machine: peer, heads: heads, holdingsCount: hello.holdingsCount,
          holdingsRoot: hello.holdingsRoot, rosterHash: hello.rosterHash, time: hello.time,
          isDialer: isDialer, takesPulls: features & Feature.lateBinding != 0,
          saysItsWord: saysItsWord))
    case .roster(let statements): self = .rosterReceived(link, statements)
    case .record(let record): self = .recordReceived(link, record)
    case .head(let head): self = .headReceived(link, head)
    case .attestation(let attestation): self = .attestationReceived(link, attestation)
    case .forgetRequest(let request): self = .forgetRequestReceived(link, request)
    case .entries(let job, let added, let removed):
      self = .entriesReceived(link, LinkJob(job.number), added: added, removed: removed)
    case .difference(let job, let set, let theirs, let mine):
      guard job != nil || set == .holdings else { return nil }
      self = .differenceFound(
        link, job.map { LinkJob($0.number) }, theirsOnly: theirs, mineOnly: mine)
    case .challengeAnswered(let job, let answer):
      self = .challengeAnswered(link, LinkJob(job.number), answer)
    case .reconciledByPeer(.holdings): self = .holdingsCompared(link)
    case .jobEnded(let job, let outcome):
      self = .jobEnded(link, LinkJob(job.number), LinkOutcome(outcome))
    case .unitChosen(let job, let unit): self = .unitChosen(link, LinkJob(job.number), unit)
    case .available(let added, let removed):
      self = .availabilityChanged(link, added: added, removed: removed)
    case .availableBlocks(let content, let ranges): self = .blocksAvailable(link, content, ranges)
    case .closing(.clone, _, let byPeer): self = .cloneMet(peer: peer, isTold: byPeer)
    default: return nil
    }
  }
}
