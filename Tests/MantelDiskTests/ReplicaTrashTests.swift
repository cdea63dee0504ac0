import CFaults
import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// Files on their way into the replica's trash, out of it, and out of the replica.
@Suite struct ReplicaTrashTests {
  private let bytes: [UInt8] = [1, 2, 3, 4]
  private let place = Array("ben/Photos/2024/a.jpg".utf8)
  private var trash: [UInt8] { Array(".mantel/trash/\(content(bytes).hex).jpg".utf8) }
  private var intoTrash: FilingOperation {
    .move(from: place, path: trash, content: content(bytes), mtime: 5)
  }
  private var outOfTrash: FilingOperation {
    .move(from: trash, path: place, content: content(bytes), mtime: 5)
  }
  private var deletion: FilingOperation { .remove(path: trash, content: content(bytes)) }

  private func landed() throws -> ReplicaFixture {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("ben/Photos/2024/a.jpg", bytes, mtime: 5).isDone)
    return fixture
  }

  @Test func aFileGoesThereAndBackAndAwayWithItsTime() throws {
    let fixture = try landed()
    let moved = fixture.replica.commit([intoTrash])[0]
    #expect(moved.isDone)
    let there = try fixture.replica.stamp(path: trash)
    #expect(there.mtime == 5 && !fixture.scratch.exists("replica/ben/Photos"))
    #expect(fixture.replica.commit([outOfTrash])[0].isDone)
    #expect(try fixture.replica.stamp(path: place).inode == there.inode)
    #expect(fixture.replica.commit([intoTrash])[0].isDone && fixture.replica.commit([deletion])[0].isDone)
    #expect(!fixture.scratch.exists("replica/.mantel/trash"))
    // The trash is made again for the next one.
    #expect(try fixture.land("ben/Photos/2024/a.jpg", bytes, mtime: 5).isDone)
    #expect(fixture.replica.commit([intoTrash])[0].isDone)
  }

  /// The process dies before any call of the batch, or the disk fails there; then the batch is done again.
  @Test(arguments: [EIO, ENOSPC, EDQUOT, EROFS]) func whereverItIsCutOffTheBytesAreThereAndARepeatEndsIt(
    errno: Int32
  ) throws {
    let batches: [[FilingOperation]] = [[intoTrash], [intoTrash, outOfTrash]]
    for batch in batches {
      var number = 1
      var isThrough = false
      while !isThrough {
        let fixture = try landed()
        let failing = number
        fixture.faults.fail { _, call in call >= failing ? errno : nil }
        let results = fixture.replica.commit(batch)
        isThrough = results.allSatisfy { $0.isDone }
        fixture.faults.fail { _, _ in nil }
        #expect(holders(fixture) == 1)
        let again = try fixture.reopened().commit(batch, isRepeat: true)
        #expect(again.allSatisfy { $0.isDone || $0.isAdopted }, "call \(number) of \(batch.count)")
        #expect(holders(fixture) == 1)
        let end = batch.count == 1 ? trash : place
        #expect(try fixture.replica.hash(path: end).content == content(bytes))
        number += 1
      }
      #expect(number > 3)
    }
  }

  /// It may have been planned long ago: what became of it is found out, and no more.
  @Test func aDeletionThatIsRepeatedTakesNothing() throws {
    let fixture = try landed()
    #expect(fixture.replica.commit([intoTrash])[0].isDone)
    #expect(fixture.replica.commit([deletion], isRepeat: true)[0].isAdopted)
    #expect(try fixture.replica.hash(path: trash).content == content(bytes))
    #expect(fixture.replica.commit([deletion])[0].isDone)
    #expect(fixture.replica.commit([deletion], isRepeat: true)[0].isDone)
    // Since the batch was cut off another file got the name.
    let id = try fixture.stage([9])
    #expect(fixture.replica.commit([.land(id, path: trash, mtime: 1)])[0].isDone)
    #expect(fixture.replica.commit([deletion], isRepeat: true)[0].isDone)
    #expect(try fixture.replica.hash(path: trash).content == id)
  }

  /// A sector that cannot be read any more is no reason to try for ever.
  @Test func whatCannotBeReadIsNotWhatARepeatLooksFor() throws {
    for operation in [intoTrash, outOfTrash, deletion] {
      let fixture = try landed()
      if operation != intoTrash { #expect(fixture.replica.commit([intoTrash])[0].isDone) }
      mantel_faults_arm(UInt32(MANTEL_FAULT_READ), 1, EIO, 1)
      let results = fixture.replica.commit([operation], isRepeat: true)
      #expect(mantel_faults_disarm() > 0)
      #expect(results == [.sourceChanged])
      #expect(holders(fixture) == 1)
    }
  }

  /// How many names have the bytes.
  private func holders(_ fixture: ReplicaFixture) -> Int {
    [place, trash].count { path in
      (try? fixture.replica.hash(path: path))?.content == content(bytes)
    }
  }
}
