import HeapModule
import MantelCore

/// Units that this machine and others lack, with the links that can be asked for them now: windows on all that is missing,
/// one for each link that its walk fills, newest first.
///
/// **Invariant:** each unit is asked of a link, or of at least one link it can be asked; and whoever looks for something to
/// ask of that link (`nextNamed`, `offers`) finds it. A unit of which that is no longer true is not here any more: it is
/// for the walks again, to which whatever can be asked for is named. So nothing can wait here for nobody.
///
/// Each operation costs what the unit's own links cost, however many units there are, but for `offers`, which looks at
/// what it offers.
struct SharedUnits: Sendable {
  struct Entry: Sendable {
    let order: UnitOrder
    /// This machine's own order among units that as many have.
    let rank: UInt64
    /// When it came, among all.
    fileprivate let place: UInt64
    /// Links that can be asked for it; empty only while one is.
    fileprivate(set) var holders: Set<LinkID>
    fileprivate(set) var isAsked = false
    var unit: UnitID { order.unit }
  }

  private var entries: [UnitID: Entry] = [:]
  /// Parts of each content.
  private var contents: [ContentID: Set<UnitID>] = [:]
  private var shares: [LinkID: Share] = [:]
  private var lastPlace: UInt64 = 0
  /// Blocks that are not here any more, since `takeDropped`: they came, or nobody can be asked for them.
  private(set) var droppedBlocks: [UnitID] = []

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }
  func contains(_ content: ContentID) -> Bool { contents[content] != nil }
  func contains(_ unit: UnitID) -> Bool { entries[unit] != nil }
  subscript(unit: UnitID) -> Entry? { entries[unit] }
  var units: some Collection<UnitID> { entries.keys }
  func units(of content: ContentID) -> [UnitID] { contents[content]?.sorted() ?? [] }

  /// How many units a link can be asked for.
  func count(of link: LinkID) -> Int { shares[link]?.units.count ?? 0 }

  /// How many blocks of large contents wait that a link can be asked for, or how many of all others there are.
  func count(of link: LinkID, areBlocks: Bool) -> Int {
    guard let share = shares[link] else { return 0 }
    return areBlocks ? share.waitingBlocks : share.units.count - share.blocks
  }

  mutating func takeDropped() -> [UnitID] {
    defer { droppedBlocks.removeAll() }
    return droppedBlocks
  }

  /// Whether a link can be asked for all of them: it has nothing to get from the others, and gives for all.
  func gives(_ link: LinkID) -> Bool { count(of: link) == entries.count }

  /// Several links can be asked for all, and no other is there: nobody but this machine lacks anything of it.
  var isLackedHereAlone: Bool { shares.count > 1 && shares.keys.allSatisfy { gives($0) } }

  // MARK: Links

  /// `isAskedAll`: its peer is not left to choose, so that it is asked by name for what nobody else has, too.
  mutating func opened(_ link: LinkID, isAskedAll: Bool) { shares[link] = Share(isAskedAll: isAskedAll) }

  mutating func closed(_ link: LinkID) {
    for unit in (shares[link]?.units ?? []).sorted() { note(link, lacks: unit) }
    shares[link] = nil
  }

  // MARK: Units

  /// Of `holders` only links that are open count; without one the unit is not taken.
  mutating func insert(_ order: UnitOrder, rank: UInt64, holders: Set<LinkID>) {
    let holders = holders.filter { shares[$0] != nil }
    guard entries[order.unit] == nil, !holders.isEmpty else { return }
    lastPlace += 1
    entries[order.unit] = Entry(order: order, rank: rank, place: lastPlace, holders: holders)
    contents[order.unit.content, default: []].insert(order.unit)
    for link in holders { shares[link]?.insert(order.unit) }
    open(order.unit)
  }

  mutating func remove(_ unit: UnitID) {
    close(unit)
    guard let entry = entries.removeValue(forKey: unit) else { return }
    if unit.isBlock { droppedBlocks.append(unit) }
    for link in entry.holders { shares[link]?.remove(unit) }
    contents[unit.content]?.remove(unit)
    if contents[unit.content]?.isEmpty == true { contents[unit.content] = nil }
  }

  mutating func removeAll() {
    for unit in entries.keys.sorted() { remove(unit) }
  }

  /// A link can be asked for a unit from now on.
  mutating func note(_ link: LinkID, has unit: UnitID) {
    guard shares[link] != nil, entries[unit]?.holders.contains(link) == false else { return }
    close(unit)
    entries[unit]?.holders.insert(link)
    shares[link]?.insert(unit)
    open(unit)
  }

  /// A link cannot be asked for a unit any more, or not for a while.
  mutating func note(_ link: LinkID, lacks unit: UnitID) {
    guard entries[unit]?.holders.contains(link) == true else { return }
    close(unit)
    entries[unit]?.holders.remove(link)
    shares[link]?.remove(unit)
    open(unit)
  }

  /// A link is asked for it.
  mutating func asked(_ unit: UnitID) {
    close(unit)
    entries[unit]?.isAsked = true
  }

  /// No link is asked for it any more.
  mutating func released(_ unit: UnitID) {
    guard entries[unit]?.isAsked == true else { return }
    entries[unit]?.isAsked = false
    open(unit)
  }

  /// Puts a unit that nobody is asked for where it is found by those that can be; without any, it goes.
  private mutating func open(_ unit: UnitID) {
    guard let entry = entries[unit], !entry.isAsked else { return }
    let holders = entry.holders.count
    guard holders > 0 else { return remove(unit) }
    for link in entry.holders {
      shares[link]?.put(NamedUnit(holders: holders, rank: entry.rank, unit: unit))
      shares[link]?.forgetPassed(entries)
    }
  }

  private mutating func close(_ unit: UnitID) {
    guard let entry = entries[unit], !entry.isAsked else { return }
    for link in entry.holders { shares[link]?.take(unit, holders: entry.holders.count) }
  }

  // MARK: What to ask of whom

  /// Takes the unit that is to be asked by name of a link, the rarest that others have too: it has to be `asked`, or noted
  /// as lacking, by the caller.
  ///
  /// Nil while the next is a block, if those are not wanted: photos come before them.
  mutating func nextNamed(of link: LinkID, withBlocks: Bool = true) -> Entry? {
    while let next = shares[link]?.named.min {
      if next.unit.isBlock, !withBlocks { return nil }
      shares[link]?.named.removeMin()
      if let entry = entries[next.unit], entry.agrees(with: next.holders, of: link) { return entry }
    }
    return nil
  }

  /// What a link is left to choose from: what only those can give that give for all, or it alone; of that nothing, what
  /// others could give too, the rarest. In the order in which they came here, at most `count`.
  func offers(to link: LinkID, count: Int) -> [UnitOrder] {
    guard let share = shares[link] else { return [] }
    // Those that give for all have each unit: this many links have what nobody else has.
    let gives = gives(link)
    let giving = gives ? shares.keys.filter { self.gives($0) }.sorted() : [link]
    var units = giving.count <= share.waiting.count ? Array(share.waiting[giving.count - 1]) : []
    if units.isEmpty, gives {
      for others in share.waiting.dropFirst(giving.count) where units.count < count { units += others }
    }
    // Two that choose among the same choose the same now and then, which is sent twice: each its part, as long as it has any.
    if giving.count > 1, let part = giving.firstIndex(of: link).map(UInt64.init) {
      let own = units.filter { (entries[$0]?.rank ?? 0) % UInt64(giving.count) == part }
      if !own.isEmpty { units = own }
    }
    let sorted = units.compactMap { entries[$0] }.sorted { $0.place < $1.place }
    return Self.alternating(sorted, count: count).map(\.order)
  }

  /// A photo, a block, a photo, ... while there are both: neither waits until the others have come.
  private static func alternating(_ entries: [Entry], count: Int) -> [Entry] {
    var blocks = entries.lazy.filter(\.unit.isBlock).makeIterator()
    var others = entries.lazy.filter { !$0.unit.isBlock }.makeIterator()
    var chosen: [Entry] = []
    while chosen.count < count {
      let next = [others.next(), blocks.next()].compactMap(\.self)
      guard !next.isEmpty else { break }
      chosen += next
    }
    return Array(chosen.prefix(count))
  }

  /// What contradicts the invariant; nil when nothing does. For tests: it looks at everything.
  func contradiction() -> String? {
    for (unit, entry) in entries {
      if entry.isAsked { continue }
      guard !entry.holders.isEmpty else { return "\(unit) waits for nobody" }
      for link in entry.holders {
        guard let share = shares[link], share.units.contains(unit) else {
          return "\(link) does not know of \(unit)"
        }
        let named = NamedUnit(holders: entry.holders.count, rank: entry.rank, unit: unit)
        guard share.waiting[named.holders - 1].contains(unit) else {
          return "\(unit) is not offered to \(link)"
        }
        guard !share.isByName(named) || share.named.unordered.contains(named) else {
          return "\(unit) is not asked of \(link) by name"
        }
      }
    }
    for (link, share) in shares {
      for unit in share.units where entries[unit]?.holders.contains(link) != true {
        return "\(link) keeps \(unit), which it cannot be asked for"
      }
      for (place, units) in share.waiting.enumerated() {
        for unit in units where entries[unit]?.agrees(with: place + 1, of: link) != true {
          return "\(link) is offered \(unit) out of place"
        }
      }
    }
    return nil
  }
}

