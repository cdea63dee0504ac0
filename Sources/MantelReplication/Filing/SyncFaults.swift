import MantelCore

/// Whether the replica's disk still keeps what is written to it. A failed fsync is final for its batch: the kernel takes the pages
/// for clean afterwards, and what was to be landed is fetched again. On a disk that is dying that has no end. Pure.
struct SyncFaults: Sendable {
  /// Since the start, and since the replica was mounted. One that succeeds says nothing of what the next one loses.
  private(set) var batches = 0

  /// ENOSPC and EDQUOT: some filesystems tell that they are full only then.
  private static let isFull: Set<Int32> = [28, 122]

  mutating func ended(_ results: [FilingResult]) {
    let hasFailed = results.contains { result in
      guard case .failed(let failure) = result else { return false }
      return failure.code == .sync && !Self.isFull.contains(failure.errno)
    }
    if hasFailed { batches += 1 }
  }
}
