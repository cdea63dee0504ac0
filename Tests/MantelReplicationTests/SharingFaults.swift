import MantelCore

@testable import MantelReplication

extension Replicator {
  /// What is wrong with the units that are shared; nil when nothing is.
  func sharedFault() -> String? {
    if let contradiction = shared.contradiction() { return contradiction }
    let isFetching =
      transfers.isRecovered && transfers.pausedUntil == nil && role == .full && room?.isLow != true
    for unit in shared.units {
      guard let entry = shared[unit], entry.isAsked == (transfers.inFlight[unit] != nil) else {
        return "\(unit), of which it is not known who is asked"
      }
      if let link = entry.holders.first(where: { !isFetchable(unit, from: $0) }) {
        let reasons = [
          "it is here": contents.isAvailable(unit.content),
          "it waits": transfers.notBefore.contains(unit.content),
          "it is put off": links[link]?.fetching.putOff.contains(unit.content) == true,
          "somebody recalls it": recalls.open[unit.content] != nil,
        ]
        let why = reasons.filter(\.value).keys.sorted().joined(separator: ", ")
        return "\(unit), which \(link) cannot be asked for: \(why)"
      }
      guard isFetching, !entry.isAsked, !entry.holders.contains(where: { links[$0]?.isBusy == true }) else {
        continue
      }
      return "\(unit), of which nobody is asked"
    }
    return blockFault()
  }

  /// A block that is not here is to be asked for, or asked for, or shared.
  private func blockFault() -> String? {
    let dropped = Set(shared.droppedBlocks)
    for (content, transfer) in transfers.large {
      for block in 0..<UInt32(transfer.manifest?.blocks.count ?? 0) where !transfer.has.contains(Int(block)) {
        let unit = UnitID(content: content, part: .block(block))
        let isWaiting = transfers.inFlight[unit] != nil || shared.contains(unit) || dropped.contains(unit)
        guard transfer.isOpen(block) != isWaiting else {
          return "\(unit) is \(isWaiting ? "waited for and" : "not waited for, nor") to be asked for"
        }
      }
    }
    return nil
  }
}

extension Link {
  /// Something that was asked for, or the end of a rest, will be an event.
  fileprivate var isBusy: Bool {
    !fetching.orders.isEmpty || fetching.pull != nil || fetching.pausedUntil != nil
      || fetching.pullsPausedUntil != nil
  }
}
