import Foundation
import MantelCatalog
import MantelCore

/// Where a test's catalog lives.
enum Home: String, CaseIterable, Sendable {
  case memory
  case file
}

/// A catalog of machine `Fixture.own`, and its way back after a restart.
final class CatalogFixture {
  private let directory: URL
  private(set) var catalog: Catalog
  let home: Home
  private let bulk: Int

  var path: String { directory.appendingPathComponent("catalog").path }

  init(_ home: Home, bulk: Int = Catalog.bulk) throws {
    self.home = home
    self.bulk = bulk
    directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("mantel-catalog-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    catalog =
      switch home {
      case .memory: try Catalog(inMemory: Fixture.own, bulk: bulk)
      case .file:
        try Catalog(
          path: directory.appendingPathComponent("catalog").path, machine: Fixture.own, bulk: bulk)
      }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Opens the file again, as a restarted agent does; a catalog in memory goes on.
  func reopen(as machine: MachineID = Fixture.own) throws {
    if home == .file { catalog = try Catalog(path: path, machine: machine, bulk: bulk) }
  }
}

/// Values whose ids are told from small numbers.
enum Fixture {
  static let own = MachineID(digest(1, 0))
  static let anna = MachineID(digest(1, 1))
  static let bert = MachineID(digest(1, 2))
  static let folder = FolderID(high: 7, low: 7)

  static func digest(_ kind: UInt64, _ number: UInt64) -> Digest256 {
    var random = SplitMix(seed: kind &* 1_000_003 &+ number)
    return Digest256(random.next(), random.next(), random.next(), random.next())
  }

  static func content(_ number: UInt64) -> ContentID { ContentID(digest(2, number)) }

  static func entry(
    _ path: String, _ content: UInt64, state: EntryState = .live, mtime: Int64 = 0
  ) -> Entry {
    let isDropped = state.code == 3
    return Entry(
      folder: folder, path: isDropped ? [] : Array(path.utf8), content: Fixture.content(content),
      size: 100 + content, mtime: mtime, kind: .photo, state: state, manifest: nil)
  }

  /// Stands in for the hash: depends on all bytes, equal for equal entries.
  static func id(_ entry: Entry) -> EntryID {
    var words: [UInt64] = [1, 2, 3, 4]
    for (index, byte) in entry.canonicalBytes.enumerated() {
      words[index & 3] = (words[index & 3] ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    var random = SplitMix(seed: words[0] &+ words[1] &* 3 &+ words[2] &* 5 &+ words[3] &* 7)
    return EntryID(Digest256(random.next(), random.next(), random.next(), random.next()))
  }

  static func identified(_ entries: [Entry]) -> [(id: EntryID, entry: Entry)] {
    entries.map { (id($0), $0) }
  }

  static func order(_ sequence: UInt64, epoch: UInt64 = 1) -> HeadOrder {
    HeadOrder(epoch: epoch, sequence: sequence)
  }

  static func head(
    _ library: MachineID, _ order: HeadOrder, root: UInt64 = 0, counts: LibraryCounts = .init()
  ) -> Signed<Head> {
    signed(
      Head(
        library: library, signer: library, order: order, root: digest(3, root), counts: counts,
        time: WallTime(nanoseconds: 5)))
  }

  static func signed<Record>(_ record: Record) -> Signed<Record> {
    guard let signature = Signature([UInt8](repeating: 9, count: Signature.byteCount)) else {
      preconditionFailure("a signature of the right length was refused")
    }
    return Signed(record: record, signature: signature)
  }

  static func stamp(_ size: UInt64 = 1) -> FileStamp {
    FileStamp(size: size, mtime: -3, ctime: 4, inode: .max, device: 6)
  }

  static func ownFolder(_ id: FolderID = folder, name: String = "Photos") -> Folder {
    Folder(
      id: id, name: name, root: Array("/home/anna/\(name)".utf8), excludes: ["*.tmp", "a/**"],
      filesystem: [])
  }

  static func file(
    _ path: String, _ status: FileStatus = .published, content: UInt64? = nil
  ) -> LedgerFile {
    LedgerFile(
      folder: folder, path: Array(path.utf8), stamp: stamp(), status: status,
      content: content.map(Fixture.content), manifest: nil, changes: 2)
  }

  static func replicaFile(
    _ path: String, _ content: UInt64, of library: MachineID = anna, verified: Int64 = 10
  ) -> ReplicaFile {
    ReplicaFile(
      library: library, entry: EntryID(digest(4, content)), content: Fixture.content(content),
      path: Array(path.utf8), stamp: stamp(100 + content),
      verified: WallTime(nanoseconds: verified))
  }
}

struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

extension Catalog {
  /// Stages a change and installs it.
  func follow(
    _ library: MachineID, _ sequence: UInt64, add: [Entry] = [], remove: [Entry] = []
  ) throws(StoreError) {
    let order = Fixture.order(sequence)
    try stageRemoval(library, order, remove.map(Fixture.id))
    try stage(library, order, Fixture.identified(add))
    try install(library, head: Fixture.head(library, order))
  }

  func entryIDs(_ library: MachineID) throws(StoreError) -> [EntryID] {
    var ids: [EntryID] = []
    try forEachEntryID(library) { ids.append($0) }
    return ids
  }

  func wanted(_ library: MachineID, liveOnly: Bool = false) throws(StoreError) -> [ContentID] {
    var contents: [ContentID] = []
    try forEachWanted(library) { content, isLive in
      if isLive || !liveOnly { contents.append(content) }
    }
    return contents
  }

  func held() throws(StoreError) -> [ContentID] {
    var contents: [ContentID] = []
    try forEachHeld { contents.append($0) }
    return contents
  }

  /// All pages of what is missing.
  func allMissing(pageSize: Int) throws(StoreError) -> [MissingContent] {
    var all: [MissingContent] = []
    var position: MissingPosition?
    repeat {
      let page = try missing(after: position, limit: pageSize)
      all += page.contents
      position = page.next
    } while position != nil
    return all
  }

  /// All pages of a delta; nil when one of them is.
  func wholeDelta(_ library: MachineID, _ from: HeadOrder, _ to: HeadOrder, maximumBytes: Int)
    throws(StoreError) -> (added: [[UInt8]], removed: [EntryID])?
  {
    var whole: (added: [[UInt8]], removed: [EntryID]) = ([], [])
    var cursor: Int64? = 0
    while let start = cursor {
      guard
        let page = try delta(
          library, from: from, to: to, cursor: start, maximumBytes: maximumBytes)
      else { return nil }
      whole.added += page.added
      whole.removed += page.removed
      cursor = page.next
    }
    return whole
  }
}
