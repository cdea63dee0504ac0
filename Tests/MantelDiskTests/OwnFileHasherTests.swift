import Glibc
import MantelCore
import Synchronization
import Testing

@testable import MantelDisk

/// Hashing many own files, and making them durable together.
@Suite struct OwnFileHasherTests {
  /// Clocks that stand still, when the files have just been written.
  private final class Clocks: Sendable {
    private let now: Mutex<SyncMoment>

    init(at change: Int64) { now = Mutex(SyncMoment(wall: change, boot: 0)) }

    var moment: SyncMoment { now.withLock { $0 } }

    func pass(_ duration: Duration) {
      now.withLock {
        $0.wall += duration.inNanoseconds
        $0.boot += duration.inNanoseconds
      }
    }

    func setWall(ahead duration: Duration) { now.withLock { $0.wall += duration.inNanoseconds } }
  }

  private struct Desk {
    let scratch: Scratch
    let faults = FaultyCalls()
    let hashing = BlockingPool(threads: 2, queueLimit: 8)
    let syncing = BlockingPool(threads: 1, queueLimit: 8)
    let hasher: OwnFileHasher
    let clocks: Clocks

    init(files: [String]) throws {
      scratch = try Scratch()
      for name in files { try scratch.write(name, "bytes of \(name)") }
      let last = try FileReader.stat(root: scratch.root, path: Array((files.last ?? "").utf8))
      let clocks = Clocks(at: last.stamp.ctime)
      self.clocks = clocks
      hasher = OwnFileHasher(hashing: hashing, syncing: syncing, calls: faults.calls) { clocks.moment }
    }

    func hash(_ names: [String]) async throws -> [Result<HashedFile, DiskError>] {
      try await hasher.hash(root: scratch.root, paths: names.map { Array($0.utf8) }) { true }
    }

    func count(_ call: String) -> Int { faults.log.count { $0 == call } }

    func close() async throws {
      try await hashing.close()
      try await syncing.close()
    }
  }

  private static let names = (0..<40).map { "\($0.isMultiple(of: 2) ? "even" : "odd")/f\($0)" }

  @Test func manyFilesShareASync() async throws {
    let desk = try Desk(files: Self.names)
    let results = try await desk.hash(Self.names)
    for (name, result) in zip(Self.names, results) {
      let file = try result.get()
      #expect(file.content == content(Array("bytes of \(name)".utf8)))
      #expect(file.isDurable && file.isStable)
    }
    #expect(desk.count("syncfs") == 1)
    // One for the group: it tells what syncfs keeps to itself.
    #expect(desk.count("fsync") == 1)
    // Each is asked for its own write errors.
    #expect(desk.count("writeOut") == Self.names.count)
    try await desk.close()
  }

  @Test func aFewAreSyncedByThemselves() async throws {
    let desk = try Desk(files: ["a", "b"])
    #expect(try await desk.hash(["a", "b"]).allSatisfy { try $0.get().isDurable })
    #expect(desk.count("fsync") == 2)
    #expect(desk.count("syncfs") == 0)
    try await desk.close()
  }

  /// What is not there, or lost bytes, is told of that file alone.
  @Test func oneBadFileDoesNotCondemnTheRest() async throws {
    let desk = try Desk(files: Self.names)
    let writeOuts = Counter()
    desk.faults.fail { call, _ in call == "writeOut" && writeOuts.next() == 3 ? EIO : nil }
    let results = try await desk.hash(["missing"] + Self.names)
    #expect(results[0].failure?.code == .notFound)
    #expect(results[3].failure?.code == .notDurable)
    for place in results.indices where place != 0 && place != 3 {
      #expect(try results[place].get().isDurable)
    }
    try await desk.close()
  }

