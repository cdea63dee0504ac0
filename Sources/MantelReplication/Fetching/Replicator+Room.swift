import MantelCore

/// Large contents and the room on the disk: one that does not fit waits alone, and holds up nobody.
extension Replicator {
  /// Whether a large content may be begun: its space is reserved as a whole, beside what is still to be reserved for
  /// those under way, and the part that landing leaves alone stays. True while nothing is known of the disk.
  func hasRoom(for size: UInt64) -> Bool {
    guard let room else { return true }
    var left = room.replica.free.subtractingReportingOverflow(room.replica.reserve)
    for transfer in transfers.large.values where !left.overflow && !transfer.isReserved {
      left = left.partialValue.subtractingReportingOverflow(transfer.missing.size)
    }
    return !left.overflow && size <= left.partialValue
  }

  /// A link passes by a large content that does not fit; it comes back once there is room for the smallest of them.
  mutating func leaveForRoom(_ content: MissingContent, _ link: LinkID) {
    transfers.leftForRoom = min(transfers.leftForRoom ?? .max, content.size)
    links[link]?.fetching.hasLeftLarge = true
  }

  mutating func measured(_ room: DiskRoom) {
    self.room = room
    for (content, transfer) in transfers.large where transfer.hasBegun {
      transfers.large[content]?.isReserved = true
    }
    guard let smallest = transfers.leftForRoom, hasRoom(for: smallest) else { return }
    transfers.leftForRoom = nil
    beginMoreLarge()
  }

  /// A unit could not be staged.
  mutating func stagingFailed(_ unit: UnitID, isNoSpace: Bool, now: Now) throws(StoreError) {
    recalls.failed(unit.content, isNoSpace ? .noSpace : .refused, now: now)
    if !isNoSpace {
      putOff(unit.content, until: now.instant + settings.retry)
    } else if transfers.large[unit.content] != nil, room?.isLow != true {
      // The large content does not fit, and others may: it alone waits.
      putOff(unit.content, until: now.instant + settings.diskFull)
    } else {
      transfers.pausedUntil = now.instant + settings.diskFull
    }
    if let link = transfers.inFlight[unit] { giveBack(unit, link: link) }
    guard isNoSpace, transfers.large[unit.content]?.hasBegun == false else { return }
    // Nothing of it is here: it is begun anew, if there is room for it by then.
    cancelAll(of: unit.content)
    endLarge(unit.content)
  }
}
