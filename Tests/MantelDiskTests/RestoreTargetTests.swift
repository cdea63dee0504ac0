import Glibc
import MantelCore
import Synchronization
import Testing

@testable import MantelDisk

/// A directory to restore to, and one with the bytes.
private struct RestoreFixture {
  let scratch: Scratch
  let faults = FaultyCalls()
  let target: RestoreTarget

  init() throws {
    scratch = try Scratch()
    target = try RestoreTarget(root: scratch.path("restored/here"), calls: faults.calls)
  }

  /// A file to restore whose bytes lie in the source directory.
  func file(_ path: [UInt8], _ bytes: [UInt8], mtime: Int64 = 7) throws -> (
    file: RestoreFile, sources: [RestoreSource]
  ) {
    let id = content(bytes)
    try scratch.write(Array("source/\(id.hex)".utf8), bytes)
    return (
      RestoreFile(content: id, size: UInt64(bytes.count), mtime: mtime, path: path),
      [.own(root: scratch.path("source"), path: Array(id.hex.utf8))]
    )
  }

  func file(_ path: String, _ text: String, mtime: Int64 = 7) throws -> (
    file: RestoreFile, sources: [RestoreSource]
  ) {
    try file(Array(path.utf8), Array(text.utf8), mtime: mtime)
  }

  func write(_ files: (file: RestoreFile, sources: [RestoreSource])...) throws -> [String] {
    try target.write(files).map { String(decoding: try $0.get().path, as: UTF8.self) }
  }

  func results(_ files: (file: RestoreFile, sources: [RestoreSource])...) throws -> [RestoredFile] {
    try target.write(files).map { try $0.get() }
  }

  func read(_ path: [UInt8]) throws -> (bytes: [UInt8], mtime: Int64) {
    let directory = try Directory(root: target.root)
    let opened = try directory.openRegular(path)
    return (try opened.file.bytes(at: 0, count: 1 << 24, path: path), opened.status.stamp.mtime)
  }

  func text(_ path: String) throws -> String {
    String(decoding: try read(Array(path.utf8)).bytes, as: UTF8.self)
  }

  /// All names below the target, whatever they are.
  func names() throws -> [String] {
    var names: [String] = []
    var open: [[UInt8]] = [[]]
    let root = try Directory(root: target.root)
    while let next = open.popLast() {
      try root.directory(next).forEachEntry { name, type in
        let path = next.isEmpty ? name : next + [0x2F] + name
        if type == UInt8(DT_DIR) {
          open.append(path)
        } else {
          names.append(String(decoding: path, as: UTF8.self))
        }
      }
    }
    return names.sorted()
  }
}

/// What another call has done while one was under way.
private final class Meanwhile: Sendable {
  private let state = Mutex<[Result<RestoredFile, DiskError>]>([])

  var results: [Result<RestoredFile, DiskError>] { state.withLock { $0 } }

  func once(_ work: () -> [Result<RestoredFile, DiskError>]) {
    state.withLock { if $0.isEmpty { $0 = work() } }
  }
}

@Suite struct RestoreTargetTests {
  @Test(arguments: [-1, 0, 1, 1_049_078_828_123_456_789, 4_000_000_000_999_999_999] as [Int64])
  func bytesNamesAndTimesAreWhatTheyWere(mtime: Int64) throws {
    let fixture = try RestoreFixture()
    let bytes = sampleBytes((5 << 20) + 3)
    let photo = try fixture.file(Array("Photos/2003/film.mov".utf8), bytes, mtime: mtime)
    #expect(try fixture.target.existing(photo.file) == nil)
    #expect(try fixture.write(photo) == ["Photos/2003/film.mov"])
    let read = try fixture.read(photo.file.path)
    #expect(read.bytes == bytes && read.mtime == mtime)
    #expect(try fixture.target.existing(photo.file) == photo.file.path)
    #expect(try fixture.names() == ["Photos/2003/film.mov"])
  }

