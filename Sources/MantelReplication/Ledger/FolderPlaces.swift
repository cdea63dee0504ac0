import MantelCore

/// On which filesystems the parts of a folder lie, and which of them are away. What is away is unknown, never gone.
struct FolderPlaces: Sendable {
  /// The root (the empty path), and directories whose filesystem is not their parent's. An empty filesystem is one that
  /// has no identity (some network filesystems): one that has one is another, as the disk below such a mount is.
  var recorded: [[UInt8]: [UInt8]]
  /// Directories that are missing, on another filesystem than recorded, or cannot be read.
  var away: Set<[UInt8]> = []

  enum Verdict: Equatable {
    case here
    /// Another filesystem than its parent's, that hides nothing known: a mount to be remembered.
    case mounted
    case away
  }

  init(root: [UInt8], directories: [(path: [UInt8], filesystem: [UInt8])] = []) {
    recorded = [[]: root]
    for directory in directories { recorded[directory.path] = directory.filesystem }
  }

  /// What a directory's filesystem says of it. `shown`: of some of the files that are known below it, whether each is there.
  func verdict(
    _ directory: [UInt8], on filesystem: [UInt8], shown: () throws(StoreError) -> [Bool]
  ) throws(StoreError) -> Verdict {
    let expected = expected(at: directory)
    guard filesystem != expected else { return .here }
    if recorded[directory] != nil { return .away }
    // A disk mounted over a directory hides its files.
    let sample = try shown()
    guard sample.contains(false) else { return .mounted }
    // Mounts without an identity were not always remembered: one that shows some of the files had them before.
    return filesystem.isEmpty && sample.contains(true) ? .mounted : .away
  }

  /// Recorded places of which a look says that they are not there.
  func missing(_ found: [[UInt8]: [UInt8]]) -> [[UInt8]] {
    recorded.filter { found[$0.key] != $0.value }.keys.sorted { $0.lexicographicallyPrecedes($1) }
  }

  func isAway(_ path: [UInt8]) -> Bool {
    guard !away.isEmpty else { return false }
    return away.contains(path) || Self.ancestors(of: path).contains(where: away.contains)
  }

  var isAway: Bool { away.contains([]) }

  /// The filesystem of a directory, or a file.
  func expected(at directory: [UInt8]) -> [UInt8] {
    recorded[directory] ?? Self.ancestors(of: directory).lazy.compactMap { recorded[$0] }.first ?? []
  }

  /// The directories above a path, nearest first, the root last.
  static func ancestors(of path: [UInt8]) -> [[UInt8]] {
    var ancestors: [[UInt8]] = []
    var path = path
    while !path.isEmpty {
      path = Replicator.directory(of: path)
      ancestors.append(path)
    }
    return ancestors
  }
}

/// When a folder was last looked at, to see whether it is there.
struct FolderInspection: Sendable {
  /// A look is under way that began then.
  var asked: Instant?
  /// When the last look began that was answered: what went before is known to have gone from a folder that was there.
  var confirmed: Instant?
  /// The answer has just come: what it confirms is published without another look for what is ripe since.
  var isFresh = false

  func confirms(_ deletion: OwnDeletion) -> Bool { confirmed.map { $0 > deletion.seen } ?? false }
}
