import MantelCore
import MantelSummary

/// Which links have nothing to do while others are slow.
extension Replicator {
  /// A link without work takes over what another was asked for long ago: a peer that is slow, or dribbles on purpose, keeps
  /// nothing from those that others have too.
  mutating func takeOverIfDue(now: Now) {
    guard links.count > 1, !transfers.inFlight.isEmpty else {
      transfers.takeOverDue = nil
      return
    }
    guard let due = transfers.takeOverDue, due <= now.instant else {
      let next = now.instant + takeOverInterval
      if transfers.takeOverDue == nil, links.values.contains(where: \.isWithoutWork) {
        transfers.takeOverDue = next
      }
      return
    }
    transfers.takeOverDue = nil
    for id in links.keys.sorted() where links[id]?.isWithoutWork == true { takeOver(for: id, now: now) }
    if links.values.contains(where: \.isWithoutWork) {
      transfers.takeOverDue = now.instant + takeOverInterval
    }
  }

  private var takeOverInterval: Duration {
    isEndgame ? settings.endgameInterval : settings.takeOverInterval
  }

  /// Few shared units are left: who is done with all others helps with these.
  private var isEndgame: Bool { !shared.isEmpty && shared.count <= settings.endgameUnits }

  private mutating func takeOver(for id: LinkID, now: Now) {
    var bytes: UInt64 = 0
    var orders: [UnitOrder] = []
    for (unit, asked) in transfers.inFlight.sorted(by: { $0.key < $1.key }) {
      guard orders.count < settings.linkUnits, bytes < settings.linkBytes else { break }
      guard asked != id, isFetchable(unit, from: id), let order = links[asked]?.fetching.orders[unit],
        let since = links[asked]?.fetching.askedAt[unit],
        now.instant - since >= patience(with: unit)
      else { continue }
      cancel(unit, of: asked)
      ask(id, for: order, now: now)
      transfers.takenOver[unit, default: 0] += 1
      orders.append(order)
      bytes += order.bytes
    }
    if !orders.isEmpty { actions.append(.link(id, .fetch(orders))) }
  }

  /// Longer each time, or a unit that is slow over every link would wander among them and come over none.
  private func patience(with unit: UnitID) -> Duration {
    (isEndgame && shared.contains(unit) ? settings.endgameAfter : settings.takeOverAfter)
      * (1 << min(transfers.takenOver[unit] ?? 0, 8))
  }

  /// Notes that a link is asked for a unit; `isNamed`: for a shared one by name.
  mutating func ask(_ id: LinkID, for order: UnitOrder, isNamed: Bool = false, now: Now) {
    links[id]?.fetching.add(order, isNamed: isNamed, now: now)
    noteAsked(order.unit, of: id)
  }

  /// The one place that says who is asked for a unit: shared units follow it.
  mutating func noteAsked(_ unit: UnitID, of id: LinkID?) {
    transfers.inFlight[unit] = id
    if id == nil { shared.released(unit) } else { shared.asked(unit) }
  }
}

extension Link {
  /// Its walk is through, and nothing is on its way.
  var isWithoutWork: Bool {
    fetching.orders.isEmpty && fetching.pull == nil && fetching.pausedUntil == nil && fetching.walk.isAtEnd
      && !isOverLimit
  }
}
