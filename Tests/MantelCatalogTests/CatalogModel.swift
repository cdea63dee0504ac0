import MantelCore

/// What a catalog must answer, by sets and brute force.
struct CatalogModel {
  struct Library {
    var installed: [EntryID: Entry] = [:]
    var order = HeadOrder.none
    var history: [(order: HeadOrder, view: [EntryID: Entry])] = []
    var added: [EntryID: Entry] = [:]
    var removed: Set<EntryID> = []
    var changed: Set<ContentID> = []
    /// Wanted once, and not named since.
    var orphans: Set<ContentID> = []

    var staged: [EntryID: Entry] {
      installed.filter { !removed.contains($0.key) }.merging(added) { old, _ in old }
    }
  }

  let own: MachineID
  var libraries: [MachineID: Library] = [:]
  var closed: Set<MachineID> = []
  var replica: [[UInt8]: ReplicaFile] = [:]
  var ownHeld: Set<ContentID> = []
  var unfiled: Set<ContentID> = []

  var open: [MachineID: Library] { libraries.filter { !closed.contains($0.key) } }
  var replicaContents: Set<ContentID> { Set(replica.values.map(\.content)) }
  var held: Set<ContentID> { replicaContents.union(ownHeld) }

  mutating func stage(_ library: MachineID, _ entries: [Entry]) {
    var state = libraries[library, default: Library()]
    for entry in entries {
      let id = Fixture.id(entry)
      state.removed.remove(id)
      if state.installed[id] == nil { state.added[id] = entry }
    }
    libraries[library] = state
  }

  mutating func stageRemoval(_ library: MachineID, _ ids: [EntryID]) {
    var state = libraries[library, default: Library()]
    state.removed.formUnion(ids.filter { state.installed[$0] != nil })
    libraries[library] = state
  }

  mutating func unstage(_ library: MachineID, added: [EntryID], removed: [EntryID]) {
    for id in added { libraries[library]?.added[id] = nil }
    for id in removed { libraries[library]?.removed.remove(id) }
  }

  /// False, and nothing happened, when two live entries would share a path.
  mutating func install(_ library: MachineID, _ order: HeadOrder) -> Bool {
    var state = libraries[library, default: Library()]
    let view = state.staged
    let paths = view.values.filter(\.state.isLive).map(\.path)
    guard Set(paths).count == paths.count else { return false }
    let came = view.filter { state.installed[$0.key] == nil }.values.map(\.content)
    let went = state.installed.filter { view[$0.key] == nil }.values.map(\.content)
    // An id that went and came back within one head is a row that came and one that went.
    state.changed = Set(came + went)
    if library != own && !closed.contains(library) { unfiled.formUnion(state.changed) }
    state.orphans.formUnion(state.installed.values.filter(\.state.isWanted).map(\.content))
    state.orphans.subtract(view.values.map(\.content))
    state.installed = view
    state.order = order
    state.history.append((order, view))
    state.added = [:]
    state.removed = []
    libraries[library] = state
    return true
  }

  func isWanted(_ content: ContentID) -> Bool {
    open.contains { machine, library in
      library.installed.values.contains {
        $0.content == content && (machine == own ? $0.state.isLive : $0.state.isWanted)
      }
    }
  }

  /// The newest time of each content by each library that wants it.
  var missing: [ContentID: [MachineID: Int64]] {
    var newest: [ContentID: [MachineID: Int64]] = [:]
    let held = replicaContents
    for (machine, library) in open where machine != own {
      for entry in library.installed.values
      where entry.state.isWanted && !held.contains(entry.content) {
        let before = newest[entry.content]?[machine] ?? .min
        newest[entry.content, default: [:]][machine] = max(before, entry.mtime)
      }
    }
    return newest
  }

  func missing(in machine: MachineID) -> [ContentID] {
    let wanted = (libraries[machine]?.installed.values).map(Array.init) ?? []
    let contents = wanted.filter { machine == own ? $0.state.isLive : $0.state.isWanted }
      .map(\.content)
    return Set(contents).subtracting(held).sorted()
  }

  func counts(_ view: [EntryID: Entry]) -> LibraryCounts {
    var counts = LibraryCounts()
    for entry in view.values { counts.count(entry, by: 1) }
    return counts
  }
}
