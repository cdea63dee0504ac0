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

/// The directories that are being listed: some ahead, while one is taken in.
struct OpenListings: Sendable {
  private var open: [OpenListing] = []

  /// One that was given up is never ended; its successors take its place.
  mutating func begin(_ listing: OpenListing) {
    open.removeAll { $0.folder == listing.folder && $0.directory == listing.directory }
    if open.count == Replicator.openListings { open.removeFirst() }
    open.append(listing)
  }

  /// Nil if it was not begun.
  mutating func end(_ folder: FolderID, _ directory: [UInt8]) -> OpenListing? {
    open.firstIndex { $0.folder == folder && $0.directory == directory }.map { open.remove(at: $0) }
  }

  mutating func note(_ key: FileKey) {
    for place in open.indices { open[place].note(key) }
  }

  mutating func noteGone(_ path: [UInt8], of folder: FolderID) {
    for place in open.indices { open[place].noteGone(path, of: folder) }
  }
}

/// What a listing still says once all that is newer was taken out; files and skipped ones ascend by their paths.
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
    if let listing = listings.end(folder, sight.directory) {
      guard !listing.isGone else { return nil }
      newer = listing.newer
    }
    // They come in order; to sort what is sorted costs a look at each.
    return CurrentSight(
      directory: sight.directory,
      files: sight.files.filter { !newer.contains($0.path) }.sorted {
        $0.path.lexicographicallyPrecedes($1.path)
      },
      skipped: sight.skipped.filter { !newer.contains($0.path) }.sorted {
        $0.path.lexicographicallyPrecedes($1.path)
      },
      subdirectories: sight.subdirectories, newer: newer)
  }
}

extension Replicator {
  /// Directories that a walk may have begun to list and not told of. They are told of in the order in which they were begun:
  /// so what is given up is always older than what is not.
  package static let openListings = 3

  /// A walk is about to list a directory; false while so many files wait to be hashed that it has to wait too.
  package mutating func beginListing(_ folder: FolderID, _ directory: [UInt8]) -> Bool {
    guard ledger.waiting < settings.filesWaiting else { return false }
    ledger.listings.begin(OpenListing(folder: folder, directory: directory))
    return true
  }
}
