package import MantelCore

/// Folders, and parts of folders, that are away: not mounted, or something else in their place, or unreadable.
///
/// One gate for all: no deletion is published before a look at the folder, begun after the file was missed, has found its
/// places there. Whatever a vanishing mount makes walks, watches and hashes report, it ends here.
extension Replicator {
  mutating func loadPlaces() throws(StoreError) {
    for folder in ledger.folders.values { try loadPlaces(of: folder) }
  }

  mutating func loadPlaces(of folder: Folder) throws(StoreError) {
    let away = ledger.places[folder.id]?.away ?? []
    ledger.places[folder.id] = FolderPlaces(
      root: folder.filesystem, directories: try store.directoryFilesystems(folder.id))
    ledger.places[folder.id]?.away = away
  }

  /// Parts of a folder that are away now, with what has to be there for them to be back; the root's path is empty.
  package func awayParts(of folder: FolderID) -> [(path: [UInt8], filesystem: [UInt8])] {
    guard let places = ledger.places[folder] else { return [] }
    return places.away.sorted { $0.lexicographicallyPrecedes($1) }.map { ($0, places.recorded[$0] ?? []) }
  }

  package func isOffline(_ folder: FolderID) -> Bool { ledger.places[folder]?.isAway ?? false }

  /// Own files cannot be seen now, and whether they are still there.
  var isAnythingAway: Bool { ledger.places.values.contains { !$0.away.isEmpty } }

  /// Whether an own file lies in a part of its folder that is away.
  package func isAway(_ folder: FolderID, _ path: [UInt8]) -> Bool {
    isAway(FileKey(folder: folder, path: path))
  }

  func isAway(_ key: FileKey) -> Bool { ledger.places[key.folder]?.isAway(key.path) ?? false }

  // MARK: What is seen

  /// A part of a folder is away: what went from it lately may not have gone at all.
  mutating func wentAway(_ id: FolderID, _ path: [UInt8]) {
    guard ledger.places[id] != nil else { return }
    if !isAnythingAway { attesting.retract() }
    ledger.places[id]?.away.insert(path)
    if path.isEmpty { ledger.scans[id] = nil } else { ledger.scans[id]?.away.insert(path) }
    for key in publication.deletions.keys where key.path == path || key.isBelow(path, of: id) {
      publication.deletions[key] = nil
    }
  }

  /// A walk begins, and the folder's root is there.
  mutating func scanBegan(_ id: FolderID, now: Now) {
    ledger.scans[id] = FolderScan()
    if ledger.places[id]?.away.remove([]) != nil { cameBack(now: now) }
  }

  /// Whether a scanned directory may say what is there and what is not.
  mutating func isPresent(_ id: FolderID, _ sight: DirectorySight, now: Now) throws(StoreError) -> Bool {
    guard let places = ledger.places[id] else { return false }
    let store = store
    let sampled = settings.sampledFiles
    let verdict = try places.verdict(sight.directory, on: sight.filesystem) { () throws(StoreError) in
      let known = try store.files(id, below: sight.directory, after: nil, limit: sampled)
      return known.map { sight.shows($0.path) }
    }
    switch verdict {
    case .away:
      wentAway(id, sight.directory)
      return false
    case .mounted:
      try store.setDirectoryFilesystem(id, sight.directory, sight.filesystem)
      ledger.places[id]?.recorded[sight.directory] = sight.filesystem
    case .here:
      break
    }
    if ledger.places[id]?.away.remove(sight.directory) != nil {
      attesting.isChanged = true
      cameBack(now: now)
    }
    return ledger.places[id]?.isAway(sight.directory) == false
  }

  /// A scan is through: places that it did not come by are away, others that were are back, or gone with their directory.
  mutating func settlePlaces(_ id: FolderID, after scan: FolderScan, now: Now) {
    guard let places = ledger.places[id] else { return }
    if !places.away.isEmpty { attesting.isChanged = true }
    ledger.places[id]?.away = scan.away
    for place in places.recorded.keys where !place.isEmpty && !scan.directories.contains(place) {
      wentAway(id, place)
    }
    if let away = ledger.places[id]?.away, !places.away.isSubset(of: away) { cameBack(now: now) }
  }

  // MARK: The gate

  /// Those of the deletions that may be published; asks for a look at the folders of the others, each of which is waited for
  /// with all that is ripe: a look is no reason for two heads.
  mutating func confirmed(_ deletions: [FileKey: OwnDeletion], now: Now) -> [FileKey: OwnDeletion] {
    var confirmed: [FileKey: OwnDeletion] = [:]
    for (folder, ripe) in Dictionary(grouping: deletions, by: \.key.folder).sorted(by: { $0.key < $1.key }) {
      // A removed folder need not be there.
      let isRemoved = ledger.folders[folder] == nil
      let inspection = ledger.inspections[folder] ?? FolderInspection()
      let proven = ripe.filter { isRemoved || inspection.confirms($0.value) }
      if proven.count == ripe.count || inspection.isFresh {
        for (key, deletion) in proven { confirmed[key] = deletion }
      } else if inspection.asked == nil {
        inspect(folder, missed: ripe, now: now)
      }
      ledger.inspections[folder]?.isFresh = false
    }
    return confirmed
  }

  private mutating func inspect(
    _ folder: FolderID, missed: [Dictionary<FileKey, OwnDeletion>.Element], now: Now
  ) {
    guard let places = ledger.places[folder] else { return }
    let paths = missed.filter { $0.value.becoming == nil }.map(\.key.path)
      .sorted { $0.lexicographicallyPrecedes($1) }
    let stride = max(1, paths.count / Self.missedSample)
    let sample = (0..<min(Self.missedSample, paths.count)).map { paths[$0 * stride] }
    ledger.inspections[folder, default: FolderInspection()].asked = now.instant
    actions.append(
      .inspect(
        folder, places.recorded.keys.sorted { $0.lexicographicallyPrecedes($1) }, missed: sample))
  }

  /// A mount that comes back brings all its files back: a few of them tell.
  private static let missedSample = 8

  /// What a look found at a folder's places; a place that is missing there is away. `isBack`: the folder was away when its files
  /// were missed, and is there again; a scan tells which of them have gone.
  mutating func inspected(_ id: FolderID, _ found: [[UInt8]: [UInt8]], isBack: Bool, now: Now) {
    guard let places = ledger.places[id], let asked = ledger.inspections[id]?.asked else { return }
    for place in places.missing(found) { wentAway(id, place) }
    guard !isBack else {
      ledger.inspections[id] = nil
      for key in publication.deletions.keys where key.folder == id { publication.deletions[key] = nil }
      return actions.append(.rescan)
    }
    ledger.inspections[id] = FolderInspection(confirmed: asked, isFresh: true)
    if !publication.deletions.isEmpty { publication.deletionsDue = now.instant }
  }
}

extension DirectorySight {
  /// Whether the directory has the file, or the subdirectory that leads to it.
  fileprivate func shows(_ path: [UInt8]) -> Bool {
    let start = directory.isEmpty ? 0 : directory.count + 1
    let child = Array(path[..<(path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex)])
    return files.contains { $0.path == child } || subdirectories.contains(child)
      || skipped.contains { $0.path == child }
  }
}
