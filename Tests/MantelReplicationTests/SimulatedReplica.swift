import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// The replica and the staging area of a simulated machine: what `Replica.commit` promises, on dictionaries.
///
/// Names change in memory first; `sync` makes all changes since the last one durable, and `powerCut` keeps any of the
/// others that a journaling filesystem may keep.
struct SimulatedReplica {
  private(set) var files: [[UInt8]: SimulatedFile] = [:]
  var staged: [ContentID: StagedFile] = [:]
  /// Contents whose staged bytes are to go, before anything of them is staged anew.
  var doomed: Set<ContentID> = []
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
  /// What has changed since the last sync, oldest first.
  private var unsynced: [Change] = []
  /// A mistake of this disk, to try the invariants.
  let canary: Canary?

  init(canary: Canary? = nil) { self.canary = canary }

  /// One change of names that a disk makes whole or not at all: what the names had before.
  private struct Change {
    var files: [(path: [UInt8], file: SimulatedFile?)] = []
    var staged: (content: ContentID, file: StagedFile)?
  }

  /// Where the files of a batch came to lie, as a disk keeps it in mind from one operation to the next.
  private struct Names {
    /// The file that an operation is to bring.
    private struct Target: Hashable {
      var path: [UInt8]
      var content: ContentID
    }
    private var actual: [Target: [UInt8]] = [:]
    private var missed: Set<Target> = []

    func path(_ path: [UInt8], _ content: ContentID) -> [UInt8] {
      actual[Target(path: path, content: content)] ?? path
    }

    /// The file was to come there just before, and did not.
    func isMissed(_ path: [UInt8], _ content: ContentID) -> Bool {
      missed.contains(Target(path: path, content: content))
    }

    mutating func note(_ operation: FilingOperation, _ result: FilingResult) {
      let target = Target(path: operation.path, content: operation.content)
      switch result {
      case .done(let path, let stamp):
        actual[target] = stamp == nil ? nil : path
        missed.remove(target)
      case .adopted(let path, _):
        actual[target] = path
        missed.remove(target)
      case .sourceChanged, .failed:
        actual[target] = nil
        missed.insert(target)
      }
    }
  }

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

  /// Names that a power cut may take back, or give back.
  var unsyncedPaths: Set<[UInt8]> { Set(unsynced.flatMap { $0.files.map(\.path) }) }

  /// Set aside ones too.
  func file(at path: [UInt8]) -> SimulatedFile? { files[path] ?? quarantine[path] }

  func has(_ content: ContentID) -> Bool { files.values.contains { $0.content == content } }

  /// Somebody removes a file of the replica by hand.
  mutating func damage(_ path: [UInt8]) {
    // What has rotted and is then taken away was both: the catalog knows of neither.
    guard let file = files[path] else { return }
    damaged.insert(file.sound?.content ?? file.content)
    change { $0.set(path, nil) }
  }

  /// Somebody gives a file of the replica another name, by hand. Until it is found again nobody answers for its bytes.
  mutating func misplace(_ path: [UInt8], to other: [UInt8]) {
    guard let file = files[path], files[other] == nil else { return }
    damaged.insert(file.sound?.content ?? file.content)
    change {
      $0.set(path, nil)
      $0.set(other, file)
    }
  }

  /// An old image of the whole disk takes the place of what is there; what came since is gone.
  mutating func goBack(to image: SimulatedReplica) {
    let (before, after) = (self, image)
    self = after
    let had = before.files.values.map { $0.sound?.content ?? $0.content }
    let has = Set(after.files.values.map { $0.sound?.content ?? $0.content })
    damaged.formUnion(before.damaged.union(had.filter { !has.contains($0) }))
    rotted.formUnion(before.rotted)
    nextInode = max(nextInode, before.nextInode)
    isMounted = true
  }

  /// Whether a file that was set aside has these bytes now.
  func hasAside(_ content: ContentID) -> Bool { quarantine.values.contains { $0.content == content } }

  /// A catalog of before may name what has been set aside since: it finds out by a comparison.
  mutating func loseQuarantine() {
    damaged.formUnion(quarantine.values.map { $0.sound?.content ?? $0.content })
  }

  /// Somebody puts a file of their own into the replica, where none is.
  mutating func intrude(_ path: [UInt8], _ payload: Payload) {
    guard files[path] == nil else { return }
    nextInode += 1
    let file = SimulatedFile(payload: payload, mtime: 7, inode: nextInode)
    change { $0.set(path, file) }
    // Its owner has synced it.
    sync()
  }

