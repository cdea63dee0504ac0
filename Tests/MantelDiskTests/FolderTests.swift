import Glibc
import MantelCore
import Synchronization
import Testing

@testable import MantelDisk

@Suite struct FolderWalkerTests {
  static let hostileNames: [[UInt8]] = [
    Array("new\nline.jpg".utf8), Array("quo\"te's.jpg".utf8), Array("-rf".utf8), Array(" ".utf8),
    [0xFF, 0xFE, 0x80], [UInt8](repeating: 0x61, count: 255),
    Array("caf\u{E9}.jpg".utf8), Array("cafe\u{301}.jpg".utf8), Array("*.jpg".utf8), Array("...".utf8),
    Array("\u{1B}[31m".utf8),
  ]

  @Test func everyNameIsFoundAndHashed() throws {
    let scratch = try Scratch()
    for (index, name) in Self.hostileNames.enumerated() { try scratch.write(name, [UInt8(index)]) }
    let (files, skipped) = try walk(FolderWalker(folder: Folder(scratch), ownPaths: []))
    #expect(files == Self.hostileNames.sorted { $0.lexicographicallyPrecedes($1) })
    #expect(skipped.isEmpty)
    for (index, name) in Self.hostileNames.enumerated() {
      let hashed = try FileReader.hash(root: scratch.root, path: name, fsync: false)
      #expect(hashed.content == content([UInt8(index)]))
    }
  }

  @Test func namesAscendByTheirBytes() {
    let others: [[UInt8]] = [[0x61], [0x61, 0x61], [0x42], [0x80], [0x7F], [1]]
    let names = Self.hostileNames + others
    var entries = EntryNames()
    for name in names { name.withUnsafeBytes { entries.append($0) } }
    var ascending: [[UInt8]] = []
    entries.forEachAscending { name, terminated in
      #expect(strlen(terminated) == name.count)
      ascending.append(Array(name))
    }
    #expect(ascending == names.sorted { $0.lexicographicallyPrecedes($1) })
    #expect(entries.count == names.count)
  }

  @Test func depthBeyondPathMaxIsNoLimit() throws {
    let scratch = try Scratch()
    let path = deepPath + Array("photo.jpg".utf8)
    #expect(path.count > Int(PATH_MAX))
    try scratch.write(path, [1, 2, 3])
    let (files, _) = try walk(FolderWalker(folder: Folder(scratch), ownPaths: []))
    #expect(files == [path])
    #expect(try FileReader.hash(root: scratch.root, path: path, fsync: true).content == content([1, 2, 3]))
    let inner = try FileReader.stat(
      root: scratch.root + [0x2F] + deepPath.dropLast(), path: Array("photo.jpg".utf8))
    #expect(inner.stamp.size == 3)
  }

  @Test func whatIsNotAPhotoIsSkippedWithItsReason() throws {
    let scratch = try Scratch()
    try scratch.write("a/keep.jpg", "keep")
    try scratch.write("a/.trashed-17-x.jpg", "junk")
    try scratch.write("a/Thumbs.db", "junk")
    try scratch.write("@eaDir/deep/x.jpg", "junk")
    try scratch.write("raw/x.cr2", "excluded")
    try scratch.write("b/tmp/x.jpg", "excluded")
    try scratch.write("Copies/.mantel/marker", "whatever")
    try scratch.write("Copies/laptop/x.jpg", "copy")
    try scratch.write("state/key", "key")
    try scratch.symlink("/etc/passwd", at: "link")
    try scratch.symlink("/etc", at: "etc")
    try scratch.call("fifo") { mkfifo($0, 0o600) }
    let walker = FolderWalker(
      folder: Folder(scratch, excludes: ["raw", "b/tmp/"]), ownPaths: [scratch.path("state/")])
    let (files, skipped) = try walk(walker)
    #expect(files == [Array("a/keep.jpg".utf8)])
    let expected: [String: SkipReason] = [
      "a/.trashed-17-x.jpg": .junk, "a/Thumbs.db": .junk, "@eaDir": .junk, "raw": .excluded,
      "b/tmp": .excluded, "Copies": .mantel, "state": .mantel, "link": .symlink, "etc": .symlink,
      "fifo": .special,
    ]
    #expect(skipped == Dictionary(uniqueKeysWithValues: expected.map { (Array($0.utf8), $1) }))
    #expect(walker.skipReason(for: Array("raw/deep/x.cr2".utf8), isDirectory: false) == .excluded)
    #expect(walker.skipReason(for: Array("a/keep.jpg".utf8), isDirectory: false) == nil)
  }

