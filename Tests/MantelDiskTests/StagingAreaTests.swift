import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// Small contents that came whole.
@Suite struct StagingAreaTests {
  private func names(_ fixture: ReplicaFixture) throws -> [[UInt8]] {
    var names: [[UInt8]] = []
    try Directory(root: fixture.replica.root).directory(Replica.stagingPath).forEachEntry { name, _ in
      names.append(name)
    }
    return names
  }

  private func stage(_ fixture: ReplicaFixture, _ id: ContentID, _ bytes: [UInt8]) throws -> Bool {
    try bytes.withUnsafeBytes { try fixture.replica.openStaging().stage(id, $0) }
  }

  @Test(arguments: [0, 1, 30_000])
  func whatIsStagedCanBeServedAndLanded(size: Int) throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(size)
    let id = content(bytes)
    #expect(try stage(fixture, id, bytes))
    #expect(fixture.replica.isVerified(id) && fixture.replica.stagedSize(id) == UInt64(size))
    #expect(try fixture.replica.readStaged(id, offset: 0, count: 1 << 20) == bytes)
    let result = fixture.replica.commit([.land(id, path: Array("m/f/a".utf8), mtime: 7)])[0]
    #expect(result.landedPath == "m/f/a")
    #expect(try fixture.bytes("m/f/a") == bytes)
    #expect(try fixture.replica.stamp(path: Array("m/f/a".utf8)).mtime == 7)
    #expect(try names(fixture).isEmpty)
    #expect(fixture.replica.stagedSize(id) == nil)
  }

  @Test func wrongBytesLeaveNothing() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { _, _ in nil }
    #expect(try !stage(fixture, content([1]), [2]))
    #expect(try names(fixture).isEmpty)
    #expect(!fixture.faults.log.contains("write"))
  }

  @Test func whatIsThereIsNotWrittenAgain() throws {
    let fixture = try ReplicaFixture()
    let id = content([1, 2])
    #expect(try stage(fixture, id, [1, 2]))
    fixture.faults.fail { _, _ in nil }
    #expect(try stage(fixture, id, [1, 2]))
    #expect(!fixture.faults.log.contains("create"))
  }

  /// Half a file that a killed process left has the name, and nobody vouches for it.
  @Test func leftoversMakeRoom() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(5_000)
    let id = content(bytes)
    try fixture.scratch.write("replica/.mantel/staging/\(id.hex)", "half")
    #expect(try stage(fixture, id, bytes))
    #expect(try fixture.replica.readStaged(id, offset: 0, count: 1 << 20) == bytes)
  }

  @Test func aFullDiskIsToldAndLeavesNoName() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { call, _ in call == "write" ? ENOSPC : nil }
    #expect { try stage(fixture, content([1]), [1]) } throws: { ($0 as? DiskError)?.code == .noSpace }
    #expect(try names(fixture).isEmpty)
    #expect(!fixture.replica.isVerified(content([1])))
    fixture.faults.fail { _, _ in nil }
    #expect(try stage(fixture, content([1]), [1]))
  }

  /// Many are dressed by name and synced at once; a restart knows what was staged by its hash.
  @Test func manyLandTogether() throws {
    let fixture = try ReplicaFixture()
    var contents: [ContentID] = []
    for number in 0..<50 {
      let bytes = sampleBytes(100, seed: UInt8(number + 1))
      contents.append(content(bytes))
      #expect(try stage(fixture, content(bytes), bytes))
    }
    #expect(try fixture.reopened().stagedContents().map(\.0) == contents.sorted())
    fixture.faults.fail { _, _ in nil }
    let results = fixture.replica.commit(
      contents.enumerated().map { .land($1, path: Array("m/f/\($0)".utf8), mtime: Int64($0)) })
    for (number, result) in results.enumerated() {
      #expect(result.landedPath == "m/f/\(number)")
      let status = try Directory(root: fixture.replica.root).status(Array("m/f/\(number)".utf8))
      #expect(status.stamp.mtime == Int64(number) && status.mode & 0o777 == 0o444)
    }
    #expect(fixture.faults.log.count { $0 == "syncfs" } >= 1)
    #expect(fixture.faults.log.count { $0 == "fsync" } <= 4)
  }
}