  /// Somebody touches a file of the replica: the same bytes at another time.
  mutating func touch(_ path: [UInt8], mtime: Int64) {
    guard var file = files[path] else { return }
    file.mtime = mtime
    change { $0.set(path, file) }
  }

  /// The disk changes a byte.
  mutating func rot(_ path: [UInt8]) {
    guard let file = files[path] else { return }
    rotted.insert(file.sound?.content ?? file.content)
    files[path]?.rot()
    // The same bytes under the name that they may have after a power cut.
    for (index, change) in unsynced.enumerated() {
      for place in change.files.indices where change.files[place].file?.inode == file.inode {
        unsynced[index].files[place].file?.rot()
      }
    }
  }

  /// The files are hashed for the first time again: nobody can tell what they once were.
  mutating func forgetWhatRotted() {
    for path in files.keys { files[path]?.sound = nil }
  }

  mutating func setAside(_ order: SetAsideOrder) -> SetAsideOutcome {
    if let file = file(at: order.path), file.inode == order.inode, order.path != order.target {
      change { $0.set(order.path, nil) }
      quarantine[order.target] = file
      return .done(order.target)
    }
    return quarantine[order.target]?.inode == order.inode ? .done(order.target) : .gone
  }

  /// What was staged by the time of the order goes; what came since stays.
  mutating func discardDoomed(_ content: ContentID) {
    if doomed.remove(content) != nil { staged[content] = nil }
  }

  mutating func stageBlock(_ index: UInt32, of payload: Payload) {
    discardDoomed(payload.content)
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
    var names = Names()
    switch fault?.0 {
    case .notMounted: return operations.map { _ in Self.failure(.notMounted) }
    case .sync:
      // The sync of the staged bytes failed: they are not to be trusted, and go. Blocks that come while a batch is repeated
      // are none of them.
      for case .land(let content, _, _) in operations where staged[content]?.blocks == nil {
        staged[content] = nil
      }
      return operations.map { _ in Self.failure(.sync) }
    case .directories:
      for operation in operations { _ = commit(operation, own: own, isRepeat: isRepeat, &names) }
      return operations.map { _ in Self.failure(.sync) }
    default: break
    }
    var results: [FilingResult] = []
    for (place, operation) in operations.prefix(limit).enumerated() {
      if let fault, fault.place == place {
        results.append(Self.failure(fault.0))
        names.note(operation, Self.failure(fault.0))
      } else {
        results.append(commit(operation, own: own, isRepeat: isRepeat, &names))
      }
    }
    return results
  }

