package import MantelCore
import MantelSummary

/// The side that has: what to send to a peer that leaves the choice to this machine.
extension Replicator {
  /// The units out of `units` that a link's peer gets next, at most `count`; none when it is known to have them all, or
  /// nothing of it can be had here.
  package mutating func choose(_ units: [UnitID], count: Int, for id: LinkID) -> [UnitID] {
    guard let asker = links[id] else { return [] }
    let others = links.filter { $0.key != id && $0.value.machine != asker.machine }
    let candidates = units.compactMap { unit -> Uplink.Candidate? in
      guard canServe(unit), !has(asker, unit) else { return nil }
      let own = unit.content.rendezvous(machine)
      var candidate = Uplink.Candidate(unit: unit, holders: 0, isOwnShare: true)
      for link in others.values where has(link, unit) {
        candidate.holders += 1
        if unit.content.rendezvous(link.machine) > own { candidate.isOwnShare = false }
      }
      return candidate
    }
    return uplink.pick(candidates, count: count, for: id)
  }

  private func canServe(_ unit: UnitID) -> Bool {
    if contents.isAvailable(unit.content) { return contents.isOffered(unit.content) }
    guard case .block(let index) = unit.part else { return false }
    return transfers.large[unit.content]?.has.contains(Int(index)) ?? false
  }
}
