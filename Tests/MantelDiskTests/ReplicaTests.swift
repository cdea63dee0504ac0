import Glibc
import MantelCore
import Testing

@testable import MantelDisk

let machine = MachineID(Digest256(1, 2, 3, 4))

/// A replica in a temporary directory.
struct ReplicaFixture {
  let scratch: Scratch
  let faults = FaultyCalls()
  let replica: Replica

  init() throws {
    scratch = try Scratch()
    replica = try Replica.open(
      root: scratch.path("replica"), machine: machine, create: true, calls: faults.calls)
  }

  func reopened() throws -> Replica {
    try Replica.open(root: replica.root, machine: machine, create: false, calls: faults.calls)
  }

  /// Stages a whole unit and checks it.
  @discardableResult func stage(_ bytes: [UInt8]) throws -> ContentID {
    let id = content(bytes)
    let staged = try replica.stage(id, size: UInt64(bytes.count))
    try staged.write(.whole, offset: 0, bytes)
    try #require(try staged.finishWhole())
    return id
  }

  func land(_ path: String, _ bytes: [UInt8], mtime: Int64 = 7) throws -> FilingResult {
    let id = try stage(bytes)
    return replica.commit([.land(id, path: Array(path.utf8), mtime: mtime)])[0]
  }

  func bytes(_ path: String) throws -> [UInt8] {
    try replica.read(path: Array(path.utf8), offset: 0, count: 64 << 20)
  }
}

extension FilingResult {
  /// The name that a file got; empty if it got none.
  var landedPath: String {
    switch self {
    case .done(let path, _), .adopted(let path, _): String(decoding: path, as: UTF8.self)
    case .sourceChanged, .failed: ""
    }
  }
  var isAdopted: Bool { if case .adopted = self { true } else { false } }
  var isDone: Bool { if case .done = self { true } else { false } }
  var failureCode: FilingFailure.Code? { if case .failed(let failure) = self { failure.code } else { nil } }
}

