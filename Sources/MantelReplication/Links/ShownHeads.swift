import MantelCore

/// Heads of one library that a peer has shown; the newest last. Of several the peer may have only heard of the newest ones.
struct ShownHeads: Sendable {
  private(set) var heads: [Signed<Head>] = []

  /// A peer shows what it installs, one after the other, and seldom what it has only heard of.
  private static let limit = 8

  var newest: Signed<Head>? { heads.last }

  mutating func add(_ head: Signed<Head>, above installed: HeadOrder) {
    heads.removeAll { $0.record.order <= installed }
    let order = head.record.order
    guard order > installed, !heads.contains(where: { $0.record.order == order }) else { return }
    let place = heads.firstIndex { $0.record.order > order } ?? heads.endIndex
    heads.insert(head, at: place)
    if heads.count > Self.limit { heads.removeFirst() }
  }

  mutating func add(_ others: ShownHeads, above installed: HeadOrder) {
    for head in others.heads { add(head, above: installed) }
  }

  /// It cannot serve these.
  mutating func remove(where isGone: (HeadOrder) -> Bool) { heads.removeAll { isGone($0.record.order) } }
}

extension Link {
  /// It cannot serve this head, nor a newer one: what it has shown before is what it has.
  mutating func withdraw(_ order: HeadOrder, of library: MachineID) {
    shown[library]?.remove { $0 >= order }
    unread[library]?.remove { $0 >= order }
    heads[library] = shown[library]?.newest?.record.order
  }
}

extension Replicator {
  /// The newest head of another machine's library that is not installed, counts, and was shown by somebody who is there or
  /// is waited for: what there is to go on with when a newer one is given up.
  func newestShown(of library: MachineID) -> Signed<Head>? {
    let installed: HeadOrder = libraries[library]?.order ?? .none
    var heads: [Signed<Head>] = []
    for link in links.values { heads += link.shown[library]?.heads ?? [] }
    for shown in kept[library]?.shown.values.map(\.heads) ?? [] { heads += shown }
    return heads.filter { $0.record.order > installed && mayTakeIn($0) }
      .max { $0.record.order < $1.record.order }
  }
}
