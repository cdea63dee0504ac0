import MantelCore
import MantelHousehold

/// Hear first, then sign: what a machine's own disk says of its history may be an old image of it, guard file and all.
///
/// Two rules keep one place of the order from ever getting two heads:
/// - Each run of the agent signs in an epoch of its own, numbered by the clock. So an image that is started anew signs
///   nowhere where the machine has signed since it was made, whoever can be reached (`Publication.openEpoch`).
/// - A run signs nothing before another full member has been heard: it has shown all that it claims to have of this
///   library. What it has and this catalog lacks begins a recovery, and is in the next head. Who is missed by that, because
///   only a member that is away knows it, would fall out of W there.
///
/// There is no limit of time: a head that nobody can hear makes no photo safer. Files are hashed meanwhile, and pending.
struct Hearing: Sendable {
  /// Members that have shown since the start what they have of the own library; while it is caught up with, not those that
  /// have lost some of it since.
  private(set) var heard: Set<MachineID> = []
  /// Somebody was heard, or nobody was there to be heard. Stays so: a catalog does not go back under a running agent.
  private(set) var isOver = false

  mutating func hear(_ peer: MachineID) { heard.insert(peer) }

  /// What it has is not what it had: it is to be heard again.
  mutating func unhear(_ peer: MachineID) { heard.remove(peer) }

  mutating func end(ifHeardAnyOf witnesses: [MachineID]) {
    if witnesses.isEmpty || witnesses.contains(where: heard.contains) { isOver = true }
  }
}

extension Publication {
  /// The epoch of the heads of this run. By the clock, in microseconds since 1970, and later than any that is known: where
  /// the clock stands still, or went back, it only counts.
  mutating func openEpoch(after order: HeadOrder, now: Now) -> UInt64 {
    if let epoch { return epoch }
    let clock = UInt64(clamping: now.wall.nanoseconds / 1_000)
    let opened = max(order.epoch + 1, outdated.epoch + 1, leastEpoch, clock)
    epoch = opened
    return opened
  }
}

extension Replicator {
  var others: [MachineID] { roster.members.map(\.machine).filter { $0 != machine } }

  /// Members that take in what this machine publishes, and keep it.
  private var witnesses: [MachineID] { otherFullMachines }

  /// Who kept this library, while a removal of this machine seemed to hold, has signed a head of it, and somebody has installed
  /// that: nobody takes in a lower one. So the next goes above it, in an epoch of its own, even if nothing has changed.
  mutating func outrank(_ rival: HeadOrder) {
    publication.outdated = max(publication.outdated, rival)
    if rival >= libraries[machine]?.order ?? .none {
      publication.epoch = nil
      publication.isFirst = true
    }
    for link in links.keys.sorted() { hear(link) }
  }

  /// A peer has been heard when it has shown the head that its hello claimed, or claimed none that is newer.
  mutating func hear(_ link: LinkID) {
    guard let peer = links[link],
      peer.heads[machine] ?? .none
        <= max(libraries[machine]?.newestOrder ?? .none, publication.outdated)
    else { return }
    publication.hearing.hear(peer.machine)
  }

  /// The head that a peer's hello claimed came, and is none: it has what it has shown else. A lie, or a catalog that is damaged, must
  /// not leave it unheard for ever. Only of libraries that are signed here: what does not count yet of others may later.
  mutating func disproved(_ head: Head, by link: LinkID) {
    let library = head.library
    guard let peer = links[link], peer.heads[library] == head.order else { return }
    if library == machine {
      links[link]?.heads[machine] = publication.recovery?.shown[peer.machine]?.record.order
      hear(link)
    } else if keeps(library) {
      links[link]?.withdraw(head.order, of: library)
    }
  }

  /// Looks again when somebody was heard, or is not there to be heard any more.
  mutating func endHearingIfDone() {
    guard !publication.hearing.isOver else { return }
    publication.hearing.end(ifHeardAnyOf: witnesses)
  }

  /// Members of which one has to be heard before anything is published; none when that is over.
  var awaitedWitnesses: [MachineID] { publication.hearing.isOver ? [] : witnesses }

  /// Members that may know more of this machine's history than anybody who was heard.
  var unheard: [MachineID] { others.filter { !publication.hearing.heard.contains($0) } }
}
