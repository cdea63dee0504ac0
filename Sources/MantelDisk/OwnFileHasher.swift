import Glibc
import MantelCore

/// Hashes files of this machine's folders, and makes them durable: a few each by itself, many by a sync of their whole
/// filesystem that other threads' files share.
///
/// The write errors of each file are asked for by itself all the same, so that one bad file does not condemn the rest.
package final class OwnFileHasher: Sendable {
  private let hashing: BlockingPool
  private let groups: GroupSync
  private let calls: DiskCalls

  /// Files up to which each is synced by itself.
  private static let fewFiles = 2

  /// `hashing` reads and hashes, `syncing` waits for syncs.
  package convenience init(hashing: BlockingPool, syncing: BlockingPool) {
    self.init(hashing: hashing, syncing: syncing, calls: .system)
  }

  init(
    hashing: BlockingPool, syncing: BlockingPool, calls: DiskCalls,
    clock: @escaping @Sendable () -> SyncMoment = { SyncMoment.now() }
  ) {
    self.hashing = hashing
    self.calls = calls
    groups = GroupSync(pool: syncing, calls: calls, clock: clock)
  }

  /// One result for each path, in order; errors as `FileReader.hash` with `fsync` throws them. Throws only when a pool
  /// closes.
  package func hash(
    root: [UInt8], paths: [[UInt8]], shouldContinue: @escaping @Sendable () -> Bool
  ) async throws -> [Result<HashedFile, DiskError>] {
    let isFew = paths.count <= Self.fewFiles
    var batch = try await hashing.run { [self] in
      HashBatch(root: root, calls: calls).hash(
        paths, shouldContinue, isSynced: { groups.covers($0, writtenUntil: $1) },
        syncsEach: { isFew || groups.rests($0) })
    }
    for (device, witness) in batch.unsynced.sorted(by: { $0.key < $1.key }) {
      if await groups.sync(device, through: witness.file, writtenUntil: witness.lastWrite) {
        batch.settle(device)
      } else {
        let unsettled = batch
        batch.files = try await hashing.run { [calls] in
          unsettled.syncedOneByOne(device, paths, root: root, calls: calls)
        }
      }
    }
    return batch.files
  }
}

/// What one pass over some files told, and which of them are still to be made durable.
struct HashedBatch: Sendable {
  var files: [Result<HashedFile, DiskError>] = []
  /// A file of a filesystem that is to be synced, and by when all of them were written (`SyncMoment.end(ofWriteAt:size:)`;
  /// `.max`: not to be told).
  struct Witness {
    var file: OpenFile
    var lastWrite: Int64
  }
  private(set) var unsynced: [UInt64: Witness] = [:]
  /// Places of the files whose filesystem is still to be synced.
  private var waiting: [UInt64: [Int]] = [:]

  mutating func add(_ file: HashedFile, waitingFor witness: Witness?) {
    if let witness {
      let device = file.stampAfter.device
      let lastWrite = max(unsynced[device]?.lastWrite ?? .min, witness.lastWrite)
      unsynced[device] = Witness(file: unsynced[device]?.file ?? witness.file, lastWrite: lastWrite)
      waiting[device, default: []].append(files.count)
    }
    files.append(.success(file))
  }

  /// A filesystem was synced after its files were hashed.
  mutating func settle(_ device: UInt64) {
    for place in waiting[device] ?? [] {
      files[place] = files[place].map {
        var file = $0
        file.isDurable = true
        return file
      }
    }
  }

  /// After a sync that failed for some file or other of a filesystem: each by itself.
  func syncedOneByOne(
    _ device: UInt64, _ paths: [[UInt8]], root: [UInt8], calls: DiskCalls
  ) -> [Result<HashedFile, DiskError>] {
    var files = files
    for place in waiting[device] ?? [] {
      guard case .success(var file) = files[place] else { continue }
      do throws(DiskError) {
        let path = paths[place]
        let (open, status) = try Directory(root: root).openRegular(path)
        // Another file has the name by now: what it was hashed as is gone.
        guard status.stamp.isSame(as: file.stampAfter) else {
          throw DiskError(.changed, path: path, operation: "sync")
        }
        file.isDurable = try FileReader.sync(open, path: path, isLocal: true, calls)
        files[place] = .success(file)
      } catch {
        files[place] = .failure(error)
      }
    }
    return files
  }
}

/// One thread's pass over some files, with what they share: the directory that the last one lay in, and a buffer.
private struct HashBatch {
  let root: [UInt8]
  let calls: DiskCalls

  /// `isSynced`: whether what was written until a time is durable by a sync since; `syncsEach`: whether files of a filesystem
  /// are to be synced here, each by itself.
  func hash(
    _ paths: [[UInt8]], _ shouldContinue: () -> Bool,
    isSynced: (_ device: UInt64, _ end: Int64) -> Bool, syncsEach: (_ device: UInt64) -> Bool
  ) -> HashedBatch {
    var batch = HashedBatch()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FileReader.bufferBytes, alignment: 64)
    defer { buffer.deallocate() }
    var parent: (path: ArraySlice<UInt8>, directory: Directory)?
    var filesystems: [UInt64: (isLocal: Bool, tellsChanges: Bool)] = [:]
    for path in paths {
      do throws(DiskError) {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let opened: (file: OpenFile, status: FileStatistics)
        if let slash, let parent, parent.path == path[..<slash] {
          opened = try parent.directory.openRegular(entry: Array(path[(slash + 1)...]), path: path)
        } else {
          let (directory, name) = try Directory(root: root).parent(of: path)
          parent = slash.map { (path[..<$0], directory) }
          opened = try directory.openRegular(entry: name, path: path)
        }
        let (file, before) = opened
        let device = before.stamp.device
        let filesystem = filesystems[device] ?? FilesystemFacts.traits(of: file)
        filesystems[device] = filesystem
        let isLocal = filesystem.isLocal
        let end =
          filesystem.tellsChanges
          ? SyncMoment.end(ofWriteAt: before.stamp.ctime, size: before.stamp.size) : .max
        let wasSynced = isLocal && filesystem.tellsChanges && isSynced(device, end)
        let isEach = !isLocal || !wasSynced && syncsEach(device)
        // Before its bytes are read: a page that is written out is protected again, so that a later store through a mapping
        // shows in the file's times.
        let isOut = isEach ? false : try writeOut(file, path)
        let isDurable =
          isOut ? wasSynced : try FileReader.sync(file, path: path, isLocal: isLocal, calls) && isLocal
        let hashed = try FileReader.hash(
          file, before, path: path, isLocal: isLocal, isDurable: isDurable, buffer: buffer,
          shouldContinue: shouldContinue)
        batch.add(
          hashed,
          waitingFor: isDurable || !isOut ? nil : HashedBatch.Witness(file: file, lastWrite: end))
      } catch {
        batch.files.append(.failure(error))
      }
    }
    return batch
  }

  /// False where this cannot be had.
  private func writeOut(_ file: OpenFile, _ path: [UInt8]) throws(DiskError) -> Bool {
    let outcome = calls.writeOut(file.descriptor)
    guard outcome < 0 else { return true }
    let number = Int32(truncatingIfNeeded: -outcome)
    guard ![EINVAL, ESPIPE, ENOSYS, EOPNOTSUPP].contains(number) else { return false }
    throw DiskError(.notDurable, errno: number, path: path, operation: "sync")
  }
}
