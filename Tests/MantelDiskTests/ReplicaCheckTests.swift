import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// What may be concluded of a replica file that somebody doubts.
@Suite struct ReplicaCheckTests {
  private let photo = sampleBytes(100)

  private func landed(_ fixture: ReplicaFixture) throws -> ReplicaFile {
    guard case .done(let path, let stamp?) = try fixture.land("ben/x/a.jpg", photo) else {
      throw DiskError(.other, path: [], operation: "land")
    }
    return ReplicaFile(
      library: machine, entry: EntryID(.zero), content: content(photo), path: path, stamp: stamp,
      verified: WallTime(nanoseconds: 0))
  }

  /// What a re-read throws; nil if it gives bytes.
  private func code(_ fixture: ReplicaFixture, _ file: ReplicaFile) -> DiskError.Code? {
    do throws(DiskError) {
      _ = try fixture.replica.reread(file.path)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func aTouchedFileIsIntact() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    #expect(try fixture.replica.doubtful(among: [file]).isEmpty)
    let times = [timespec(tv_sec: 9, tv_nsec: 0), timespec(tv_sec: 9, tv_nsec: 0)]
    try fixture.scratch.call("replica/ben/x/a.jpg") { utimensat(AT_FDCWD, $0, times, 0) }
    #expect(try fixture.replica.doubtful(among: [file]) == [file])
    let found = try fixture.replica.reread(file.path)
    #expect(found.content == file.content && found.isStable)
    #expect(found.stampAfter.mtime == 9_000_000_000)
  }

  @Test func otherBytesAreNotedWhateverTheirSize() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    for bytes in [sampleBytes(100, seed: 2), sampleBytes(99)] {
      try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
      try fixture.scratch.write(Array("replica/ben/x/a.jpg".utf8), bytes)
      #expect(try fixture.replica.reread(file.path).content == content(bytes))
    }
  }

