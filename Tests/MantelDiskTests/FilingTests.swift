import Glibc
import MantelCore
import Testing

@testable import MantelDisk

@Suite struct FilingTests {
  @Test(arguments: [Int64(-2_145_916_799_999_999_999), -1, 0, 1, 4_102_444_800_123_456_789])
  func landedFileHasBytesModeAndTime(_ mtime: Int64) throws {
    let fixture = try ReplicaFixture()
    let result = try fixture.land("laptop/Photos/2024/x.jpg", [1, 2, 3], mtime: mtime)
    guard case .done(let path, let stamp?) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(try fixture.bytes("laptop/Photos/2024/x.jpg") == [1, 2, 3])
    #expect(stamp.mtime == mtime && stamp.size == 3)
    #expect(try fixture.replica.stamp(path: path) == stamp)
    var raw = stat()
    let file = fixture.scratch.path("replica/laptop/Photos/2024/x.jpg")
    #expect(withName(file) { stat($0, &raw) } == 0 && raw.st_mode & 0o7777 == 0o444)
    #expect(try fixture.replica.stagedContents().isEmpty)
  }

  @Test func hostileNamesAndDepthLand() throws {
    let fixture = try ReplicaFixture()
    let prefix = Array("m/f/".utf8)
    for name in FolderWalkerTests.hostileNames + [deepPath + [0x78]] {
      let id = try fixture.stage(name)
      let result = fixture.replica.commit([.land(id, path: prefix + name, mtime: 3)])[0]
      #expect(result.isDone)
      #expect(try fixture.replica.hash(path: prefix + name).content == id)
    }
  }

