import MantelCore

/// The room on the disks. A large content that does not fit waits alone, and holds up nobody; so does a copy, and a head that the
/// catalog's disk has no room to install.
extension Replicator {
  /// Whether a large content may be begun: its space is reserved as a whole, beside what is still to be reserved for
  /// those under way, and the part that landing leaves alone stays. True while nothing is known of the disk.
  func hasRoom(for size: UInt64) -> Bool {
    room.map { size <= roomLeft($0, leaving: $0.replica.reserve) } ?? true
  }

  /// What may still be promised of the replica's filesystem, so that so much of it is left alone.
  private func roomLeft(_ room: DiskRoom, leaving reserve: UInt64) -> UInt64 {
    var left = room.replica.free
    func take(_ bytes: UInt64) { left -= min(bytes, left) }
    take(reserve)
    take(filing.copies.underWay)
    take(filing.copies.made)
    for transfer in transfers.large.values where !transfer.isReserved { take(transfer.missing.size) }
    return left
  }

  /// For how many such copies there is room.
  func copyLimit(of cost: CopyCost) -> Int {
    guard let room else { return .max }
    let reserve = cost.reserve(of: room.replica)
    if room.catalog.isLow || room.replica.free <= reserve { return 0 }
    return cost.bytes == 0 ? .max : Int(clamping: roomLeft(room, leaving: reserve) / cost.bytes)
  }

  mutating func noteCopies(of plan: FilingPlan, _ cost: CopyCost) {
    // Within the limit, where there is one: that fits.
    if room != nil { filing.copies.underWay += cost.bytes * UInt64(plan.copies) }
    guard plan.lacksRoom else { return }
    filing.copies.smallest = filing.copies.smallest.map { min($0, cost) } ?? cost
  }

  mutating func endCopies(of batch: FilingBatch) {
    filing.copies.made += filing.copies.underWay
    filing.copies.underWay = 0
    filing.copies.waiting.subtract(batch.contents)
    // What is outdated is planned anew anyway.
    filing.copies.waiting.formUnion(batch.lackingRoom.subtracting(batch.outdated))
    // The room was measured while the batch ran, before these waited: they are planned when it is measured next.
    if filing.copies.smallest == nil { planAnyCopy() }
  }

  /// What waits is planned as soon as there is room for any copy.
  private mutating func planAnyCopy() {
    guard !filing.copies.waiting.isEmpty else { return }
    filing.copies.smallest = CopyCost(of: 0, isShared: room?.sharing != nil)
  }

  /// Copies that waited for room are planned again: all of them, once there is some for the smallest.
  private mutating func planCopies() {
    guard let smallest = filing.copies.smallest, copyLimit(of: smallest) > 0 else { return }
    filing.ready.formUnion(filing.copies.waiting)
    filing.copies.waiting.removeAll()
    filing.copies.smallest = nil
  }

  /// A link passes by a large content that does not fit; it comes back once there is room for the smallest of them.
  mutating func leaveForRoom(_ content: MissingContent, _ link: LinkID) {
    transfers.leftForRoom = min(transfers.leftForRoom ?? .max, content.size)
    links[link]?.fetching.hasLeftLarge = true
  }

  mutating func measured(_ room: DiskRoom) {
    let isOtherwise = self.room?.sharing != room.sharing
    self.room = room
    catalogSpace = room.catalog
    filing.copies.made = 0
    if isOtherwise { planAnyCopy() }
    for (content, transfer) in transfers.large where transfer.hasBegun {
      transfers.large[content]?.isReserved = true
    }
    planCopies()
    guard let smallest = transfers.leftForRoom, hasRoom(for: smallest) else { return }
    transfers.leftForRoom = nil
    beginMoreLarge()
  }

  // MARK: The catalog's

  /// The replica's disk is away.
  mutating func measured(catalog space: DiskSpace) {
    catalogSpace = space
    room?.catalog = space
  }

  /// Room on the catalog's disk that an install of so many rows at once takes, while it is under way.
  func installBytes(_ rows: UInt64) -> UInt64 { rows * settings.installedRowBytes }

  /// True while nothing is known of the disk. An install that finds it full is a failure of the catalog: all starts over, and comes
  /// to the same install.
  func hasRoom(toInstall rows: UInt64) -> Bool {
    catalogSpace.map { installBytes(rows) <= $0.free } ?? true
  }

  /// All of a head is here, and waits for room. It needs its link no more: that may be gone by then, and another comparison
  /// with it.
  mutating func awaitRoom(for owner: MachineID, _ rows: UInt64) {
    var fetch = libraries[owner]?.fetch
    fetch?.bulkRows = rows
    fetch?.hasReconciled = true
    libraries[owner]?.awaitingRoom = fetch
    libraries[owner]?.fetch = nil
  }

  /// Until it is measured again: the log, too, keeps its size for a while.
  mutating func takeRoom(forInstalled rows: UInt64) {
    guard let free = catalogSpace?.free else { return }
    let taken = min(installBytes(rows), free)
    catalogSpace?.free = free - taken
  }

  /// The room was measured. What may not be installed any more is left to the next fetch.
  mutating func installAwaitingRoom(now: Now) throws(StoreError) {
    for owner in libraries.keys.sorted() {
      guard let library = libraries[owner], let fetch = library.awaitingRoom,
        hasRoom(toInstall: fetch.bulkRows)
      else { continue }
      libraries[owner]?.awaitingRoom = nil
      let order = fetch.target.record.order
      guard order > library.order, order <= library.newestOrder, mayTakeIn(fetch.target),
        mayFetch(owner, upTo: order)
      else { continue }
      libraries[owner]?.fetch = fetch
      try installIfWhole(owner, now: now)
    }
  }

  // MARK: Failures

  /// A unit could not be staged.
  mutating func stagingFailed(_ unit: UnitID, _ failure: StagingFailure, now: Now) {
    recalls.failed(unit.content, RecallOutcome(failure), now: now)
    switch failure {
    case .other: putOff(unit.content, until: now.instant + settings.retry)
    case .readOnly: becameReadOnly()
    case .noSpace where transfers.large[unit.content] != nil && room?.isLow != true:
      // The large content does not fit, and others may: it alone waits.
      putOff(unit.content, until: now.instant + settings.diskFull)
    case .noSpace: transfers.pausedUntil = now.instant + settings.diskFull
    }
    if let link = transfers.inFlight[unit] { giveBack(unit, link: link) }
    guard failure == .noSpace, transfers.large[unit.content]?.hasBegun == false else { return }
    // Nothing of it is here: it is begun anew, if there is room for it by then.
    cancelAll(of: unit.content)
    endLarge(unit.content)
  }
}
