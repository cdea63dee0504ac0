import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// Staging with the first, the second, ... call that changes the disk failing, until a run passes; then the replica is
/// opened again and must take what is there for what it is, and nothing else.
@Suite struct StagingFaultTests {
  private static let small = sampleBytes(200_000, seed: 3)
  private static let large = sampleBytes(Limits.wholeUnitBytes + 2 * Limits.blockBytes + 5, seed: 4)

  private static var manifest: Manifest {
    let blocks = stride(from: 0, to: large.count, by: Limits.blockBytes).map {
      sha256(Array(large[$0..<min(large.count, $0 + Limits.blockBytes)]))
    }
    return Manifest(size: UInt64(large.count), blocks: blocks)
  }

  /// Runs `body` with the n-th call failing, for every n until none fails; `check` sees what a restart finds.
  private func failEach(
    _ errno: Int32, _ body: (Replica) throws -> Void,
    check: (Replica, _ call: Int, _ hasPassed: Bool) throws -> Void
  ) throws {
    var number = 1
    while true {
      let fixture = try ReplicaFixture()
      let failing = number
      fixture.faults.fail { _, count in count == failing ? errno : nil }
      let hasPassed = (try? body(fixture.replica)) != nil
      let didFail = fixture.faults.log.count >= failing
      if !didFail { #expect(hasPassed, "no call failed, and staging did") }
      fixture.faults.fail { _, _ in nil }
      try check(fixture.reopened(), failing, hasPassed)
      guard didFail else { break }
      number += 1
    }
    #expect(number > 2, "calls were made to fail")
  }

  @Test(arguments: [EIO, ENOSPC, EDQUOT, EROFS]) func aWholeContent(errno: Int32) throws {
    let id = content(Self.small)
    try failEach(errno) { replica in
      let stage = try replica.stage(id, size: UInt64(Self.small.count))
      try stage.write(.whole, offset: 0, Array(Self.small[..<120_000]))
      try stage.write(.whole, offset: 120_000, Array(Self.small[120_000...]))
      try #require(try stage.finishWhole())
    } check: { replica, call, hasPassed in
      try expectSound(replica, id, Self.small, call, hasPassed)
    }
  }

  @Test(arguments: [EIO, ENOSPC, EDQUOT, EROFS]) func theBlocksOfALargeContent(errno: Int32) throws {
    let id = content(Self.large)
    let manifest = Self.manifest
    try failEach(errno) { replica in
      let stage = try replica.stage(id, size: UInt64(Self.large.count))
      for index in manifest.blocks.indices.reversed() {
        let start = index * Limits.blockBytes
        let bytes = Array(Self.large[start..<min(Self.large.count, start + Limits.blockBytes)])
        try stage.write(.block(UInt32(index)), offset: 0, bytes)
        try #require(try stage.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
        if index == 2 { try stage.syncBlocks() }
      }
      try #require(try stage.finishLarge(manifest))
    } check: { replica, call, hasPassed in
      // What is there of it is judged by its hashes alone, and completed.
      let stage = try replica.restage(id, size: UInt64(Self.large.count))
      _ = try stage.resume(
        manifest: manifest, claimed: [UInt8](repeating: 0xFF, count: (manifest.blocks.count + 7) / 8))
      for index in manifest.blocks.indices where !stage.verifiedBlocks.hasBit(index) {
        #expect(!hasPassed, "call \(call): block \(index) of a staged content is gone")
        let start = index * Limits.blockBytes
        try stage.write(
          .block(UInt32(index)), offset: 0,
          Array(Self.large[start..<min(Self.large.count, start + Limits.blockBytes)]))
        #expect(try stage.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
      }
      #expect(try stage.finishLarge(manifest))
      #expect(replica.commit([.land(id, path: Array("m/film".utf8), mtime: 1)])[0].isDone, "call \(call)")
      #expect(try replica.hash(path: Array("m/film".utf8)).content == id)
    }
  }

  /// A staged file under a content's name may be anything after a restart, and lands only with the content's bytes.
  private func expectSound(
    _ replica: Replica, _ id: ContentID, _ bytes: [UInt8], _ call: Int, _ hasPassed: Bool
  ) throws {
    let results = replica.commit([.land(id, path: Array("m/photo".utf8), mtime: 1)])
    if results[0].isDone {
      #expect(try replica.hash(path: Array("m/photo".utf8)).content == id, "call \(call)")
    } else {
      #expect(!hasPassed, "call \(call): what was verified does not land: \(results)")
      // What was left of it does not stand in the way.
      let stage = try replica.stage(id, size: UInt64(bytes.count))
      try stage.write(.whole, offset: 0, bytes)
      #expect(try stage.finishWhole())
      #expect(replica.commit([.land(id, path: Array("m/photo".utf8), mtime: 1)])[0].isDone, "call \(call)")
    }
  }
}
