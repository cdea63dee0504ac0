import CFaults
import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// Filing and restoring with the first, the second, ... call failing that opens, reads or copies a file, until a run
/// passes: what has a name is always right, and the same work can be done again.
@Suite struct ReadFaultTests {
  private static let kinds = UInt32(MANTEL_FAULT_OPEN | MANTEL_FAULT_READ | MANTEL_FAULT_COPY)
  private static let photo = sampleBytes(70_000, seed: 7)
  private static let other = sampleBytes(60_000, seed: 8)

  /// Runs `work` with its `number`-th call failing on this thread; returns how many there were.
  private func failing(_ number: Int, _ work: () -> Void) -> Int {
    mantel_faults_arm(Self.kinds, number, EIO, 0)
    work()
    return mantel_faults_disarm()
  }

  @Test func filingEndsWellWhateverCannotBeRead() throws {
    let (photo, other) = (content(Self.photo), content(Self.other))
    var (call, made) = (0, 0)
    repeat {
      call += 1
      let fixture = try ReplicaFixture()
      #expect(try fixture.land("m/old", Self.photo).isDone)
      try fixture.scratch.write(Array("photos/own".utf8), Self.other)
      let operations: [FilingOperation] = [
        .move(from: Array("m/old".utf8), path: Array("m/x/moved".utf8), content: photo, mtime: 9),
        .link(from: Array("m/x/moved".utf8), path: Array("n/link".utf8), content: photo, mtime: 9),
        .copy(from: Array("m/x/moved".utf8), path: Array("n/copy".utf8), content: photo, mtime: 2),
        .copyOwn(
          root: fixture.scratch.path("photos"), source: Array("own".utf8), path: Array("n/own".utf8),
          content: other, mtime: 2),
      ]
      var results: [FilingResult] = []
      made = failing(call) { results = fixture.replica.commit(operations) }
      let names = ["m/old": photo, "m/x/moved": photo, "n/link": photo, "n/copy": photo, "n/own": other]
      for (path, id) in names where fixture.scratch.exists("replica/\(path)") {
        #expect(try fixture.replica.hash(path: Array(path.utf8)).content == id, "\(path), call \(call)")
      }
      for result in results where !result.landedPath.isEmpty {
        #expect(fixture.scratch.exists("replica/\(result.landedPath)"), "call \(call)")
      }
      let hasOne = fixture.scratch.exists("replica/m/old") || fixture.scratch.exists("replica/m/x/moved")
      #expect(hasOne, "call \(call): the only copy is gone")
      let again = try fixture.reopened().commit(operations, isRepeat: true)
      #expect(again.allSatisfy { $0.isDone || $0.isAdopted }, "call \(call): \(results), then \(again)")
    } while made >= call
    #expect(call > 10, "\(call) calls were made to fail")
  }

  /// One entry with a bad inode hides none of the others; a disk that went is no bad inode.
  @Test(arguments: [EIO, EACCES, EUCLEAN]) func aListingTellsWhatCannotBeLookedAt(errno: Int32) throws {
    let fixture = try ReplicaFixture()
    let paths = ["m/a", "m/b", "m/c"].map { Array($0.utf8) }
    for path in paths { try fixture.scratch.write(Array("replica/".utf8) + path, [1]) }
    func list(failing number: Int, _ errno: Int32) throws -> [FileObservation] {
      mantel_faults_arm(UInt32(MANTEL_FAULT_STAT), number, errno, 0)
      defer { mantel_faults_disarm() }
      return try fixture.replica.entries(in: Array("m".utf8))
    }
    // The first look is at the replica's marker.
    for (index, path) in paths.enumerated() {
      let listed = try list(failing: index + 2, errno)
      #expect(listed.map(\.path) == paths)
      for entry in listed {
        let expected: FileObservation.FileType = entry.path == path ? .unreadable(errno: errno) : .regular
        #expect(entry.type == expected)
      }
      #expect(try list(failing: index + 2, ENOENT).map(\.path) == paths.filter { $0 != path })
      #expect { try list(failing: index + 2, ESTALE) } throws: { ($0 as? DiskError)?.code == .notMounted }
    }
  }

  @Test func restoringEndsWellWhateverCannotBeRead() throws {
    let photo = content(Self.photo)
    var (call, made) = (0, 0)
    repeat {
      call += 1
      let fixture = try ReplicaFixture()
      #expect(try fixture.land("m/photo", Self.photo).isDone)
      let target = try RestoreTarget(root: fixture.scratch.path("restored"))
      let file = RestoreFile(
        content: photo, size: UInt64(Self.photo.count), mtime: 5, path: Array("a/photo.jpg".utf8))
      let source = RestoreSource.replica(fixture.replica, path: Array("m/photo".utf8))
      var result: Result<RestoredFile, DiskError>?
      made = failing(call) { result = target.write([(file, [source])]).first }
      if case .success(let restored) = result {
        #expect(try target.existing(file) == restored.path, "call \(call)")
      } else if fixture.scratch.exists("restored/a/photo.jpg") {
        #expect(try target.existing(file) == file.path, "call \(call): a wrong file has the name")
      }
      let again = target.write([(file, [source])])
      #expect((try? again[0].get()) != nil, "call \(call): \(again)")
      #expect(try target.existing(file) != nil)
    } while made >= call
    #expect(call > 5, "\(call) calls were made to fail")
  }
}
