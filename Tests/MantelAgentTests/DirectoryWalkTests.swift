import MantelCore
import MantelReplication
import Synchronization
import Testing

@testable import MantelAgent

/// A walk through a tree that is made up, with listings that end when the test says.
@Suite(.timeLimit(.minutes(1))) struct DirectoryWalkTests {
  /// Subdirectories by directory.
  private static let tree = ["": ["a", "b", "c", "d"], "a": ["a/1", "a/2"], "b": ["b/1"]]

  /// What a walk did, in order.
  private final class Record: Sendable {
    struct State {
      var begun: [String] = []
      var ended: [String] = []
      var told: [String] = []
      /// Directories that were begun and not told of at the time when this one was, itself included.
      var open: [String: Int] = [:]
      var refused: Set<String> = []
      var pauses = 0
    }
    let state = Mutex(State())
  }
  private struct Unlisted: Error {}

  private static func name(_ directory: [UInt8]) -> String { String(decoding: directory, as: UTF8.self) }

  private static func sight(of directory: String, files: Int = 0) -> DirectorySight {
    let stamp = FileStamp(size: 0, mtime: 0, ctime: 0, inode: 0, device: 0)
    return DirectorySight(
      directory: Array(directory.utf8), files: Array(repeating: (path: [], stamp: stamp), count: files),
      skipped: [], subdirectories: (tree[directory] ?? []).map { Array($0.utf8) })
  }

  /// `list` is what a listing takes, before it ends with `files`, or throws.
  private static func walk(
    _ record: Record, files: [String: Int] = [:],
    list: @escaping @Sendable (String) async throws -> Void = { _ in }
  ) -> DirectoryWalk {
    DirectoryWalk(
      begin: { directory in
        let name = Self.name(directory)
        return record.state.withLock { state in
          // Once.
          if state.refused.remove(name) != nil { return false }
          state.begun.append(name)
          return true
        }
      },
      list: { directory in
        let name = Self.name(directory)
        defer { record.state.withLock { $0.ended.append(name) } }
        try await list(name)
        return Self.sight(of: name, files: files[name] ?? 0)
      },
      tell: { directory, listing in
        let name = Self.name(directory)
        record.state.withLock { state in
          state.open[name] = state.begun.count - state.told.count
          state.told.append(name)
        }
        if case .failure = listing { return false }
        return true
      },
      pause: { record.state.withLock { $0.pauses += 1 } })
  }

  @Test func severalAreListedAtOnceAndToldOfInOrder() async {
    let record = Record()
    let (aheadHasBegun, latch) = AsyncStream.makeStream(of: Void.self)
    let walk = Self.walk(record) { name in
      // Ends only when its neighbour is being listed too, which so ends before it.
      if name == "a" { for await _ in aheadHasBegun {} }
      if name == "b" { latch.finish() }
    }
    #expect(await walk.run(from: []))
    let state = record.state.withLock { $0 }
    #expect(state.begun == ["", "a", "b", "a/1", "b/1", "a/2", "c", "d"])
    #expect(state.told == state.begun)
    #expect(state.open.values.max() == DirectoryWalk.ahead + 1)
  }

  /// Two of them are in memory, whatever comes.
  @Test func oneIsListedBesideALargeOne() async {
    let record = Record()
    let walk = Self.walk(record, files: ["b": DirectoryWalk.manyFiles + 1])
    #expect(await walk.run(from: []))
    let open = record.state.withLock { $0.open }
    #expect(open["a"] == 3 && open["b"] == 2 && open["a/1"] == 3)
  }

  @Test func whatIsRefusedComesInItsTurn() async {
    let record = Record()
    record.state.withLock { $0.refused = ["", "b", "d"] }
    #expect(await Self.walk(record).run(from: []))
    let state = record.state.withLock { $0 }
    #expect(Set(state.told) == ["", "a", "b", "c", "d", "a/1", "a/2", "b/1"])
    #expect(state.told == state.begun)
    #expect(state.pauses >= 1 && state.refused.isEmpty)
  }

  @Test func whatCannotBeListedEndsNothing() async {
    let record = Record()
    let walk = Self.walk(record) { name in
      guard name != "a" else { throw Unlisted() }
    }
    #expect(await walk.run(from: []) == false)
    #expect(record.state.withLock { $0.told } == ["", "a", "b", "c", "b/1", "d"])
  }

  @Test func aStopEndsAWalkAndItsListings() async {
    let record = Record()
    let (begun, latch) = AsyncStream.makeStream(of: Void.self)
    let walk = Self.walk(record) { name in
      guard name != "" else { return }
      if name == "b" { latch.finish() }
      // Until it is cancelled itself.
      let (never, end) = AsyncStream.makeStream(of: Void.self)
      for await _ in never {}
      end.finish()
      try Task.checkCancellation()
    }
    let walking = Task { await walk.run(from: []) }
    for await _ in begun {}
    walking.cancel()
    #expect(await walking.value == false)
    let state = record.state.withLock { $0 }
    #expect(state.told == [""])
    #expect(Set(state.ended) == Set(state.begun) && state.ended.count == 3)
  }
}
