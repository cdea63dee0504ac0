import CMantelSystem
import Glibc
package import MantelCore
import Synchronization

/// This machine's copies of the other machines' photos: ordinary files below a root.
///
/// Every path below the root is walked component by component and never through a symlink; every call first makes sure
/// that the root is the replica that was opened (its marker, its filesystem), and throws `.notMounted` if not.
/// Thread-safe; calls block: run them on a `BlockingPool`.
package final class Replica: Sendable {
  struct Place: Hashable {
    var device: UInt64
    var inode: UInt64
  }
  /// A staged content whose hash was checked by this process.
  struct VerifiedStage {
    var size: UInt64
    /// The descriptor that the bytes were written through: its fsync reports errors that a new one may miss.
    var file: OpenFile?
    /// How often a syncfs had failed (`Syncer.failedSyncfs`) before the bytes were written.
    var failedSyncfs: UInt64
  }
  /// Whether copies within the filesystem shared their bytes, when it was tried there.
  struct Sharing {
    var place: Place
    var isShared: Bool
  }
  struct State {
    var place: Place?
    var sharing: Sharing?
    var verified: [ContentID: VerifiedStage] = [:]
    /// Contents that are being written into the staging area under their names.
    var reserved: Set<ContentID> = []
    /// Large contents whose blocks are being written there, by how many values.
    var blocksUnderWay: [ContentID: Int] = [:]
    var keptFiles = 0
    var lastTemporary: UInt64 = 0
    /// Contents that are being written.
    var openStages = 0
  }

  /// Absolute path, bytes.
  package let root: [UInt8]
  package let marker: ReplicaMarker
  let calls: DiskCalls
  let state = Mutex(State())
  let commitLock = Mutex(())
  let syncer: Syncer

  static let directoryName = Array(".mantel".utf8)
  static let stagingPath = Array(".mantel/staging".utf8)
  package static let trashPath = Array(".mantel/trash".utf8)
  private static let parked = trashPath + Array("/parked/".utf8)
  private static let markerName = Array("marker".utf8)
  /// Of names in the staging area that no content has.
  private static let temporaryPrefix = Array("part-".utf8)
  /// Descriptors of verified contents that are kept for their fsync; more are synced by syncfs anyway.
  private static let keptFilesLimit = 256

  private init(root: [UInt8], marker: ReplicaMarker, calls: DiskCalls) {
    self.root = root
    self.marker = marker
    self.calls = calls
    syncer = Syncer(calls: calls)
  }

  /// Opens the replica at `root`. Without a marker there: with `create` an empty or missing directory becomes a
  /// replica of `machine` (root 0700), one that holds something throws `.exists`; without `create` throws
  /// `.notMounted`. Throws `.foreign` for another machine's replica and `.notMounted` when the marker lies on another
  /// filesystem than it says, `.remote` where no disk of this machine is. Leftovers of copies in the staging area go
  /// where they can be removed; staged contents stay.
  package static func open(
    root: [UInt8], machine: MachineID, create: Bool, calls: DiskCalls = .system
  ) throws(DiskError) -> Replica {
    let absent = DiskError(.notMounted, path: root, operation: "open replica")
    var directory: Directory
    do {
      directory = try Directory(root: root)
    } catch {
      guard error.code == .notFound else { throw error }
      guard create else { throw absent }
      directory = try makeRoot(root, calls: calls)
    }
    guard let marker = try readMarker(directory, path: root) else {
      guard create else { throw absent }
      guard try isVacant(directory) else { throw DiskError(.exists, path: root, operation: "create replica") }
      return try found(directory, root: root, machine: machine, calls: calls)
    }
    guard marker.machine == machine else { throw DiskError(.foreign, path: root, operation: "open replica") }
    guard try FilesystemFacts.identity(of: directory.file, path: root) == marker.filesystem else {
      throw absent
    }
    try requireLocalDisk(directory, root: root, calls: calls)
    let replica = Replica(root: root, marker: marker, calls: calls)
    try replica.tidyStaging()
    return replica
  }

  /// Makes the directory at `root` the replica of `machine`, with a new generation, whatever lies there: for `replica
  /// adopt`, whose caller then re-hashes it all. Throws `.notFound` if there is no directory.
  package static func adopt(
    root: [UInt8], machine: MachineID, calls: DiskCalls = .system
  ) throws(DiskError) -> Replica {
    try found(try Directory(root: root), root: root, machine: machine, calls: calls)
  }

  // MARK: Facts

  /// Bytes that may still be written.
  package var freeBytes: UInt64 {
    get throws(DiskError) { try FilesystemFacts.facts(of: mounted().file, path: root).free_bytes }
  }

  package var totalBytes: UInt64 {
    get throws(DiskError) { try FilesystemFacts.facts(of: mounted().file, path: root).total_bytes }
  }

  /// The filesystem that the replica was founded on.
  package var filesystemIdentity: [UInt8] { marker.filesystem }

  /// Throws `.notMounted` when the root is not this replica (any more).
  package func checkMounted() throws(DiskError) { _ = try mounted() }

  // MARK: Reading

  /// Up to `count` bytes of a replica file; see `FileReader.read`.
  package func read(
    path: [UInt8], offset: UInt64, count: Int, expecting: FileStamp? = nil
  ) throws(DiskError) -> [UInt8] {
    try FileReader.read(in: mounted(), path: path, offset: offset, count: count, expecting: expecting)
  }

  package func stamp(path: [UInt8]) throws(DiskError) -> FileStamp {
    let status = try mounted().status(path)
    guard status.isRegular else { throw DiskError(.notRegular, path: path, operation: "stat") }
    return status.stamp
  }

  /// Re-reads a replica file. With `fromDisk` its clean cached pages are dropped first, so that the disk answers.
  package func hash(
    path: [UInt8], fromDisk: Bool = false, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    let directory = try mounted()
    if fromDisk { try directory.openRegular(path).file.dropCache() }
    return try FileReader.hash(
      in: directory, path: path, fsync: false, calls: calls, shouldContinue: shouldContinue)
  }

  /// Hashes a file that somebody else has put here, as the disk has it: it is synced first, for what was copied lately may be
  /// in memory only. Throws `.sync` if that fails.
  package func hashDurable(
    path: [UInt8], shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    let file = try mounted().openRegular(path).file
    let outcome = calls.fsync(file.descriptor)
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "fsync") }
    return try hash(path: path, fromDisk: true, shouldContinue: shouldContinue)
  }

  /// Makes durable what names lie in a directory, and its own and those above it: somebody else may have made them.
  package func syncNames(in directory: [UInt8]) throws(DiskError) {
    let root = try mounted()
    var path = directory
    while !path.isEmpty {
      try Self.sync(try root.directory(path), path: path, calls: calls)
      path = FilingBatch.parentPath(path)
    }
    try Self.sync(root, path: [], calls: calls)
  }

  /// Only on its way from one name to another.
  package static func isParked(_ path: [UInt8]) -> Bool { path.starts(with: parked) }

  /// What lies in a directory of the replica (empty path: the root, without Mantel's own): for adopting and checking. An entry
  /// that cannot be looked at is among it, as unreadable and without a stamp.
  package func entries(in path: [UInt8]) throws(DiskError) -> [FileObservation] {
    let directory = try mounted().directory(path)
    var names: [[UInt8]] = []
    try directory.forEachEntry { name, _ in
      if !path.isEmpty || name != Self.directoryName { names.append(name) }
    }
    names.sort { $0.lexicographicallyPrecedes($1) }
    var observations: [FileObservation] = []
    for name in names {
      let below = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
      do throws(DiskError) {
        let status = try directory.entryStatus(name, path: below)
        observations.append(FileObservation(path: below, status: status))
      } catch {
        // The disk is gone, not the entry; or the entry is, since it was listed.
        if error.code == .notMounted { throw error }
        if error.errno == ENOENT { continue }
        let stamp = FileStamp(size: 0, mtime: 0, ctime: 0, inode: 0, device: 0)
        observations.append(
          FileObservation(path: below, stamp: stamp, type: .unreadable(errno: error.errno)))
      }
    }
    return observations
  }
}