  @Test func aFileIsGoneWhenNoFileHasItsName() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
    #expect(code(fixture, file) == .notFound)
    try fixture.scratch.symlink("/etc/passwd", at: "replica/ben/x/a.jpg")
    #expect(code(fixture, file) == .notRegular)
    try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
    try fixture.scratch.call("replica/ben/x") { rmdir($0) }
    #expect(code(fixture, file) == .notFound)
  }

  /// Bytes that somebody has just copied into the replica are on no disk yet.
  @Test func whatSomebodyPutThereCountsOnlyWhenItIsDurable() throws {
    let fixture = try ReplicaFixture()
    let faulty = fixture.faults
    try fixture.scratch.write(Array("replica/moved/2019/a.jpg".utf8), photo)
    let path = Array("moved/2019/a.jpg".utf8)
    faulty.fail { _, _ in nil }
    #expect(try fixture.replica.hashDurable(path: path).content == content(photo))
    #expect(faulty.log == ["fsync"])
    faulty.fail { _, _ in nil }
    try fixture.replica.syncNames(in: Array("moved/2019".utf8))
    #expect(faulty.log == ["fsync", "fsync", "fsync"], "2019, moved, and the root")
    faulty.fail { call, _ in call == "fsync" ? EIO : nil }
    #expect(throws: DiskError.self) { try fixture.replica.hashDurable(path: path) }
    #expect(throws: DiskError.self) { try fixture.replica.syncNames(in: Array("moved/2019".utf8)) }
  }

  /// An empty mount point has no marker: the files below it are not gone, they are not there to be seen.
  @Test func nothingIsConcludedWithoutTheReplica() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    try fixture.scratch.call("replica") { old in
      withName(fixture.scratch.path("elsewhere")) { rename(old, $0) }
    }
    try fixture.scratch.call("replica") { mkdir($0, 0o700) }
    #expect(code(fixture, file) == .notMounted)
    #expect { try fixture.replica.doubtful(among: [file]) } throws: {
      ($0 as? DiskError)?.code == .notMounted
    }
  }

  // MARK: Whether it can be written

  @Test func aReadOnlyFilesystemIsToldUntilItTakesWrites() throws {
    let fixture = try ReplicaFixture()
    let staged = try fixture.stage(photo)
    fixture.faults.fail { call, _ in ["create", "mkdir"].contains(call) ? EROFS : nil }
    #expect(try fixture.replica.isReadOnly())
    let landing = FilingOperation.land(staged, path: Array("ben/x/a.jpg".utf8), mtime: 7)
    #expect(fixture.replica.commit([landing])[0].failureCode == .readOnly)
    #expect { try fixture.replica.stage(content([1]), size: 1) } throws: {
      ($0 as? DiskError)?.code == .readOnly
    }
    fixture.faults.fail { _, _ in nil }
    #expect(try !fixture.replica.isReadOnly())
    #expect(fixture.replica.commit([landing])[0].isDone)
    #expect(
      try fixture.replica.entries(in: Array(".mantel/staging".utf8)).isEmpty, "nothing stays of the look")
  }

  /// A full disk is none, and what says nothing of it is no answer.
  @Test func onlyItsOwnErrorTellsAReadOnlyFilesystem() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { _, _ in ENOSPC }
    #expect(try !fixture.replica.isReadOnly())
    fixture.faults.fail { _, _ in EIO }
    #expect { try fixture.replica.isReadOnly() } throws: { ($0 as? DiskError)?.code == .io }
  }

  // MARK: Whether copies share their bytes

  /// `FICLONE` of linux/fs.h, which Swift does not import.
  private static let clone: UInt = 0x4004_9409

  @Test func whetherCopiesShareTheirBytesIsWhatTheFilesystemDoes() throws {
    let fixture = try ReplicaFixture()
    try fixture.scratch.write(Array("replica/one".utf8), [UInt8](repeating: 7, count: 4_096))
    let directory = try Directory(root: fixture.replica.root)
    let source = try directory.openRegular(Array("one".utf8)).file
    let made = DiskCalls.system.create(directory.descriptor, Array("two".utf8), O_RDWR | O_CREAT, 0o600)
    try #require(made >= 0)
    let target = OpenFile(Int32(made))
    let isShared = withExtendedLifetime((source, target)) {
      ioctl(target.descriptor, Self.clone, source.descriptor) == 0
    }
    #expect(try fixture.replica.sharesCopies() == isShared)
    #expect(fixture.faults.state.withLock { $0.reflinks } == 1, "it was tried")
    let staged = try fixture.replica.entries(in: Array(".mantel/staging".utf8))
    #expect(staged.isEmpty, "nothing stays of the trial")
  }

  /// Once a place: a replica that comes back as another directory may lie elsewhere.
  @Test(arguments: [0, -Int(EOPNOTSUPP), -Int(EXDEV)]) func sharingIsTriedOnceWhereverTheReplicaIs(
    outcome: Int
  ) throws {
    let fixture = try ReplicaFixture()
    func tries() -> Int { fixture.faults.state.withLock { $0.reflinks } }
    fixture.faults.state.withLock { $0.reflink = outcome }
    for _ in 0..<2 { #expect(try fixture.replica.sharesCopies() == (outcome == 0)) }
    #expect(tries() == 1)
    try fixture.scratch.call("replica") { old in
      withName(fixture.scratch.path("aside")) { rename(old, $0) }
    }
    try fixture.scratch.makeDirectory(Array("replica/.mantel/staging".utf8))
    try fixture.scratch.write(Array("replica/.mantel/marker".utf8), fixture.replica.marker.bytes)
    fixture.faults.state.withLock { $0.reflink = outcome == 0 ? -Int(EOPNOTSUPP) : 0 }
    #expect(try fixture.replica.sharesCopies() == (outcome != 0))
    #expect(tries() == 2)
  }

  /// A full or failing disk has not said that it cannot: it is asked again.
  @Test func whatCannotBeToldOfSharingIsTriedAgain() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { call, _ in call == "create" ? EROFS : nil }
    #expect { try fixture.replica.sharesCopies() } throws: { ($0 as? DiskError)?.code == .readOnly }
    fixture.faults.fail { _, _ in nil }
    fixture.faults.state.withLock { $0.reflink = -Int(ENOSPC) }
    #expect { try fixture.replica.sharesCopies() } throws: { ($0 as? DiskError)?.code == .noSpace }
    fixture.faults.state.withLock { $0.reflink = 0 }
    #expect(try fixture.replica.sharesCopies())
  }
}
