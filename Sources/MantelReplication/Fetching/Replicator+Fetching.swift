import BitCollections
import DequeModule
import MantelCore
import MantelHousehold
import MantelSummary

extension Replicator {
  /// Keeps every link's fetch queue filled with what its peer has and we lack.
  mutating func fetchContents(now: Now) throws(StoreError) {
    expireDelays(now: now)
    takeBackDroppedBlocks()
    guard role == .full || !recalls.asking.isEmpty, transfers.isRecovered, transfers.isWorthLooking,
      transfers.pausedUntil == nil, !filing.isReadOnly, !(room?.isLow ?? false)
    else { return }
    transfers.isWorthLooking = false
    for id in links.keys.sorted() {
      var orders: [UnitOrder] = []
      while mayOrder(of: id), let order = try nextOrder(for: id) {
        ask(id, for: order, now: now)
        orders.append(order)
      }
      if !orders.isEmpty { actions.append(.link(id, .fetch(orders))) }
    }
    exchange(now: now)
  }

  /// Asked apart from the loop that orders: there a copy of what was ordered before would be made anew with each order.
  private func mayOrder(of id: LinkID) -> Bool {
    guard let fetching = links[id]?.fetching else { return false }
    return fetching.pausedUntil == nil && fetching.orders.count < settings.linkUnits
      && fetching.bytes < settings.linkBytes
  }

  /// Blocks have a part of a link's bytes, and all else has the other: neither waits until the others have come.
  private func mayOrderBlocks(of id: LinkID) -> Bool {
    links[id].map { $0.fetching.blockBytes < settings.linkBlockBytes } ?? false
  }

  private func mayOrderOthers(of id: LinkID) -> Bool {
    links[id].map { $0.fetching.otherBytes < settings.linkBytes - settings.linkBlockBytes } ?? false
  }

  private mutating func expireDelays(now: Now) {
    if let paused = transfers.pausedUntil, paused <= now.instant {
      transfers.pausedUntil = nil
      transfers.isWorthLooking = true
    }
    // Not over `links` itself: a copy that is held meanwhile has all that waits copied with the first that waits no more.
    for id in links.keys.sorted() {
      if let paused = links[id]?.fetching.pausedUntil, paused <= now.instant {
        links[id]?.fetching.pausedUntil = nil
        transfers.isWorthLooking = true
      }
      if let paused = links[id]?.fetching.pullsPausedUntil, paused <= now.instant {
        links[id]?.fetching.pullsPausedUntil = nil
        transfers.isWorthLooking = true
      }
      while let content = links[id]?.fetching.putOff.popOver(now: now.instant) {
        reconsider(content, over: id)
      }
    }
    while let content = transfers.notBefore.popOver(now: now.instant) {
      reconsider(content)
      assembleIfWhole(content)
    }
  }

  mutating func recovered() {
    transfers.isRecovered = true
    lookAgain()
  }

  /// The contents that are missing changed: all links begin their walks anew.
  mutating func lookAgain() {
    for id in links.keys.sorted() { links[id]?.fetching.walk.restart() }
    transfers.isWorthLooking = true
  }

  /// A content that walks have passed by may be asked for again, of any link or of one whose peer has it now.
  mutating func reconsider(_ content: ContentID, over only: LinkID? = nil) {
    // A newcomer hears of all that a peer has before it knows what to want: then its walks begin anew.
    let isWanted = recalls.open[content] != nil || contents.isWantedByOther(than: machine, content)
    for id in only.map({ [$0] }) ?? Array(links.keys) {
      noteSharedBlocks(of: content, over: id)
      guard isWanted, let set = links[id]?.contents, contents.index.contains(content.digest, in: set) else {
        continue
      }
      links[id]?.fetching.walk.reconsider(content, limit: settings.reconsidered)
    }
    transfers.isWorthLooking = true
  }

  /// Nobody is asked for a unit any more, and it has not come: it may be asked for again.
  mutating func release(_ unit: UnitID) {
    noteAsked(unit, of: nil)
    transfers.takenOver[unit] = nil
    switch unit.part {
    case .block(let index) where !shared.contains(unit): transfers.large[unit.content]?.release(index)
    case .manifest where transfers.large[unit.content]?.manifest == nil: endLarge(unit.content)
    case .block, .manifest, .whole: break
    }
    reconsider(unit.content)
  }