extension Replica {
  /// The root, after a look that it is this replica still.
  func mounted() throws(DiskError) -> Directory {
    let absent = DiskError(.notMounted, path: root, operation: "open replica")
    let directory: Directory
    do {
      directory = try Directory(root: root)
    } catch {
      throw error.code == .notFound ? absent : error
    }
    let stamp = try directory.file.status(root).stamp
    let place = Place(device: stamp.device, inode: stamp.inode)
    // The marker file is looked for each time; its words are read again only in a place not seen before.
    let isKnown = state.withLock { $0.place == place }
    guard (try? directory.entryStatus(FolderWalker.markerPath, path: root)) != nil else { throw absent }
    if isKnown { return directory }
    // A copy of the replica on a network filesystem may be mounted over it, where neither has an identity.
    guard try Self.readMarker(directory, path: root) == marker,
      try FilesystemFacts.identity(of: directory.file, path: root) == marker.filesystem,
      calls.isOnLocalDisk(directory.descriptor) > 0
    else { throw absent }
    state.withLock { $0.place = place }
    return directory
  }

  func staging(_ root: Directory) throws(DiskError) -> Directory { try root.directory(Self.stagingPath) }

  /// `failedSyncfs` is that of the syncer before the first byte was written.
  func keep(_ content: ContentID, size: UInt64, file: OpenFile, failedSyncfs: UInt64) {
    state.withLock {
      let isKept = $0.keptFiles < Self.keptFilesLimit
      let stage = VerifiedStage(size: size, file: isKept ? file : nil, failedSyncfs: failedSyncfs)
      if $0.verified.updateValue(stage, forKey: content)?.file != nil { $0.keptFiles -= 1 }
      if isKept { $0.keptFiles += 1 }
    }
  }

