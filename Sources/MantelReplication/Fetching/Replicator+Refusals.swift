import MantelCore

/// What was asked for and did not come, or came with wrong bytes.
extension Replicator {
  mutating func corrupt(_ unit: UnitID, link: LinkID, now: Now) throws(StoreError) {
    let claim = transfers.large[unit.content]?.claim
    recalls.failed(unit.content, .damaged, now: now)
    giveBack(unit, link: link)
    // The hash of a manifest is no more than what an entry says.
    if unit.part == .manifest, let claim, try doubt(claim, of: unit.content) { return }
    putOff(unit.content, of: link, until: now.instant + settings.distrust)
    if case .block = unit.part, try blockFailed(unit.content) { return }
    guard let peer = links[link] else { return }
    links[link]?.fetching.corruptUnits += 1
    actions.append(.warn(.corruptUnit(peer: peer.machine, unit.content)))
    if peer.fetching.corruptUnits + 1 >= settings.corruptUnitsPerLink {
      actions.append(.link(link, .close(.protocolError("wrong bytes, again and again"))))
    }
  }

  mutating func unitEnded(
    _ unit: UnitID, _ outcome: LinkOutcome, link: LinkID, now: Now
  ) throws(StoreError) {
    // A unit that was verified, or found corrupt, is settled already.
    guard let order = links[link]?.fetching.orders[unit] else { return }
    switch outcome {
    case .complete: break
    case .cancelled:
      // Nobody here cancelled it: the connection is about to end, and the others are asked.
      links[link]?.fetching.pausedUntil = now.instant + settings.retry
    case _ where !isOffered(unit.content, over: link):
      // Its peer has taken it back before it refused: it is asked for when it is offered again.
      break
    case .notHeld, .unsupported, .unknownHead:
      // What is gone for good its peer announces; else it was just on its way from one file to another.
      if try !isClaimsFault(order) {
        let waiting = links[link]?.fetching.putOff.count ?? 0
        putOff(unit.content, of: link, until: now.instant + settings.retry(waiting: waiting))
      }
    case .changed, .busy, .failed:
      if hasPart(link, of: unit.content) {
        // Others have it, and are not to blame.
        let waiting = links[link]?.fetching.putOff.count ?? 0
        putOff(unit.content, of: link, until: now.instant + settings.retry(waiting: waiting))
      } else {
        let waiting = transfers.notBefore.count
        putOff(unit.content, until: now.instant + settings.retry(waiting: waiting))
      }
    }
    if !hasPart(link, of: unit.content) {
      recalls.failed(unit.content, outcome == .cancelled ? nil : .refused, now: now)
    }
    giveBack(unit, link: link)
    if outcome == .notHeld, case .block = unit.part { _ = try blockFailed(unit.content) }
  }

  /// A content under another name than its peer has it: its length, or whether it comes in blocks, is what libraries
  /// disagree about.
  private mutating func isClaimsFault(_ order: UnitOrder) throws(StoreError) -> Bool {
    let content = order.unit.content
    switch order.unit.part {
    case .whole: return try doubt(ContentClaim(size: order.contentBytes, manifest: nil), of: content)
    case .manifest:
      guard let claim = transfers.large[content]?.claim else { return false }
      return try doubt(claim, of: content)
    case .block: return false
    }
  }
}
