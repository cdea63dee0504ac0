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

  @Test func aTouchedFileIsIntact() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    #expect(try fixture.replica.doubtful(among: [file]).isEmpty)
    let times = [timespec(tv_sec: 9, tv_nsec: 0), timespec(tv_sec: 9, tv_nsec: 0)]
    try fixture.scratch.call("replica/ben/x/a.jpg") { utimensat(AT_FDCWD, $0, times, 0) }
    #expect(try fixture.replica.doubtful(among: [file]) == [file])
    guard case .intact(let stamp) = try fixture.replica.check(file) else {
      Issue.record("a touched file is the same file")
      return
    }
    #expect(stamp.mtime == 9_000_000_000)
  }

  @Test func otherBytesAreNotedWhateverTheirSize() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    for bytes in [sampleBytes(100, seed: 2), sampleBytes(99)] {
      try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
      try fixture.scratch.write(Array("replica/ben/x/a.jpg".utf8), bytes)
      #expect(try fixture.replica.check(file) == .other)
    }
  }

  @Test func aFileIsGoneWhenNoFileHasItsName() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
    #expect(try fixture.replica.check(file) == .gone)
    try fixture.scratch.symlink("/etc/passwd", at: "replica/ben/x/a.jpg")
    #expect(try fixture.replica.check(file) == .gone)
    try fixture.scratch.call("replica/ben/x/a.jpg") { unlink($0) }
    try fixture.scratch.call("replica/ben/x") { rmdir($0) }
    #expect(try fixture.replica.check(file) == .gone)
  }

  /// An empty mount point has no marker: the files below it are not gone, they are not there to be seen.
  @Test func nothingIsConcludedWithoutTheReplica() throws {
    let fixture = try ReplicaFixture()
    let file = try landed(fixture)
    try fixture.scratch.call("replica") { old in
      withName(fixture.scratch.path("elsewhere")) { rename(old, $0) }
    }
    try fixture.scratch.call("replica") { mkdir($0, 0o700) }
    #expect { try fixture.replica.check(file) } throws: { ($0 as? DiskError)?.code == .notMounted }
    #expect { try fixture.replica.doubtful(among: [file]) } throws: {
      ($0 as? DiskError)?.code == .notMounted
    }
  }
}