  func forget(_ content: ContentID) {
    state.withLock {
      if $0.verified.removeValue(forKey: content)?.file != nil { $0.keptFiles -= 1 }
    }
  }

  func verified(_ content: ContentID) -> VerifiedStage? { state.withLock { $0.verified[content] } }

  /// A syncfs has failed since, perhaps because of these bytes: they are right, and may be in memory only.
  func isDoubted(_ stage: VerifiedStage) -> Bool { stage.failedSyncfs != syncer.failedSyncfs }

  /// A name in the staging area that no content has.
  func nextTemporaryName() -> [UInt8] {
    let number = state.withLock {
      $0.lastTemporary += 1
      return $0.lastTemporary
    }
    return Self.temporaryPrefix + Array("\(number)".utf8)
  }

  private func tidyStaging() throws(DiskError) {
    let root = try mounted()
    let control = try root.directory(Self.directoryName)
    try Self.makeStaging(control, calls: calls)
    dropOrphans(in: try staging(root))
  }

  /// Best effort, for the copies are there to be served whatever lies here: a disk that takes no writes, a directory that
  /// somebody else has made, or one bad name. What stays is tried again at the next start; its name is not given again.
  private func dropOrphans(in staging: Directory) {
    var orphans: [[UInt8]] = []
    // What was listed before a failure goes all the same.
    try? staging.forEachEntry { name, _ in
      if ContentID(hex: String(decoding: name, as: UTF8.self)) == nil { orphans.append(name) }
    }
    for name in orphans {
      let isGone = calls.unlink(staging.descriptor, name, false) >= 0
      // 32 bits: a name that somebody else made must not bring the count to its end.
      guard !isGone, name.starts(with: Self.temporaryPrefix),
        let number = UInt32(String(decoding: name.dropFirst(Self.temporaryPrefix.count), as: UTF8.self))
      else { continue }
      state.withLock { $0.lastTemporary = max($0.lastTemporary, UInt64(number)) }
    }
  }
}

// MARK: Founding

extension Replica {
  /// Creates the missing directories down to the root, each durable, each 0700.
  private static func makeRoot(_ root: [UInt8], calls: DiskCalls) throws(DiskError) -> Directory {
    var path = Array("/".utf8)
    var directory = try Directory(root: path)
    for name in RelativePath.components(root) {
      path += (path.count > 1 ? [UInt8(ascii: "/")] : []) + name
      do {
        directory = try Directory(root: path)
      } catch {
        guard error.code == .notFound else { throw error }
        // Before anything is made there.
        try requireLocalDisk(directory, root: root, calls: calls)
        let outcome = calls.mkdir(directory.descriptor, name)
        guard outcome >= 0 || outcome == -Int(EEXIST) else {
          throw DiskError(call: outcome, path: root, operation: "create directory")
        }
        try sync(directory, path: root, calls: calls)
        directory = try Directory(root: path)
      }
    }
    return directory
  }