  /// A sync of the filesystem that fails, for whatever file, says nothing of ours: each is asked.
  @Test func afterAFailedSyncEachFileIsSynced() async throws {
    let desk = try Desk(files: Self.names)
    let fsyncs = Counter()
    desk.faults.fail { call, _ in
      call == "syncfs" || call == "fsync" && fsyncs.next() == 1 ? EIO : nil
    }
    let results = try await desk.hash(Self.names)
    #expect(results[0].failure?.code == .notDurable)
    for result in results.dropFirst() { #expect(try result.get().isDurable) }
    #expect(desk.count("fsync") == Self.names.count)
    try await desk.close()
  }

  /// A file that took the name meanwhile is not the one that was hashed.
  @Test func aFileThatWasReplacedBeforeItsSyncHasChanged() async throws {
    let desk = try Desk(files: Self.names)
    desk.faults.fail { [scratch = desk.scratch] call, _ in
      guard call == "syncfs" else { return nil }
      try? scratch.write("even/f0.new", "other")
      _ = scratch.path("even/f0").withCString { old in
        scratch.path("even/f0.new").withCString { rename($0, old) }
      }
      return EIO
    }
    let results = try await desk.hash(Self.names)
    #expect(results[0].failure?.code == .changed)
    #expect(try results[1].get().isDurable)
    try await desk.close()
  }

  /// Where syncs of one file's pages cannot be had, each file is synced as before.
  @Test func withoutWritingOutEachFileIsSynced() async throws {
    let desk = try Desk(files: Self.names)
    desk.faults.fail { call, _ in call == "writeOut" ? ENOSYS : nil }
    #expect(try await desk.hash(Self.names).allSatisfy { try $0.get().isDurable })
    #expect(desk.count("fsync") == Self.names.count)
    try await desk.close()
  }

  /// Whoever comes while a sync is under way waits for the next one, which began later; all of them for the same one.
  @Test func aGroupClosesWhenTheSyncBeforeItEnds() async throws {
    let desk = try Desk(files: ["a"])
    let (gate, syncs) = (Gate(), Counter())
    desk.faults.fail { call, _ in
      if call == "syncfs", syncs.next() == 1 { gate.wait() }
      return nil
    }
    let groups = GroupSync(pool: desk.syncing, calls: desk.faults.calls)
    let file = try Directory(root: desk.scratch.root).file
    await withTaskGroup(of: Bool.self) { tasks in
      tasks.addTask { await groups.sync(1, through: file) }
      await eventuallyTrue { syncs.count == 1 }
      for _ in 0..<5 { tasks.addTask { await groups.sync(1, through: file) } }
      await eventuallyTrue { groups.waiting(1) == 5 }
      gate.open()
      for await isDurable in tasks { #expect(isDurable) }
    }
    #expect(syncs.count == 2)
    try await desk.close()
  }

  /// A scan of files that have long been on the disk syncs it once.
  @Test func whatHasNotChangedSinceASyncNeedsNoOther() async throws {
    let desk = try Desk(files: Self.names)
    try #require(FilesystemFacts.traits(of: Directory(root: desk.scratch.root).file).tellsChanges)
    let (first, second) = (Array(Self.names.prefix(20)), Array(Self.names.suffix(20)))
    _ = try await desk.hash(first)
    _ = try await desk.hash(first)
    #expect(desk.count("syncfs") == 2, "too young for the clocks to tell")
    desk.clocks.pass(.seconds(600))
    #expect(try await desk.hash(first).allSatisfy { try $0.get().isDurable })
    #expect(try await desk.hash(second).allSatisfy { try $0.get().isDurable })
    #expect(desk.count("syncfs") == 3, "neither had changed since it began")
    #expect(desk.count("writeOut") == 80, "each is asked for its own write errors all the same")
    // The clock was set: times of change tell nothing.
    desk.clocks.setWall(ahead: .seconds(3_600))
    #expect(try await desk.hash(second).allSatisfy { try $0.get().isDurable })
    #expect(desk.count("syncfs") == 4)
    try await desk.close()
  }

  /// A file's time of change is that of a write's beginning: its end may have come after the sync.
  @Test func aWriteMayTakeLong() {
    let sync = SyncMoment(wall: 10_000_000_000_000, boot: 0)
    func isCovered(size: UInt64, secondsOld: Int64) -> Bool {
      sync.isAfter(
        SyncMoment.end(ofWriteAt: sync.wall - secondsOld * 1_000_000_000, size: size), now: sync)
    }
    #expect(!isCovered(size: 30_000, secondsOld: 5))
    #expect(isCovered(size: 30_000, secondsOld: 7), "eight pages, of which each may wait for 0.2 s")
    #expect(!isCovered(size: 1 << 20, secondsOld: 50))
    #expect(isCovered(size: 1 << 20, secondsOld: 60))
    #expect(!isCovered(size: .max, secondsOld: 300))
    #expect(isCovered(size: .max, secondsOld: 310), "no single write takes longer")
  }

  @Test func aSyncThatFailedCoversNothing() async throws {
    let desk = try Desk(files: Self.names)
    desk.clocks.pass(.seconds(600))
    let syncs = Counter()
    desk.faults.fail { call, _ in call == "syncfs" && syncs.next() == 1 ? EIO : nil }
    for _ in 1...3 { _ = try await desk.hash(Self.names) }
    #expect(syncs.count == 2, "the one that failed, and one more")
    try await desk.close()
  }

  /// Whoever has not changed since a running sync began waits for that one, and for how it ends.
  @Test(arguments: [true, false]) func theUnchangedJoinTheRunningSync(isWell: Bool) async throws {
    let desk = try Desk(files: ["a"])
    let (gate, syncs) = (Gate(), Counter())
    desk.faults.fail { call, _ in
      if call == "syncfs", syncs.next() == 1 {
        gate.wait()
        return isWell ? nil : EIO
      }
      return nil
    }
    let groups = GroupSync(pool: desk.syncing, calls: desk.faults.calls)
    let file = try Directory(root: desk.scratch.root).file
    let old = SyncMoment.now().wall - 3_600_000_000_000
    await withTaskGroup(of: Bool.self) { tasks in
      tasks.addTask { await groups.sync(1, through: file) }
      await eventuallyTrue { syncs.count == 1 }
      for _ in 0..<3 { tasks.addTask { await groups.sync(1, through: file, writtenUntil: old) } }
      await eventuallyTrue { groups.joined(1) == 3 }
      gate.open()
      for await isDurable in tasks { #expect(isDurable == isWell) }
    }
    #expect(syncs.count == 1)
    #expect(groups.covers(1, writtenUntil: old) == isWell)
    try await desk.close()
  }

  private func eventuallyTrue(_ condition: () -> Bool) async {
    while !condition() { await Task.yield() }
  }
}

private final class Counter: Sendable {
  private let value = Mutex(0)

  var count: Int { value.withLock { $0 } }

  func next() -> Int {
    value.withLock {
      $0 += 1
      return $0
    }
  }
}

/// Holds a thread up until it is opened.
private final class Gate: Sendable {
  private let isOpen = Atomic(false)

  func open() { isOpen.store(true, ordering: .releasing) }
  func wait() { while !isOpen.load(ordering: .acquiring) { sched_yield() } }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

extension [UInt8] {
  fileprivate func withCString<Value>(_ body: (UnsafePointer<CChar>) -> Value) -> Value {
    withName(self, body)
  }
}
