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

  /// Takes a unit among the shared ones; false while there are too many of this link.
  mutating func share(_ order: UnitOrder, over id: LinkID) -> Bool {
    let isBlock = order.unit.isBlock
    guard shared.count(of: id, areBlocks: isBlock) < (isBlock ? settings.sharedBlocks : settings.sharedUnits)
    else { return false }
    let holders = links.keys.filter { isFetchable(order.unit, from: $0) }
    shared.insert(order, rank: AskingOrder(of: machine).rank(order.unit), holders: Set(holders))
    return true
  }

  /// Keeps every link busy with shared units.
  mutating func exchange(now: Now) {
    guard role == .full, !shared.isEmpty, !isDiskFailing else { return }
    guard !shared.isLackedHereAlone else { return askAllByName(now: now) }
    for id in links.keys.sorted() where links[id]?.fetching.pausedUntil == nil {
      // Who has all of it gets nothing from the others, and what it sends goes to all.
      if !shared.gives(id) || links[id]?.takesPulls == false { askByName(id, now: now) }
      leaveChoice(to: id)
    }
  }

  // MARK: By name

  /// Asks a peer that is still getting for what others have too, the rarest first; each machine in an order of its own.
  private mutating func askByName(_ id: LinkID, now: Now) {
    var orders: [UnitOrder] = []
    while mayAskByName(id), let entry = nextNamed(of: id) {
      if let order = askShared(entry, of: id, now: now) { orders.append(order) }
    }
    if !orders.isEmpty { actions.append(.link(id, .fetch(orders))) }
  }

  /// What nobody else lacks is passed on to nobody, so that no choice is worth what it costs: several that choose for one asker
  /// choose the same now and then, and what is sent by the time that it says so is sent in vain. Each gets its turn.
  private mutating func askAllByName(now: Now) {
    var orders: [LinkID: [UnitOrder]] = [:]
    var asking = links.keys.sorted().filter { links[$0]?.fetching.pausedUntil == nil }
    while !asking.isEmpty {
      var more: [LinkID] = []
      for id in asking where mayAskByName(id) {
        guard let entry = nextNamed(of: id) else { continue }
        if let order = askShared(entry, of: id, now: now) { orders[id, default: []].append(order) }
        more.append(id)
      }
      asking = more
    }
    for (id, orders) in orders.sorted(by: { $0.key < $1.key }) { actions.append(.link(id, .fetch(orders))) }
  }

  private func mayAskByName(_ id: LinkID) -> Bool {
    guard let fetching = links[id]?.fetching else { return false }
    return fetching.sharedBytes < fetching.window.bytes && fetching.orders.count < settings.sharedOrders
  }

  /// Blocks have at most half of the window: a new photo waits for no more.
  private mutating func nextNamed(of id: LinkID) -> SharedUnits.Entry? {
    guard let fetching = links[id]?.fetching else { return nil }
    return shared.nextNamed(of: id, withBlocks: fetching.namedBlockBytes < max(1, fetching.window.bytes / 2))
  }

  private mutating func askShared(_ entry: SharedUnits.Entry, of id: LinkID, now: Now) -> UnitOrder? {
    guard isFetchable(entry.unit, from: id) else {
      shared.note(id, lacks: entry.unit)
      return nil
    }
    ask(id, for: entry.order, isNamed: true, now: now)
    return entry.order
  }

  // MARK: By the holder's choice

  /// Lets a peer choose what nobody else can give; when there is no more of that, among what others could give.
  private mutating func leaveChoice(to id: LinkID) {
    guard let link = links[id], link.takesPulls, link.fetching.pull == nil,
      link.fetching.pullsPausedUntil == nil
    else { return }
    let offered = shared.offers(to: id, count: settings.pullOffers)
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
    guard let order = pull.orders[unit], shared[unit]?.order == order, isFetchable(unit, from: id),
      asked == nil
    else {
      // It came, was asked of another, or is taken for something else, since the choice was left to it.
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
    guard !pull.hasChosen else { return }
    // It has nothing of it, does not want to, or takes it that all is here. It is asked by name, which tells.
    var orders: [UnitOrder] = []
    if outcome == .complete {
      for unit in pull.orders.keys.sorted() where mayAskByName(id) {
        guard let entry = shared[unit], !entry.isAsked, entry.holders.contains(id) else { continue }
        if let order = askShared(entry, of: id, now: now) { orders.append(order) }
      }
    }
    if orders.isEmpty {
      links[id]?.fetching.pullsPausedUntil = now.instant + settings.retry
    } else {
      actions.append(.link(id, .fetch(orders)))
    }
  }

  // MARK: What becomes of shared units

  /// A unit came, or is not to be shared any more.
  mutating func unshare(_ unit: UnitID) { shared.remove(unit) }

  /// A content came, or is not to be asked for in this way any more.
  mutating func unshare(_ content: ContentID) {
    for unit in shared.units(of: content) { unshare(unit) }
  }

  /// A link's peer says that it has a content.
  mutating func noteShared(_ content: ContentID, isHeldBy id: LinkID) {
    guard shared.contains(content), isFetchable(content, from: id) else { return }
    for unit in shared.units(of: content) { shared.note(id, has: unit) }
  }

  mutating func noteShared(_ content: ContentID, isLackedBy id: LinkID) {
    guard shared.contains(content) else { return }
    for unit in shared.units(of: content) { shared.note(id, lacks: unit) }
    transfers.isWorthLooking = true
  }

  // MARK: What is put off

  /// One peer is not asked for a content before a moment.
  mutating func putOff(_ content: ContentID, of id: LinkID, until instant: Instant) {
    links[id]?.fetching.putOff.wait(content, until: instant)
    noteShared(content, isLackedBy: id)
  }

  /// Nobody is asked for a content before a moment.
  mutating func putOff(_ content: ContentID, until instant: Instant) {
    transfers.notBefore.wait(content, until: instant)
    unshare(content)
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