@Suite struct ReplicaMountTests {
  @Test func markerDecides() throws {
    let fixture = try ReplicaFixture()
    #expect(fixture.replica.marker == (try fixture.reopened().marker))
    #expect(ReplicaMarker(bytes: fixture.replica.marker.bytes) == fixture.replica.marker)
    var raw = stat()
    #expect(withName(fixture.replica.root) { stat($0, &raw) } == 0 && raw.st_mode & 0o777 == 0o700)
    #expect {
      try Replica.open(root: fixture.replica.root, machine: MachineID(.zero), create: true)
    } throws: {
      ($0 as? DiskError)?.code == .foreign
    }
    try fixture.scratch.call("replica/.mantel/marker") { unlink($0) }
    #expect { try fixture.replica.checkMounted() } throws: { ($0 as? DiskError)?.code == .notMounted }
    #expect { try fixture.reopened() } throws: { ($0 as? DiskError)?.code == .notMounted }
    let result = fixture.replica.commit([.remove(path: Array("a/b".utf8), content: content([1]))])
    #expect(result[0].failureCode == .notMounted)
  }

  @Test func anotherFilesystemIsNotMounted() throws {
    let fixture = try ReplicaFixture()
    var marker = fixture.replica.marker
    marker.filesystem = [1, 2, 3]
    try fixture.scratch.write(Array("replica/.mantel/marker".utf8), marker.bytes)
    #expect { try fixture.reopened() } throws: { ($0 as? DiskError)?.code == .notMounted }
  }

  /// What an fsync says there proves nothing.
  @Test func noReplicaLiesOnANetworkFilesystem() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.state.withLock { $0.isRemote = true }
    let calls = fixture.faults.calls
    #expect { try fixture.reopened() } throws: { ($0 as? DiskError)?.code == .remote }
    // Mounted over the replica: another place, of which nothing is known.
    fixture.replica.state.withLock { $0.place = nil }
    #expect { try fixture.replica.checkMounted() } throws: { ($0 as? DiskError)?.code == .notMounted }
    let new = fixture.scratch.path("new/replica")
    #expect { try Replica.open(root: new, machine: machine, create: true, calls: calls) } throws: {
      ($0 as? DiskError)?.code == .remote
    }
    #expect { try Directory(root: fixture.scratch.path("new")) } throws: {
      ($0 as? DiskError)?.code == .notFound
    }
    try fixture.scratch.write("full/photo.jpg", "photo")
    #expect {
      try Replica.adopt(root: fixture.scratch.path("full"), machine: machine, calls: calls)
    } throws: {
      ($0 as? DiskError)?.code == .remote
    }
  }

  /// Of what a program provides, only what lies on a disk has a device of its own.
  @Test func aDiskOfThisMachineIsToldFromWhatAProgramProvides() {
    let (fuse, ext4, nfs): (UInt64, UInt64, UInt64) = (0x6573_5546, 0xEF53, 0x6969)
    let (disk, none, many): (UInt64, UInt64, UInt64) = (0x812, 0x2D, 0x10_002C)
    #expect(FilesystemFacts.isOnLocalDisk(type: fuse, device: disk))
    #expect(!FilesystemFacts.isOnLocalDisk(type: fuse, device: none))
    #expect(!FilesystemFacts.isOnLocalDisk(type: fuse, device: many))
    #expect(FilesystemFacts.isOnLocalDisk(type: ext4, device: none))
    #expect(!FilesystemFacts.isOnLocalDisk(type: nfs, device: disk))
  }

  @Test func onlyEmptyDirectoriesAreFoundedAndAnyIsAdopted() throws {
    let scratch = try Scratch()
    try scratch.write("full/photo.jpg", "photo")
    #expect { try Replica.open(root: scratch.path("full"), machine: machine, create: true) } throws: {
      ($0 as? DiskError)?.code == .exists
    }
    #expect { try Replica.open(root: scratch.path("none"), machine: machine, create: false) } throws: {
      ($0 as? DiskError)?.code == .notMounted
    }
    let replica = try Replica.adopt(root: scratch.path("full"), machine: machine)
    #expect(try replica.entries(in: []).map(\.path) == [Array("photo.jpg".utf8)])
    _ = try Replica.open(root: scratch.path("a/b/c"), machine: machine, create: true)
  }

  @Test(arguments: KeptFile.allCases) func whatIsKeptSurvivesReopening(file: KeptFile) throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.replica.kept(file) == nil)
    try fixture.replica.keep(file, [1, 2, 3])
    try fixture.replica.keep(file, [4])
    #expect(try fixture.reopened().kept(file) == [4])
    #expect(try Replica.kept(file, in: fixture.replica.root) == [4])
    try fixture.replica.syncAll()
  }

  @Test(arguments: KeptFile.allCases) func whatIsTooLargeToBeKeptIsNotRead(file: KeptFile) throws {
    let fixture = try ReplicaFixture()
    try fixture.replica.keep(file, [UInt8](repeating: 7, count: file.limit + 1))
    #expect { try fixture.replica.kept(file) } throws: { ($0 as? DiskError)?.code == .tooLarge }
  }
}