  /// Empty, but for what a new ext4 has.
  private static func isVacant(_ directory: Directory) throws(DiskError) -> Bool {
    var isVacant = true
    try directory.forEachEntry { name, _ in
      if name != Array("lost+found".utf8), name != directoryName { isVacant = false }
    }
    return isVacant
  }

  private static func found(
    _ directory: Directory, root: [UInt8], machine: MachineID, calls: DiskCalls
  ) throws(DiskError) -> Replica {
    try requireLocalDisk(directory, root: root, calls: calls)
    // Filesystems without modes refuse; there the mount options decide who may look in.
    fchmod(directory.descriptor, 0o700)
    var random = SystemRandomNumberGenerator()
    let marker = ReplicaMarker(
      machine: machine, filesystem: try FilesystemFacts.identity(of: directory.file, path: root),
      generation: random.next())
    let outcome = calls.mkdir(directory.descriptor, directoryName)
    guard outcome >= 0 || outcome == -Int(EEXIST) else {
      throw DiskError(call: outcome, path: root, operation: "create replica")
    }
    let control = try directory.directory(directoryName)
    try makeStaging(control, calls: calls)
    try sync(directory, path: root, calls: calls)
    // The marker comes last: a replica with a marker is whole.
    try writeSmall(directory, markerName, marker.bytes, calls: calls)
    let replica = Replica(root: root, marker: marker, calls: calls)
    try replica.tidyStaging()
    return replica
  }

  private static func requireLocalDisk(
    _ directory: Directory, root: [UInt8], calls: DiskCalls
  ) throws(DiskError) {
    let outcome = withExtendedLifetime(directory) { calls.isOnLocalDisk(directory.descriptor) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: root, operation: "open replica") }
    guard outcome > 0 else { throw DiskError(.remote, path: root, operation: "open replica") }
  }

  private static func makeStaging(_ control: Directory, calls: DiskCalls) throws(DiskError) {
    let outcome = calls.mkdir(control.descriptor, Array("staging".utf8))
    if outcome == -Int(EEXIST) { return }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: stagingPath, operation: "create staging") }
    try sync(control, path: stagingPath, calls: calls)
  }

  /// Nil if there is none; throws `.foreign` if it cannot be understood.
  static func readMarker(_ directory: Directory, path: [UInt8]) throws(DiskError) -> ReplicaMarker? {
    guard let bytes = try readSmall(directory, markerName, limit: ReplicaMarker.maximumBytes) else {
      return nil
    }
    guard let marker = ReplicaMarker(bytes: bytes) else {
      throw DiskError(.foreign, path: path, operation: "read marker")
    }
    return marker
  }

  /// The bytes of a file in `.mantel`; nil if there is none.
  static func readSmall(_ root: Directory, _ name: [UInt8], limit: Int) throws(DiskError) -> [UInt8]? {
    do throws(DiskError) {
      let path = directoryName + [UInt8(ascii: "/")] + name
      let (file, status) = try root.openRegular(path)
      guard status.stamp.size <= UInt64(limit) else {
        throw DiskError(.tooLarge, path: path, operation: "read")
      }
      return try file.bytes(at: 0, count: limit, path: path)
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  static func writeSmall(
    _ root: Directory, _ name: [UInt8], _ bytes: [UInt8], calls: DiskCalls
  ) throws(DiskError) {
    let control = try root.directory(directoryName)
    let path = directoryName + [UInt8(ascii: "/")] + name
    let temporary = name + Array(".new".utf8)
    let opened = calls.create(control.descriptor, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard opened >= 0 else { throw DiskError(call: opened, path: path, operation: "create") }
    let file = OpenFile(Int32(opened))
    try file.write(bytes, at: 0, path: path, calls: calls)
    let synced = calls.fsync(file.descriptor)
    guard synced >= 0 else { throw DiskError(call: synced, path: path, operation: "fsync") }
    let replaced = calls.replace(control.descriptor, temporary, control.descriptor, name)
    guard replaced >= 0 else { throw DiskError(call: replaced, path: path, operation: "rename") }
    try sync(control, path: path, calls: calls)
  }

  static func sync(_ directory: Directory, path: [UInt8], calls: DiskCalls) throws(DiskError) {
    let outcome = calls.fsync(directory.descriptor)
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "fsync directory") }
  }
}
