import CMantelSystem
import Glibc
import MantelCore

/// An open directory below which everything is reached component by component, so that no symlink, `..` or length
/// of a path leads anywhere else.
struct Directory: Sendable {
  let file: OpenFile

  var descriptor: Int32 { file.descriptor }

  /// Opens a directory that the user named, by its absolute path. Symlinks on the way are the user's own wish.
  init(root: [UInt8]) throws(DiskError) {
    guard root.first == UInt8(ascii: "/"), !root.contains(0) else {
      throw DiskError(.name, path: root, operation: "open directory")
    }
    var current = try Self.open(AT_FDCWD, Array("/".utf8), follow: true, isFinal: true, path: root)
    // A root over PATH_MAX is reached step by step; a shorter one in one call.
    let steps = root.count < Int(PATH_MAX) ? [root] : RelativePath.components(root)
    for step in steps {
      current = try Self.open(current.descriptor, step, follow: true, isFinal: true, path: root)
    }
    file = current
  }

  private init(file: OpenFile) { self.file = file }

  /// The directory at `path` below this one (empty: this one, opened anew), never through a symlink.
  func directory(_ path: [UInt8]) throws(DiskError) -> Directory {
    try Self.check(path, allowEmpty: true)
    return try directory(at: path[...], path: path)
  }

  /// The directory of the file at `path`, and the file's name in it.
  func parent(of path: [UInt8]) throws(DiskError) -> (directory: Directory, name: [UInt8]) {
    let (above, name) = try Self.split(path)
    return (above.isEmpty ? self : try directory(at: above, path: path), name)
  }

