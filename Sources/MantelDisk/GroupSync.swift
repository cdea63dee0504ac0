import MantelCore
import Synchronization

/// One syncfs for everybody who waits for one: a group closes when the sync before it ends, so that the slower the disk
/// is, the more files share a sync.
final class GroupSync: Sendable {
  private enum Turn: Sendable {
    /// To sync for all who come until then.
    case lead
    case synced(Bool)
  }
  private struct Filesystem {
    var isSyncing = false
    var next: [CheckedContinuation<Turn, Never>] = []
    /// The last sync wrote much that is not ours; boot time in nanoseconds.
    var restsUntil: Int64 = 0
  }

  private let pool: BlockingPool
  private let calls: DiskCalls
  private let canSyncfs: Bool
  private let filesystems = Mutex<[UInt64: Filesystem]>([:])

  init(pool: BlockingPool, calls: DiskCalls) {
    self.pool = pool
    self.calls = calls
    canSyncfs = Syncer.syncfsReportsErrors()
  }

  /// Whether a filesystem is better synced file by file for now.
  func rests(_ device: UInt64) -> Bool {
    guard canSyncfs else { return true }
    return filesystems.withLock { $0[device].map { Syncer.bootNanoseconds() < $0.restsUntil } ?? false }
  }

  /// Returns once a syncfs that began after this call has ended: true if it reported no error. `file` lies on the
  /// filesystem.
  func sync(_ device: UInt64, through file: OpenFile) async -> Bool {
    let turn = await withCheckedContinuation { continuation in
      let mayLead = filesystems.withLock { filesystems in
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

  private func lead(_ device: UInt64, through file: OpenFile) async -> Bool {
    let group = filesystems.withLock { filesystems in
      let group = filesystems[device]?.next ?? []
      filesystems[device]?.next = []
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
    let leader: CheckedContinuation<Turn, Never>? = filesystems.withLock { filesystems in
      guard let first = filesystems[device]?.next.first else {
        filesystems[device]?.isSyncing = false
        return nil
      }
      filesystems[device]?.next.removeFirst()
      return first
    }
    for member in group { member.resume(returning: .synced(isDurable)) }
    leader?.resume(returning: .lead)
    return isDurable
  }
}
