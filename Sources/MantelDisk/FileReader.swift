import CMantelSystem
import Crypto
import Glibc
package import MantelCore

/// What one pass over a file's bytes told.
package struct HashedFile: Hashable, Sendable {
  package var content: ContentID
  /// Bytes that were hashed; equals both stamps' size.
  package var size: UInt64
  /// The block hashes, for a content over `Limits.wholeUnitBytes`.
  package var manifest: Manifest?
  package var manifestHash: Digest256?
  package var stampBefore: FileStamp
  package var stampAfter: FileStamp
  /// The bytes were fsynced through the read-only descriptor, on a local filesystem.
  package var isDurable: Bool
  /// The file lies on a local filesystem: only then may it count as held.
  package var isLocal: Bool
  package var linkCount: UInt64

  /// Whether nothing changed while it was read; if not, hash again later.
  package var isStable: Bool { stampBefore.isSame(as: stampAfter) }
}

/// Reads regular files below a root, read-only, through no symlink.
package enum FileReader {
  /// Bytes of one read while hashing; a block, so that blocks are hashed from the same buffer.
  static let bufferBytes = Limits.blockBytes

  /// Hashes the file at `path` below `root`: its SHA-256, and for large ones the block hashes, in one pass. With
  /// `fsync` the file is synced first. Throws `.notDurable` if that failed, `.changed` if its length is not the one it began with, and `.cancelled`
  /// as soon as `shouldContinue` (asked once a MiB) says no.
  package static func hash(
    root: [UInt8], path: [UInt8], fsync: Bool, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    try hash(
      in: Directory(root: root), path: path, fsync: fsync, calls: .system, shouldContinue: shouldContinue)
  }

  /// Up to `count` bytes from `offset`; fewer at the end of the file. With `expecting`, throws `.changed` unless the
  /// file is still that one before and after the read.
  package static func read(
    root: [UInt8], path: [UInt8], offset: UInt64, count: Int, expecting: FileStamp? = nil
  ) throws(DiskError) -> [UInt8] {
    try read(in: Directory(root: root), path: path, offset: offset, count: count, expecting: expecting)
  }

  /// What lies at `path`, whatever it is; a symlink is not followed.
  package static func stat(root: [UInt8], path: [UInt8]) throws(DiskError) -> FileObservation {
    FileObservation(path: path, status: try Directory(root: root).status(path))
  }

  /// Hashes a file anew as the disk has it: clean cached pages are dropped first.
  package static func rehash(
    root: [UInt8], path: [UInt8], shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    let directory = try Directory(root: root)
    try directory.openRegular(path).file.dropCache()
    return try hash(in: directory, path: path, fsync: false, calls: .system, shouldContinue: shouldContinue)
  }

  static func hash(
    in root: Directory, path: [UInt8], fsync: Bool, calls: DiskCalls, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) -> HashedFile {
    let (file, before) = try root.openRegular(path)
    let isLocal = FilesystemFacts.isLocal(file)
    let isSynced = fsync ? try sync(file, path: path, isLocal: isLocal, calls) : false
    return try hash(
      file, before, path: path, isLocal: isLocal, isDurable: isSynced && isLocal,
      shouldContinue: shouldContinue)
  }

  /// Hashes an open file; `buffer` is used if it is large enough.
  static func hash(
    _ file: OpenFile, _ before: FileStatistics, path: [UInt8], isLocal: Bool, isDurable: Bool,
    buffer: UnsafeMutableRawBufferPointer? = nil, shouldContinue: () -> Bool
  ) throws(DiskError) -> HashedFile {
    let digests = try ContentDigests(
      of: file, size: before.stamp.size, path: path, buffer: buffer, shouldContinue: shouldContinue)
    let after = try file.status(path)
    return HashedFile(
      content: digests.content, size: before.stamp.size, manifest: digests.manifest,
      manifestHash: digests.manifest?.hash, stampBefore: before.stamp, stampAfter: after.stamp,
      isDurable: isDurable, isLocal: isLocal, linkCount: after.linkCount)
  }

  /// False where a sync proves nothing, or the filesystem has none. Elsewhere a failed one is an error: the bytes that
  /// can be read now may be in memory only.
  static func sync(
    _ file: OpenFile, path: [UInt8], isLocal: Bool, _ calls: DiskCalls
  ) throws(DiskError) -> Bool {
    let outcome = calls.fsync(file.descriptor)
    guard outcome < 0 else { return true }
    let number = Int32(truncatingIfNeeded: -outcome)
    guard isLocal, ![EINVAL, EROFS, ENOSYS, EOPNOTSUPP].contains(number) else { return false }
    throw DiskError(.notDurable, errno: number, path: path, operation: "sync")
  }

  static func read(
    in root: Directory, path: [UInt8], offset: UInt64, count: Int, expecting: FileStamp?
  ) throws(DiskError) -> [UInt8] {
    let (file, before) = try root.openRegular(path)
    let rest = before.stamp.size - min(offset, before.stamp.size)
    var failure: DiskError?
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(min(UInt64(max(0, count)), rest))) {
      buffer, filled in
      do throws(DiskError) {
        filled = try read(
          file, before, path: path, offset: offset, into: UnsafeMutableRawBufferPointer(buffer),
          expecting: expecting)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Fills the buffer from an open file, of which `before` was just said; returns how many bytes there were.
  static func read(
    _ file: OpenFile, _ before: FileStatistics, path: [UInt8], offset: UInt64,
    into buffer: UnsafeMutableRawBufferPointer, expecting: FileStamp?
  ) throws(DiskError) -> Int {
    if let expecting, !before.stamp.isSame(as: expecting) {
      throw DiskError(.changed, path: path, operation: "read")
    }
    guard offset < before.stamp.size, !buffer.isEmpty else { return 0 }
    let wanted = Int(min(UInt64(buffer.count), before.stamp.size - offset))
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
    let filled = try file.read(into: room, at: offset, path: path)
    if let expecting {
      guard filled == wanted, try file.status(path).stamp.isSame(as: expecting) else {
        throw DiskError(.changed, path: path, operation: "read")
      }
    }
    return filled
  }
}

extension Manifest {
  /// The hash that stands in the owner's signed entry.
  package var hash: Digest256 { Digest256(hashing: hashedBytes) }
}

extension Digest256 {
  init(hashing bytes: [UInt8]) {
    var hasher = SHA256()
    hasher.update(data: bytes)
    self.init(hasher.finalize())
  }

  init(_ digest: SHA256Digest) {
    self = digest.withUnsafeBytes { bytes in
      func word(_ index: Int) -> UInt64 {
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      return Digest256(word(0), word(1), word(2), word(3))
    }
  }
}

/// The SHA-256 of a file's bytes and, when they are many, of each block.
struct ContentDigests {
  var content: ContentID
  var manifest: Manifest?

  /// Reads exactly `size` bytes; throws `.changed` if the file ends before or goes on after them.
  init(
    of file: OpenFile, size: UInt64, path: [UInt8], withBlocks: Bool = true,
    buffer lent: UnsafeMutableRawBufferPointer? = nil, shouldContinue: () -> Bool = { true }
  ) throws(DiskError) {
    guard size <= Limits.contentBytes else { throw DiskError(.tooLarge, path: path, operation: "hash") }
    let layout = UnitLayout(size: size)
    let hasBlocks = withBlocks && !layout.isWhole
    var whole = SHA256()
    var blocks: [Digest256] = []
    blocks.reserveCapacity(hasBlocks ? layout.blockCount : 0)
    // One byte more than the file has, so that growth shows.
    let capacity = Int(min(UInt64(FileReader.bufferBytes), size + 1))
    let isLent = (lent?.count ?? 0) >= capacity
    let buffer: UnsafeMutableRawBufferPointer
    if let lent, isLent {
      buffer = UnsafeMutableRawBufferPointer(rebasing: lent[..<capacity])
    } else {
      buffer = .allocate(byteCount: capacity, alignment: 64)
    }
    defer { if !isLent { buffer.deallocate() } }
    // One read brings all of a small file.
    if size >= UInt64(FileReader.bufferBytes) { posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }
    var position: UInt64 = 0
    while position <= size {
      guard shouldContinue() else { throw DiskError(.cancelled, path: path, operation: "hash") }
      let filled = try file.read(into: buffer, at: position, path: path)
      if filled == 0 { break }
      let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
      whole.update(bufferPointer: chunk)
      if hasBlocks { blocks.append(Digest256(SHA256.hash(data: chunk))) }
      position += UInt64(filled)
    }
    guard position == size else { throw DiskError(.changed, path: path, operation: "hash") }
    content = ContentID(Digest256(whole.finalize()))
    manifest = hasBlocks ? Manifest(size: size, blocks: blocks) : nil
  }
}
