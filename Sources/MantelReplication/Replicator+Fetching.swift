import DequeModule
import MantelCore
import MantelHousehold
import MantelSummary

/// What is being fetched, over all links.
struct Transfers: Sendable {
  /// Units asked for, by the link that was asked.
  var inFlight: [UnitID: LinkID] = [:]
  /// Large contents of which blocks are on their way.
  var large: [ContentID: LargeTransfer] = [:]
  /// Verified contents whose bytes lie in the staging area.
  var staged: Set<ContentID> = []
  /// Contents not to be asked for before a moment: a peer was busy, or the file was changing.
  var notBefore: [ContentID: Instant] = [:]
  /// What an earlier run had staged is known: before that it would be fetched again.
  var isRecovered = false
  /// Something changed since all links were found to have nothing to ask for.
  var isWorthLooking = true
  /// Set while the disk is too full to stage.
  var pausedUntil: Instant?
  /// Bytes verified since start, for rates.
  var receivedBytes: UInt64 = 0

  var nextDeadline: Instant? {
    ([pausedUntil].compactMap(\.self) + notBefore.values).min()
  }

  mutating func release(_ unit: UnitID) {
    inFlight[unit] = nil
    if case .block(let index) = unit.part { large[unit.content]?.asked.remove(index) }
  }
}

/// A large content on its way.
struct LargeTransfer: Sendable {
  let missing: MissingContent
  var manifest: Manifest?
  var has: Set<UInt32> = []
  var asked: Set<UInt32> = []
  var isAssembling = false

  /// The lowest block that nobody was asked for.
  func nextBlock() -> UInt32? {
    guard let manifest else { return nil }
    return (0..<UInt32(manifest.blocks.count)).first { !has.contains($0) && !asked.contains($0) }
  }

  var isWhole: Bool { manifest.map { has.count == $0.blocks.count } ?? false }
}

/// What one link was asked for.
struct LinkFetching: Sendable {
  var orders: [UnitID: UnitOrder] = [:]
  var bytes: UInt64 = 0
  /// Where the walk over the missing contents stands, and what it has read ahead.
  var cursor: MissingContent?
  var ahead: Deque<MissingContent> = []
  /// The walk reached the end and found nothing more that this peer has.
  var isExhausted = false
  var corruptUnits = 0
  /// Contents of which this peer sent wrong bytes.
  var distrusted: Set<ContentID> = []
}

extension Replicator {
  /// Keeps every link's fetch queue filled with what its peer has and we lack.
  mutating func fetchContents(now: Now) throws(StoreError) {
    expireDelays(now: now)
    guard role == .full, transfers.isRecovered, transfers.isWorthLooking, transfers.pausedUntil == nil,
      !(room?.isLow ?? false)
    else { return }
    transfers.isWorthLooking = false
    for id in links.keys.sorted() {
      var orders: [UnitOrder] = []
      while let link = links[id], link.knowsContents, !link.fetching.isExhausted,
        link.fetching.orders.count < settings.linkUnits, link.fetching.bytes < settings.linkBytes,
        let order = try nextOrder(for: id, now: now)
      {
        links[id]?.fetching.orders[order.unit] = order
        links[id]?.fetching.bytes += order.bytes
        transfers.inFlight[order.unit] = id
        orders.append(order)
      }
      if !orders.isEmpty { actions.append(.link(id, .fetch(orders))) }
    }
  }

  private mutating func expireDelays(now: Now) {
    if let paused = transfers.pausedUntil, paused <= now.instant {
      transfers.pausedUntil = nil
      lookAgain()
    }
    let ripe = transfers.notBefore.filter { $0.value <= now.instant }
    guard !ripe.isEmpty else { return }
    for content in ripe.keys { transfers.notBefore[content] = nil }
    lookAgain()
  }

  mutating func recovered() {
    transfers.isRecovered = true
    lookAgain()
  }

