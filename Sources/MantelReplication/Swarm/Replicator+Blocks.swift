import BitCollections
import MantelCore
import MantelSummary

/// Blocks of large contents that others lack too: who has a part of one gives it while it still gets the rest.
extension Replicator {
  // MARK: What this machine has

  /// Told to those that lack the content; of one that is whole by now its availability says all.
  mutating func announceBlocks(_ news: [ContentID: BitSet]) {
    for content in news.keys.sorted() where transfers.large[content] != nil {
      guard let blocks = news[content], !contents.isAvailable(content) else { continue }
      for id in links.keys.sorted() { announce(blocks, of: content, over: id) }
    }
  }

  /// All blocks of contents under way, for a link of whose peer it is known now what it has.
  mutating func announceAllBlocks(over id: LinkID) {
    for content in transfers.large.keys.sorted() { announceAllBlocks(of: content, over: id) }
  }

  mutating func announceAllBlocks(of content: ContentID, over id: LinkID) {
    guard let blocks = transfers.large[content]?.has, !contents.isAvailable(content) else { return }
    announce(blocks, of: content, over: id)
  }

  /// Sources get nothing but what somebody recalls, and that of those that have all of it. What the peer has has to be known: else
  /// the one that sent the blocks would be told of them.
  private mutating func announce(_ blocks: BitSet, of content: ContentID, over id: LinkID) {
    guard let link = links[id], link.knowsContents, !blocks.isEmpty,
      records[link.machine]?.record.role != .source,
      !contents.index.contains(content.digest, in: link.contents)
    else { return }
    actions.append(.link(id, .availableBlocks(content, BlockRange.ranges(of: blocks))))
  }

  // MARK: What a peer has

  /// A peer has these blocks, too, of a content that it lacks. More contents than are kept in mind are passed over: they are
  /// got of those that have all of them.
  mutating func blocksAvailable(_ content: ContentID, _ ranges: [BlockRange], over id: LinkID) {
    guard let link = links[id], !link.isOverLimit,
      !contents.index.contains(content.digest, in: link.contents),
      link.blocks[content] != nil || link.blocks.count < settings.partialContents
    else { return }
    for range in ranges { links[id]?.blocks[content, default: []].formUnion(range.indices) }
    guard transfers.large[content] != nil else { return }
    noteSharedBlocks(of: content, over: id)
    transfers.isWorthLooking = true
  }

  /// Blocks that wait may be asked of a link, too.
  mutating func noteSharedBlocks(of content: ContentID, over id: LinkID) {
    guard transfers.large[content] != nil else { return }
    for unit in shared.units(of: content) where isFetchable(unit, from: id) { shared.note(id, has: unit) }
  }

  /// Whether a link's peer is known to have a unit.
  func has(_ link: Link, _ unit: UnitID) -> Bool {
    if contents.index.contains(unit.content.digest, in: link.contents) { return true }
    guard case .block(let index) = unit.part else { return false }
    return link.blocks[unit.content]?.contains(Int(index)) ?? false
  }

  // MARK: What to ask for

  /// Blocks of large contents already begun come first: a whole file is worth more than two halves. Those that others lack too,
  /// or that come from a peer that is still getting the content, wait to be shared; what somebody waits for does not.
  mutating func nextBlockOrder(for id: LinkID) -> UnitOrder? {
    for content in transfers.large.keys.sorted() where transfers.large[content]?.nextBlock() != nil {
      let isWhole = isFetchable(content, from: id)
      let isShared =
        role == .full && recalls.open[content] == nil && (!isWhole || isContested(content, over: id))
      while let order = blockOrder(of: content, from: id, isWhole: isWhole) {
        guard !isShared || share(order, over: id) else { break }
        if case .block(let index) = order.unit.part { transfers.large[content]?.reserve(index) }
        if transfers.large[content]?.nextBlock() == nil { beginMoreLarge() }
        if !isShared { return order }
      }
    }
    return nil
  }

  private func blockOrder(of content: ContentID, from id: LinkID, isWhole: Bool) -> UnitOrder? {
    guard let transfer = transfers.large[content], let manifest = transfer.manifest, let link = links[id]
    else { return nil }
    let next: UInt32?
    if isWhole {
      next = transfer.nextBlock()
    } else if let blocks = link.blocks[content], mayAsk(link, for: content) {
      next = transfer.nextBlock(among: blocks)
    } else {
      next = nil
    }
    guard let next, let range = UnitLayout(size: manifest.size).range(of: .block(next)) else { return nil }
    return UnitOrder(
      unit: UnitID(content: content, part: .block(next)), bytes: UInt64(range.count),
      contentBytes: manifest.size, hash: manifest.blocks[Int(next)])
  }

  /// Whether what a link's peer has of a content is at most a part: what it refuses others may well have.
  func hasPart(_ id: LinkID, of content: ContentID) -> Bool {
    links[id].map { !contents.index.contains(content.digest, in: $0.contents) } ?? false
  }

  /// Whether a link's peer says that it has a content, or a part of it.
  func isOffered(_ content: ContentID, over id: LinkID) -> Bool {
    guard let link = links[id] else { return false }
    return link.blocks[content] != nil || contents.index.contains(content.digest, in: link.contents)
  }

  /// Blocks that waited to be shared, have not come, and are not shared any more are to be asked for again.
  mutating func takeBackDroppedBlocks() {
    for unit in shared.takeDropped() where transfers.inFlight[unit] == nil && !shared.contains(unit) {
      guard case .block(let index) = unit.part else { continue }
      transfers.large[unit.content]?.release(index)
      transfers.isWorthLooking = true
    }
  }
}

extension BlockRange {
  var indices: Range<Int> { Int(first)..<Int(first) + Int(count) }

  /// Ascending, without gaps that could be closed.
  static func ranges(of blocks: BitSet) -> [BlockRange] {
    var ranges: [BlockRange] = []
    for block in blocks {
      if let last = ranges.last, last.indices.upperBound == block {
        ranges[ranges.count - 1].count += 1
      } else {
        ranges.append(BlockRange(first: UInt32(block), count: 1))
      }
    }
    return ranges
  }
}
