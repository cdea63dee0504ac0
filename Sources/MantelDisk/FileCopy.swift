import CMantelSystem
import Glibc
import MantelCore

/// Copies the bytes of one open file into another, empty one, as cheaply as the filesystem allows.
enum FileCopy {
  private static let chunkBytes = 1 << 20
  /// The kernel copies at most this much per call, so that a stop is possible in between.
  private static let rangeBytes = 64 << 20

  /// Shared extents if it can be had, else a copy inside the kernel, else through a buffer. The result is whatever
  /// the source had: hash it.
  static func copy(_ source: OpenFile, to target: OpenFile, size: UInt64, calls: DiskCalls) throws(DiskError)
  {
    if size == 0 || calls.reflink(target.descriptor, source.descriptor) == 0 { return }
    lseek(source.descriptor, 0, SEEK_SET)
    var copied: UInt64 = 0
    while copied < size {
      let count = Int(
        mantel_copy_range(source.descriptor, target.descriptor, Int(min(UInt64(rangeBytes), size - copied))))
      if count == -Int(ENOSPC) || count == -Int(EDQUOT) || count == -Int(EIO) {
        throw DiskError(call: count, path: [], operation: "copy")
      }
      // Refused (other filesystem, old kernel), or cut short: go on by hand.
      if count <= 0 { break }
      copied += UInt64(count)
    }
    while copied < size {
      let bytes = try source.bytes(at: copied, count: Int(min(UInt64(chunkBytes), size - copied)), path: [])
      if bytes.isEmpty { return }
      try target.write(bytes, at: copied, path: [], calls: calls)
      copied += UInt64(bytes.count)
    }
  }
}
