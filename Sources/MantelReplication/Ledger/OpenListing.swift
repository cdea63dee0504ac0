package import MantelCore

/// A directory that is being listed. Reading a large one takes seconds, and what is told of its files meanwhile is newer
/// than the listing: of those it says nothing, neither that they are there nor that they are gone.
struct OpenListing: Sendable {
  let folder: FolderID
  let directory: [UInt8]
  /// Files in it that something was told of since; no more than the directory has names.
  private(set) var newer: Set<[UInt8]> = []
  /// The directory itself went.
  private(set) var isGone = false

  init(folder: FolderID, directory: [UInt8]) {
    self.folder = folder
    self.directory = directory
  }

  mutating func note(_ key: FileKey) {
    guard key.folder == folder, Replicator.directory(of: key.path) == directory else { return }
    newer.insert(key.path)
  }

  mutating func noteGone(_ path: [UInt8], of folder: FolderID) {
    guard folder == self.folder else { return }
    let key = FileKey(folder: folder, path: directory)
    if path == directory || key.isBelow(path, of: folder) { isGone = true }
  }
}

/// What a listing still says once all that is newer was taken out.
struct CurrentSight {
  var directory: [UInt8]
  var files: [(path: [UInt8], stamp: FileStamp)]
  var skipped: [(path: [UInt8], reason: SkipReason)]
  var subdirectories: [[UInt8]]
  /// Files that it says nothing of.
  var newer: Set<[UInt8]>
}

extension Ledger {
  /// Ends the listing that is open; nil when its directory went while it was read.
  mutating func close(_ sight: DirectorySight, of folder: FolderID) -> CurrentSight? {
    var newer: Set<[UInt8]> = []
    if let listing, listing.folder == folder, listing.directory == sight.directory {
      self.listing = nil
      guard !listing.isGone else { return nil }
      newer = listing.newer
    }
    return CurrentSight(
      directory: sight.directory, files: sight.files.filter { !newer.contains($0.path) },
      skipped: sight.skipped.filter { !newer.contains($0.path) }, subdirectories: sight.subdirectories,
      newer: newer)
  }
}

extension Replicator {
  /// A walk is about to list a directory; false while so many files wait to be hashed that it has to wait too.
  package mutating func beginListing(_ folder: FolderID, _ directory: [UInt8]) -> Bool {
    guard ledger.waiting < settings.filesWaiting else { return false }
    ledger.listing = OpenListing(folder: folder, directory: directory)
    return true
  }
}
