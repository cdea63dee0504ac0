import Glibc
import SystemPackage

/// Why something on a disk could not be done.
package struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// No such file or directory, or a component of the path is not a directory.
    case notFound
    /// A symlink, FIFO, socket, device or directory where a regular file was expected.
    case notRegular
    case permission
    case noSpace
    /// The filesystem takes no writes: mounted so, or because of an error.
    case readOnly
    case io
    /// An fsync failed: what was written to the file may never come to the disk.
    case notDurable
    /// The replica's marker is not there, or another filesystem is.
    case notMounted
    case exists
    /// The file is not the one that was looked at before.
    case changed
    /// The name cannot be had on this filesystem, or is none that Mantel uses.
    case name
    /// More than a limit of Mantel's.
    case tooLarge
    /// The marker is of another machine, or cannot be read as one.
    case foreign
    /// A replica cannot lie there: what is written may be on no disk of this machine.
    case remote
    /// The caller asked to stop.
    case cancelled
    /// Another thread is at it; it may be tried again soon.
    case busy
    case other
  }

  package var code: Code
  /// 0 where no system call failed.
  package var errno: Int32
  /// The path that the operation was about, as the caller gave it.
  package var path: [UInt8]
  /// What was tried, for people: `open`, `hash`, ...
  package var operation: String

  package init(_ code: Code, errno: Int32 = 0, path: [UInt8], operation: String) {
    self.code = code
    self.errno = errno
    self.path = path
    self.operation = operation
  }

  /// Takes a negated errno, as the calls of this module return it.
  init(call: Int, path: [UInt8], operation: String) {
    let number = Int32(truncatingIfNeeded: -call)
    self.init(Self.code(for: number), errno: number, path: path, operation: operation)
  }

  static func code(for number: Int32) -> Code {
    switch number {
    case ENOENT, ENOTDIR: .notFound
    case ELOOP, EISDIR, ENXIO: .notRegular
    case EACCES, EPERM: .permission
    case EROFS: .readOnly
    case ENOSPC, EDQUOT: .noSpace
    // EBADMSG: ext4 and XFS say so of metadata with a wrong checksum.
    case EIO, EUCLEAN, EBADMSG, ETIMEDOUT: .io
    case ENODEV, ESTALE, ENOTCONN, ESHUTDOWN, ENOMEDIUM: .notMounted
    case EEXIST, ENOTEMPTY: .exists
    case ENAMETOOLONG, EILSEQ, EINVAL: .name
    case EFBIG, EOVERFLOW: .tooLarge
    default: .other
    }
  }

  /// The path is left out: names never stand in log lines above debug.
  package var description: String {
    errno == 0 ? "\(operation): \(code)" : "\(operation): \(Errno(rawValue: errno)) (\(code))"
  }
}