  mutating func lookAgain() {
    for id in links.keys {
      links[id]?.fetching.isExhausted = false
    }
    transfers.isWorthLooking = true
  }

  private mutating func nextOrder(
    for id: LinkID, now: Now
  ) throws(StoreError) -> UnitOrder? {
    if let order = nextBlockOrder(for: id) { return order }
    while true {
      guard let candidate = try nextCandidate(for: id) else { return nil }
      guard isFetchable(candidate.content, from: id) else { continue }
      let layout = UnitLayout(size: candidate.size)
      if layout.isWhole {
        let unit = UnitID(content: candidate.content, part: .whole)
        guard transfers.inFlight[unit] == nil else { continue }
        return UnitOrder(
          unit: unit, bytes: candidate.size, contentBytes: candidate.size,
          hash: candidate.content.digest)
      }
      let unit = UnitID(content: candidate.content, part: .manifest)
      guard transfers.large[candidate.content] == nil, let hash = candidate.manifest else {
        continue
      }
      if let partial = try store.partial(candidate.content) {
        transfers.large[candidate.content] = LargeTransfer(
          missing: candidate, manifest: partial.manifest)
        if let order = nextBlockOrder(for: id) { return order }
        continue
      }
      transfers.large[candidate.content] = LargeTransfer(missing: candidate)
      return UnitOrder(
        unit: unit, bytes: UInt64(layout.manifestBytes), contentBytes: candidate.size, hash: hash)
    }
  }

  /// Blocks of large contents already begun come first: a whole file is worth more than two halves.
  private mutating func nextBlockOrder(for id: LinkID) -> UnitOrder? {
    for content in transfers.large.keys.sorted() {
      guard let transfer = transfers.large[content], let manifest = transfer.manifest,
        let block = transfer.nextBlock(), isFetchable(content, from: id)
      else { continue }
      let unit = UnitID(content: content, part: .block(block))
      guard let range = UnitLayout(size: manifest.size).range(of: unit.part) else { continue }
      transfers.large[content]?.asked.insert(block)
      return UnitOrder(
        unit: unit, bytes: UInt64(range.count), contentBytes: manifest.size,
        hash: manifest.blocks[Int(block)])
    }
    return nil
  }

  private func isFetchable(_ content: ContentID, from id: LinkID) -> Bool {
    guard let link = links[id] else { return false }
    return contents.index.contains(content.digest, in: link.contents)
      && !contents.isAvailable(content) && transfers.notBefore[content] == nil
      && !link.fetching.distrusted.contains(content)
  }

  /// The next missing content in this link's walk, newest first; nil at the end.
  private mutating func nextCandidate(for id: LinkID) throws(StoreError) -> MissingContent? {
    if let next = links[id]?.fetching.ahead.popFirst() { return next }
    let cursor = links[id]?.fetching.cursor
    var page = try store.missing(after: cursor, limit: settings.missingPage)
    guard let last = page.last else {
      links[id]?.fetching.cursor = nil
      links[id]?.fetching.isExhausted = true
      return nil
    }
    // Receivers that walk in the same order ask a lone source for the same units: each shuffles its page its own
    // way, so that they have something to give to each other.
    let seed = machine.digest.word0
    page.sort {
      ($0.content.digest.word1 ^ seed) &* 0x9E37_79B9_7F4A_7C15 < ($1.content.digest.word1 ^ seed)
        &* 0x9E37_79B9_7F4A_7C15
    }
    links[id]?.fetching.cursor = last
    links[id]?.fetching.ahead = Deque(page.dropFirst())
    return page.first
  }

  // MARK: What came

  mutating func verified(
    _ unit: UnitID, link: LinkID, now: Now
  ) throws(StoreError) {
    settleOrder(unit, link: link)
    switch unit.part {
    case .whole: becameAvailable(unit.content)
    case .block(let index):
      transfers.large[unit.content]?.has.insert(index)
      assembleIfWhole(unit.content)
    case .manifest: break
    }
  }

