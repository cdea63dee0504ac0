import Glibc
import MantelCore
import Synchronization

/// Makes a batch durable the cheaper way: a few files each by itself and side by side, many by one syncfs.
final class Syncer: Sendable {
  private struct State {
    /// Opened before the bytes of a batch are written, so that syncfs reports every error since.
    var watched: OpenFile?
    var restsUntil: Int64 = 0
    var failedSyncfs: UInt64 = 0
  }

  /// From this many files on, one syncfs takes the place of their fsyncs.
  static let manyFiles = 32
  /// fsyncs under way at once.
  private static let width = 8
  /// A syncfs that took longer writes other programs' data too: then files are synced by themselves for a while.
  static let slow: Duration = .seconds(1)
  static let rest: Duration = .seconds(30)

  private let calls: DiskCalls
  private let state = Mutex(State())
  private let canSyncfs: Bool

  init(calls: DiskCalls) {
    self.calls = calls
    canSyncfs = Self.syncfsReportsErrors()
  }

  /// Begins to watch a filesystem for write errors, if nobody does yet.
  func watch(_ directory: Directory) {
    state.withLock { if $0.watched == nil { $0.watched = directory.file } }
  }

  /// How often a syncfs has failed. It tells an error once, of whatever was written since the watch began, for whichever batch:
  /// bytes that were written before this number changed may be lost, and no later syncfs says so.
  var failedSyncfs: UInt64 { state.withLock { $0.failedSyncfs } }

  /// Lets the filesystem go, so that it can be unmounted.
  func unwatch() { state.withLock { $0.watched = nil } }

  /// Syncs `count` files that `open` finds (nil: nothing to sync there); the first error, negated, or 0. An error is
  /// final: never call again for the same bytes.
  func sync(_ count: Int, open: @escaping @Sendable (Int) throws(DiskError) -> OpenFile?) -> Int {
    syncEach(count, open: open).first { $0 < 0 } ?? 0
  }

  /// The same, and what came of each: its error, negated, or 0. That of a syncfs is everybody's.
  func syncEach(_ count: Int, open: @escaping @Sendable (Int) throws(DiskError) -> OpenFile?) -> [Int] {
    if count == 0 { return [] }
    if count > Self.manyFiles, let outcome = syncFilesystem() {
      return Array(repeating: outcome, count: count)
    }
    let work = SyncWork(count: count, calls: calls, open: open)
    if count == 1 { work.run(0) } else { WorkerThread.parallel(count, width: Self.width) { work.run($0) } }
    return work.outcomes
  }

  /// Nil when syncfs is not to be used now.
  private func syncFilesystem() -> Int? {
    let (file, restsUntil) = state.withLock { ($0.watched, $0.restsUntil) }
    let start = Self.bootNanoseconds()
    guard canSyncfs, let file, start >= restsUntil else { return nil }
    let outcome = calls.syncfs(file.descriptor)
    let end = Self.bootNanoseconds()
    state.withLock {
      if outcome < 0 { $0.failedSyncfs += 1 }
      if end - start > Self.slow.inNanoseconds { $0.restsUntil = end + Self.rest.inNanoseconds }
    }
    return min(0, outcome)
  }

  static func bootNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// syncfs tells of write errors since Linux 5.8; before, it may say yes to lost bytes.
  static func syncfsReportsErrors() -> Bool {
    var names = utsname()
    guard uname(&names) == 0 else { return false }
    let release = withUnsafeBytes(of: &names.release) { Array($0.prefix { $0 != 0 }) }
    let numbers = release.split { $0 < UInt8(ascii: "0") || $0 > UInt8(ascii: "9") }.prefix(2).map {
      Int(String(decoding: $0, as: UTF8.self)) ?? 0
    }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 8)
  }
}

/// The fsyncs of one batch, from several threads.
private final class SyncWork: Sendable {
  private let calls: DiskCalls
  private let open: @Sendable (Int) throws(DiskError) -> OpenFile?
  private let results: Mutex<[Int]>

  init(count: Int, calls: DiskCalls, open: @escaping @Sendable (Int) throws(DiskError) -> OpenFile?) {
    self.calls = calls
    self.open = open
    results = Mutex([Int](repeating: 0, count: count))
  }

  /// The error of each, negated, or 0.
  var outcomes: [Int] { results.withLock { $0 } }

  func run(_ index: Int) {
    let result: Int
    do throws(DiskError) {
      guard let file = try open(index) else { return }
      result = calls.fsync(file.descriptor)
    } catch {
      // What cannot be opened to be synced is not durable.
      result = -Int(error.errno == 0 ? EIO : error.errno)
    }
    if result < 0 { results.withLock { $0[index] = result } }
  }
}