  private mutating func commit(
    _ operation: FilingOperation, own: [[UInt8]: SimulatedFile], isRepeat: Bool, _ names: inout Names
  ) -> FilingResult {
    let result = change { $0.carryOut(operation, own: own, isRepeat: isRepeat, names) }
    names.note(operation, result)
    return result
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

  /// As on a disk, a name is trusted but in a repeat, and where the file was to come and did not; what is copied is hashed.
  private mutating func carryOut(
    _ operation: FilingOperation, own: [[UInt8]: SimulatedFile], isRepeat: Bool, _ names: Names
  ) -> FilingResult {
    func trusts(_ file: SimulatedFile, _ path: [UInt8], _ content: ContentID) -> Bool {
      !isRepeat && !names.isMissed(path, content) || file.content == content
    }
    switch operation {
    case .land(let content, let path, let mtime):
      guard let file = staged[content], file.blocks == nil else { return existing(path, content, mtime) }
      unsynced[unsynced.count - 1].staged = (content, file)
      staged[content] = nil
      return put(file.payload, path, mtime)
    case .move(let asked, let path, let content, let mtime):
      let from = names.path(asked, content)
      // What has rotted is moved as it is.
      guard let file = file(at: from), trusts(file, from, content) else {
        return existing(path, content, mtime)
      }
      set(from, nil)
      if canary == .followsDeletions, Self.isRetired(path) { return .done(path: path, file.stamp) }
      return put(file.payload, path, mtime, moved: file)
    case .link(let asked, let path, let content, let mtime):
      let from = names.path(asked, content)
      guard let file = file(at: from), trusts(file, from, content) else {
        return existing(path, content, mtime)
      }
      // Links share their rot; here each file has its own. One of another time is copied, and so hashed.
      guard file.sound == nil && (file.mtime == mtime || file.content == content) || canary == .trustsCopies
      else { return .sourceChanged }
      return put(file.payload, path, mtime)
    case .copy(let asked, let path, let content, let mtime):
      guard let file = file(at: names.path(asked, content)) else { return existing(path, content, mtime) }
      guard file.content == content || canary == .trustsCopies else {
        return isRepeat ? existing(path, content, mtime) : .sourceChanged
      }
      return put(file.payload, path, mtime)
    case .copyOwn(_, let source, let path, let content, let mtime):
      guard let file = own[source], file.content == content || canary == .trustsCopies else {
        if isRepeat { return existing(path, content, mtime) }
        return own[source] == nil
          ? .failed(FilingFailure(code: .other, errno: 2, message: "no such own file")) : .sourceChanged
      }
      return put(file.payload, path, mtime)
    case .remove(let path, let content):
      if isRepeat {
        // What became of it is found out, and no more.
        guard let there = files[path], there.content == content else { return .done(path: path, nil) }
        return .adopted(path: path, there.stamp)
      }
      if FilingPlan.isInTrash(path) || files[path]?.content == content { set(path, nil) }
      return .done(path: path, nil)
    }
  }

  /// Nothing is ever replaced: equal bytes are adopted, and other bytes keep their name.
  private mutating func put(
    _ payload: Payload, _ path: [UInt8], _ mtime: Int64, moved: SimulatedFile? = nil
  ) -> FilingResult {
    for name in Self.names(path) {
      if let there = files[name], canary != .landsOverFiles {
        guard there.payload == payload else { continue }
        return adopt(there, name, mtime)
      }
      nextInode += 1
      let file = SimulatedFile(
        payload: payload, mtime: mtime, inode: moved?.inode ?? nextInode, sound: moved?.sound)
      set(name, file)
      return .done(path: name, file.stamp)
    }
    return Self.failure(.name)
  }

  /// The bytes are not where they should come from: an earlier run may have brought them to where they should be.
  private mutating func existing(_ path: [UInt8], _ content: ContentID, _ mtime: Int64) -> FilingResult {
    for name in Self.names(path) {
      guard let there = files[name] else { break }
      guard there.content == content else { continue }
      return adopt(there, name, mtime)
    }
    return .sourceChanged
  }

  private mutating func adopt(_ there: SimulatedFile, _ name: [UInt8], _ mtime: Int64) -> FilingResult {
    var file = there
    file.mtime = mtime
    set(name, file)
    return .adopted(path: name, file.stamp)
  }

  // MARK: Durability

  /// Everything that has changed is on the disk.
  mutating func sync() { unsynced.removeAll() }

  /// What was not synced is there after the power is back, or is not: each change whole or not at all, and none without
  /// an earlier one of the same name. Bytes are synced before they get a name; staged ones may be gone.
  mutating func powerCut(_ random: inout SeededGenerator) {
    var lost: [Change] = []
    var names: Set<[UInt8]> = []
    for change in unsynced {
      let paths = change.files.map(\.path)
      guard random.oneIn(2) || paths.contains(where: names.contains) else { continue }
      names.formUnion(paths)
      lost.append(change)
    }
    unsynced.removeAll()
    for content in staged.keys.sorted() where random.oneIn(2) {
      if let blocks = staged[content]?.blocks {
        staged[content]?.blocks = blocks.filter { _ in random.oneIn(2) }
      } else {
        staged[content] = nil
      }
    }
    for change in lost.reversed() {
      for (path, file) in change.files.reversed() { store(path, file) }
      if let (content, file) = change.staged { staged[content] = file }
    }
  }

  private mutating func change<Value>(_ body: (inout Self) -> Value) -> Value {
    unsynced.append(Change())
    return body(&self)
  }

  private mutating func set(_ path: [UInt8], _ file: SimulatedFile?) {
    unsynced[unsynced.count - 1].files.append((path, self.file(at: path)))
    store(path, file)
  }

  private mutating func store(_ path: [UInt8], _ file: SimulatedFile?) {
    if path.starts(with: Self.quarantinePath) { quarantine[path] = file } else { files[path] = file }
  }

  private static let quarantinePath = Array(".mantel/quarantine/".utf8)

  private static func isRetired(_ path: [UInt8]) -> Bool {
    path.split(separator: UInt8(ascii: "/")).dropFirst().first.map(Array.init) == Array(".retired".utf8)
  }

  private static func names(_ path: [UInt8]) -> [[UInt8]] {
    [path] + (2...9).map { path + Array(" (\($0))".utf8) }
  }
}