  /// A large content is not under way any more; others may be begun.
  mutating func endLarge(_ content: ContentID) {
    let ended = transfers.large.removeValue(forKey: content)
    // Those that were told of its blocks; unless all of it is here now, of which they hear in the same event.
    if ended?.hasBegun == true, !contents.isAvailable(content) {
      availability.note(content, isAvailable: false)
    }
    unshare(content)
    beginMoreLarge()
  }

  /// A large content is not to be fetched to its end.
  mutating func abandonLarge(_ content: ContentID) throws(StoreError) {
    cancelAll(of: content)
    endLarge(content)
    try store.removePartial(content)
  }

  mutating func cancelAll(of content: ContentID) {
    let asked = transfers.inFlight.filter { $0.key.content == content }.sorted { $0.key < $1.key }
    for (unit, link) in asked { cancel(unit, of: link) }
  }

  mutating func cancel(_ unit: UnitID, of link: LinkID) {
    forgetOrder(unit, link: link)
    noteAsked(unit, of: nil)
    actions.append(.link(link, .cancelFetch([unit])))
  }

  mutating func beginMoreLarge() {
    for id in links.keys.sorted() where links[id]?.fetching.hasLeftLarge == true {
      links[id]?.fetching.hasLeftLarge = false
      links[id]?.fetching.walk.restart()
    }
    transfers.isWorthLooking = true
  }

  private mutating func nextOrder(for id: LinkID) throws(StoreError) -> UnitOrder? {
    if mayOrderBlocks(of: id), let order = nextBlockOrder(for: id) { return order }
    guard mayOrderOthers(of: id) else { return nil }
    while let next = try nextCandidate(for: id) {
      guard isFetchable(next.content, from: id) else { continue }
      let candidate = try believed(next)
      let layout = UnitLayout(size: candidate.size)
      if layout.isWhole {
        let unit = UnitID(content: candidate.content, part: .whole)
        // It can be asked for over this link, too.
        shared.note(id, has: unit)
        guard transfers.inFlight[unit] == nil, !shared.contains(unit) else { continue }
        let order = UnitOrder(
          unit: unit, bytes: candidate.size, contentBytes: candidate.size,
          hash: candidate.content.digest)
        guard isContested(candidate.content, over: id) else { return order }
        guard share(order, over: id) else {
          links[id]?.fetching.walk.putBack(candidate)
          return nil
        }
        continue
      }
      guard transfers.large[candidate.content] == nil, let hash = candidate.manifest else { continue }
      guard largeUnderWay(from: id) < settings.largeAtOnce else {
        links[id]?.fetching.hasLeftLarge = true
        continue
      }
      guard hasRoom(for: candidate.size) else {
        if try !doubt(candidate.claim, of: candidate.content) { leaveForRoom(candidate, id) }
        continue
      }
      if let partial = try store.partial(candidate.content) {
        transfers.large[candidate.content] = LargeTransfer(missing: candidate, manifest: partial.manifest)
        if mayOrderBlocks(of: id), let order = nextBlockOrder(for: id) { return order }
        continue
      }
      transfers.large[candidate.content] = LargeTransfer(missing: candidate)
      return UnitOrder(
        unit: UnitID(content: candidate.content, part: .manifest), bytes: UInt64(layout.manifestBytes),
        contentBytes: candidate.size, hash: hash)
    }
    return nil
  }

  /// Large contents of which this peer has something that is still to be asked for, or to be told by a manifest.
  private func largeUnderWay(from id: LinkID) -> Int {
    transfers.large.count { content, transfer in
      (transfer.manifest == nil || transfer.nextBlock() != nil) && isFetchable(content, from: id)
    }
  }

  /// Of a peer that has all of it.
  func isFetchable(_ content: ContentID, from id: LinkID) -> Bool {
    links[id].map { contents.index.contains(content.digest, in: $0.contents) && mayAsk($0, for: content) }
      ?? false
  }

  func isFetchable(_ unit: UnitID, from id: LinkID) -> Bool {
    links[id].map { has($0, unit) && mayAsk($0, for: unit.content) } ?? false
  }

