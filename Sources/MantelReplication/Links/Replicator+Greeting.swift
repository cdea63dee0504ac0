package import MantelCore
import MantelHousehold
import MantelSummary

/// What this machine says of itself and others when a connection opens.
package struct LinkGreeting: Sendable {
  /// The peer was admitted and is no member yet: it is told and given nothing but the roster.
  package var isForGuest = false
  /// Count and root of what can be served.
  package var holdings: (count: Int, root: Digest256)
  package var heads: [Signed<Head>] = []
  package var records: [Signed<MachineRecord>] = []
  package var attestations: [Signed<Attestation>] = []
}

/// A connection of a machine that may bring its acceptance, and nothing else.
struct GuestLink: Sendable {
  let machine: MachineID
  /// Both hellos are said: it can be told of news of the roster.
  var isOpen = false
}

extension Replicator {
  /// What the hello on a new connection says, by what the peer is to the household; nil refuses it.
  package mutating func greet(_ peer: MachineID, over link: LinkID) -> LinkGreeting? {
    switch roster.standing(of: peer) {
    case .member:
      prepare(link)
      return LinkGreeting(
        holdings: holdings(), heads: installedHeads, records: allRecords, attestations: allAttestations)
    case .admitted:
      guests[link] = GuestLink(machine: peer)
      let nothing = SetSnapshot(sorted: [], tag: .holdings(household))
      return LinkGreeting(isForGuest: true, holdings: (0, nothing.root))
    case .stranger, .voided, .removed, .turnedAway: return nil
    }
  }

  /// A guest's hello came. What it says of itself is not looked at before it is a member.
  mutating func openedGuest(_ id: LinkID) {
    guests[id]?.isOpen = true
    judgeGuest(id)
  }

  /// The roster changed: guests hear of it, and those that are none any more are let go. A new member connects again, so
  /// that both sides start from what is true of members.
  mutating func tellGuests(_ news: [[UInt8]], except link: LinkID?) {
    for id in guests.keys.sorted() where guests[id]?.isOpen == true {
      if id != link { actions.append(.link(id, .announceRoster(news))) }
      judgeGuest(id)
    }
  }

  private mutating func judgeGuest(_ id: LinkID) {
    guard let guest = guests[id] else { return }
    switch roster.standing(of: guest.machine) {
    case .admitted: return
    case .member: actions.append(.link(id, .close(.accepted)))
    case .stranger, .voided, .removed, .turnedAway: actions.append(.link(id, .close(.notMember)))
    }
  }

  // MARK: What is said

  /// Newest machine records, for a new connection's hello and news.
  package var allRecords: [Signed<MachineRecord>] {
    records.keys.sorted().compactMap { roster.isListed($0) ? records[$0] : nil }
  }

  /// Those that count; of one that is too old its holder may still say the same. The own one is not said again while
  /// what it speaks of cannot be seen: others would take it for new.
  package var allAttestations: [Signed<Attestation>] {
    attesting.newest.keys.sorted().compactMap { holder in
      guard roster.isListed(holder), !hasExpired(holder), holder != machine || !isOwnWordStale else {
        return nil
      }
      return attesting.newest[holder]
    }
  }

  var isOwnWordStale: Bool {
    guard let said = attesting.received[machine] else { return false }
    return scrub.sight.isAway || agentTime - said >= settings.attestationLife
  }

  /// A member whose word has come of age here may have forgotten it, with its catalog: the next one has to bear a higher
  /// number, or nobody would believe it.
  func remind(_ peer: MachineID, over link: LinkID) -> ReplicationAction? {
    guard hasExpired(peer), let word = attesting.newest[peer] else { return nil }
    return .link(link, .announceAttestation(word))
  }

  /// Installed heads, for a new connection's hello and news.
  package var installedHeads: [Signed<Head>] {
    libraries.keys.sorted().compactMap { roster.isListed($0) ? libraries[$0]?.installed : nil }
  }

  /// Count and root of what can be served, for a new connection's hello.
  package mutating func holdings() -> (count: Int, root: Digest256) {
    (contents.index.count(of: contents.offered), contents.index.root(of: contents.offered))
  }
}
