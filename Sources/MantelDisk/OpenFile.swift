import CMantelSystem
import Glibc
import MantelCore

/// An open descriptor that closes with its last owner.
///
/// Data and metadata calls on a descriptor are thread-safe in the kernel; the number itself never changes.
final class OpenFile: Sendable {
  let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Type, times and size, by `fstat`.
  func status(_ path: [UInt8]) throws(DiskError) -> FileStatistics {
    var raw = stat()
    let outcome = result { fstat(descriptor, &raw) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "stat") }
    return FileStatistics(raw)
  }

  /// Fills the buffer from `offset` on; fewer bytes only at the end of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, path: [UInt8]) throws(DiskError)
    -> Int
  {
    var filled = 0
    while filled < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = result { pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(filled)) }
      guard count >= 0 else { throw DiskError(call: count, path: path, operation: "read") }
      if count == 0 { break }
      filled += count
    }
    return filled
  }

  /// Up to `count` bytes from `offset`; fewer only at the end of the file.
  func bytes(at offset: UInt64, count: Int, path: [UInt8]) throws(DiskError) -> [UInt8] {
    var failure: DiskError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(DiskError) {
        filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset, path: path)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes all bytes at `offset`.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, path: [UInt8], calls: DiskCalls)
    throws(DiskError)
  {
    var written = 0
    while written < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
      let count = calls.write(descriptor, rest, offset + UInt64(written))
      guard count >= 0 else { throw DiskError(call: count, path: path, operation: "write") }
      guard count > 0 else { throw DiskError(.io, errno: EIO, path: path, operation: "write") }
      written += count
    }
  }

  func write(_ bytes: [UInt8], at offset: UInt64, path: [UInt8], calls: DiskCalls) throws(DiskError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try write(UnsafeRawBufferPointer(copy), at: offset, path: path, calls: calls)
  }

  /// Hands clean cached pages back: the next read asks the disk. A hint; dirty pages stay.
  func dropCache() { _ = mantel_drop_cache(descriptor) }
}

/// What `stat` says, as far as Mantel asks.
struct FileStatistics {
  var stamp: FileStamp
  var mode: UInt32
  var linkCount: UInt64
  var specialDevice: UInt64

  init(_ raw: stat) {
    stamp = FileStamp(
      size: UInt64(clamping: raw.st_size), mtime: Self.nanoseconds(raw.st_mtim),
      ctime: Self.nanoseconds(raw.st_ctim), inode: UInt64(raw.st_ino), device: UInt64(raw.st_dev),
      linkCount: UInt64(raw.st_nlink))
    mode = UInt32(raw.st_mode)
    linkCount = UInt64(raw.st_nlink)
    specialDevice = UInt64(raw.st_rdev)
  }

  var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }
  var isDirectory: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
  var isSymlink: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFLNK) }

  /// Saturates: a damaged file may carry any year, and 64 bits of nanoseconds end in 2262.
  private static func nanoseconds(_ time: timespec) -> Int64 {
    let (product, isOver) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
    guard !isOver else { return time.tv_sec < 0 ? .min : .max }
    let (sum, isSumOver) = product.addingReportingOverflow(Int64(time.tv_nsec))
    return isSumOver ? .max : sum
  }
}

extension timespec {
  /// Nanoseconds since 1970, before it too.
  init(nanoseconds: Int64) {
    let seconds = WallTime(nanoseconds: nanoseconds).seconds
    let rest = nanoseconds.subtractingReportingOverflow(
      seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue)
    self.init(tv_sec: Int(seconds), tv_nsec: Int(rest.partialValue))
  }
}