  /// Whether a content, or a part of it, may be asked of a link now if its peer has it. On a disk that keeps nothing only what
  /// somebody waits for is written.
  func mayAsk(_ link: Link, for content: ContentID) -> Bool {
    (!isDiskFailing || recalls.open[content] != nil)
      && (!contents.isAvailable(content) || recalls.isAfresh(content) && !transfers.staged.contains(content))
      && !transfers.notBefore.contains(content) && !link.fetching.putOff.contains(content)
      && recalls.mayAsk(link.machine, for: content)
  }

  /// The next missing content in this link's walk: what somebody waits for, then by turns what the walk has to come back to
  /// and what is ahead of it; nil at the end. A library with something new all the time does not keep the walk from going on.
  private mutating func nextCandidate(for id: LinkID) throws(StoreError) -> MissingContent? {
    if let recalled = nextRecalled(for: id) { return recalled }
    // The walk stays where it is.
    guard !isDiskFailing else { return nil }
    if links[id]?.fetching.walk.isAheadsTurn == true, let next = try nextAhead(for: id) { return next }
    while let content = links[id]?.fetching.walk.nextAgain() {
      if isFetchable(content, from: id), let missing = try missing(content) { return missing }
    }
    return try nextAhead(for: id)
  }

  private mutating func nextAhead(for id: LinkID) throws(StoreError) -> MissingContent? {
    guard role == .full else { return nil }
    if let next = links[id]?.fetching.walk.nextAhead() { return next }
    guard let walk = links[id]?.fetching.walk, !walk.isAtEnd else { return nil }
    let page = try store.missing(after: walk.cursor, limit: settings.missingPage)
    links[id]?.fetching.walk.turn(to: AskingOrder(of: machine).inTurns(page.contents), next: page.next)
    return links[id]?.fetching.walk.nextAhead()
  }

  /// A recalled content that is to be ordered of this link now: never one that `nextOrder` would pass over.
  private mutating func nextRecalled(for id: LinkID) -> MissingContent? {
    for content in recalls.asking where isFetchable(content, from: id) {
      guard let missing = recalls.open[content]?.order.content else { continue }
      if UnitLayout(size: missing.size).isWhole {
        if transfers.inFlight[UnitID(content: content, part: .whole)] == nil { return missing }
      } else if transfers.large[content] == nil, missing.manifest != nil {
        if !hasRoom(for: missing.size) {
          leaveForRoom(missing, id)
        } else if largeUnderWay(from: id) < settings.largeAtOnce {
          return missing
        } else {
          links[id]?.fetching.hasLeftLarge = true
        }
      }
    }
    return nil
  }

  // MARK: What came

  mutating func verified(_ unit: UnitID, link: LinkID, now: Now) throws(StoreError) {
    takeBack(unit, exceptFrom: link)
    noteSpeed(of: unit, link: link, now: now)
    unshare(unit)
    let bytes = fulfil(unit, link: link)
    switch unit.part {
    case .whole:
      if contents.isAvailable(unit.content), !transfers.staged.contains(unit.content) {
        // It has come before, or an own file has it now.
        try discardUnlessAwaited(unit.content)
      } else {
        if transfers.staged.contains(unit.content) { transfers.cameAgain.insert(unit.content) }
        becameAvailable(unit.content)
      }
      // Unless it was discarded, or nobody remembers what was asked for.
      if bytes > 0, transfers.staged.contains(unit.content) { transfers.stagedSizes[unit.content] = bytes }
    case .block(let index):
      if transfers.large[unit.content] == nil, !transfers.staged.contains(unit.content) {
        actions.append(.discardStaged(unit.content))
      }
      if transfers.large[unit.content]?.came(index) == true { availability.note([index], of: unit.content) }
      assembleIfWhole(unit.content)
    case .manifest: break
    }
  }

  private mutating func noteSpeed(of unit: UnitID, link: LinkID, now: Now) {
    guard shared.contains(unit), let asked = links[link]?.fetching.askedAt[unit] else { return }
    links[link]?.fetching.window.took(now.instant - asked)
  }

  /// A link that has closed may still have brought what another was asked for since.
  private mutating func takeBack(_ unit: UnitID, exceptFrom link: LinkID) {
    guard let asked = transfers.inFlight[unit], asked != link else { return }
    cancel(unit, of: asked)
  }

  /// Bytes that are here anyway are staged for nothing, unless the replica waits for its own copy.
  private mutating func discardUnlessAwaited(_ content: ContentID) throws(StoreError) {
    guard try missing(content) == nil else { return becameAvailable(content) }
    actions.append(.discardStaged(content))
  }