extension SharedUnits.Entry {
  /// Nobody is asked for it, and a link is one of so many that can be.
  fileprivate func agrees(with count: Int, of link: LinkID) -> Bool {
    !isAsked && holders.count == count && holders.contains(link)
  }
}

/// What is shared over one link.
private struct Share: Sendable {
  /// Units that it can be asked for, asked or not.
  private(set) var units: Set<UnitID> = []
  /// Of these blocks of large contents, and those of them that nobody is asked for.
  private(set) var blocks = 0
  private(set) var waitingBlocks = 0
  /// Those that nobody is asked for, by the number of links that can be: one link first.
  var waiting: [Set<UnitID>] = []
  /// The same in the order in which they are asked for by name. What does not agree with its entry any more is passed over.
  var named = Heap<NamedUnit>()
  /// Units that only this link has are asked of it by name too.
  let isAskedAll: Bool

  init(isAskedAll: Bool) { self.isAskedAll = isAskedAll }

  mutating func insert(_ unit: UnitID) {
    if units.insert(unit).inserted, unit.isBlock { blocks += 1 }
  }

  mutating func remove(_ unit: UnitID) {
    if units.remove(unit) != nil, unit.isBlock { blocks -= 1 }
  }

  func isByName(_ unit: NamedUnit) -> Bool { isAskedAll || unit.holders > 1 }