  /// What the watcher goes by is what the walk finds; it only costs less.
  @Test func anOutlineNamesWhatAListingNames() throws {
    let scratch = try Scratch()
    for name in ["a.jpg", "b/c.jpg", "Thumbs.db", "raw/x.cr2", "Copies/.mantel/marker", "@eaDir/x", "x.part"]
    {
      try scratch.write(name, name)
    }
    try scratch.symlink("/etc", at: "etc")
    try scratch.call("fifo") { mkfifo($0, 0o600) }
    let walker = FolderWalker(folder: Folder(scratch, excludes: ["raw"]), ownPaths: [])
    for directory in ["", "b"] {
      let listing = try walker.directory(Array(directory.utf8))
      let outline = try #require(try walker.outline(Array(directory.utf8), withFiles: true))
      #expect(outline.subdirectories == listing.subdirectories)
      #expect(outline.files.sorted { $0.lexicographicallyPrecedes($1) } == listing.files.map(\.path))
      let bare = try #require(try walker.outline(Array(directory.utf8), withFiles: false))
      #expect(bare.subdirectories == listing.subdirectories)
      #expect(bare.files.isEmpty)
    }
    #expect(try walker.outline(Array("Copies".utf8), withFiles: true) == nil)
  }

  /// Twice the look at the directories, once that at the files.
  @Test func anOutlineAsksForNoFilesStat() throws {
    let scratch = try Scratch()
    for number in 0..<2_000 { try scratch.write("\(number).jpg", "") }
    let walker = FolderWalker(folder: Folder(scratch), ownPaths: [])
    let clock = ContinuousClock()
    // The best of several: a busy machine makes some slow, and none fast.
    func best(_ body: () throws -> Void) rethrows -> Duration {
      try (0..<7).map { _ in try clock.measure(body) }.min() ?? .zero
    }
    var found = 0
    let listing = try best { found += try walker.directory([]).files.count }
    let outline = try best { found += try walker.outline([], withFiles: true)?.files.count ?? 0 }
    #expect(found == 2 * 7 * 2_000)
    #expect(outline < listing, "\(outline) against \(listing)")
  }

  @Test func ownDirectoryIsKnownByAnyPath() throws {
    let scratch = try Scratch()
    try scratch.write("photos/state/key", "key")
    try scratch.symlink("photos/state", at: "alias")
    var folder = Folder(scratch)
    folder.root = scratch.path("photos")
    let (files, skipped) = try walk(FolderWalker(folder: folder, ownPaths: [scratch.path("alias")]))
    #expect(files.isEmpty)
    #expect(skipped == [Array("state".utf8): .mantel])
  }

  @Test func missingRootThrowsInsteadOfSeemingEmpty() throws {
    let scratch = try Scratch()
    var folder = Folder(scratch)
    folder.root = scratch.path("not there")
    #expect { try FolderWalker(folder: folder, ownPaths: []).directory([]) } throws: {
      ($0 as? DiskError)?.code == .notFound
    }
  }

  @Test(.enabled(if: geteuid() != 0, "root reads everything, so nothing is unreadable to it"))
  func unreadableDirectoryThrows() throws {
    let scratch = try Scratch()
    try scratch.write("a/x.jpg", "x")
    try scratch.call("a") { chmod($0, 0) }
    defer { try? scratch.call("a") { chmod($0, 0o700) } }
    #expect { try FolderWalker(folder: Folder(scratch), ownPaths: []).directory(Array("a".utf8)) } throws: {
      ($0 as? DiskError)?.code == .permission
    }
  }
}

