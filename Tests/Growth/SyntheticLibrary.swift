import Foundation
import MantelCatalog
import MantelCore
import MantelHousehold
import MantelSummary
import MantelTestSupport

/// A library of as many photos as one likes, written into the catalog of a machine that was just founded. No file of it
/// exists: its folder is on a disk that is not here, so nothing of it is rescanned, held, or retired.
struct SyntheticLibrary {
  let photos: Int
  let folderName = "archive"

  /// No photo is as large as to need a manifest (4 MiB).
  private static let meanBytes = 3_000_000
  private static let photosPerDirectory = 200
  /// 2020-01-01, then a photo a minute.
  private static let firstTaken: Int64 = 1_577_836_800_000_000_000
  private static let minute: Int64 = 60_000_000_000

  /// Makes one head of all photos; no agent may run on the home.
  func write(into home: String) throws {
    let key = try DeviceKey.load(from: "\(home)/state/device.key")
    let catalog = try Catalog(path: "\(home)/state/catalog.sqlite", machine: key.machine)
    guard let bytes = try catalog.value(.household), let digest = Digest256(bytes) else {
      throw GrowthError("\(home) has no household")
    }
    let household = HouseholdID(digest)
    var random = SeededGenerator(seed: UInt64(photos))
    let folder = Folder(
      id: FolderID(high: random.next(), low: random.next()), name: folderName,
      root: Array("\(home)/not mounted".utf8), excludes: [], filesystem: Array("a disk elsewhere".utf8))
    try catalog.putFolder(folder)
    let (entries, files) = photosOf(folder.id, &random)
    let sorted = entries.sorted { $0.id < $1.id }
    var counts = LibraryCounts()
    for (_, entry) in sorted { counts.count(entry, by: 1) }
    let root = SetSnapshot(
      sorted: sorted.map(\.id.digest), tag: .entries(household, library: key.machine)
    ).root
    let head = Head(
      library: key.machine, signer: key.machine, order: HeadOrder(epoch: 1, sequence: 1), root: root,
      counts: counts, time: WallTime(nanoseconds: Int64(Date.now.timeIntervalSince1970 * 1e9)))
    try catalog.publish(
      LibraryChange(added: sorted, removed: []), head: try key.sign(head, in: household), files: files)
  }

  private func photosOf(
    _ folder: FolderID, _ random: inout SeededGenerator
  ) -> (entries: [(id: EntryID, entry: Entry)], files: [LedgerFile]) {
    var entries: [(id: EntryID, entry: Entry)] = []
    var files: [LedgerFile] = []
    entries.reserveCapacity(photos)
    files.reserveCapacity(photos)
    for number in 0..<photos {
      let path = Array(
        "album \(10_000 + number / Self.photosPerDirectory)/IMG_\(1_000_000 + number).jpg".utf8)
      let size = UInt64(Self.meanBytes / 2 + random.below(Self.meanBytes * 3 / 4))
      let mtime = Self.firstTaken + Int64(number) * Self.minute
      let content = ContentID(random.id())
      let entry = Entry(
        folder: folder, path: path, content: content, size: size, mtime: mtime, kind: .photo, state: .live,
        manifest: nil)
      entries.append((EntryID(of: entry), entry))
      let stamp = FileStamp(size: size, mtime: mtime, ctime: mtime, inode: UInt64(1_000 + number), device: 1)
      files.append(
        LedgerFile(
          folder: folder, path: path, stamp: stamp, status: .published, content: content, manifest: nil,
          changes: 0))
    }
    return (entries, files)
  }
}

struct GrowthError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
