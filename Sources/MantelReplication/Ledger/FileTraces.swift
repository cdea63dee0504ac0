import MantelCore

/// By what files are told again under another name before their bytes are read: a move keeps inode, size and mtime; a
/// move to another filesystem, or a copy that keeps times, the latter two.
struct FileTraces {
  private struct Trace: Hashable {
    var size: UInt64
    var mtime: Int64
  }

  private var inodes: Set<UInt64> = []
  private var traces: Set<Trace> = []

  init(_ stamps: some Sequence<FileStamp>) {
    for stamp in stamps where stamp != .unknown {
      inodes.insert(stamp.inode)
      traces.insert(Trace(size: stamp.size, mtime: stamp.mtime))
    }
  }

  func union(_ other: Self) -> Self {
    var all = self
    all.inodes.formUnion(other.inodes)
    all.traces.formUnion(other.traces)
    return all
  }

  /// Whether one of the files may be the one that had this stamp.
  func contains(_ stamp: FileStamp) -> Bool {
    stamp != .unknown
      && (inodes.contains(stamp.inode) || traces.contains(Trace(size: stamp.size, mtime: stamp.mtime)))
  }
}
