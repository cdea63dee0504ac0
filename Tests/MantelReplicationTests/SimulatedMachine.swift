import MantelCatalog
import MantelCore
import MantelHousehold
import MantelReplication
import MantelSummary

/// A file in a simulated folder or replica.
struct SimulatedFile: Equatable {
  var bytes: [UInt8]
  var mtime: Int64
  var inode: UInt64

  var content: ContentID { ContentID(SummaryHash.sha256(bytes)) }
  var stamp: FileStamp {
    FileStamp(size: UInt64(bytes.count), mtime: mtime, ctime: mtime, inode: inode, device: 1)
  }
}

/// One machine of the simulation: the shipped decisions over the shipped catalog (in memory), and disks that are
/// dictionaries.
final class SimulatedMachine {
  let key: DeviceKey
  let catalog: Catalog
  let folder: Folder
  var replicator: Replicator
  var own: [[UInt8]: SimulatedFile] = [:]
  var replica: [[UInt8]: SimulatedFile] = [:]
  var staged: [ContentID: [UInt8]] = [:]
  /// Links that are open, and who is at the other end.
  var links: [LinkID: Int] = [:]
  /// Contents received over the network, with repeats: what the transfer cost.
  var received: [ContentID] = []
  var warnings: [ReplicationWarning] = []
  private var nextInode: UInt64 = 1

  init(
    key: DeviceKey, statements: [SignedStatement], folder: Folder, record: MachineRecord, now: Now
  ) throws {
    self.key = key
    self.folder = folder
    catalog = try Catalog(inMemory: key.machine)
    try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    replicator = try Self.load(key, statements, catalog, now)
    _ = try replicator.handle(.folderAdded(folder), now: now)
    _ = try replicator.handle(.recordChanged(record), now: now)
    _ = try replicator.handle(.recovered, now: now)
  }

  static func load(
    _ key: DeviceKey, _ statements: [SignedStatement], _ catalog: Catalog, _ now: Now
  ) throws -> Replicator {
    try Replicator(
      machine: key.machine, roster: Roster(statements), role: .full,
      filesystem: FolderID(high: key.machine.digest.word0, low: 0), store: catalog, key: key,
      now: now)
  }

  var machine: MachineID { key.machine }

  /// The process dies and starts again: memory is gone, catalog and disks stay.
  func restart(now: Now) throws -> [ReplicationEvent] {
    let statements = try catalog.statements().map { try SignedStatement(bytes: $0) }
    replicator = try Self.load(key, statements, catalog, now)
    links.removeAll()
    return staged.keys.sorted().map { .stagedFound($0, blocks: nil) } + [.recovered]
  }

  // MARK: The user

  func write(_ path: String, _ bytes: [UInt8], mtime: Int64) {
    nextInode += 1
    own[Array(path.utf8)] = SimulatedFile(bytes: bytes, mtime: mtime, inode: nextInode)
  }

  func rename(_ from: String, _ to: String) {
    own[Array(to.utf8)] = own.removeValue(forKey: Array(from.utf8))
  }

  /// What a walk of the whole folder reports.
  func scan() -> [ReplicationEvent] {
    var directories: [[UInt8]: [(path: [UInt8], stamp: FileStamp)]] = [[]: []]
    for path in own.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      let directory = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
      if let file = own[path] { directories[directory, default: []].append((path, file.stamp)) }
    }
    let sights = directories.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
      ReplicationEvent.directoryScanned(
        folder.id, DirectorySight(directory: $0.key, files: $0.value, skipped: []))
    }
    return [.scanBegan(folder.id)] + sights + [.scanEnded(folder.id, isComplete: true)]
  }

  // MARK: Disks

  func look(_ path: [UInt8]) -> ReplicationEvent {
    let sight = own[path].map { FileSight.file($0.stamp, isClosed: false) } ?? .gone
    return .sighted(folder.id, path, sight)
  }

  func hash(_ path: [UInt8]) -> ReplicationEvent {
    guard let file = own[path] else { return .hashed(folder.id, path, .gone) }
    return .hashed(
      folder.id, path,
      .hashed(
        content: file.content, manifest: nil, before: file.stamp, after: file.stamp, isHeld: true))
  }

  func bytes(of content: ContentID) -> [UInt8]? {
    staged[content] ?? replica.values.first { $0.content == content }?.bytes
      ?? own.values.first { $0.content == content }?.bytes
  }

  func file(_ operations: [FilingOperation]) -> [FilingResult] { operations.map(file) }

  private func file(_ operation: FilingOperation) -> FilingResult {
    switch operation {
    case .land(let content, let path, let mtime):
      guard let bytes = staged.removeValue(forKey: content) else { return .sourceChanged }
      return put(bytes, path, mtime)
    case .move(let from, let path, let content, let mtime):
      guard let file = replica.removeValue(forKey: from), file.content == content else {
        return .sourceChanged
      }
      return put(file.bytes, path, mtime)
    case .link(let from, let path, let content, let mtime),
      .copy(let from, let path, let content, let mtime):
      guard let file = replica[from], file.content == content else { return .sourceChanged }
      return put(file.bytes, path, mtime)
    case .copyOwn(_, let source, let path, let content, let mtime):
      guard let file = own[source], file.content == content else { return .sourceChanged }
      return put(file.bytes, path, mtime)
    case .remove(let path):
      replica[path] = nil
      return .done(path: path, nil)
    }
  }

  private func put(_ bytes: [UInt8], _ path: [UInt8], _ mtime: Int64) -> FilingResult {
    var target = path
    if let there = replica[path], there.bytes != bytes { target += Array(" (2)".utf8) }
    nextInode += 1
    let file = SimulatedFile(bytes: bytes, mtime: mtime, inode: nextInode)
    replica[target] = file
    return .done(path: target, file.stamp)
  }
}
