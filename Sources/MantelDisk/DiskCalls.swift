import CMantelSystem
import Glibc

/// Every system call that changes a disk, so that a test can make the n-th of them fail; and what a test's disk cannot be.
///
/// Names are single components below an open directory. Each call returns 0 (or a descriptor, or a count), or a
/// negated errno.
package struct DiskCalls: Sendable {
  /// Opens a file for writing: directory, name, flags beside `O_CLOEXEC | O_NOFOLLOW`, mode.
  package var create: @Sendable (Int32, [UInt8], Int32, UInt32) -> Int
  package var write: @Sendable (Int32, UnsafeRawBufferPointer, UInt64) -> Int
  /// Reserves space for so many bytes, and makes the file that long.
  package var allocate: @Sendable (Int32, UInt64) -> Int
  package var fsync: @Sendable (Int32) -> Int
  package var fdatasync: @Sendable (Int32) -> Int
  package var syncfs: @Sendable (Int32) -> Int
  /// Writes a file's dirty pages and reports its write errors, without making anything durable.
  package var writeOut: @Sendable (Int32) -> Int
  /// Never replaces: `-EEXIST` if the target is there.
  package var rename: @Sendable (_ from: Int32, [UInt8], _ to: Int32, [UInt8]) -> Int
  package var link: @Sendable (_ from: Int32, [UInt8], _ to: Int32, [UInt8]) -> Int
  /// Directory, name, whether it is a directory.
  package var unlink: @Sendable (Int32, [UInt8], Bool) -> Int
  package var mkdir: @Sendable (Int32, [UInt8]) -> Int
  /// Makes an empty file share the bytes of another one.
  package var reflink: @Sendable (_ target: Int32, _ source: Int32) -> Int
  /// Renames over whatever is there: for the replica's own marker and guard, and where the filesystem offers nothing
  /// better.
  package var replace: @Sendable (_ from: Int32, [UInt8], _ to: Int32, [UInt8]) -> Int
  /// Whether a directory lies on a disk of this machine: 1 or 0.
  package var isOnLocalDisk: @Sendable (Int32) -> Int

  /// The calls of the system.
  package static let system = DiskCalls(
    create: { directory, name, flags, mode in
      result { withName(name) { openat(directory, $0, flags | O_CLOEXEC | O_NOFOLLOW, mode) } }
    },
    write: { descriptor, bytes, offset in
      result { pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) }
    },
    allocate: { descriptor, size in Int(mantel_allocate(descriptor, size)) },
    fsync: { descriptor in result { Glibc.fsync(descriptor) } },
    fdatasync: { descriptor in result { Glibc.fdatasync(descriptor) } },
    syncfs: { descriptor in Int(mantel_syncfs(descriptor)) },
    writeOut: { descriptor in Int(mantel_write_out(descriptor)) },
    rename: { source, name, target, newName in
      withName(name) { old in withName(newName) { Int(mantel_rename_noreplace(source, old, target, $0)) } }
    },
    link: { source, name, target, newName in
      withName(name) { old in withName(newName) { new in result { linkat(source, old, target, new, 0) } } }
    },
    unlink: { directory, name, isDirectory in
      result { withName(name) { unlinkat(directory, $0, isDirectory ? AT_REMOVEDIR : 0) } }
    },
    mkdir: { directory, name in
      result { withName(name) { mkdirat(directory, $0, 0o700) } }
    },
    reflink: { target, source in Int(mantel_reflink(target, source)) },
    replace: { source, name, target, newName in
      withName(name) { old in withName(newName) { new in result { renameat(source, old, target, new) } } }
    },
    isOnLocalDisk: { descriptor in FilesystemFacts.isOnLocalDisk(descriptor) })
}

/// Runs a call that says -1 and sets errno; returns its value or a negated errno. A signal starts it again.
func result(_ call: () -> some BinaryInteger) -> Int {
  while true {
    let value = Int(call())
    if value >= 0 { return value }
    if errno != EINTR { return -Int(errno) }
  }
}

/// Lends a name as a C string. Names come without NUL: `RelativePath.isSafe`, or a directory's own entries.
func withName<Result>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
  // On the stack, unless it is very long: each file that is looked at has several names on its way.
  withUnsafeTemporaryAllocation(byteCount: name.count + 1, alignment: 1) { bytes -> Result in
    bytes.copyBytes(from: name)
    bytes[name.count] = 0
    return bytes.withMemoryRebound(to: CChar.self) { characters -> Result in
      guard let start = characters.baseAddress else {
        preconditionFailure("a name with its NUL is not empty")
      }
      return body(UnsafePointer(start))
    }
  }
}

extension DiskCalls {
  /// Renames without replacing; where the filesystem cannot promise that, by a second name, and where there are none,
  /// after a look: nobody else writes below the root.
  func renameWithoutReplacing(
    _ from: Directory, _ name: [UInt8], _ to: Directory, _ newName: [UInt8]
  ) -> Int {
    let outcome = rename(from.descriptor, name, to.descriptor, newName)
    guard [-Int(EINVAL), -Int(ENOSYS), -Int(EOPNOTSUPP)].contains(outcome) else { return outcome }
    let linked = link(from.descriptor, name, to.descriptor, newName)
    if linked >= 0 { return unlink(from.descriptor, name, false) }
    guard [-Int(EPERM), -Int(EOPNOTSUPP), -Int(ENOSYS)].contains(linked) else { return linked }
    if (try? to.entryStatus(newName, path: newName)) != nil { return -Int(EEXIST) }
    return replace(from.descriptor, name, to.descriptor, newName)
  }
}
