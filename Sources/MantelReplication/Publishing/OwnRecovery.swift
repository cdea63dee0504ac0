import MantelCore

/// This machine has published more than its catalog knows: the catalog is an old backup, or a new one after a loss.
///
/// Nothing is published meanwhile. What it did publish is fetched from whoever has it, as any other library; then the
/// history goes on in the next epoch, so that no place in the order ever gets a second head.
struct OwnRecovery: Sendable {
  /// The newest head of the own library that the guard file or a peer has shown.
  var known: Head

  /// Whether a head may be taken for the end of the history: nothing newer was ever seen, or nobody is left to ask.
  func isEnd(_ order: HeadOrder, isAnyUnheard: Bool) -> Bool { order >= known.order || !isAnyUnheard }
}

extension FileStamp {
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
