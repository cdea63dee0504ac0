/// Files that were last hashed before a moment.
package struct RereadBacklog: Hashable, Sendable {
  package var files: Int
  package var bytes: UInt64
  /// The earliest of their last reads; nil without files.
  package var oldest: WallTime?

  package init(files: Int = 0, bytes: UInt64 = 0, oldest: WallTime? = nil) {
    self.files = files
    self.bytes = bytes
    self.oldest = oldest
  }

  package static func + (left: Self, right: Self) -> Self {
    RereadBacklog(
      files: left.files + right.files, bytes: left.bytes + right.bytes,
      oldest: [left.oldest, right.oldest].compactMap(\.self).min())
  }
}

/// Where a page of files in the order of their last reads ended. Opaque: made by the store.
package struct RereadPosition: Hashable, Sendable {
  package var verified: Int64
  package var size: Int64
  /// A number for replica files, the key for own ones.
  package var ref: Int64
  package var folder: [UInt8]
  package var path: [UInt8]

  package init(verified: Int64, size: Int64, ref: Int64 = 0, folder: [UInt8] = [], path: [UInt8] = []) {
    self.verified = verified
    self.size = size
    self.ref = ref
    self.folder = folder
    self.path = path
  }
}

/// A replica file whose bytes were just found right.
package struct VerifiedFile: Hashable, Sendable {
  package var path: [UInt8]
  package var content: ContentID
  /// Other names of this file were read with it.
  package var inode: UInt64

  package init(_ file: ReplicaFile) {
    path = file.path
    content = file.content
    inode = file.stamp.inode
  }
}

/// What re-reading and healing need of a catalog; rules as for `HouseholdStore`.
package protocol ScrubStore: AnyObject {
  // MARK: What was read when

  /// Replica files (of one library) that were last hashed before a moment, the longest ago first.
  func replicaFiles(
    of library: MachineID?, verifiedBefore time: WallTime, after: RereadPosition?, limit: Int
  ) throws(StoreError) -> (files: [ReplicaFile], last: RereadPosition?)
  func replicaBacklog(of library: MachineID?, before time: WallTime) throws(StoreError) -> RereadBacklog
  /// Published files of folders that are not removed, by when they were last hashed.
  func ownFiles(verifiedBefore time: WallTime, after: RereadPosition?, limit: Int) throws(StoreError)
    -> (files: [LedgerFile], last: RereadPosition?)
  func ownBacklog(before time: WallTime) throws(StoreError) -> RereadBacklog
  /// When the replica file that was not hashed for longest was; nil without any.
  func oldestVerification() throws(StoreError) -> WallTime?
  /// Files that are not any more what was read are passed over.
  func setVerified(
    _ files: [VerifiedFile], own: [(folder: FolderID, path: [UInt8], content: ContentID)], at time: WallTime
  ) throws(StoreError)
  /// What was read in a future that a wrong clock showed counts as never read.
  func forgetVerifications(after time: WallTime) throws(StoreError)

  // MARK: What was wrong

  /// Takes files out of the replica's rows and reports them, in one transaction. `missing` follows.
  func condemn(_ files: [BadFile]) throws(StoreError)
  /// Nothing bad is in the way at a path any more; `aside` is where it lies now.
  func settleBadFile(at path: [UInt8], aside: [UInt8]?) throws(StoreError)
  func markHealed(_ contents: [ContentID], at time: WallTime) throws(StoreError)
  /// Nobody wants these contents any more: their reports are over, and nobody is told of a healing.
  func endReports(of contents: [ContentID], at time: WallTime) throws(StoreError)
  /// Reports in the order in which they were made, after one of an earlier page.
  func badFiles(after: Int64?, limit: Int) throws(StoreError) -> [(number: Int64, file: BadFile)]
  /// Those that are not healed, or still in the way.
  func openBadFiles(after: Int64?, limit: Int) throws(StoreError) -> [(number: Int64, file: BadFile)]
  func badFileCounts(healedSince: WallTime) throws(StoreError) -> BadFileCounts
  /// Healed reports are not counted from now on.
  func acknowledgeBadFiles() throws(StoreError)
  /// Forgets reports of which nothing is to be told or done any more, of the next `limit` after one: first seen healed here before
  /// a moment, acknowledged, and with nothing in the way or set aside. Returns the last of them all; nil at the end.
  func purgeBadFiles(
    seenHealedBefore moment: AgentTime, now: AgentTime, after: Int64?, limit: Int
  ) throws(StoreError) -> Int64?
  /// Own files of suspected rot, by folder and path.
  func suspectedFiles(limit: Int) throws(StoreError) -> [LedgerFile]
  func suspectedCount() throws(StoreError) -> Int
}
