import Glibc
import MantelCore
import Synchronization

/// When a sync began, by two clocks.
struct SyncMoment: Hashable, Sendable {
  /// Nanoseconds since 1970.
  var wall: Int64
  /// Since the boot.
  var boot: Int64

  /// A wall clock that was set by more than this in between makes times of change worthless.
  private static let tolerance: Int64 = 1_000_000_000
  /// As old as a tick of the kernel's clock and the tolerance, several times over.
  private static let margin: Int64 = 5_000_000_000
  /// The longest that one page of a write is held back while too much is unwritten (MAX_PAUSE in Linux's mm/page-writeback.c).
  private static let pagePause: Int64 = 200_000_000
  /// One call writes 2 GiB at most: however slow the disk, it is over by then.
  private static let longestWrite: Int64 = 300_000_000_000

  /// When a write that set a file's time of change has surely ended. The kernel sets it as the write begins, and a sync that
  /// comes in its middle has not seen its end: so many bytes as the file has may have followed, a page at a time.
  static func end(ofWriteAt change: Int64, size: UInt64) -> Int64 {
    let pages = Int64(min(size / 4_096, UInt64(longestWrite / pagePause))) + 1
    return change + margin + min(pages * pagePause, longestWrite)
  }

  static func now() -> SyncMoment {
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    return SyncMoment(
      wall: Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec), boot: Syncer.bootNanoseconds())
  }

  /// Whether what was written until `end` (see `end(ofWriteAt:size:)`), as told `now`, was written before this moment.
  func isAfter(_ end: Int64, now: SyncMoment) -> Bool {
    abs((now.wall - now.boot) - (wall - boot)) <= Self.tolerance && end < wall
  }
}

/// One syncfs for everybody who waits for one: a group closes when the sync before it ends, so that the slower the disk
/// is, the more files share a sync. A file that has not changed since a sync began needs no other: of a folder that has
/// long been on the disk all files share one.
final class GroupSync: Sendable {
  private enum Turn: Sendable {
    /// To sync for all who come until then.
    case lead
    case synced(Bool)
  }
  private struct Filesystem {
    var isSyncing = false
    /// When the sync that runs began, and who needs no later one.
    var running: SyncMoment?
    var joined: [CheckedContinuation<Turn, Never>] = []
    /// When the last sync that ended well began.
    var last: SyncMoment?
    var next: [CheckedContinuation<Turn, Never>] = []
    /// The last sync wrote much that is not ours; boot time in nanoseconds.
    var restsUntil: Int64 = 0
  }

  private let pool: BlockingPool
  private let calls: DiskCalls
  private let canSyncfs: Bool
  private let clock: @Sendable () -> SyncMoment
  private let filesystems = Mutex<[UInt64: Filesystem]>([:])

  init(
    pool: BlockingPool, calls: DiskCalls, clock: @escaping @Sendable () -> SyncMoment = { SyncMoment.now() }
  ) {
    self.pool = pool
    self.calls = calls
    self.clock = clock
    canSyncfs = Syncer.syncfsReportsErrors()
  }

  /// Whether a filesystem is better synced file by file for now.
  func rests(_ device: UInt64) -> Bool {
    guard canSyncfs else { return true }
    return filesystems.withLock { $0[device].map { Syncer.bootNanoseconds() < $0.restsUntil } ?? false }
  }

  /// Whether what was written until `end` (of `SyncMoment.end(ofWriteAt:size:)`) was made durable by a sync since.
  func covers(_ device: UInt64, writtenUntil end: Int64) -> Bool {
    let now = clock()
    return filesystems.withLock { $0[device]?.last?.isAfter(end, now: now) ?? false }
  }

  /// Returns once a syncfs that began after the last write (`.max`: after this call) has ended: true if it reported no
  /// error. `file` lies on the filesystem.
  func sync(_ device: UInt64, through file: OpenFile, writtenUntil end: Int64 = .max) async -> Bool {
    let now = clock()
    let turn = await withCheckedContinuation { continuation in
      let mayLead = filesystems.withLock { filesystems in
        if filesystems[device]?.running?.isAfter(end, now: now) == true {
          filesystems[device]?.joined.append(continuation)
          return false
        }
        guard filesystems[device, default: Filesystem()].isSyncing else {
          filesystems[device, default: Filesystem()].isSyncing = true
          return true
        }
        filesystems[device]?.next.append(continuation)
        return false
      }
      if mayLead { continuation.resume(returning: Turn.lead) }
    }
    switch turn {
    case .synced(let isDurable): return isDurable
    case .lead: return await lead(device, through: file)
    }
  }

  /// How many wait for the next sync of a filesystem; for tests.
  func waiting(_ device: UInt64) -> Int { filesystems.withLock { $0[device]?.next.count ?? 0 } }

  /// How many more wait for the one that runs; for tests.
  func joined(_ device: UInt64) -> Int { filesystems.withLock { $0[device]?.joined.count ?? 0 } }

  private func lead(_ device: UInt64, through file: OpenFile) async -> Bool {
    let began = clock()
    var group = filesystems.withLock { filesystems in
      let group = filesystems[device]?.next ?? []
      filesystems[device]?.next = []
      filesystems[device]?.running = began
      return group
    }
    var isDurable = false
    do {
      let (outcome, nanoseconds) = try await pool.run { [calls] in
        let start = Syncer.bootNanoseconds()
        let outcome = calls.syncfs(file.descriptor)
        // syncfs says yes on a filesystem that an error has made read-only, and before Linux 5.17 keeps a failed journal to
        // itself; the fsync of one file of the group says so.
        return (outcome < 0 ? outcome : calls.fsync(file.descriptor), Syncer.bootNanoseconds() - start)
      }
      isDurable = outcome >= 0
      if nanoseconds > Syncer.slow.inNanoseconds {
        filesystems.withLock {
          $0[device]?.restsUntil = Syncer.bootNanoseconds() + Syncer.rest.inNanoseconds
        }
      }
    } catch {
      // The pool closes: nothing was made durable.
      isDurable = false
    }
    let isWell = isDurable
    let (joined, leader) = filesystems.withLock { filesystems in
      let joined = filesystems[device]?.joined ?? []
      filesystems[device]?.joined = []
      filesystems[device]?.running = nil
      if isWell { filesystems[device]?.last = began }
      return (joined, nextLeader(of: device, &filesystems))
    }
    group += joined
    for member in group { member.resume(returning: .synced(isDurable)) }
    leader?.resume(returning: .lead)
    return isDurable
  }

  private func nextLeader(
    of device: UInt64, _ filesystems: inout [UInt64: Filesystem]
  ) -> CheckedContinuation<Turn, Never>? {
    guard let first = filesystems[device]?.next.first else {
      filesystems[device]?.isSyncing = false
      return nil
    }
    filesystems[device]?.next.removeFirst()
    return first
  }
}