@Suite struct FileReaderTests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ])
  func knownHashes(_ text: String, _ hex: String) throws {
    let scratch = try Scratch()
    try scratch.write("f", text)
    let hashed = try FileReader.hash(root: scratch.root, path: Array("f".utf8), fsync: true)
    #expect(hashed.content.hex == hex)
    #expect(hashed.manifest == nil && hashed.isStable && hashed.isLocal && hashed.isDurable)
  }

  /// The bytes can be read and are on no disk: no hash. Where there is no sync at all, the file is just not durable.
  @Test(arguments: [(EIO, true), (ENOSPC, true), (EDQUOT, true), (EINVAL, false), (EROFS, false)])
  func aFailedSyncIsNoHash(errno: Int32, isFatal: Bool) throws {
    let scratch = try Scratch()
    try scratch.write("f", "abc")
    let faults = FaultyCalls()
    faults.fail { call, _ in call == "fsync" ? errno : nil }
    let root = try Directory(root: scratch.root)
    if isFatal {
      #expect(throws: DiskError(.notDurable, errno: errno, path: Array("f".utf8), operation: "sync")) {
        try FileReader.hash(in: root, path: Array("f".utf8), fsync: true, calls: faults.calls)
      }
    } else {
      #expect(
        try !FileReader.hash(in: root, path: Array("f".utf8), fsync: true, calls: faults.calls).isDurable)
    }
  }

  @Test func largeFileHasAManifest() throws {
    let scratch = try Scratch()
    let bytes = sampleBytes((5 << 20) + 17)
    try scratch.write(Array("f".utf8), bytes)
    let hashed = try FileReader.hash(root: scratch.root, path: Array("f".utf8), fsync: false)
    #expect(hashed.content == content(bytes))
    let blocks = stride(from: 0, to: bytes.count, by: 1 << 20).map {
      sha256(Array(bytes[$0..<min(bytes.count, $0 + 1 << 20)]))
    }
    #expect(hashed.manifest == Manifest(size: UInt64(bytes.count), blocks: blocks))
    #expect(hashed.manifestHash == sha256(Manifest(size: UInt64(bytes.count), blocks: blocks).hashedBytes))
  }

  @Test func wholeUnitAndSparseFile() throws {
    let scratch = try Scratch()
    try scratch.write("whole", "")
    try scratch.write("sparse", "")
    try scratch.call("whole") { truncate($0, 4 << 20) }
    try scratch.call("sparse") { truncate($0, 6 << 20) }
    let whole = try FileReader.hash(root: scratch.root, path: Array("whole".utf8), fsync: false)
    #expect(whole.content == content([UInt8](repeating: 0, count: 4 << 20)) && whole.manifest == nil)
    let sparse = try FileReader.hash(root: scratch.root, path: Array("sparse".utf8), fsync: false)
    #expect(sparse.content == content([UInt8](repeating: 0, count: 6 << 20)))
    #expect(sparse.manifest?.blocks.count == 6)
  }

  @Test func fileThatGrowsOrShrinksIsRefused() throws {
    let scratch = try Scratch()
    for size in [off_t(1), off_t(9 << 20)] {
      try scratch.write(Array("f".utf8), sampleBytes(5 << 20))
      #expect {
        try FileReader.hash(root: scratch.root, path: Array("f".utf8), fsync: false) {
          (try? scratch.call("f") { truncate($0, size) }) != nil
        }
      } throws: {
        ($0 as? DiskError)?.code == .changed
      }
    }
  }

  @Test func hashStopsWhenTold() throws {
    let scratch = try Scratch()
    try scratch.write("f", "x")
    #expect {
      try FileReader.hash(root: scratch.root, path: Array("f".utf8), fsync: false) { false }
    } throws: {
      ($0 as? DiskError)?.code == .cancelled
    }
  }

  @Test func rangesAndExpectations() throws {
    let scratch = try Scratch()
    let path = Array("f".utf8)
    try scratch.write("f", "0123456789")
    let stamp = try FileReader.stat(root: scratch.root, path: path).stamp
    func read(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
      try FileReader.read(root: scratch.root, path: path, offset: offset, count: count, expecting: stamp)
    }
    #expect(try read(3, 4) == Array("3456".utf8))
    #expect(try read(8, 100) == Array("89".utf8))
    #expect(try read(10, 1).isEmpty)
    try scratch.write("f", "changed by somebody")
    #expect { try read(0, 1) } throws: { ($0 as? DiskError)?.code == .changed }
  }

  @Test(arguments: [
    ("dirlink/secret", DiskError.Code.notFound), ("link", .notRegular), ("../outside", .name),
    ("/etc/passwd", .name),
    ("in/../../outside", .name), ("fifo", .notRegular), ("in", .notRegular), ("in/none", .notFound),
    ("in//file", .name), ("", .name),
  ])
  func nothingLeadsOutOfTheRoot(_ path: String, _ code: DiskError.Code) throws {
    let scratch = try Scratch()
    try scratch.write("outside", "secret")
    try scratch.write("elsewhere/secret", "secret")
    try scratch.write("root/in/file", "x")
    try scratch.symlink("../elsewhere", at: "root/dirlink")
    try scratch.symlink("../outside", at: "root/link")
    try scratch.call("root/fifo") { mkfifo($0, 0o600) }
    let root = scratch.path("root")
    for body: (() throws -> Void) in [
      { _ = try FileReader.hash(root: root, path: Array(path.utf8), fsync: false) },
      { _ = try FileReader.read(root: root, path: Array(path.utf8), offset: 0, count: 9) },
      {
        // Not from a directory that was kept open either.
        var reader = SeriesReader(replica: try ReplicaFixture().replica)
        #expect(try reader.text("in/file", below: root) == "x")
        _ = try reader.text(path, below: root)
      },
    ] {
      #expect { try body() } throws: { ($0 as? DiskError)?.code == code }
    }
  }

  @Test func identityIsStableAndTheDiskLocal() throws {
    let scratch = try Scratch()
    try scratch.makeDirectory(Array("a".utf8))
    let identity = try FilesystemFacts.identity(of: scratch.root)
    #expect(!identity.isEmpty)
    #expect(try FilesystemFacts.identity(of: scratch.path("a")) == identity)
    #expect(try FilesystemFacts.identity(of: Array("a".utf8), below: scratch.root) == identity)
    #expect(try FilesystemFacts.identity(of: [], below: scratch.root) == identity)
    #expect(throws: DiskError.self) {
      try FilesystemFacts.identity(of: Array("none".utf8), below: scratch.root)
    }
    #expect(try FilesystemFacts.isLocal(scratch.root))
    #expect(try FilesystemFacts.identity(of: Array("/proc".utf8)) != identity)
    let space = try FilesystemFacts.space(of: scratch.root)
    #expect(space.free > 0 && space.free <= space.total)
  }

  /// udev's link may come after the first look at the disk, and the disk may be exchanged for another.
  @Test func aDeviceIsLookedUpAgainWhereTheKernelNamesNoFilesystem() {
    let link = DeviceLink()
    let uuids = DeviceUUIDs { _ in link.uuid.withLock { $0 } }
    #expect(uuids.uuid(of: 1, fsid: 0) == nil && uuids.uuid(of: 1, fsid: 9) == nil)
    for uuid: [UInt8] in [[1, 2], [3, 4]] {
      link.uuid.withLock { $0 = uuid }
      #expect(uuids.uuid(of: 1, fsid: 0) == uuid)
      // What has another identity keeps that one.
      #expect(uuids.uuid(of: 1, fsid: 9) == nil)
    }
  }

  private final class DeviceLink: Sendable {
    let uuid = Mutex<[UInt8]?>(nil)
  }
}

