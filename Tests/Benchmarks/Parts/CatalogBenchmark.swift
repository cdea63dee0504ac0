import Foundation
import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary
import MantelTestSupport

/// What goes into a catalog on the disk: a peer's library, and the rows of own files.
struct CatalogBenchmark {
  let timing: Timing
  let place: URL

  /// As `ReplicationSettings.stagedAtOnce`.
  private static let staged = 16_384
  private static let ledger = 256

  func measure() async throws -> [PartsReport.Row] {
    try await [10_000, 100_000, 1_000_000].asyncMap { try await install($0) } + [files(20_000)]
  }

  /// Entries of another machine's library, staged in the pieces that a session brings, and installed.
  private func install(_ count: Int) async throws -> PartsReport.Row {
    let (key, household) = (DeviceKey(), HouseholdID(Digest256(1, 2, 3, 4)))
    var random = SeededGenerator(seed: UInt64(count))
    let folder = FolderID(high: 1, low: 1)
    let entries = (0..<count).map { number in
      let entry = Entry(
        folder: folder, path: Array("album \(number / 200)/IMG_\(number).jpg".utf8),
        content: ContentID(random.id()), size: 3_000_000, mtime: 1_700_000_000_000_000_000 + Int64(number),
        kind: .photo, state: .live, manifest: nil)
      return (id: EntryID(of: entry), entry: entry)
    }.sorted { $0.id < $1.id }
    var counts = LibraryCounts()
    for (_, entry) in entries { counts.count(entry, by: 1) }
    let root = SetSnapshot(
      sorted: entries.map(\.id.digest), tag: .entries(household, library: key.machine)
    ).root
    let head = try key.sign(
      Head(
        library: key.machine, signer: key.machine, order: HeadOrder(epoch: 1, sequence: 1), root: root,
        counts: counts, time: WallTime(nanoseconds: 0)), in: household)
    let seconds = try await timing.medians([
      {
        try withCatalog { catalog in
          for start in stride(from: 0, to: count, by: Self.staged) {
            let piece = Array(entries[start..<min(count, start + Self.staged)])
            try catalog.stage(key.machine, head.record.order, piece)
          }
          try catalog.install(key.machine, head: head)
        }
      }
    ])
    return PartsReport.Row(
      work: "installing \(count) entries", amount: count, unit: "entries", seconds: seconds[0])
  }

  /// Rows of own files in the pieces that hashing brings.
  private func files(_ count: Int) async throws -> PartsReport.Row {
    var random = SeededGenerator(seed: 9)
    let folder = Folder(
      id: FolderID(high: 1, low: 1), name: "Photos", root: Array("/photos".utf8), excludes: [], filesystem: []
    )
    let files = (0..<count).map { number in
      LedgerFile(
        folder: folder.id, path: Array("album \(number / 200)/IMG_\(number).jpg".utf8),
        stamp: FileStamp(size: 10, mtime: 1, ctime: 1, inode: UInt64(number), device: 1), status: .published,
        content: ContentID(random.id()), manifest: nil, changes: 0)
    }
    let seconds = try await timing.medians([
      {
        try withCatalog { catalog in
          try catalog.putFolder(folder)
          for start in stride(from: 0, to: count, by: Self.ledger) {
            try catalog.putFiles(Array(files[start..<min(count, start + Self.ledger)]))
          }
        }
      }
    ])
    return PartsReport.Row(
      work: "rows of \(count) own files", amount: count, unit: "rows", seconds: seconds[0])
  }

  private func withCatalog(_ body: (Catalog) throws -> Void) throws {
    let path = place.appending(path: "\(UUID().uuidString).sqlite").path
    let catalog = try Catalog(path: path, machine: DeviceKey().machine)
    try body(catalog)
    try catalog.close()
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
  }
}

extension Array {
  fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
    var values: [Value] = []
    for element in self { values.append(try await body(element)) }
    return values
  }
}
