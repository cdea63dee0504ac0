import MantelCore

@testable import MantelReplication

/// The replica and the staging area of a simulated machine: what `Replica.commit` promises, on dictionaries.
struct SimulatedReplica {
  private(set) var files: [[UInt8]: SimulatedFile] = [:]
  var staged: [ContentID: StagedFile] = [:]
  /// Contents of files that somebody took away: nobody can answer for them.
  private(set) var damaged: Set<ContentID> = []
  /// Somebody unplugs the disk: nothing is written or read, and nothing may be concluded.
  var isMounted = true
  /// The guard file.
  var guarded: Signed<Head>?
  /// Contents of files that have rotted, ever.
  private(set) var rotted: Set<ContentID> = []
  /// Bad files that were set aside.
  private(set) var quarantine: [[UInt8]: SimulatedFile] = [:]
  private var nextInode: UInt64 = 1 << 32

  /// How operations fail, while faults are on.
  enum Fault: CaseIterable {
    case noSpace
    case io
    case name
    case sync
    case notMounted
    /// All was done, and the sync of the directories failed.
    case directories
  }

  func has(_ content: ContentID) -> Bool { files.values.contains { $0.content == content } }

  /// Somebody removes a file of the replica by hand.
  mutating func damage(_ path: [UInt8]) {
    // What has rotted and is then taken away was both: the catalog knows of neither.
    if let file = files.removeValue(forKey: path) { damaged.insert(file.sound?.content ?? file.content) }
  }

  /// Somebody touches a file of the replica: the same bytes at another time.
  mutating func touch(_ path: [UInt8], mtime: Int64) { files[path]?.mtime = mtime }

  /// The disk changes a byte.
  mutating func rot(_ path: [UInt8]) {
    guard let file = files[path] else { return }
    rotted.insert(file.sound?.content ?? file.content)
    files[path]?.rot()
  }

  /// The files are hashed for the first time again: nobody can tell what they once were.
  mutating func forgetWhatRotted() {
    for path in files.keys { files[path]?.sound = nil }
  }

  mutating func setAside(_ order: SetAsideOrder) -> SetAsideOutcome {
    if files[order.path]?.inode == order.inode, let file = files.removeValue(forKey: order.path) {
      quarantine[order.target] = file
      return .done(order.target)
    }
    return quarantine[order.target]?.inode == order.inode ? .done(order.target) : .gone
  }

  mutating func stageBlock(_ index: UInt32, of payload: Payload) {
    var file = staged[payload.content] ?? StagedFile(payload: payload, blocks: [])
    file.blocks?.insert(index)
    staged[payload.content] = file
  }

  /// A batch. `fault` hits the operation at `place`, or all of them where its kind does; only the first `limit`
  /// operations happen at all, when the process dies in the middle.
  mutating func commit(
    _ operations: [FilingOperation], own: [[UInt8]: SimulatedFile], isRepeat: Bool = false,
    fault: (Fault, place: Int)?, limit: Int
  ) -> [FilingResult] {
    guard isMounted else { return operations.map { _ in Self.failure(.notMounted) } }
    switch fault?.0 {
    case .notMounted: return operations.map { _ in Self.failure(.notMounted) }
    case .sync:
      // The sync of the staged bytes failed: they are not to be trusted, and go.
      for case .land(let content, _, _) in operations { staged[content] = nil }
      return operations.map { _ in Self.failure(.sync) }
    case .directories:
      for operation in operations { _ = commit(operation, own: own, isRepeat: isRepeat) }
      return operations.map { _ in Self.failure(.sync) }
    default: break
    }
    var results: [FilingResult] = []
    for (place, operation) in operations.prefix(limit).enumerated() {
      if let fault, fault.place == place {
        results.append(Self.failure(fault.0))
      } else {
        results.append(commit(operation, own: own, isRepeat: isRepeat))
      }
    }
    return results
  }

  private static func failure(_ fault: Fault) -> FilingResult {
    let code: FilingFailure.Code =
      switch fault {
      case .noSpace: .noSpace
      case .io: .io
      case .name: .name
      case .sync, .directories: .sync
      case .notMounted: .notMounted
      }
    return .failed(FilingFailure(code: code, errno: 5, message: "simulated: \(fault)"))
  }

  /// As on a disk, a name is trusted but in a repeat; what is copied is hashed.
  private mutating func commit(
    _ operation: FilingOperation, own: [[UInt8]: SimulatedFile], isRepeat: Bool
  ) -> FilingResult {
    switch operation {
    case .land(let content, let path, let mtime):
      guard let file = staged[content], file.blocks == nil else { return existing(path, content, mtime) }
      staged[content] = nil
      return put(file.payload, path, mtime)
    case .move(let from, let path, let content, let mtime):
      // What has rotted is moved as it is.
      guard let file = files[from], !isRepeat || file.content == content else {
        return existing(path, content, mtime)
      }
      files[from] = nil
      return put(file.payload, path, mtime, moved: file)
    case .link(let from, let path, let content, let mtime):
      guard let file = files[from], !isRepeat || file.content == content else {
        return existing(path, content, mtime)
      }
      // Links share their rot; here each file has its own.
      guard file.sound == nil else { return .sourceChanged }
      return put(file.payload, path, mtime)
    case .copy(let from, let path, let content, let mtime):
      guard let file = files[from] else { return existing(path, content, mtime) }
      guard file.content == content else { return isRepeat ? existing(path, content, mtime) : .sourceChanged }
      return put(file.payload, path, mtime)
    case .copyOwn(_, let source, let path, let content, let mtime):
      guard let file = own[source], file.content == content else {
        if isRepeat { return existing(path, content, mtime) }
        return own[source] == nil
          ? .failed(FilingFailure(code: .other, errno: 2, message: "no such own file")) : .sourceChanged
      }
      return put(file.payload, path, mtime)
    case .remove(let path, let content):
      if !isRepeat || files[path]?.content == content { files[path] = nil }
      return .done(path: path, nil)
    }
  }

  /// Nothing is ever replaced: equal bytes are adopted, and other bytes keep their name.
  private mutating func put(
    _ payload: Payload, _ path: [UInt8], _ mtime: Int64, moved: SimulatedFile? = nil
  ) -> FilingResult {
    for name in Self.names(path) {
      if let there = files[name] {
        guard there.payload == payload else { continue }
        files[name]?.mtime = mtime
        return .adopted(path: name, files[name]?.stamp ?? there.stamp)
      }
      nextInode += 1
      let file = SimulatedFile(
        payload: payload, mtime: mtime, inode: moved?.inode ?? nextInode, sound: moved?.sound)
      files[name] = file
      return .done(path: name, file.stamp)
    }
    return Self.failure(.name)
  }

  /// The bytes are not where they should come from: an earlier run may have brought them to where they should be.
  private mutating func existing(_ path: [UInt8], _ content: ContentID, _ mtime: Int64) -> FilingResult {
    for name in Self.names(path) {
      guard let there = files[name] else { break }
      guard there.content == content else { continue }
      files[name]?.mtime = mtime
      return .adopted(path: name, files[name]?.stamp ?? there.stamp)
    }
    return .sourceChanged
  }

  private static func names(_ path: [UInt8]) -> [[UInt8]] {
    [path] + (2...9).map { path + Array(" (\($0))".utf8) }
  }
}