  /// What stands before the last slash of a path of a file (nothing, if there is none), and the file's name. Throws for a path
  /// that may lead elsewhere.
  static func split(_ path: [UInt8]) throws(DiskError) -> (above: ArraySlice<UInt8>, name: [UInt8]) {
    try check(path, allowEmpty: false)
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return ([], path) }
    return (path[..<slash], Array(path[(slash + 1)...]))
  }

  /// `steps` were checked; `path` is for the error.
  private func directory(at steps: ArraySlice<UInt8>, path: [UInt8]) throws(DiskError) -> Directory {
    var current = file
    var rest = steps
    while let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
      let step = Array(rest[..<slash])
      current = try Self.open(current.descriptor, step, follow: false, isFinal: false, path: path)
      rest = rest[(slash + 1)...]
    }
    let last = rest.isEmpty ? [UInt8(ascii: ".")] : Array(rest)
    return Directory(
      file: try Self.open(current.descriptor, last, follow: false, isFinal: true, path: path))
  }

  /// Opens the regular file at `path` read-only. Never blocks on a FIFO or device, leaves the access time alone
  /// where that is allowed.
  func openRegular(_ path: [UInt8]) throws(DiskError) -> (file: OpenFile, status: FileStatistics) {
    let (directory, name) = try parent(of: path)
    return try directory.openRegular(entry: name, path: path)
  }

  /// The same of an entry of this directory; `path` is for the error.
  func openRegular(
    entry name: [UInt8], path: [UInt8]
  ) throws(DiskError) -> (file: OpenFile, status: FileStatistics) {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
    var opened = result { withName(name) { openat(descriptor, $0, flags | mantel_o_noatime) } }
    if opened == -Int(EPERM) {
      opened = result { withName(name) { openat(descriptor, $0, flags) } }
    }
    guard opened >= 0 else { throw DiskError(call: opened, path: path, operation: "open") }
    let file = OpenFile(Int32(opened))
    let status = try file.status(path)
    guard status.isRegular else { throw DiskError(.notRegular, path: path, operation: "open") }
    return (file, status)
  }

  /// `stat` of the name itself, whatever it is.
  func status(_ path: [UInt8]) throws(DiskError) -> FileStatistics {
    let (directory, name) = try parent(of: path)
    return try directory.entryStatus(name, path: path)
  }

  /// `stat` of an entry of this directory; `path` is for the error.
  func entryStatus(_ name: [UInt8], path: [UInt8]) throws(DiskError) -> FileStatistics {
    var raw = stat()
    let outcome = result { withName(name) { fstatat(descriptor, $0, &raw, AT_SYMLINK_NOFOLLOW) } }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "stat") }
    return FileStatistics(raw)
  }

  /// The same of a name that ends with a NUL.
  func entryStatus(terminated name: UnsafePointer<CChar>, path: [UInt8]) throws(DiskError) -> FileStatistics {
    var raw = stat()
    let outcome = result { fstatat(descriptor, name, &raw, AT_SYMLINK_NOFOLLOW) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "stat") }
    return FileStatistics(raw)
  }

  /// Calls back with the name and the type (`DT_...`) of each entry, in no order, without `.` and `..`.
  func forEachEntry(_ body: (_ name: [UInt8], _ type: UInt8) -> Void) throws(DiskError) {
    try forEachName { name, type in body(Array(name), type) }
  }

  /// The same for directories of many: a name is lent for the time of its call.
  func forEachName(_ body: (_ name: UnsafeRawBufferPointer, _ type: UInt8) -> Void) throws(DiskError) {
    let capacity = 64 << 10
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
    defer { buffer.deallocate() }
    lseek(descriptor, 0, SEEK_SET)
    while true {
      let filled = Int(mantel_entries(descriptor, buffer.baseAddress, capacity))
      guard filled >= 0 else { throw DiskError(call: filled, path: [], operation: "list") }
      if filled == 0 { return }
      var position = 0
      // struct linux_dirent64: u64 inode, i64 offset, u16 record length, u8 type, name with NUL.
      while position + 19 <= filled {
        let length = Int(buffer.loadUnaligned(fromByteOffset: position + 16, as: UInt16.self))
        guard length > 19, position + length <= filled else { break }
        let type = buffer[position + 18]
        let field = UnsafeRawBufferPointer(rebasing: buffer[(position + 19)..<(position + length)])
        let name = UnsafeRawBufferPointer(rebasing: field[..<(field.firstIndex(of: 0) ?? field.endIndex)])
        if !Self.isItselfOrParent(name) { body(name, type) }
        position += length
      }
    }
  }

  /// `.` or `..`.
  private static func isItselfOrParent(_ name: UnsafeRawBufferPointer) -> Bool {
    guard name.count == 1 || name.count == 2 else { return false }
    return name[0] == UInt8(ascii: ".") && name[name.count - 1] == UInt8(ascii: ".")
  }

  private static func open(
    _ directory: Int32, _ name: [UInt8], follow: Bool, isFinal: Bool, path: [UInt8]
  ) throws(DiskError) -> OpenFile {
    // Passing through needs no right to read, only to search: O_PATH.
    let flags =
      O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)
      | (isFinal ? O_RDONLY | mantel_o_noatime : mantel_o_path)
    var opened = result { withName(name) { openat(directory, $0, flags) } }
    if opened == -Int(EPERM), isFinal {
      opened = result { withName(name) { openat(directory, $0, flags & ~mantel_o_noatime) } }
    }
    guard opened >= 0 else { throw DiskError(call: opened, path: path, operation: "open directory") }
    return OpenFile(Int32(opened))
  }

  private static func check(_ path: [UInt8], allowEmpty: Bool) throws(DiskError) {
    guard (allowEmpty && path.isEmpty) || isSafe(path) else {
      throw DiskError(.name, path: path, operation: "check path")
    }
  }

  /// As `RelativePath.isSafe`, with room for the directories that a replica puts above an entry's path.
  static func isSafe(_ path: [UInt8]) -> Bool {
    path.count <= Limits.pathBytes + 4 * Limits.pathComponentBytes && RelativePath.hasSafeComponents(path)
  }
}
