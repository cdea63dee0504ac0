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
  /// The kernel sets a file's time of change when a write begins, and one call may write 2 GiB, to a slow disk: a sync that
  /// came in its middle has not seen its end. Also as old as a tick of the kernel's clock, and the tolerance.
  private static let margin: Int64 = 300_000_000_000

  static func now() -> SyncMoment {
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    return SyncMoment(
      wall: Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec), boot: Syncer.bootNanoseconds())
  }

  /// Whether a file that was changed last at `change`, as told `now`, was changed before this moment.
  func isAfter(_ change: Int64, now: SyncMoment) -> Bool {
    abs((now.wall - now.boot) - (wall - boot)) <= Self.tolerance && change < wall - Self.margin
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

  /// Whether what changed last at `change` (its ctime) was made durable by a sync since.
  func covers(_ device: UInt64, changed change: Int64) -> Bool {
    let now = clock()
    return filesystems.withLock { $0[device]?.last?.isAfter(change, now: now) ?? false }
  }

  /// Returns once a syncfs that began after the last change (`.max`: after this call) has ended: true if it reported no
  /// error. `file` lies on the filesystem.
  func sync(_ device: UInt64, through file: OpenFile, changed change: Int64 = .max) async -> Bool {
    let now = clock()
    let turn = await withCheckedContinuation { continuation in
      let mayLead = filesystems.withLock { filesystems in
        if filesystems[device]?.running?.isAfter(change, now: now) == true {
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