  mutating func put(_ unit: NamedUnit) {
    while waiting.count < unit.holders { waiting.append([]) }
    if waiting[unit.holders - 1].insert(unit.unit).inserted, unit.unit.isBlock { waitingBlocks += 1 }
    if isByName(unit) { named.insert(unit) }
  }

  mutating func take(_ unit: UnitID, holders: Int) {
    if waiting[holders - 1].remove(unit) != nil, unit.isBlock { waitingBlocks -= 1 }
  }

  /// What was passed over too often makes room.
  mutating func forgetPassed(_ entries: [UnitID: SharedUnits.Entry]) {
    guard named.count > 2 * units.count + 64 else { return }
    named = Heap(
      waiting.enumerated().flatMap { place, units in
        units.compactMap { unit in
          entries[unit].map { NamedUnit(holders: place + 1, rank: $0.rank, unit: unit) }
        }
      }.filter(isByName))
  }
}

private struct NamedUnit: Comparable {
  var holders: Int
  var rank: UInt64
  var unit: UnitID

  static func < (left: Self, right: Self) -> Bool {
    // A photo passes a video.
    guard left.unit.isBlock == right.unit.isBlock else { return right.unit.isBlock }
    return (left.holders, left.rank, left.unit) < (right.holders, right.rank, right.unit)
  }
}

extension UnitID {
  var isBlock: Bool { if case .block = part { true } else { false } }
}