  @Test(arguments: [
    "../x", "/x", "a/../../x", "a//x", ".", "", ".mantel/marker", ".mantel/staging/x", ".mantel/trash",
  ])
  func pathsCannotLeaveOrTouchMantelsOwn(_ path: String) throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land(path, [1]).failureCode == .name)
    #expect(
      fixture.replica.commit([.remove(path: Array(path.utf8), content: content([1]))])[0].failureCode == .name
    )
    try fixture.replica.checkMounted()
  }

  @Test func symlinksInTheReplicaAreNotFollowed() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.makeDirectory(Array("outside".utf8))
    try fixture.scratch.makeDirectory(Array("replica/m".utf8))
    try fixture.scratch.symlink("../../outside", at: "replica/m/escape")
    #expect(try fixture.land("m/escape/x", [1]).failureCode != nil)
    #expect(!fixture.scratch.exists("outside/x"))
    // A symlink in the file's own place keeps its name.
    #expect(try fixture.land("m/escape", [1]).landedPath == "m/escape (\(content([1]).short))")
  }

  /// Before any call of a batch a directory that it files into is exchanged for a symbolic link to somewhere else.
  @Test func aSymlinkThatIsPlantedWhileABatchRunsIsNotFollowed() throws {
    var number = 0
    var isThrough = false
    while !isThrough {
      number += 1
      let fixture = try ReplicaFixture()
      let scratch = fixture.scratch
      try scratch.makeDirectory(Array("outside/e".utf8))
      #expect(try fixture.land("m/d/old", [1]).isDone)
      let operations: [FilingOperation] = [
        .land(try fixture.stage([2]), path: Array("m/d/x".utf8), mtime: 1),
        .move(
          from: Array("m/d/old".utf8), path: Array("m/d/e/moved".utf8), content: content([1]), mtime: 7),
        .land(try fixture.stage([3]), path: Array("m/d/y".utf8), mtime: 1),
      ]
      let planting = number
      fixture.faults.fail { _, call in
        if call == planting { Self.plant(scratch) }
        return nil
      }
      _ = fixture.replica.commit(operations)
      isThrough = fixture.faults.log.count < number
      fixture.faults.fail { _, _ in nil }
      for name in ["x", "y", "old", "e/moved"] {
        #expect(!scratch.exists("outside/\(name)"), "call \(number)")
      }
      let old = ["m/d/old", "m/d/e/moved", "m/away/old", "m/away/e/moved"]
      #expect(old.count { scratch.exists("replica/\($0)") } == 1, "call \(number)")
    }
    #expect(number > 4)
  }

  private static func plant(_ scratch: Scratch) {
    let moved = withName(scratch.path("replica/m/d")) { from in
      withName(scratch.path("replica/m/away")) { Glibc.rename(from, $0) }
    }
    let planted = withName(scratch.path("replica/m/d")) { Glibc.symlink("../../outside", $0) }
    #expect(moved == 0 && planted == 0)
  }

  @Test func existingFileIsAdoptedOrKeepsItsName() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.write("replica/m/f/same.jpg", "same")
    try fixture.scratch.write("replica/m/f/other.jpg", "other")
    let adopted = try fixture.land("m/f/same.jpg", Array("same".utf8), mtime: 42)
    #expect(adopted.isAdopted && adopted.landedPath == "m/f/same.jpg")
    #expect(try fixture.replica.stamp(path: Array("m/f/same.jpg".utf8)).mtime == 42)
    let mine = Array("mine!".utf8)
    let digits = content(mine).short
    #expect(try fixture.land("m/f/other.jpg", mine).landedPath == "m/f/other (\(digits)).jpg")
    #expect(try fixture.bytes("m/f/other.jpg") == Array("other".utf8))
    // The same again finds its suffixed file; a squatter on that name leads to the next.
    #expect(try fixture.land("m/f/other.jpg", mine).isAdopted)
    try fixture.scratch.call("replica/m/f/other (\(digits)).jpg") { unlink($0) }
    try fixture.scratch.write("replica/m/f/other (\(digits)).jpg", "squat")
    #expect(try fixture.land("m/f/other.jpg", mine).landedPath == "m/f/other (\(digits)-2).jpg")
  }

  @Test func suffixKeepsLongNamesWithinBounds() {
    let id = content([1])
    let long = [UInt8](repeating: 0x61, count: 251) + Array(".jpg".utf8)
    let name = SuffixedName.candidate(Array("d/".utf8) + long, id, attempt: 1)
    #expect(name.count == 2 + 255 && name.suffix(14).elementsEqual("(\(id.short)).jpg".utf8))
    #expect(
      SuffixedName.candidate(Array(".hidden".utf8), id, attempt: 1) == Array(".hidden (\(id.short))".utf8))
    let umlauts = Array(String(repeating: "\u{E4}", count: 127).utf8)
    #expect(String(validating: SuffixedName.candidate(umlauts, id, attempt: 2), as: UTF8.self) != nil)
  }

  @Test func movesAreIdempotentAndLeaveNoEmptyDirectories() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/f/a/b/x.jpg", [1, 2]).isDone)
    let move = FilingOperation.move(
      from: Array("m/f/a/b/x.jpg".utf8), path: Array("m/.retired/f/x.jpg".utf8), content: content([1, 2]),
      mtime: 7)
    #expect(fixture.replica.commit([move])[0].landedPath == "m/.retired/f/x.jpg")
    #expect(!fixture.scratch.exists("replica/m/f") && fixture.scratch.exists("replica/m"))
    #expect(fixture.replica.commit([move])[0].landedPath == "m/.retired/f/x.jpg")
    // Outside of the trash only bytes that were looked at go: anything else is somebody's own file.
    let other = FilingOperation.remove(path: Array("m/.retired/f/x.jpg".utf8), content: content([1]))
    #expect(fixture.replica.commit([other])[0].isDone && fixture.scratch.exists("replica/m/.retired/f/x.jpg"))
    let remove = FilingOperation.remove(path: Array("m/.retired/f/x.jpg".utf8), content: content([1, 2]))
    #expect(fixture.replica.commit([remove, remove]).allSatisfy { $0.isDone })
    #expect(!fixture.scratch.exists("replica/m/.retired") && fixture.scratch.exists("replica/m"))
    #expect(fixture.replica.commit([move])[0] == .sourceChanged)
  }

  /// Another content has the name that a file is to have, and the next best one is the file's own.
  @Test func aMoveThatEndsAtItsOwnNameLosesNothing() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.write("replica/m/f/a.jpg", "other")
    let mine = Array("mine!".utf8)
    let own = "m/f/a (\(content(mine).short)).jpg"
    #expect(try fixture.land("m/f/a.jpg", mine).landedPath == own)
    let move = FilingOperation.move(
      from: Array(own.utf8), path: Array("m/f/a.jpg".utf8), content: content(mine), mtime: 9)
    for _ in 0..<2 {
      #expect(fixture.replica.commit([move])[0].landedPath == own)
      #expect(try fixture.bytes(own) == mine)
    }
    #expect(try fixture.replica.stamp(path: Array(own.utf8)).mtime == 9)
    #expect(try fixture.bytes("m/f/a.jpg") == Array("other".utf8))
  }

  /// A batch that let two files change their names was cut off after its last step: done again by the names, it would
  /// take each for the other.
  @Test func aRepeatTrustsNoNames() throws {
    let fixture = try ReplicaFixture()
    let (one, two): ([UInt8], [UInt8]) = ([1], [2, 2])
    #expect(try fixture.land("m/1", one).isDone && fixture.land("m/2", two).isDone)
    func move(_ from: String, _ path: String, _ bytes: [UInt8]) -> FilingOperation {
      .move(from: Array(from.utf8), path: Array(path.utf8), content: content(bytes), mtime: 7)
    }
    let aside = ".mantel/trash/parked/1"
    let batch = [move("m/1", aside, one), move("m/2", "m/1", two), move(aside, "m/2", one)]
    #expect(fixture.replica.commit(batch).allSatisfy { $0.isDone })
    for done in 0..<3 {
      // What is true of the files is found out whatever has been done since.
      let results = fixture.replica.commit(batch, isRepeat: true)
      #expect(results[0] == .sourceChanged && results[1].isAdopted && results[2].isAdopted, "\(done)")
    }
    #expect(try fixture.bytes("m/1") == two)
    #expect(try fixture.bytes("m/2") == one)
  }

  /// Whether it lies there is found out: a removal may have been planned long ago, and the name is another file's by now.
  @Test func aRepeatRemovesNothing() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/1", [2]).isDone)
    let remove = FilingOperation.remove(path: Array("m/1".utf8), content: content([1]))
    #expect(fixture.replica.commit([remove], isRepeat: true)[0].isDone)
    #expect(try fixture.bytes("m/1") == [2])
    let mine = FilingOperation.remove(path: Array("m/1".utf8), content: content([2]))
    #expect(fixture.replica.commit([mine], isRepeat: true)[0].isAdopted)
    #expect(try fixture.bytes("m/1") == [2])
  }

  /// The own file has changed since its copy was made, and the copy was not recorded.
  @Test func aRepeatFindsACopyWhoseSourceIsGone() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.write("own/a.jpg", "photo")
    let id = content(Array("photo".utf8))
    let copy = FilingOperation.copyOwn(
      root: fixture.scratch.path("own"), source: Array("a.jpg".utf8), path: Array("m/a".utf8), content: id,
      mtime: 7)
    #expect(fixture.replica.commit([copy])[0].isDone)
    try fixture.scratch.call("own/a.jpg") { unlink($0) }
    #expect(fixture.replica.commit([copy], isRepeat: true)[0].isAdopted)
  }

  @Test func landingIsIdempotent() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/x", [5]).isDone)
    let again = fixture.replica.commit([.land(content([5]), path: Array("m/x".utf8), mtime: 7)])[0]
    #expect(again.isAdopted)
    let never = fixture.replica.commit([.land(content([6]), path: Array("m/x".utf8), mtime: 7)])[0]
    #expect(never == .sourceChanged)
  }

  @Test func linksAndCopiesWithinOneBatch() throws {
    let fixture = try ReplicaFixture()
    let id = try fixture.stage([1, 2, 3])
    let results = fixture.replica.commit([
      .land(id, path: Array("m/a".utf8), mtime: 1),
      .link(from: Array("m/a".utf8), path: Array("n/link".utf8), content: id, mtime: 1),
      .copy(from: Array("m/a".utf8), path: Array("n/copy".utf8), content: id, mtime: 2),
      .land(id, path: Array("n/second".utf8), mtime: 3),
      .link(from: Array("m/a".utf8), path: Array("n/later".utf8), content: id, mtime: 4),
      .copy(from: Array("m/a".utf8), path: Array("n/wrong".utf8), content: ContentID(.zero), mtime: 2),
      .copy(from: Array("m/none".utf8), path: Array("n/none".utf8), content: id, mtime: 2),
    ])
    #expect(results.prefix(5).allSatisfy { $0.isDone })
    #expect(results[5...].allSatisfy { $0 == .sourceChanged })
    let stamps = try ["m/a", "n/link", "n/copy", "n/second", "n/later"].map {
      try fixture.replica.stamp(path: Array($0.utf8))
    }
    #expect(stamps[0] == stamps[1] && Set(stamps.map(\.inode)).count == 4)
    #expect(stamps.map(\.mtime) == [1, 1, 2, 3, 4])
    #expect(try fixture.replica.stagedContents().isEmpty)
    #expect(!fixture.scratch.exists("replica/.mantel/staging/part-1"))
    // A moved link with another mtime leaves the other name's time alone.
    let moved = fixture.replica.commit([
      .move(from: Array("n/link".utf8), path: Array("n/moved".utf8), content: id, mtime: 9)
    ])[0]
    #expect(moved.isDone)
    #expect(try fixture.replica.stamp(path: Array("m/a".utf8)).mtime == 1)
    #expect(try fixture.replica.stamp(path: Array("n/moved".utf8)).mtime == 9)
  }

  /// Somebody's file of the same time has the name that a photo was to get.
  @Test func aLinkIsMadeFromNoOtherFile() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/a", Array("other".utf8)).isDone)
    let id = try fixture.stage([1, 2, 3])
    let batch: [FilingOperation] = [
      .land(id, path: Array("m/a".utf8), mtime: 7),
      .link(from: Array("m/a".utf8), path: Array("n/b".utf8), content: id, mtime: 7),
    ]
    // The photo gets none: what lies there is not what was to be linked.
    fixture.faults.state.withLock { $0.refuses = { $0.contains(UInt8(ascii: "(")) ? EIO : nil } }
    let failed = fixture.replica.commit(batch)
    #expect(failed[0].failureCode == .io && failed[1] == .sourceChanged)
    #expect(!fixture.scratch.exists("replica/n/b"))
    // It gets another one.
    fixture.faults.state.withLock { $0.refuses = { _ in nil } }
    let done = fixture.replica.commit(batch)
    #expect(done.map(\.landedPath) == ["m/a (\(id.short))", "n/b"])
    #expect(try fixture.bytes("n/b") == [1, 2, 3] && fixture.bytes("m/a") == Array("other".utf8))
  }

  /// A file stays at a name that a new photo of the same time asks for too, and is linked and copied in the same batch.
  @Test func oneNameThatTwoFilesAskForIsNotConfused() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/a", [1]).isDone)
    let (old, new) = (content([1]), try fixture.stage([2, 2]))
    let results = fixture.replica.commit([
      .land(new, path: Array("m/a".utf8), mtime: 7),
      .link(from: Array("m/a".utf8), path: Array("n/link".utf8), content: old, mtime: 7),
      .copy(from: Array("m/a".utf8), path: Array("n/copy".utf8), content: old, mtime: 8),
      .link(from: Array("m/a".utf8), path: Array("n/new".utf8), content: new, mtime: 7),
    ])
    #expect(results.map(\.landedPath) == ["m/a (\(new.short))", "n/link", "n/copy", "n/new"])
    #expect(try fixture.bytes("n/link") == [1] && fixture.bytes("n/copy") == [1])
    #expect(try fixture.bytes("n/new") == [2, 2])
  }

  @Test func ownFilesAreCopiedNeverLinked() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(3_000_000)
    try fixture.scratch.write(Array("photos/mine.jpg".utf8), bytes)
    let root = fixture.scratch.path("photos")
    let results = fixture.replica.commit([
      .copyOwn(
        root: root, source: Array("mine.jpg".utf8), path: Array("m/x.jpg".utf8), content: content(bytes),
        mtime: 1),
      .copyOwn(
        root: root, source: Array("mine.jpg".utf8), path: Array("m/y.jpg".utf8), content: content([1]),
        mtime: 1),
    ])
    #expect(results[0].isDone && results[1] == .sourceChanged)
    let own = try FileReader.stat(root: root, path: Array("mine.jpg".utf8))
    #expect(own.linkCount == 1 && own.stamp.mtime != 1)
    #expect(try fixture.bytes("m/x.jpg") == bytes)
    #expect(!fixture.scratch.exists("replica/m/y.jpg"))
  }

  @Test func oneBadOperationFailsAlone() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.write("replica/m/file", "a file where a directory is wanted")
    let first = try fixture.stage([1])
    let second = try fixture.stage([2])
    let results = fixture.replica.commit([
      .land(first, path: Array("m/file/x".utf8), mtime: 1),
      .land(second, path: Array("m/good".utf8), mtime: 1),
    ])
    #expect(results[0].failureCode != nil && results[1].isDone)
  }

  @Test func filesAreSyncedBeforeAndDirectoriesAfterTheRename() throws {
    let fixture = try ReplicaFixture()
    let id = try fixture.stage([1])
    fixture.faults.fail { _, _ in nil }
    #expect(fixture.replica.commit([.land(id, path: Array("m/f/x".utf8), mtime: 1)])[0].isDone)
    // The file; then the three directories: root (has a new m), m (a new f), f (a new x).
    #expect(fixture.faults.log == ["fsync", "mkdir", "mkdir", "rename", "fsync", "fsync", "fsync"])
  }

  @Test func manyFilesAreSyncedByOneSyncfs() throws {
    let fixture = try ReplicaFixture()
    let operations = try (0..<UInt8(Syncer.manyFiles + 1)).map {
      FilingOperation.land(try fixture.stage([$0]), path: Array("m/\($0)".utf8), mtime: 1)
    }
    fixture.faults.fail { _, _ in nil }
    #expect(fixture.replica.commit(operations).allSatisfy { $0.isDone })
    #expect(fixture.faults.log.filter { $0 == "syncfs" }.count == 1)
    #expect(fixture.faults.log.first == "syncfs")
  }

  @Test(arguments: [false, true]) func failedSyncFailsTheBatch(isMany: Bool) throws {
    let fixture = try ReplicaFixture()
    let count = isMany ? Syncer.manyFiles + 1 : 2
    let operations = try (0..<UInt8(count)).map {
      FilingOperation.land(try fixture.stage([$0]), path: Array("m/\($0)".utf8), mtime: 1)
    }
    fixture.faults.fail { call, number in
      call == (isMany ? "syncfs" : "fsync") && number == 1 ? EIO : nil
    }
    #expect(fixture.replica.commit(operations).allSatisfy { $0.failureCode == .sync })
    #expect(!fixture.scratch.exists("replica/m"))
    // Bytes whose sync failed are not to be had again: they are fetched anew.
    #expect(try fixture.replica.stagedContents().isEmpty)
    fixture.faults.fail { _, _ in nil }
    #expect(try fixture.land("m/0", [0]).isDone)
  }

  @Test func failedDirectorySyncFailsTheBatch() throws {
    let fixture = try ReplicaFixture()
    let id = try fixture.stage([1])
    fixture.faults.fail { call, number in call == "fsync" && number > 1 ? EIO : nil }
    #expect(fixture.replica.commit([.land(id, path: Array("m/x".utf8), mtime: 1)])[0].failureCode == .sync)
  }

  @Test func withoutNoReplaceTheFallbackNeverReplacesEither() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { call, _ in call == "rename" ? EINVAL : nil }
    #expect(try fixture.land("m/x", [1]).landedPath == "m/x")
    #expect(try fixture.land("m/x", [2]).landedPath == "m/x (\(content([2]).short))")
    fixture.faults.fail { call, _ in call == "rename" ? EINVAL : call == "link" ? EPERM : nil }
    #expect(try fixture.land("m/y", [1]).landedPath == "m/y")
    #expect(try fixture.land("m/y", [2]).landedPath == "m/y (\(content([2]).short))")
    let link = FilingOperation.link(
      from: Array("m/y".utf8), path: Array("m/z".utf8), content: content([1]), mtime: 7)
    #expect(fixture.replica.commit([link])[0].isDone)
    #expect(try fixture.bytes("m/x") == [1] && fixture.bytes("m/y") == [1] && fixture.bytes("m/z") == [1])
  }

  /// Fails the 1st, 2nd, ... changing call of a batch: what has a final name is always right, what was said to be
  /// done is there, and the batch can be repeated.
  @Test(arguments: [EIO, ENOSPC, EDQUOT, EROFS]) func everyCallMayFail(errno: Int32) throws {
    var number = 0
    var isFinished = false
    while !isFinished {
      number += 1
      let fixture = try ReplicaFixture()
      #expect(try fixture.land("m/f/old", [1]).isDone)
      try fixture.scratch.write("photos/own", "own")
      let failing = number
      fixture.faults.fail { _, number in number == failing ? errno : nil }
      let ids = [content([2]), content([1]), content(Array("own".utf8))]
      let operations: [FilingOperation] = [
        .land(ids[0], path: Array("m/f/new".utf8), mtime: 1),
        .move(from: Array("m/f/old".utf8), path: Array("m/g/moved".utf8), content: ids[1], mtime: 7),
        .copy(from: Array("m/g/moved".utf8), path: Array("n/copy".utf8), content: ids[1], mtime: 2),
        .copyOwn(
          root: fixture.scratch.path("photos"), source: Array("own".utf8), path: Array("n/own".utf8),
          content: ids[2], mtime: 2),
      ]
      let expected: [String: ContentID] = [
        "m/f/new": ids[0], "m/f/old": ids[1], "m/g/moved": ids[1], "n/copy": ids[1], "n/own": ids[2],
      ]
      for isRepeated in [false, true] {
        if isRepeated { fixture.faults.fail { _, _ in nil } }
        let replica = try fixture.reopenedUnlessFailing()
        let isStaged = (try? fixture.stage([2])) != nil
        let results = (replica ?? fixture.replica).commit(operations)
        for (path, id) in expected where fixture.scratch.exists("replica/\(path)") {
          #expect(
            try fixture.replica.hash(path: Array(path.utf8)).content == id, "\(path) after call \(number)")
        }
        for result in results where result.landedPath != "" {
          #expect(fixture.scratch.exists("replica/\(result.landedPath)"))
        }
        if isRepeated {
          #expect(
            isStaged && results.allSatisfy { $0.isDone || $0.isAdopted }, "\(results) after call \(number)")
        } else {
          isFinished = fixture.faults.log.count < number
        }
      }
    }
    #expect(number > 15)
  }

  /// The disk is mounted anew for reading only, before any call of a batch: what is there stays and can be read, nothing
  /// counts as done that is not, and once it can be written again the same batch goes through.
  @Test func aReplicaThatCanOnlyBeReadLosesNothingAndGoesOn() throws {
    var number = 0
    var isThrough = false
    while !isThrough {
      number += 1
      let fixture = try ReplicaFixture()
      #expect(try fixture.land("m/f/old", [1]).isDone)
      let staged = try fixture.stage([2])
      let operations: [FilingOperation] = [
        .land(staged, path: Array("m/f/new".utf8), mtime: 1),
        .move(
          from: Array("m/f/old".utf8), path: Array("m/g/moved".utf8), content: content([1]), mtime: 7),
      ]
      let from = number
      fixture.faults.fail { _, call in call >= from ? EROFS : nil }
      let results = fixture.replica.commit(operations)
      isThrough = results.allSatisfy(\.isDone)
      let old = ["m/f/old", "m/g/moved"].filter { fixture.scratch.exists("replica/\($0)") }
      #expect(try old.count == 1 && old.allSatisfy { try fixture.bytes($0) == [1] }, "call \(number)")
      for case .done(let path, _?) in results {
        #expect(fixture.scratch.exists("replica/\(String(decoding: path, as: UTF8.self))"))
      }
      fixture.faults.fail { _, _ in nil }
      // Bytes whose sync failed are fetched anew.
      _ = try fixture.stage([2])
      let again = try fixture.reopened().commit(operations, isRepeat: true)
      #expect(again.allSatisfy { $0.isDone || $0.isAdopted }, "\(again) after call \(number)")
      #expect(try fixture.bytes("m/f/new") == [2] && fixture.bytes("m/g/moved") == [1])
    }
    #expect(number > 4)
  }
}

extension ReplicaFixture {
  /// Nil when the injected fault hits the opening itself.
  fileprivate func reopenedUnlessFailing() throws -> Replica? { try? reopened() }
}
