import MantelCore

/// What one event changes of the contents that can be served from here: told at its end, in one piece, and of a content
/// only what became of it last.
struct AvailabilityNews: Sendable {
  private var isAvailable: [ContentID: Bool] = [:]
  private var order: [ContentID] = []

  mutating func note(_ content: ContentID, isAvailable: Bool) {
    if self.isAvailable.updateValue(isAvailable, forKey: content) == nil { order.append(content) }
  }

  /// In the order in which they changed first; nil when nothing did.
  mutating func take() -> (added: [ContentID], removed: [ContentID])? {
    guard !order.isEmpty else { return nil }
    defer { self = AvailabilityNews() }
    return (order.filter { isAvailable[$0] == true }, order.filter { isAvailable[$0] == false })
  }
}

extension Replicator {
  mutating func makeAvailable(_ content: ContentID) {
    guard contents.setAvailable(content, true) else { return }
    availability.note(content, isAvailable: true)
    unshare(content)
  }

  mutating func makeUnavailable(_ content: ContentID) {
    guard contents.setAvailable(content, false) else { return }
    availability.note(content, isAvailable: false)
    // Another library may want it: then it is missing now.
    reconsider(content)
  }

  mutating func announceAvailability() {
    guard let (added, removed) = availability.take() else { return }
    sendToAll(.available(added: added, removed: removed))
  }
}
