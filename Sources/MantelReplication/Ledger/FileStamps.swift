import MantelCore

/// What stamps that were never of a file stand for, and how far one can be trusted.
extension FileStamp {
  /// Of no file: one that is there differs from it.
  static let unknown = FileStamp(size: 0, mtime: 0, ctime: 0, inode: 0, device: 0)

  /// Coarse clocks stand still for so long (FAT), and show times that are whole multiples of the finer one (exFAT).
  private static let coarsestTick: Int64 = 2_000_000_000
  private static let finestCoarseTick: Int64 = 10_000_000

  /// Whether a write from now on may leave the same stamp. Times ahead of the clock prove nothing either way.
  func mayHideChange(at now: WallTime) -> Bool {
    let age = now.nanoseconds.subtractingReportingOverflow(max(mtime, ctime)).partialValue
    return mtime % Self.finestCoarseTick == 0 && ctime % Self.finestCoarseTick == 0
      && (0..<Self.coarsestTick).contains(age)
  }

  /// Of a file that only an entry speaks of: like no file, but known by its size and time.
  init(of entry: Entry) {
    self.init(size: entry.size, mtime: entry.mtime, ctime: 0, inode: 0, device: 0)
  }

  /// No filesystem has an inode 0.
  var isOfEntry: Bool { inode == 0 && ctime == 0 && self != .unknown }

  /// Whether a file seen now may be the one that an entry spoke of, unchanged.
  func mayBe(_ seen: FileStamp) -> Bool {
    isSame(as: seen) || (isOfEntry && size == seen.size && mtime == seen.mtime)
  }
}