@Suite struct StagingTests {
  @Test func chunksInAndOutOfOrder() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(200_000)
    let id = content(bytes)
    let staged = try fixture.replica.stage(id, size: UInt64(bytes.count))
    try staged.write(.whole, offset: 100_000, Array(bytes[100_000...]))
    #expect(try !staged.finishWhole())
    try staged.write(.whole, offset: 0, Array(bytes[..<100_000]))
    #expect(try staged.finishWhole())
    #expect(try fixture.replica.readStaged(id, offset: 99_999, count: 2) == Array(bytes[99_999...100_000]))
    #expect { try staged.write(.whole, offset: 199_999, [1, 2]) } throws: {
      ($0 as? DiskError)?.code == .tooLarge
    }
    #expect { try staged.write(.block(0), offset: 0, [1]) } throws: { ($0 as? DiskError)?.code == .tooLarge }
  }

  @Test func wrongBytesAreToldAndMayBeWrittenAgain() throws {
    let fixture = try ReplicaFixture()
    let staged = try fixture.replica.stage(content([1, 2, 3]), size: 3)
    try staged.write(.whole, offset: 0, [1, 2, 4])
    #expect(try !staged.finishWhole())
    try staged.write(.whole, offset: 0, [1, 2, 3])
    #expect(try staged.finishWhole())
    // It may have been landed since: a late chunk must not reach it.
    #expect { try staged.write(.whole, offset: 0, [9]) } throws: { ($0 as? DiskError)?.code == .exists }
    try staged.discard()
    #expect(try fixture.replica.stagedContents().isEmpty)
  }

  @Test func emptyContent() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/f/empty", []).isDone)
    #expect(try fixture.bytes("m/f/empty").isEmpty)
  }

  @Test func leftoversAreHashedAgainAfterARestart() throws {
    let fixture = try ReplicaFixture()
    let good = try fixture.stage([1, 2, 3])
    let half = content([4, 5, 6])
    try fixture.scratch.write(Array("replica/.mantel/staging/\(half.hex)".utf8), [4, 5])
    try fixture.scratch.write("replica/.mantel/staging/part-1", "orphan")
    let replica = try fixture.reopened()
    let found = try replica.stagedContents()
    #expect(Set(found.map(\.0)) == [good, half])
    #expect(try !replica.restage(half, size: 3).finishWhole())
    // Landing bytes that this process has not verified checks them first.
    let results = replica.commit([
      .land(good, path: Array("m/good".utf8), mtime: 1), .land(half, path: Array("m/half".utf8), mtime: 1),
    ])
    #expect(results[0].isDone)
    #expect(results[1] == .sourceChanged)
    #expect(!fixture.scratch.exists("replica/m/half"))
    #expect(!fixture.scratch.exists("replica/.mantel/staging/part-1"))
    #expect(!fixture.scratch.exists("replica/.mantel/staging/\(half.hex)"), "in nobody's way")
  }

  @Test func stagedNameThatIsAReplicaFileIsNeverWrittenTo() throws {
    let fixture = try ReplicaFixture()
    #expect(try fixture.land("m/a", [1, 2, 3]).isDone)
    let id = content([1, 2, 3])
    // As a crash between link and unlink leaves it.
    try fixture.scratch.call("replica/m/a") { from in
      withName(fixture.scratch.path("replica/.mantel/staging/\(id.hex)")) { link(from, $0) }
    }
    try fixture.replica.restage(id, size: 3).write(.whole, offset: 0, [9, 9, 9])
    #expect(try fixture.bytes("m/a") == [1, 2, 3])
  }

  @Test func blocksAreCheckedAsTheyLandAndResumed() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes((6 << 20) + 5)
    let id = content(bytes)
    let layout = UnitLayout(size: UInt64(bytes.count))
    func block(_ index: Int) throws -> [UInt8] {
      let range = try #require(layout.range(of: .block(UInt32(index))))
      return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }
    let manifest = Manifest(size: layout.size, blocks: try (0..<7).map { sha256(try block($0)) })
    let staged = try fixture.replica.stage(id, size: layout.size)
    for index in [6, 0, 2] {
      let data = try block(index)
      let cut = data.count / 2
      try staged.write(.block(UInt32(index)), offset: 0, Array(data[..<cut]))
      try staged.write(.block(UInt32(index)), offset: UInt64(cut), Array(data[cut...]))
      #expect(try staged.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
    }
    var bad = try block(1)
    bad[77] ^= 1
    try staged.write(.block(1), offset: 0, bad)
    #expect(try !staged.verifyBlock(1, expected: manifest.blocks[1]))
    #expect(staged.verifiedBlocks == [0b100_0101])
    #expect(try !staged.finishLarge(manifest))
    // What is served of it: verified blocks alone, each by itself.
    let start = UInt64(2 * Limits.blockBytes)
    #expect(try staged.readVerified(at: start + 5, count: 9) == Array(try block(2)[5..<14]))
    let notThere = [
      (start - 1, 1), (start + 5, Limits.blockBytes), (UInt64(bytes.count), 1), (UInt64(bytes.count) + 1, 1),
      (.max, 1),
    ]
    for (offset, count) in notThere {
      #expect(throws: DiskError.self) { try staged.readVerified(at: offset, count: count) }
    }
    try staged.syncBlocks()

    // A record that claims more than is there is not believed.
    let reopened = try fixture.reopened()
    let resumed = try reopened.stage(id, size: layout.size)
    #expect(try resumed.resume(manifest: manifest, claimed: [0b100_0111]) == [0b100_0101])
    for index in [5, 4, 3, 1] {
      try resumed.write(.block(UInt32(index)), offset: 0, try block(index))
      #expect(try resumed.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
    }
    #expect(try resumed.finishLarge(manifest))
    let results = reopened.commit([.land(id, path: Array("m/video.mp4".utf8), mtime: 5)])
    #expect(results[0].isDone)
    #expect(try fixture.replica.hash(path: Array("m/video.mp4".utf8), fromDisk: true).content == id)
  }

  @Test func manifestThatIsNotTheContentsIsFound() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(5 << 20)
    let blocks = (0..<5).map { sha256(Array(bytes[($0 << 20)..<(($0 + 1) << 20)])) }
    let manifest = Manifest(size: 5 << 20, blocks: blocks)
    let staged = try fixture.replica.stage(ContentID(.zero), size: 5 << 20)
    for index in 0..<5 {
      try staged.write(.block(UInt32(index)), offset: 0, Array(bytes[(index << 20)..<((index + 1) << 20)]))
      #expect(try staged.verifyBlock(UInt32(index), expected: blocks[index]))
    }
    #expect(try !staged.finishLarge(manifest))
  }

  @Test func aLargeContentThatDoesNotFitKeepsNothingOfTheDisk() throws {
    let fixture = try ReplicaFixture()
    fixture.faults.fail { call, _ in call == "allocate" ? ENOSPC : nil }
    #expect { try fixture.replica.stage(ContentID(.zero), size: 5 << 20) } throws: {
      ($0 as? DiskError)?.code == .noSpace
    }
    #expect(try fixture.replica.stagedContents().map(\.1) == [0])
  }

  /// Both links had been asked for the unit: the one that closed had it waiting for the disk.
  @Test func aLateUnitReachesNeitherTheStagedNorTheLandedFile() throws {
    let fixture = try ReplicaFixture()
    let bytes: [UInt8] = [1, 2, 3]
    let id = content(bytes)
    let late = try fixture.replica.stage(id, size: 3)
    try fixture.stage(bytes)
    #expect(fixture.replica.commit([.land(id, path: Array("m/a".utf8), mtime: 5)])[0].isDone)
    let before = try fixture.replica.stamp(path: Array("m/a".utf8))
    try late.write(.whole, offset: 0, [9, 9, 9])
    #expect(try !late.finishWhole())
    try late.discard()
    #expect(try fixture.bytes("m/a") == bytes)
    #expect(try fixture.replica.stamp(path: Array("m/a".utf8)) == before)
  }

  /// Of two that were verified the first is the staged one: a batch may have it in hand.
  @Test func theSecondOfTwoVerifiedUnitsIsNotNeeded() throws {
    let fixture = try ReplicaFixture()
    let id = content([1, 2, 3])
    let staging = Array(".mantel/staging/\(id.hex)".utf8)
    do {
      let second = try fixture.replica.stage(id, size: 3)
      try second.write(.whole, offset: 0, [1, 2, 3])
      try fixture.stage([1, 2, 3])
      let first = try fixture.replica.stamp(path: staging).inode
      #expect(try second.finishWhole())
      #expect(try fixture.replica.stamp(path: staging).inode == first)
    }
    let left = try fixture.replica.entries(in: Array(".mantel/staging".utf8))
    #expect(left.map(\.path) == [staging])
  }

  @Test func aVerifiedBlockOrContentIsNotWrittenToAgain() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(5 << 20)
    let blocks = (0..<5).map { Array(bytes[($0 << 20)..<(($0 + 1) << 20)]) }
    let manifest = Manifest(size: 5 << 20, blocks: blocks.map(sha256))
    let id = content(bytes)
    let staged = try fixture.replica.stage(id, size: 5 << 20)
    for index in 0..<5 {
      try staged.write(.block(UInt32(index)), offset: 0, blocks[index])
      #expect(try staged.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
      #expect { try staged.write(.block(UInt32(index)), offset: 0, [9]) } throws: {
        ($0 as? DiskError)?.code == .exists
      }
    }
    #expect(try staged.finishLarge(manifest))
    #expect { try fixture.replica.stage(id, size: 5 << 20) } throws: { ($0 as? DiskError)?.code == .exists }
    #expect(fixture.replica.commit([.land(id, path: Array("m/v".utf8), mtime: 5)])[0].isDone)
    #expect(try fixture.replica.hash(path: Array("m/v".utf8)).content == id)
  }

  /// Its landing failed, so that it is fetched again; meanwhile that landing is repeated.
  @Test func aRepeatedLandingLeavesTheBlocksThatCameSince() throws {
    let fixture = try ReplicaFixture()
    let bytes = sampleBytes(5 << 20)
    let blocks = (0..<5).map { Array(bytes[($0 << 20)..<(($0 + 1) << 20)]) }
    let manifest = Manifest(size: 5 << 20, blocks: blocks.map(sha256))
    let id = content(bytes)
    let land = FilingOperation.land(id, path: Array("m/v".utf8), mtime: 5)
    let staged = try fixture.replica.stage(id, size: 5 << 20)
    for index in 0..<5 {
      try staged.write(.block(UInt32(index)), offset: 0, blocks[index])
      #expect(try staged.verifyBlock(UInt32(index), expected: manifest.blocks[index]))
      #expect(fixture.replica.commit([land], isRepeat: true) == [.sourceChanged])
      #expect(try fixture.replica.stagedContents().map(\.0) == [id])
    }
    #expect(try staged.finishLarge(manifest))
    #expect(fixture.replica.commit([land], isRepeat: true)[0].isDone)
    #expect(try fixture.replica.hash(path: Array("m/v".utf8), fromDisk: true).content == id)
  }

  /// Once nobody writes to it any more, half a file is judged by its bytes, and does not stand in the way.
  @Test func blocksThatNobodyGoesOnWithAreNotLanded() throws {
    let fixture = try ReplicaFixture()
    let id = content(sampleBytes(5 << 20))
    let land = FilingOperation.land(id, path: Array("m/v".utf8), mtime: 5)
    func begin() throws -> StagedContent {
      let staged = try fixture.replica.stage(id, size: 5 << 20)
      for offset in 0..<2 { try staged.write(.block(0), offset: UInt64(offset), [1]) }
      return staged
    }
    var writers = [try begin(), try begin()]
    while !writers.isEmpty {
      #expect(fixture.replica.commit([land], isRepeat: true) == [.sourceChanged])
      #expect(try fixture.replica.stagedContents().map(\.0) == [id])
      writers.removeLast()
    }
    #expect(fixture.replica.commit([land], isRepeat: true) == [.sourceChanged])
    #expect(try fixture.replica.stagedContents().isEmpty)
  }
}
