import MantelCore

/// Units that this machine and others lack, with the links whose peers have them: a window on all that is missing, in the
/// order in which the links' walks came to it, newest first.
///
/// A unit stays until it has come, until none of the linked peers has it, or until it is not wanted any more.
struct SharedUnits: Sendable {
  struct Entry: Sendable {
    let order: UnitOrder
    fileprivate(set) var holders: Set<LinkID>
    var unit: UnitID { order.unit }
  }

  private var entries: [UnitID: Entry] = [:]
  /// How many units there are of each content.
  private var contents: [ContentID: Int] = [:]
  /// In the order of their coming; what has gone is skipped, and forgotten from time to time.
  private var sequence: [UnitID] = []
  /// Which of the units each link's peer has.
  private var held: [LinkID: Set<UnitID>] = [:]

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }
  func contains(_ content: ContentID) -> Bool { contents[content] != nil }
  func contains(_ unit: UnitID) -> Bool { entries[unit] != nil }
  subscript(unit: UnitID) -> Entry? { entries[unit] }

  /// The units in their order.
  var ordered: [Entry] {
    var isListed: Set<UnitID> = []
    return sequence.compactMap { unit in isListed.insert(unit).inserted ? entries[unit] : nil }
  }

  /// The units that a link's peer has, in no order.
  func units(of link: LinkID) -> Set<UnitID> { held[link] ?? [] }

  /// Whether a link's peer has all of them: it has nothing to get from the others, and gives for all.
  func areHeld(by link: LinkID) -> Bool { held[link]?.count == entries.count }

  mutating func insert(_ order: UnitOrder, holders: Set<LinkID>) {
    guard entries[order.unit] == nil else { return }
    entries[order.unit] = Entry(order: order, holders: holders)
    sequence.append(order.unit)
    contents[order.unit.content, default: 0] += 1
    for link in holders { held[link, default: []].insert(order.unit) }
  }

  mutating func remove(_ unit: UnitID) {
    guard let entry = entries.removeValue(forKey: unit) else { return }
    for link in entry.holders { held[link]?.remove(unit) }
    let rest = (contents[unit.content] ?? 1) - 1
    contents[unit.content] = rest > 0 ? rest : nil
    guard sequence.count > 2 * entries.count + 64 else { return }
    // A unit that went and came again stands here twice; the later place counts for nothing.
    var isListed: Set<UnitID> = []
    sequence = sequence.filter { entries[$0] != nil && isListed.insert($0).inserted }
  }

  /// A link's peer has a unit from now on.
  mutating func note(_ link: LinkID, has unit: UnitID) {
    guard entries[unit]?.holders.insert(link).inserted == true else { return }
    held[link, default: []].insert(unit)
  }

  /// A link's peer has a unit no longer; returns whether nobody has it now, and it is gone from here.
  mutating func note(_ link: LinkID, lacks unit: UnitID) -> Bool {
    guard entries[unit]?.holders.remove(link) != nil else { return false }
    held[link]?.remove(unit)
    guard entries[unit]?.holders.isEmpty == true else { return false }
    remove(unit)
    return true
  }

  /// Returns the units that nobody has any more.
  mutating func closed(_ link: LinkID) -> [UnitID] {
    defer { held[link] = nil }
    return units(of: link).sorted().filter { note(link, lacks: $0) }
  }

  func units(of content: ContentID) -> [UnitID] {
    guard contents[content] != nil else { return [] }
    let whole = UnitID(content: content, part: .whole)
    if entries[whole] != nil { return [whole] }
    return entries.keys.filter { $0.content == content }.sorted()
  }
}

/// How many bytes are asked for at once of a peer that is itself still getting what it gives: as many as it brings in a few
/// seconds, so that nothing waits long at one that turns out to be slow.
struct ShareWindow: Sendable {
  private(set) var bytes: UInt64
  private let settings: Bounds

  struct Bounds: Hashable, Sendable {
    var least: UInt64 = 1
    var first: UInt64 = 4 << 20
    var most: UInt64 = 16 << 20
    /// A unit that comes sooner than this lets the window grow, one that comes later than the other lets it shrink.
    var soon: Duration = .seconds(1)
    var late: Duration = .seconds(4)
  }

  init(_ settings: Bounds) {
    self.settings = settings
    bytes = settings.first
  }

  /// A unit came so long after it was asked for.
  mutating func took(_ time: Duration) {
    if time < settings.soon { bytes = min(settings.most, bytes * 2) }
    if time > settings.late { bytes = max(settings.least, bytes / 2) }
  }
}
