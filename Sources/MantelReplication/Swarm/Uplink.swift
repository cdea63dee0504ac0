import MantelCore
import MantelSummary

/// What this machine has sent to whom: by this it picks what to send next, where peers leave the choice to it.
///
/// Every unit is to go out once before one goes out twice: a peer that gets what the others lack has something to give to
/// them. Only counts are kept, of the units that were sent last.
struct Uplink: Sendable {
  /// How often each unit was picked, and in which order they were first.
  private var sent: [UnitID: Int] = [:]
  private var sequence: [UnitID] = []
  private var forgotten = 0
  /// Units picked for each link, halved from time to time: tells the slow from the fast.
  private var picked: [LinkID: Int] = [:]

  static let remembered = 65_536

  /// A unit that might be sent to a peer.
  struct Candidate: Hashable, Sendable {
    var unit: UnitID
    /// Other peers that are known to have it.
    var holders: Int
    /// Whether this machine comes before all of these in the unit's own order of machines.
    var isOwnShare: Bool
  }

  /// The best `count` candidates for a link's peer, which are sent to it now.
  mutating func pick(_ candidates: [Candidate], count: Int, for link: LinkID) -> [UnitID] {
    let isSlow = isSlow(link)
    let ranked = candidates.enumerated().map { position, candidate in
      let copies = candidate.holders + (sent[candidate.unit] ?? 0)
      // A slow peer passes nothing on in time: it gets what others have.
      return (isSlow ? -copies : copies, candidate.isOwnShare ? 0 : 1, position)
    }
    let best = ranked.sorted(by: <).prefix(count).map { candidates[$0.2].unit }
    for unit in best { note(unit) }
    if !best.isEmpty { note(link, best.count) }
    return best
  }

  /// It takes less than a quarter of what the fastest takes.
  func isSlow(_ link: LinkID) -> Bool {
    let most = picked.values.max() ?? 0
    return most >= 8 && (picked[link] ?? 0) * 4 < most
  }

  mutating func closed(_ link: LinkID) { picked[link] = nil }

  private mutating func note(_ unit: UnitID) {
    sent[unit, default: 0] += 1
    guard sent[unit] == 1 else { return }
    sequence.append(unit)
    guard sent.count > Self.remembered else { return }
    sent[sequence[forgotten]] = nil
    forgotten += 1
    if forgotten > Self.remembered {
      sequence.removeFirst(forgotten)
      forgotten = 0
    }
  }

  private mutating func note(_ link: LinkID, _ count: Int) {
    picked[link, default: 0] += count
    if picked[link] ?? 0 >= 64 { picked = picked.mapValues { $0 / 2 } }
  }
}

extension ContentID {
  /// A machine's place in a content's own order of machines: which of several holders is to give it first. The same for
  /// all, and as good as drawn by lot.
  func rendezvous(_ machine: MachineID) -> UInt64 {
    var mixed = digest.word1 ^ machine.digest.word2
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