@Suite struct GlobTests {
  @Test(arguments: [
    ("*.jpg", "a/b/c.jpg", true), ("*.jpg", "c.jpeg", false), ("a/*.jpg", "a/b.jpg", true),
    ("a/*.jpg", "a/b/c.jpg", false), ("a/**/c.jpg", "a/c.jpg", true), ("a/**/c.jpg", "a/x/y/c.jpg", true),
    ("a/**/c.jpg", "a/xc.jpg", false), ("**/raw/**", "x/raw/y/z", true), ("**/raw/**", "raw/z", true),
    ("/top", "top", true), ("/top", "a/top", false), ("?.jpg", "\u{E9}.jpg", true),
    ("?.jpg", "ab.jpg", false),
    ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("[]]x", "]x", true), ("[a", "[a", true),
    ("\\*", "*", true), ("\\*", "a", false), ("a*b*c", "a-b-b-c", true), ("a*b*c", "a-b-b-d", false),
    ("**", "a/b", true), ("/a**z", "a/b/z", true), ("a**z", "a/b/z", false),
    ("[\u{E0}-\u{EF}]", "\u{E9}", true), ("", "a", false),
    ("a?b", "a/b", false), ("[!x]", "/", false), ("IMG_*/**/*.[jJ]*", "IMG_1/2/3/x.JPG", true),
  ])
  func patterns(_ pattern: String, _ path: String, _ matches: Bool) {
    #expect(Glob(pattern).matches(Array(path.utf8)) == matches, "\(pattern) \(path)")
  }

