import MantelCore
import MantelSummary

/// The side that lacks: what several machines lack is got so that each of them has something to give to the others.
///
/// Of a peer that is itself still getting it, it is asked for by name. Where nobody but a peer that has it all could give
/// it, that peer chooses: all askers together get each unit from it about once.
extension Replicator {
  /// Whether others lack a content, too, that a link's peer has: it goes by way of `shared`.
  func isContested(_ content: ContentID, over id: LinkID) -> Bool {
    guard links.count > 1, links[id]?.takesPulls == true, recalls.open[content] == nil else { return false }
    return links.contains { other, link in
      other != id && !link.isOverLimit && !contents.index.contains(content.digest, in: link.contents)
        && records[link.machine]?.record.role != .source
        && contents.isWantedByOther(than: link.machine, content)
    }
  }

  /// Takes a unit among the shared ones; false while there are too many.
  mutating func share(_ order: UnitOrder) -> Bool {
    guard shared.count < settings.sharedUnits else { return false }
    shared.insert(order, holders: Set(links.filter { has($0.value, order.unit) }.keys))
    return true
  }

  /// Units that cannot be asked of anybody now make room from time to time: walks come back to them when they can.
  mutating func forgetUnfetchable(now: Now) {
    guard shared.count >= settings.sharedUnits,
      transfers.sharedSweptAt.map({ now.instant - $0 >= settings.retry }) ?? true
    else { return }
    transfers.sharedSweptAt = now.instant
    for entry in shared.ordered {
      guard !entry.holders.contains(where: { isFetchable(entry.unit, from: $0) }) else { continue }
      shared.remove(entry.unit)
    }
  }

  func isFetchable(_ unit: UnitID, from id: LinkID) -> Bool {
    isFetchable(unit.content, from: id)
  }

  /// Keeps every link busy with shared units.
  mutating func exchange(now: Now) {
    guard role == .full, !shared.isEmpty else { return }
    // They have nothing to get from the others, and what they send goes to all.
    let givers = Set(links.keys.filter { shared.areHeld(by: $0) })
    for id in links.keys.sorted() where links[id]?.fetching.pausedUntil == nil {
      if !givers.contains(id) { askByName(id, now: now) }
      leaveChoice(to: id, givers: givers)
    }
  }

  // MARK: By name

  /// Asks a peer that is still getting for what others have too, the rarest first; each machine in an order of its own.
  private mutating func askByName(_ id: LinkID, now: Now) {
    guard let window = links[id]?.fetching.window.bytes, links[id]?.fetching.bytes ?? .max < window else {
      return
    }
    let order = AskingOrder(of: machine)
    let takesPulls = links[id]?.takesPulls ?? false
    var candidates: [(holders: Int, rank: UInt64, entry: SharedUnits.Entry)] = []
    for unit in shared.units(of: id) where transfers.inFlight[unit] == nil {
      guard let entry = shared[unit], entry.holders.count > 1 || !takesPulls, isFetchable(unit, from: id)
      else { continue }
      candidates.append((entry.holders.count, order.rank(unit), entry))
    }
    candidates.sort { ($0.holders, $0.rank, $0.entry.unit) < ($1.holders, $1.rank, $1.entry.unit) }
    var orders: [UnitOrder] = []
    for (_, _, entry) in candidates {
      guard let fetching = links[id]?.fetching, fetching.bytes < window,
        fetching.orders.count < settings.sharedOrders
      else { break }
      ask(id, for: entry.order, now: now)
      orders.append(entry.order)
    }
    if !orders.isEmpty { actions.append(.link(id, .fetch(orders))) }
  }

  // MARK: By the holder's choice

  /// Lets a peer choose what nobody else can give; when there is no more of that, among what others could give.
  private mutating func leaveChoice(to id: LinkID, givers: Set<LinkID>) {
    guard let link = links[id], link.takesPulls, link.fetching.pull == nil,
      link.fetching.pullsPausedUntil == nil
    else { return }
    var alone: [UnitOrder] = []
    var others: [UnitOrder] = []
    for entry in shared.ordered
    where entry.holders.contains(id) && (givers.contains(id) || entry.holders.count == 1)
      && transfers.inFlight[entry.unit] == nil && isFetchable(entry.unit, from: id)
    {
      if entry.holders.allSatisfy({ $0 == id || givers.contains($0) }) {
        alone.append(entry.order)
      } else {
        others.append(entry.order)
      }
    }
    let offered = Array((alone.isEmpty ? others : alone).prefix(settings.pullOffers))
    guard !offered.isEmpty else { return }
    let job = nextJob()
    links[id]?.jobs[job] = .pull
    links[id]?.fetching.pull = LinkPull(job: job, orders: offered)
    actions.append(.link(id, .pull(job, offered, count: settings.pullUnits, bytes: settings.pullBytes)))
  }

  /// A peer chose a unit, and its bytes come next.
  mutating func chosen(_ unit: UnitID, job: LinkJob, link id: LinkID, now: Now) {
    guard let pull = links[id]?.fetching.pull, pull.job == job else { return }
    links[id]?.fetching.pull?.hasChosen = true
    let asked = transfers.inFlight[unit]
    guard asked != id else { return }
    guard let order = pull.orders[unit], shared.contains(unit), isFetchable(unit, from: id), asked == nil
    else {
      // It came, or was asked of another, while the choice was on its way.
      actions.append(.link(id, .cancelFetch([unit])))
      return
    }
    ask(id, for: order, now: now)
    actions.append(.expect(id, order))
  }

  mutating func pullEnded(_ outcome: LinkOutcome, link id: LinkID, now: Now) {
    guard let pull = links[id]?.fetching.pull else { return }
    links[id]?.fetching.pull = nil
    transfers.isWorthLooking = true
    // It has nothing, or does not want: its next word on that is news of what it has.
    if !pull.hasChosen { links[id]?.fetching.pullsPausedUntil = now.instant + settings.retry }
  }

  // MARK: What becomes of shared units

  /// A unit came, or is not to be fetched any more.
  mutating func unshare(_ unit: UnitID) { shared.remove(unit) }

  mutating func unshare(_ content: ContentID) {
    for unit in shared.units(of: content) { unshare(unit) }
  }

  mutating func noteShared(_ content: ContentID, isHeldBy id: LinkID) {
    for unit in shared.units(of: content) { shared.note(id, has: unit) }
  }

  mutating func noteShared(_ content: ContentID, isLackedBy id: LinkID) {
    for unit in shared.units(of: content) { _ = shared.note(id, lacks: unit) }
  }
}

/// A choice that was left to a link's peer.
struct LinkPull: Sendable {
  let job: LinkJob
  let orders: [UnitID: UnitOrder]
  var hasChosen = false

  init(job: LinkJob, orders: [UnitOrder]) {
    self.job = job
    self.orders = Dictionary(orders.map { ($0.unit, $0) }) { first, _ in first }
  }
}
