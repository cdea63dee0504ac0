package import MantelCore

/// A library that grows by too much in a day: its entries alone would fill the catalogs of small machines, and it is rather a
/// mistake or a fraud than photos. Its newest head is known, and not fetched before somebody on this machine has said that
/// it is meant; the head that is installed goes on to count, and so do all other libraries.
///
/// A head tells how many entries it has, and installs only if that is true: so it is judged before any of them is fetched, and
/// nothing but the head itself waits here.
extension Replicator {
  mutating func loadGrowth() throws(StoreError) {
    guard let bytes = try store.value(.libraryGrowth) else { return }
    do throws(RecordError) {
      growth = try LibraryGrowth.all(from: bytes)
    } catch {
      throw StoreError(code: .corrupt, message: "the growth of the libraries cannot be read: \(error)")
    }
  }

  /// Libraries whose newest head waits, and by how many entries they would have grown within a day.
  package func heldGrowth() -> [MachineID: UInt64] {
    var held: [MachineID: UInt64] = [:]
    for (owner, library) in libraries where owner != machine {
      guard let newest = library.newest?.record, newest.order > library.order else { continue }
      let entries = dayGrowth(with: newest)
      if entries > settings.growthLimit.entries { held[owner] = entries }
    }
    return held
  }

  /// Whether a head waits for a confirmation on this machine.
  func isTooMuch(_ head: Head) -> Bool {
    head.library != machine && dayGrowth(with: head) > settings.growthLimit.entries
  }

  private func dayGrowth(with head: Head) -> UInt64 {
    (growth[head.library] ?? LibraryGrowth()).entries(
      with: head, over: libraries[head.library]?.installed?.record.counts.entries ?? 0, at: agentTime,
      settings.growthLimit)
  }

  /// Up to the newest head that is known now; what comes after that counts anew.
  mutating func acceptGrowth(of library: MachineID) throws(StoreError) {
    guard let newest = libraries[library]?.newest?.record, isTooMuch(newest) else { return }
    growth[library, default: LibraryGrowth()].accept(newest)
    try saveGrowth()
  }

  /// A head is installed over so many entries. Nothing is written of one that brought no growth.
  mutating func countGrowth(of head: Head, over installed: UInt64) throws(StoreError) {
    guard head.library != machine else { return }
    let before = growth[head.library] ?? LibraryGrowth()
    var after = before
    after.installed(head, over: installed, at: agentTime, settings.growthLimit)
    guard after != before else { return }
    growth[head.library] = after.isEmpty ? nil : after
    try saveGrowth()
  }

  private func saveGrowth() throws(StoreError) {
    try store.setValue(.libraryGrowth, growth.isEmpty ? nil : LibraryGrowth.bytes(of: growth))
  }
}