  @Test func bytesThatAreNoCharactersCountOneByOne() {
    #expect(Glob("?x").matches([0xFF, 0x78]))
    #expect(!Glob("?x").matches([0xFF, 0xFE, 0x78]))
    #expect(!Glob("[a-z]x").matches([0xFF, 0x78]))
  }

  @Test func slashAtTheEndMeansDirectories() {
    #expect(Glob("cache/").matches(Array("a/cache".utf8), isDirectory: true))
    #expect(!Glob("cache/").matches(Array("a/cache".utf8), isDirectory: false))
  }

  @Test func manyStarsStayCheap() {
    let pattern = Glob(String(repeating: "*a", count: 40) + "b")
    #expect(!pattern.matches([UInt8](repeating: 0x61, count: 4_000)))
  }

  @Test(arguments: [
    ("x.part", false, true), ("x.PART", false, true), (".part", false, false), ("x.part", true, false),
    ("IMG.jpg", false, false), ("db-wal", false, true), ("lost+found", true, true),
    (".Trash-1000", true, true),
    ("unknown.xyz", false, false), ("THUMBS.DB", false, true), ("Thumbs.dbx", false, false),
    ("thumbs.db", true, false), ("~$letter.docx", false, true), ("~$", false, true), ("~", false, false),
    (".nfs000", false, false), (".Trashed-1", false, true), ("xpart", false, false), ("x.tmpx", false, false),
    (".trash", true, true), (".trasher", true, false), ("", false, false), ("", true, false),
  ])
  func junk(_ name: String, _ isDirectory: Bool, _ isJunk: Bool) {
    #expect(JunkList.isJunk(name: Array(name.utf8), isDirectory: isDirectory) == isJunk)
  }
}

@Suite struct BlockingPoolTests {
  @Test func workComesBackWithValuesErrorsAndCancellation() async throws {
    let pool = BlockingPool(threads: 1, queueLimit: 1)
    let sums = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<50 { group.addTask { try await pool.run { number } } }
      return try await group.reduce(0, +)
    }
    #expect(sums == 49 * 25)
    await #expect(throws: DiskError.self) {
      try await pool.run { throw DiskError(.io, path: [], operation: "test") }
    }
    let task = Task { try await pool.run { 1 } }
    task.cancel()
    _ = await task.result
    #expect(try await pool.run { 2 } == 2)
    try await pool.close()
  }
}
