import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// What an earlier run, or somebody else, has left in the staging area keeps nobody from the copies.
@Suite struct StagingLeftoverTests {
  private let staging = "replica/.mantel/staging"

  /// By a replica that was opened over leftovers.
  private func land(_ bytes: [UInt8], _ replica: Replica) throws -> FilingResult {
    let staged = try replica.stage(content(bytes), size: UInt64(bytes.count))
    try staged.write(.whole, offset: 0, bytes)
    try #require(try staged.finishWhole())
    return replica.commit([.land(content(bytes), path: Array("m/new".utf8), mtime: 1)])[0]
  }

  /// The disk takes no writes any more, or one of its directories is damaged: until it is mended the names stay.
  @Test(arguments: [EROFS, EIO, EUCLEAN]) func aReplicaIsOpenedWhereNothingCanBeRemoved(errno: Int32) throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/old", [1, 2, 3]).isDone)
    let leftovers = ["part-1", "part-2", "part-007"].map { "\(staging)/\($0)" }
    for name in leftovers { try fixture.scratch.write(name, "orphan") }
    fixture.faults.fail { call, _ in call == "unlink" ? errno : nil }
    let replica = try fixture.reopened()
    #expect(try replica.read(path: Array("m/old".utf8), offset: 0, count: 9) == [1, 2, 3])
    // It takes writes again, while this process goes on.
    fixture.faults.fail { _, _ in nil }
    #expect(try land([4], replica).isDone, "no name is given twice")
    #expect(leftovers.allSatisfy { fixture.scratch.exists($0) })
    _ = try fixture.reopened()
    #expect(!leftovers.contains { fixture.scratch.exists($0) })
  }

  /// As the index of a storage box makes one in each directory; and names that no counter can go on from.
  @Test func somebodyElsesDirectoryStaysAndTheRestGoes() throws {
    let fixture = try ReplicaFixture()
    for name in ["@eaDir", "part-1", "part-\(UInt64.max)"] {
      try fixture.scratch.write("\(staging)/\(name)/index", "somebody else's")
    }
    try fixture.scratch.write("\(staging)/part-0", "orphan")
    try fixture.scratch.write("\(staging)/part-9", "orphan")
    let replica = try fixture.reopened()
    #expect(fixture.scratch.exists("\(staging)/@eaDir/index"))
    #expect(!fixture.scratch.exists("\(staging)/part-0") && !fixture.scratch.exists("\(staging)/part-9"))
    #expect(try replica.stagedContents().isEmpty)
    #expect(try land([4], replica).isDone)
  }

  /// The list is older than the look: a batch goes on landing meanwhile, and a disk may be bad in one place.
  @Test func oneThatCannotBeLookedAtHidesNoOther() {
    let (first, landed, bad, last) = (content([1]), content([2]), content([3]), content([4]))
    var told: [DiskError] = []
    let found = Replica.lengths(of: [first, landed, bad, last], onFailure: { told.append($0) }) {
      content throws(DiskError) in
      if content == landed { throw DiskError(call: -Int(ENOENT), path: [], operation: "stat") }
      if content == bad { throw DiskError(call: -Int(EIO), path: [], operation: "stat") }
      return 7
    }
    #expect(found.map(\.0) == [first, last] && found.map(\.1) == [7, 7])
    #expect(told.map(\.code) == [.io])
  }
}
