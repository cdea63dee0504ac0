import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// A syncfs tells an error once, of whatever was written since the watch began: also of bytes that its batch knows nothing of.
@Suite struct FailedSyncfsTests {
  /// As many as are synced by a syncfs, under directories that are too.
  private func landings(_ fixture: ReplicaFixture, _ count: Int, below: UInt8) throws -> [FilingOperation] {
    try (0..<UInt8(count)).map {
      FilingOperation.land(try fixture.stage([below, $0]), path: Array("m\(below)/\($0)/x".utf8), mtime: 1)
    }
  }

  private func landing(_ id: ContentID) -> FilingOperation {
    .land(id, path: Array("n/\(id.hex)".utf8), mtime: 1)
  }

  /// What the disk has is no longer what was written.
  private func lose(_ id: ContentID, _ fixture: ReplicaFixture, mode: UInt32) throws {
    let path = "replica/.mantel/staging/\(id.hex)"
    try fixture.scratch.write(path, String(repeating: "?", count: 500))
    try fixture.scratch.call(path) { chmod($0, mode) }
  }

  /// By the count it is the sync of the directories that fails, or that of the bytes; by the mode what was staged is landed after
  /// a look at its file, or unopened.
  @Test(arguments: [Syncer.manyFiles, Syncer.manyFiles + 1], [0o600, 0o444] as [UInt32])
  func whatWasStagedBeforeIsReadFromTheDisk(count: Int, mode: UInt32) throws {
    let fixture = try ReplicaFixture()
    let late = sampleBytes(500, seed: 3)
    let (kept, written) = (try fixture.stage(sampleBytes(500, seed: 1)), content(late))
    let lost = try fixture.stage(sampleBytes(500, seed: 2))
    let writing = try fixture.replica.stage(written, size: 500)
    try writing.write(.whole, offset: 0, late)

    let failing = try landings(fixture, count, below: 0)
    fixture.faults.fail { call, _ in call == "syncfs" ? EIO : nil }
    #expect(fixture.replica.commit(failing).allSatisfy { $0.failureCode == .sync })
    #expect(fixture.faults.log.contains("syncfs"))
    fixture.faults.fail { _, _ in nil }

    #expect(try writing.finishWhole())
    for id in [lost, written] { try lose(id, fixture, mode: mode) }
    let others = try landings(fixture, Syncer.manyFiles + 1, below: 1)
    let results = fixture.replica.commit([kept, lost, written].map(landing) + others)
    #expect(results[0].isDone && results[1] == .sourceChanged && results[2] == .sourceChanged)
    #expect(results.dropFirst(3).allSatisfy { $0.isDone }, "nobody else is held up")
    for id in [lost, written] {
      #expect(!fixture.replica.isVerified(id), "it is fetched anew")
      #expect(!fixture.scratch.exists("replica/.mantel/staging/\(id.hex)"))
    }
    #expect(try fixture.land("n/late", late).isDone)
    #expect(try fixture.bytes("n/late") == late)
  }

  /// The error of its own bytes is told by their file too, where that was not asked yet.
  @Test func whatCannotBeSyncedAfterItFailsAlone() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(500)
    let lost = try fixture.stage(bytes)
    let failing = try landings(fixture, Syncer.manyFiles + 1, below: 0)
    fixture.faults.fail { call, _ in call == "syncfs" ? EIO : nil }
    #expect(fixture.replica.commit(failing).allSatisfy { $0.failureCode == .sync })

    let others = try landings(fixture, Syncer.manyFiles + 1, below: 1)
    fixture.faults.fail { call, number in call == "fsync" && number == 1 ? EIO : nil }
    let results = fixture.replica.commit([landing(lost)] + others)
    #expect(results[0] == .sourceChanged && results.dropFirst().allSatisfy { $0.isDone })
    #expect(!fixture.scratch.exists("replica/.mantel/staging/\(lost.hex)"))
    #expect(try fixture.land("n/again", bytes).isDone)
  }

  /// What was staged since is trusted as ever: nothing of it is read again.
  @Test func whatIsStagedAfterItIsNotInDoubt() throws {
    let fixture = try ReplicaFixture()
    let failing = try landings(fixture, Syncer.manyFiles + 1, below: 0)
    fixture.faults.fail { call, _ in call == "syncfs" ? EIO : nil }
    #expect(fixture.replica.commit(failing).allSatisfy { $0.failureCode == .sync })
    let next = try landings(fixture, Syncer.manyFiles + 1, below: 1)
    fixture.faults.fail { _, _ in nil }
    #expect(fixture.replica.commit(next).allSatisfy { $0.isDone })
    #expect(fixture.faults.log.first == "syncfs")
  }
}