  mutating func verified(
    _ manifest: Manifest, of content: ContentID, link: LinkID, now: Now
  ) throws(StoreError) {
    let unit = UnitID(content: content, part: .manifest)
    takeBack(unit, exceptFrom: link)
    fulfil(unit, link: link)
    guard let transfer = transfers.large[content] else { return }
    guard transfer.missing.size == manifest.size else {
      if try doubt(transfer.missing.claim, of: content) { return }
      // The owner's own entry contradicts its manifest: nobody can serve this content.
      putOff(content, until: now.instant + settings.contradiction)
      return endLarge(content)
    }
    if transfer.manifest == nil {
      try store.putPartial(PartialContent(content: content, manifest: manifest, blocks: []))
      transfers.large[content]?.begin(manifest)
    }
  }

  private mutating func assembleIfWhole(_ content: ContentID) {
    guard let transfer = transfers.large[content], transfer.isWhole, !transfer.isAssembling,
      let manifest = transfer.manifest
    else { return }
    transfers.large[content]?.isAssembling = true
    actions.append(.assemble(content, manifest))
  }

  mutating func assembled(
    _ content: ContentID, isIntact: Bool, now: Now
  ) throws(StoreError) {
    // Given up meanwhile, and its bytes discarded: the check may have found them gone.
    guard let transfer = transfers.large[content], transfer.isAssembling else { return }
    endLarge(content)
    if isIntact {
      transfers.stagedLarge.insert(content)
      becameAvailable(content)
    } else if try doubt(transfer.claim, of: content) {
      try store.removePartial(content)
      actions.append(.discardStaged(content))
    } else {
      try store.removePartial(content)
      // Every block matched the manifest that its owner signed, and the whole does not match the content id.
      putOff(content, until: now.instant + settings.contradiction)
      recalls.failed(content, .damaged, now: now)
      actions.append(.discardStaged(content))
    }
  }

  /// The last check of a large content could not be made (a disk that does not answer, or is not mounted): nothing is
  /// known of its bytes, so they are kept, and checked again.
  mutating func assemblyFailed(_ content: ContentID, now: Now) {
    guard transfers.large[content] != nil else { return }
    transfers.large[content]?.isAssembling = false
    putOff(content, until: now.instant + settings.retry)
  }

  /// Bytes that an earlier run had staged, re-hashed by the agent.
  mutating func stagedFound(_ content: ContentID, blocks: [UInt32]?) throws(StoreError) {
    guard let missing = try missing(content) else {
      try store.removePartial(content)
      actions.append(.discardStaged(content))
      return
    }
    guard let blocks else {
      becameAvailable(content)
      return
    }
    guard let partial = try store.partial(content) else {
      actions.append(.discardStaged(content))
      return
    }
    transfers.large[content] = LargeTransfer(
      missing: missing, manifest: partial.manifest,
      has: BitSet(blocks.lazy.map { Int($0) }.filter { $0 < partial.manifest.blocks.count }))
    availability.note(blocks, of: content)
    assembleIfWhole(content)
  }

  private mutating func becameAvailable(_ content: ContentID) {
    transfers.doubtedClaims[content] = nil
    transfers.staged.insert(content)
    filing.ready.insert(content)
    makeAvailable(content)
  }

  /// The order is fulfilled.
  @discardableResult
  private mutating func fulfil(_ unit: UnitID, link: LinkID) -> UInt64 {
    let bytes = forgetOrder(unit, link: link)
    transfers.receivedBytes += bytes
    transfers.takenOver[unit] = nil
    if transfers.inFlight[unit] == link { noteAsked(unit, of: nil) }
    transfers.isWorthLooking = true
    return bytes
  }

  /// The order is done with, in vain. A link that is gone does not release what another was asked for since.
  mutating func giveBack(_ unit: UnitID, link: LinkID) {
    forgetOrder(unit, link: link)
    if transfers.inFlight[unit] == link { release(unit) }
    transfers.isWorthLooking = true
  }

  /// Returns the order's bytes.
  @discardableResult
  private mutating func forgetOrder(_ unit: UnitID, link: LinkID) -> UInt64 {
    links[link]?.fetching.remove(unit)?.bytes ?? 0
  }
}
