import MantelCore

/// Files that one hashing thread gets at once. A hop between threads, and a transaction for what came of it, cost more
/// than the bytes of a small file do.
struct HashJob: Sendable {
  let folder: FolderID
  private(set) var paths: [[UInt8]] = []
  private(set) var bytes: UInt64 = 0

  init(_ folder: FolderID) { self.folder = folder }

  /// A job has the files of one folder; a file over the bytes of a job goes alone.
  func mayTake(_ key: FileKey, size: UInt64, _ settings: ReplicationSettings) -> Bool {
    guard key.folder == folder, paths.count < settings.hashJobFiles else { return false }
    return paths.isEmpty || size <= settings.hashJobBytes && bytes <= settings.hashJobBytes - size
  }

  mutating func take(_ path: [UInt8], size: UInt64) {
    paths.append(path)
    bytes += size
  }
}

/// The files that hashing threads have been given, with the sizes that were seen of them.
struct HashesInFlight: Sendable {
  private var sizes: [FileKey: UInt64] = [:]
  private var bytes: UInt64 = 0

  var files: Dictionary<FileKey, UInt64>.Keys { sizes.keys }
  var count: Int { sizes.count }
  var isEmpty: Bool { sizes.isEmpty }

  func contains(_ key: FileKey) -> Bool { sizes[key] != nil }

  mutating func insert(_ key: FileKey, size: UInt64) {
    bytes = bytes + size - (sizes.updateValue(size, forKey: key) ?? 0)
  }

  /// False when the file was not there.
  mutating func remove(_ key: FileKey) -> Bool {
    guard let size = sizes.removeValue(forKey: key) else { return false }
    bytes -= size
    return true
  }

  /// Whether more may be given out: a few files always, so that all threads have something to do whatever the sizes;
  /// else only so many bytes.
  func hasRoom(_ settings: ReplicationSettings) -> Bool {
    count < settings.hashesInFlight
      || count < settings.smallHashesInFlight && bytes < settings.hashBytesInFlight
  }
}

extension Ledger {
  /// What the next hashing thread is to do; nil while those that there are have enough.
  mutating func nextHashJob(_ settings: ReplicationSettings) -> HashJob? {
    guard hashing.hasRoom(settings) else { return nil }
    var job: HashJob?
    while true {
      var size: UInt64 = 0
      let next = dequeue { key, seen in
        size = seen
        return job?.mayTake(key, size: seen, settings) ?? true
      }
      guard let key = next else { return job }
      hashing.insert(key, size: size)
      var taking = job ?? HashJob(key.folder)
      taking.take(key.path, size: size)
      job = taking
    }
  }
}
