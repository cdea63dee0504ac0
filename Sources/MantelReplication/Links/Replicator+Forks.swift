import MantelCore
import MantelHousehold
import MantelSummary

/// Two heads of one library with one order, both signed by their owner: two copies of its machine run, or it tells this household
/// two stories. What was learned first stays; neither replaces the other. The owner is named until somebody acknowledges
/// that, or removes it: when it has gone on in a later epoch, nothing else shows what it did.
extension Replicator {
  mutating func loadForks() throws(StoreError) {
    let ids = try store.value(.forkedLibraries) ?? []
    let width = Digest256.byteCount
    forked = Set(
      stride(from: 0, to: ids.count - ids.count % width, by: width).compactMap {
        MachineID(ids[$0..<$0 + width])
      })
  }

  /// A head that is no news, of another library. Only what is still known of that order can contradict it.
  mutating func lookForFork(at head: Head) throws(StoreError) {
    let owner = head.library
    guard roster.isMember(owner), let library = libraries[owner], library.contradicts(head),
      forked.insert(owner).inserted
    else { return }
    try saveForks()
    actions.append(.warn(.forked(owner)))
  }

  mutating func acknowledgeForks() throws(StoreError) {
    guard !forked.isEmpty else { return }
    forked = []
    try saveForks()
  }

  private func saveForks() throws(StoreError) {
    try store.setValue(.forkedLibraries, forked.isEmpty ? nil : forked.sorted().flatMap(\.bytes))
  }
}

extension Library {
  /// Whether another head of the same order is known.
  fileprivate func contradicts(_ head: Head) -> Bool {
    let known = [installed, newest, fetch?.target].compactMap(\.self).contains {
      $0.record.order == head.order && $0.record != head
    }
    return known || recent.contains { $0.order == head.order && $0.entries.root != head.root }
  }
}
