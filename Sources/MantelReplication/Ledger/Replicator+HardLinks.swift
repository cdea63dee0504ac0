import MantelCore

/// A file that is changed under one of its names is changed under all, and the system tells of the one name only: the
/// others are looked at, so that none of them goes on as a copy of bytes that are gone.
extension Replicator {
  /// The first sign of a change of a published file. Its other names show it as well, and come here too: they are looked
  /// at once for a change, not once for each of them.
  mutating func lookAtOtherNames(of file: LedgerFile, seen stamp: FileStamp) throws(StoreError) {
    guard max(file.stamp.linkCount, stamp.linkCount) > 1 else { return }
    let inode = file.stamp.inode
    guard ledger.linkedLooks[inode]?.isSame(as: stamp) != true else { return }
    ledger.linkedLooks[inode] = stamp
    for other in try store.linkedFiles(inode: inode) { look(at: other, butNot: file) }
  }

  /// A file was hashed that has other names. One of them, of the same bytes, may be from a time when it had none: making
  /// a link tells nothing to the old name.
  mutating func lookAtOtherNames(of file: LedgerFile) throws(StoreError) {
    guard file.stamp.linkCount > 1, let content = file.content else { return }
    for other in try store.ownFiles(of: content)
    where other.stamp.inode == file.stamp.inode && other.stamp.linkCount == 1 {
      look(at: other, butNot: file)
    }
  }

  private mutating func look(at other: LedgerFile, butNot file: LedgerFile) {
    guard (other.folder, other.path) != (file.folder, file.path) else { return }
    actions.append(.look(other.folder, other.path))
  }
}
