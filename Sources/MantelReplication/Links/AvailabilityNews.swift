import BitCollections
import MantelCore

/// What one event changes of the contents that can be served from here: told at its end, in one piece, and of a content
/// only what became of it last.
struct AvailabilityNews: Sendable {
  private var isAvailable: [ContentID: Bool] = [:]
  private var order: [ContentID] = []
  private var blocks: [ContentID: BitSet] = [:]

  mutating func note(_ content: ContentID, isAvailable: Bool) {
    if self.isAvailable.updateValue(isAvailable, forKey: content) == nil { order.append(content) }
  }

  mutating func note(_ blocks: some Sequence<UInt32>, of content: ContentID) {
    for block in blocks { self.blocks[content, default: []].insert(Int(block)) }
  }

  /// In the order in which they changed first; nil when nothing did.
  mutating func take() -> AvailabilityChange? {
    guard !order.isEmpty || !blocks.isEmpty else { return nil }
    defer { self = AvailabilityNews() }
    return AvailabilityChange(
      added: order.filter { isAvailable[$0] == true }, removed: order.filter { isAvailable[$0] == false },
      blocks: blocks)
  }
}

struct AvailabilityChange {
  var added: [ContentID]
  var removed: [ContentID]
  /// Blocks that came of contents of which the others are still missing.
  var blocks: [ContentID: BitSet]
}

extension Replicator {
  /// What was withdrawn is offered again: a file that can be read has it now.
  mutating func makeAvailable(_ content: ContentID) {
    guard contents.setAvailable(content, true) else { return }
    availability.note(content, isAvailable: true)
    unshare(content)
  }

  mutating func makeUnavailable(_ content: ContentID) {
    guard contents.isAvailable(content) else { return }
    // Of what was withdrawn the others know it already.
    if contents.setAvailable(content, false) { availability.note(content, isAvailable: false) }
    // Whoever had a part has it still.
    if let has = transfers.large[content]?.has { availability.note(has.map(UInt32.init), of: content) }
    // Another library may want it: then it is missing now.
    reconsider(content)
  }

  mutating func announceAvailability() {
    guard let change = availability.take() else { return }
    if !change.added.isEmpty || !change.removed.isEmpty {
      sendToAll(.available(added: change.added, removed: change.removed))
    }
    announceBlocks(change.blocks)
  }
}
