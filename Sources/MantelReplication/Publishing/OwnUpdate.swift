import MantelCore
import MantelSummary

/// The entries that one head of the own library adds and takes away.
struct OwnUpdate {
  var added: [EntryID: Entry] = [:]
  var removed: [EntryID: Entry] = [:]
  var files: [LedgerFile] = []
  /// Files whose deletion this settles, and those of them that leave no row.
  var deleted: [FileKey] = []
  var gone: [FileKey] = []
  /// A live entry that goes, with the file that made it go.
  struct Leaving {
    var key: FileKey
    var id: EntryID
    var entry: Entry
    var reason: EntryState.RetireReason
  }
  /// What they become is told once all changes are known.
  private var leaving: [Leaving] = []
  /// Live entries that the user forgets: no other reason is asked for.
  var forgotten: Set<EntryID> = []
  /// The library has dropped entries.
  var mayHaveDropped = false
  /// The library has retired or unheld entries. While it has none, as in a first scan, nobody is asked for them.
  var mayHaveFormer = false
  /// What this update says to be dropped, by folder and content.
  struct DroppedContent: Hashable {
    var folder: FolderID
    var content: ContentID
  }
  var dropped: Set<DroppedContent> = []
  /// Files to be looked at, or hashed, once this is out.
  var looked: [FileKey] = []
  var rehashed: [LedgerFile] = []
  var vanishedContents: Set<ContentID> = []

  var libraryChange: LibraryChange {
    LibraryChange(
      added: added.keys.sorted().compactMap { id in added[id].map { (id, $0) } },
      removed: removed.keys.sorted())
  }

  /// A file has (new) bytes: its old entry leaves, a new one comes.
  mutating func put(
    _ key: FileKey, _ change: OwnChange, store: any HouseholdStore, library: MachineID, now: Now,
    moveMemory: Duration
  ) throws(StoreError) {
    let entry = Entry(
      folder: key.folder, path: key.path, content: change.content, size: change.size,
      mtime: change.mtime, kind: EntryKind(path: key.path), state: .live,
      manifest: change.manifest)
    let id = EntryID(of: entry)
    if let old = try store.liveEntry(library, key.folder, key.path) {
      guard old.id != id else { return }
      if forgotten.contains(old.id) {
        // It leaves as dropped already.
      } else if old.entry.content == change.content {
        removed[old.id] = old.entry
      } else {
        leaving.append(Leaving(key: key, id: old.id, entry: old.entry, reason: .replaced))
      }
    }
    if mayHaveFormer {
      // The same bytes came back to a path that they had left.
      for former in try store.entries(library, at: entry.key) where !former.entry.state.isLive {
        removed[former.id] = former.entry
      }
      // A move of which the old name went long before the new one was hashed.
      for former in try store.formerEntries(library, of: change.content)
      where former.entry.state.isLost(within: moveMemory, of: now.wall) {
        removed[former.id] = former.entry
      }
    }
    // What was dropped of it, forgotten or expired, is wanted again.
    if mayHaveDropped {
      for dropped in try store.droppedEntries(library, of: change.content)
      where dropped.entry.folder == key.folder {
        removed[dropped.id] = dropped.entry
      }
    }
    add(id, entry)
  }

  mutating func delete(
    _ key: FileKey, _ deletion: OwnDeletion, store: any HouseholdStore, library: MachineID
  ) throws(StoreError) {
    deleted.append(key)
    if let row = deletion.becoming { files.append(row) } else { gone.append(key) }
    guard let old = try store.liveEntry(library, key.folder, key.path), !forgotten.contains(old.id) else {
      return
    }
    leaving.append(Leaving(key: key, id: old.id, entry: old.entry, reason: deletion.reason))
  }

  /// Entries that leave, and whose content is live nowhere else in the library afterwards: all that is no move.
  func losses(store: any HouseholdStore, library: MachineID) throws(StoreError) -> [Leaving] {
    let going = Set(leaving.map(\.id))
    let arriving = Set(added.values.lazy.filter(\.state.isLive).map(\.content))
    var losses: [Leaving] = []
    for loss in leaving where !arriving.contains(loss.entry.content) {
      let staysLive = try store.entries(library, of: loss.entry.content).contains {
        $0.entry.state.isLive && !going.contains($0.id) && removed[$0.id] == nil
      }
      if !staysLive { losses.append(loss) }
    }
    return losses
  }

  /// Decides what becomes of each entry that leaves: nothing when its content is live elsewhere in the library (a
  /// move), `unheld` when there never was a copy, else `retired`.
  mutating func settleRetired(
    _ losses: [Leaving], now: Now, mayHaveCopy: (ContentID) throws(StoreError) -> Bool
  ) throws(StoreError) {
    for leaving in leaving {
      removed[leaving.id] = leaving.entry
      vanishedContents.insert(leaving.entry.content)
    }
    for loss in losses {
      var former = loss.entry
      former.state =
        try mayHaveCopy(former.content)
        ? .retired(loss.reason, at: now.wall) : .unheld(at: now.wall)
      add(EntryID(of: former), former)
    }
  }

  mutating func add(_ id: EntryID, _ entry: Entry) {
    if removed.removeValue(forKey: id) == nil { added[id] = entry }
  }
}

extension EntryState {
  /// Whether the file went without a successor at its path, not longer ago.
  fileprivate func isLost(within memory: Duration, of now: WallTime) -> Bool {
    switch self {
    case .retired(.deleted, let at), .unheld(let at): now.nanoseconds - at.nanoseconds < memory.inNanoseconds
    default: false
    }
  }
}