  @Test(
    arguments: [
      [0xE9, 0x0A, 0x5C, 0x22], Array("-rf *".utf8), Array("e\u{301}.jpg".utf8), Array(" ".utf8),
      Array(repeating: 0xFF, count: 255), Array(".part".utf8), Array("\u{1b}[2J.jpg".utf8),
    ] as [[UInt8]])
  func oddNamesAreKeptByteForByte(name: [UInt8]) throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file(Array("a/".utf8) + name, Array("odd".utf8))
    let results = fixture.target.write([photo])
    #expect(try results.map { try $0.get().path } == [photo.file.path])
    #expect(try fixture.read(photo.file.path).bytes == Array("odd".utf8))
  }

  @Test func aPathLongerThanTheSystemsLimitIsReached() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file(deepPath + Array("a.jpg".utf8), Array("deep".utf8))
    #expect(try fixture.target.write([photo])[0].get().path == photo.file.path)
    #expect(try fixture.target.existing(photo.file) == photo.file.path)
  }

  @Test func nothingIsEverReplaced() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("a.jpg", "original")
    try fixture.scratch.write("restored/here/a.jpg", "the user's")
    #expect(try fixture.target.existing(photo.file) == nil)
    let suffixed = "a (\(photo.file.content.short)).jpg"
    #expect(try fixture.write(photo) == [suffixed])
    #expect(try fixture.text("a.jpg") == "the user's" && fixture.text(suffixed) == "original")
    #expect(try fixture.target.existing(photo.file) == Array(suffixed.utf8), "found by a second run")

    let folder = try fixture.file("b.jpg", "b")
    try fixture.scratch.makeDirectory(Array("restored/here/b.jpg".utf8))
    try fixture.scratch.symlink("/nowhere", at: "restored/here/c.jpg")
    let link = try fixture.file("c.jpg", "c")
    #expect(
      try fixture.write(folder, link)
        == ["b (\(folder.file.content.short)).jpg", "c (\(link.file.content.short)).jpg"])
  }

  @Test func versionsOfOnePlaceGetNamesInTheirOrder() throws {
    let fixture = try RestoreFixture()
    let versions = try ["third", "second", "first"].map { try fixture.file("a.jpg", $0) }
    let names = try fixture.target.write(versions).map { String(decoding: try $0.get().path, as: UTF8.self) }
    #expect(names[0] == "a.jpg" && Set(names).count == 3)
    #expect(try names.map(fixture.text) == ["third", "second", "first"])
    for (version, name) in zip(versions, names) {
      #expect(try fixture.target.existing(version.file) == Array(name.utf8))
    }
  }

  /// As of a lineage and of what it restored: the same place twice, with the same bytes.
  @Test func aPlaceThatIsNamedTwiceGetsOneFile() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("a.jpg", "a")
    #expect(try fixture.results(photo, photo) == [.written(photo.file.path), .present(photo.file.path)])
    #expect(try fixture.names() == ["a.jpg"])

    try fixture.scratch.write("restored/here/b.jpg", "b!")
    let taken = try fixture.file("b.jpg", "bb")
    let suffixed = Array("b (\(taken.file.content.short)).jpg".utf8)
    #expect(try fixture.results(taken, taken) == [.written(suffixed), .present(suffixed)])
    #expect(try fixture.text("b.jpg") == "b!")
    #expect(try fixture.names().count == 3)
  }

  /// The second call begins when the first has its bytes and no name for them yet.
  @Test func aPlaceThatIsWrittenTwiceAtOnceGetsOneWholeFile() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("x/a.jpg", "whole")
    let other = try RestoreTarget(root: fixture.target.root)
    let meanwhile = Meanwhile()
    fixture.faults.fail { call, _ in
      if call == "rename" { meanwhile.once { other.write([photo]) } }
      return nil
    }
    #expect(try fixture.results(photo) == [.present(photo.file.path)])
    #expect(try meanwhile.results.map { try $0.get() } == [.written(photo.file.path)])
    #expect(try fixture.text("x/a.jpg") == "whole")
    #expect(try fixture.names() == ["x/a.jpg"])
  }

  @Test func anEqualFileIsThereWhateverItsTimeAndIsNotTouched() throws {
    let fixture = try RestoreFixture()
    try fixture.scratch.write("restored/here/a.jpg", "same")
    let before = try fixture.read(Array("a.jpg".utf8)).mtime
    let photo = try fixture.file("a.jpg", "same", mtime: 99)
    #expect(try fixture.target.existing(photo.file) == photo.file.path)
    #expect(try fixture.read(photo.file.path).mtime == before)
  }

  /// Names of a run that failed between a file's rename and the sync of its directory.
  @Test func whatIsThereIsSyncedBeforeItCounts() throws {
    let fixture = try RestoreFixture()
    let photos = [try fixture.file("x/y/a.jpg", "a"), try fixture.file("x/b.jpg", "b")]
    _ = try fixture.write(photos[0], photos[1])
    let paths = photos.map { $0.file.path }
    fixture.faults.fail { _, _ in nil }
    #expect(fixture.target.settle(paths) == [nil, nil])
    let log = fixture.faults.log
    #expect(log == [String](repeating: "fsync", count: 5), "two files, x/y, x, and the root")
    for failing in 1...5 {
      // With what a place says that knows no sync, beside the others: it hides no error.
      for rest in [nil, EINVAL] {
        fixture.faults.fail { _, number in number == failing ? EIO : rest }
        let codes = fixture.target.settle(paths).map { $0?.code }
        // The bytes of one are its own; a directory's names are of all below.
        let isOwn = Set(codes) == [nil, .io]
        #expect(failing <= 2 ? isOwn : codes.contains(.io), "call \(failing): \(codes)")
      }
    }
    // A disc that is only read.
    fixture.faults.fail { _, _ in EINVAL }
    #expect(fixture.target.settle(paths) == [nil, nil])
  }

  @Test func whatHasVanishedKeepsNothingElseFromCounting() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("x/a.jpg", "a")
    _ = try fixture.write(photo)
    let gone = ["x/b.jpg", "y/c.jpg"].map { Array($0.utf8) }
    let codes = fixture.target.settle([gone[0], photo.file.path, gone[1]]).map { $0?.code }
    #expect(codes == [.notFound, nil, .notFound])
  }

  /// A film takes minutes, and whoever ends an agent kills it before that.
  @Test func noFilmIsReadToItsEndWhenTheAgentEnds() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("a.jpg", "a")
    let ended = DiskError(.cancelled, path: photo.file.path, operation: "hash")
    let refused = fixture.target.write([photo], shouldContinue: { false })
    #expect(refused == [.failure(ended)])
    #expect(try fixture.names().isEmpty)

    _ = try fixture.write(photo)
    // Its end comes while it looks whether what has the name is the same.
    fixture.faults.fail { _, _ in nil }
    let results = fixture.target.write([photo], shouldContinue: { !fixture.faults.log.contains("rename") })
    #expect(results == [.failure(ended)])
    #expect(try fixture.names() == ["a.jpg"], "no second one under another name")
  }

  @Test func theNamesOfDirectoriesThatAreThereAreSyncedToo() throws {
    let fixture = try RestoreFixture()
    _ = try fixture.write(try fixture.file("x/y/a.jpg", "a"))
    let photo = try fixture.file("x/y/b.jpg", "b")
    fixture.faults.fail { _, _ in nil }
    _ = try fixture.write(photo)
    let syncs = fixture.faults.log.filter { $0 == "fsync" }
    #expect(syncs.count == 4, "the file, x/y, x, and the root")
  }

  @Test func symlinksBelowTheDirectoryLeadNowhere() throws {
    let fixture = try RestoreFixture()
    try fixture.scratch.makeDirectory(Array("elsewhere".utf8))
    try fixture.scratch.symlink(
      String(decoding: fixture.scratch.path("elsewhere"), as: UTF8.self), at: "restored/here/Photos")
    let photo = try fixture.file("Photos/a.jpg", "a")
    #expect(throws: DiskError.self) { try fixture.target.write([photo])[0].get() }
    #expect(!fixture.scratch.exists("elsewhere/a.jpg"))
  }

  @Test(arguments: ["../a", "/a", "a//b", "a/../b", "a\u{0}b", ""])
  func pathsThatLeadOutAreRefused(path: String) throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file(Array(path.utf8), Array("a".utf8))
    #expect(throws: DiskError.self) { try fixture.target.write([photo])[0].get() }
    #expect(!fixture.scratch.exists("restored/a"))
  }

  @Test func aSourceWithOtherBytesIsPassedByForTheNext() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("a.jpg", "right")
    try fixture.scratch.write("rotten/same-size", "wrong")
    try fixture.scratch.write("rotten/longer", "wrong too")
    let root = fixture.scratch.path("rotten")
    let rotten = ["same-size", "longer", "missing"].map {
      RestoreSource.own(root: root, path: Array($0.utf8))
    }
    #expect(try fixture.write((photo.file, rotten + photo.sources)) == ["a.jpg"])
    let other = try fixture.file("b.jpg", "b")
    for sources in [[], rotten] {
      let result = fixture.target.write([(other.file, sources)])[0]
      #expect(throws: DiskError.self) { try result.get() }
      #expect(try fixture.names() == ["a.jpg"])
    }
  }

  @Test func newDirectoriesHaveTheModeOfTheTarget() throws {
    let fixture = try RestoreFixture()
    let root = try Directory(root: fixture.target.root)
    try #require(fchmod(root.descriptor, 0o755) == 0)
    let target = try RestoreTarget(root: fixture.target.root)
    let photo = try fixture.file("x/y/a.jpg", "a")
    _ = try target.write([photo])[0].get()
    #expect(try root.directory(Array("x/y".utf8)).file.status([]).mode & 0o777 == 0o755)
  }

  @Test func whatACrashHasLeftIsCleanedUpByTheNextRun() throws {
    let fixture = try RestoreFixture()
    let photo = try fixture.file("a.jpg", "a")
    let path = Digest256(hashing: Array("a.jpg".utf8)).hex.prefix(16)
    try fixture.scratch.write(
      "restored/here/.mantel-restore-\(photo.file.content.hex)-\(path)-0.part", "half")
    #expect(try fixture.write(photo) == ["a.jpg"])
    #expect(try fixture.names() == ["a.jpg"])
  }

  /// Every system call fails once, in turn: what is named is whole, nothing else is left, and the next run does the rest.
  @Test(arguments: [EIO, ENOSPC, EDQUOT, EROFS]) func anyCallMayFail(errno: Int32) throws {
    var call = 1
    while true {
      let fixture = try RestoreFixture()
      let files = [
        try fixture.file("x/a.jpg", "first"), try fixture.file("x/y/b.jpg", "second"),
        try fixture.file("c.jpg", "third"),
      ]
      let failing = call
      fixture.faults.fail { _, number in number == failing ? errno : nil }
      let results = fixture.target.write(files)
      let didFail = fixture.faults.log.count >= failing
      // One that was made for nothing may stay when its removal fails: it is on the junk list.
      let isCleanUp = fixture.faults.log.count >= failing && fixture.faults.log[failing - 1] == "unlink"
      fixture.faults.fail { _, _ in nil }
      for (item, result) in zip(files, results) where (try? result.get()) != nil {
        #expect(try fixture.target.existing(item.file) == item.file.path, "call \(failing)")
      }
      if !isCleanUp {
        #expect(try fixture.names().allSatisfy { !$0.contains(".mantel-restore") }, "call \(failing)")
      }
      if didFail { #expect(results.contains { (try? $0.get()) == nil }, "call \(failing)") }
      let rest = try files.filter { try fixture.target.existing($0.file) == nil }
      for result in fixture.target.write(rest) { #expect(throws: Never.self) { try result.get() } }
      #expect(try fixture.names() == ["c.jpg", "x/a.jpg", "x/y/b.jpg"], "call \(failing)")
      guard didFail else { break }
      call += 1
    }
    #expect(call >= 15, "the loop has reached the calls")
  }

  @Test(arguments: [EINVAL, ENOSYS, EPERM]) func filesystemsWithoutTheBestCallsReplaceNothingEither(
    errno: Int32
  )
    throws
  {
    for refused in [["rename"], ["rename", "link"]] {
      let fixture = try RestoreFixture()
      try fixture.scratch.write("restored/here/b.jpg", "the user's")
      let files = [try fixture.file("a.jpg", "a"), try fixture.file("b.jpg", "b")]
      fixture.faults.fail { call, _ in refused.contains(call) ? errno : nil }
      let names = try fixture.target.write(files).map { String(decoding: try $0.get().path, as: UTF8.self) }
      #expect(names == ["a.jpg", "b (\(files[1].file.content.short)).jpg"])
      #expect(try fixture.text("b.jpg") == "the user's" && fixture.text("a.jpg") == "a")
      #expect(try fixture.names().count == 3)
    }
  }
}