  mutating func verified(
    _ manifest: Manifest, of content: ContentID, link: LinkID
  ) throws(StoreError) {
    settleOrder(UnitID(content: content, part: .manifest), link: link)
    guard let transfer = transfers.large[content] else { return }
    guard transfer.missing.size == manifest.size else {
      // The owner's own entry contradicts its manifest: nobody can serve this content.
      transfers.large[content] = nil
      return
    }
    try store.putPartial(PartialContent(content: content, manifest: manifest, blocks: []))
    transfers.large[content]?.manifest = manifest
    // Walks may have ended while the blocks were not known yet.
    lookAgain()
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
    transfers.large[content] = nil
    try store.removePartial(content)
    if isIntact {
      becameAvailable(content)
    } else {
      // Every block matched the manifest that its owner signed, and the whole does not match the content id.
      transfers.notBefore[content] = now.instant + .seconds(3_600)
      actions.append(.discardStaged(content))
    }
  }

  /// Bytes that an earlier run had staged, re-hashed by the agent.
  mutating func stagedFound(_ content: ContentID, blocks: [UInt32]?) throws(StoreError) {
    guard let missing = try store.missingContent(content) else {
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
    var transfer = LargeTransfer(missing: missing, manifest: partial.manifest)
    transfer.has = Set(blocks.filter { Int($0) < partial.manifest.blocks.count })
    transfers.large[content] = transfer
    assembleIfWhole(content)
  }

  private mutating func becameAvailable(_ content: ContentID) {
    transfers.staged.insert(content)
    filing.ready.insert(content)
    if contents.setAvailable(content, true) {
      sendToAll(.available(added: [content], removed: []))
    }
  }

  /// The order is done with, well or not.
  private mutating func settleOrder(_ unit: UnitID, link: LinkID) {
    if let order = links[link]?.fetching.orders.removeValue(forKey: unit) {
      links[link]?.fetching.bytes -= order.bytes
      transfers.receivedBytes += order.bytes
    }
    transfers.release(unit)
    transfers.isWorthLooking = true
  }

  // MARK: What did not come

  mutating func corrupt(_ unit: UnitID, link: LinkID, now: Now) {
    settleOrder(unit, link: link)
    if unit.part == .manifest { transfers.large[unit.content] = nil }
    guard let peer = links[link] else { return }
    links[link]?.fetching.distrusted.insert(unit.content)
    links[link]?.fetching.corruptUnits += 1
    actions.append(.warn(.corruptUnit(peer: peer.machine, unit.content)))
    if peer.fetching.corruptUnits + 1 >= settings.corruptUnitsPerLink {
      actions.append(.link(link, .close(.protocolError("wrong bytes, again and again"))))
    }
    lookAgain()
  }

  mutating func unitEnded(_ unit: UnitID, _ outcome: LinkOutcome, link: LinkID, now: Now) {
    // A unit that was verified, or found corrupt, is settled already.
    guard links[link]?.fetching.orders[unit] != nil else { return }
    settleOrder(unit, link: link)
    if unit.part == .manifest { transfers.large[unit.content] = nil }
    switch outcome {
    case .complete: break
    case .notHeld, .unsupported, .unknownHead:
      if let set = links[link]?.contents { contents.index.remove(unit.content.digest, from: set) }
    case .changed, .busy, .failed:
      transfers.notBefore[unit.content] = now.instant + settings.retry
    case .cancelled: break
    }
    lookAgain()
  }

  mutating func stagingFailed(_ unit: UnitID, isNoSpace: Bool, now: Now) {
    if let link = transfers.inFlight[unit] { settleOrder(unit, link: link) }
    if unit.part == .manifest { transfers.large[unit.content] = nil }
    if isNoSpace {
      transfers.pausedUntil = now.instant + .seconds(30)
    } else {
      transfers.notBefore[unit.content] = now.instant + settings.retry
    }
  }
}
