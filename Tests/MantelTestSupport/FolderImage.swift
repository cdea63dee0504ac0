import Glibc

/// The files below a directory as the disk tells them, read without any code of Mantel. Paths are bytes, of any length.
package struct FolderImage: Sendable {
  package struct File: Hashable, Sendable {
    package let size: Int
    /// Nanoseconds since 1970.
    package let mtime: Int64
    package let permissions: UInt32
  }

  package let root: String
  /// Regular files, by their path below the root.
  package private(set) var files: [[UInt8]: File] = [:]
  /// Symbolic links, pipes, sockets and devices; directories that nobody may look into.
  package private(set) var others: Set<[UInt8]> = []

  /// A root that does not exist has no files.
  package init(_ root: String) throws {
    self.root = root
    let descriptor = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      guard errno == ENOENT else { throw Self.failure("open", root) }
      return
    }
    try walk(descriptor, below: [])
  }

  package func without(_ paths: Set<[UInt8]>) -> FolderImage {
    var image = self
    for path in paths { image.files[path] = nil }
    return image
  }

  /// How `copy` differs from this: names, sizes, times to the nanosecond, and every byte. Empty when it does not.
  package func differences(from copy: FolderImage) throws -> [String] {
    var found: [String] = []
    for (path, file) in files.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let name = String(decoding: path, as: UTF8.self)
      guard let other = copy.files[path] else {
        found.append("missing: \(name)")
        continue
      }
      if file.size != other.size { found.append("\(name): \(file.size) bytes, the copy has \(other.size)") }
      if file.mtime != other.mtime {
        found.append("\(name): mtime \(file.mtime), the copy has \(other.mtime)")
      }
      if file.size == other.size, try !hasEqualBytes(path, copy) { found.append("\(name): other bytes") }
    }
    for path in copy.files.keys where files[path] == nil {
      found.append("nobody's: \(String(decoding: path, as: UTF8.self))")
    }
    return found
  }

  /// All bytes of a file.
  package func bytes(of path: [UInt8]) throws -> [UInt8] {
    let descriptor = try openFile(path)
    defer { close(descriptor) }
    var all: [UInt8] = []
    while let piece = try Self.read(descriptor), !piece.isEmpty { all += piece }
    return all
  }

  // MARK: Parts

  /// Closes `descriptor`.
  private mutating func walk(_ descriptor: Int32, below prefix: [UInt8]) throws {
    guard let stream = fdopendir(descriptor) else {
      close(descriptor)
      throw Self.failure("fdopendir", root)
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name == [0x2E] || name == [0x2E, 0x2E] { continue }
      let path = prefix + name
      var status = stat()
      guard fstatat(dirfd(stream), name.map(CChar.init(bitPattern:)) + [0], &status, AT_SYMLINK_NOFOLLOW) == 0
      else { throw Self.failure("fstatat", String(decoding: path, as: UTF8.self)) }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        let child = openat(
          dirfd(stream), name.map(CChar.init(bitPattern:)) + [0], O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if child < 0, errno == EACCES {
          others.insert(path)
          continue
        }
        guard child >= 0 else { throw Self.failure("openat", String(decoding: path, as: UTF8.self)) }
        try walk(child, below: path + [0x2F])
      case S_IFREG:
        files[path] = File(
          size: Int(status.st_size),
          mtime: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec),
          permissions: status.st_mode & 0o7777)
      default: others.insert(path)
      }
    }
  }

  private func hasEqualBytes(_ path: [UInt8], _ copy: FolderImage) throws -> Bool {
    let (left, right) = (try openFile(path), try copy.openFile(path))
    defer {
      close(left)
      close(right)
    }
    while true {
      let (mine, theirs) = (try Self.read(left), try Self.read(right))
      guard mine == theirs else { return false }
      if mine?.isEmpty ?? true { return true }
    }
  }

  /// Step by step, for a path may be longer than the kernel takes at once.
  private func openFile(_ path: [UInt8]) throws -> Int32 {
    var directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    let parts = path.split(separator: 0x2F)
    for (index, part) in parts.enumerated() where directory >= 0 {
      let isLast = index == parts.count - 1
      let next = openat(
        directory, part.map(CChar.init(bitPattern:)) + [0],
        O_RDONLY | O_CLOEXEC | (isLast ? O_NOFOLLOW : O_DIRECTORY))
      let code = errno
      close(directory)
      errno = code
      directory = next
    }
    guard directory >= 0 else { throw Self.failure("open", String(decoding: path, as: UTF8.self)) }
    return directory
  }

  /// Up to a MiB; empty at the end.
  private static func read(_ descriptor: Int32) throws -> [UInt8]? {
    var failed = false
    let piece = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
      let got = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      failed = got < 0
      count = max(0, got)
    }
    if failed { throw failure("read", "a file") }
    return piece
  }

  private static func failure(_ call: String, _ path: String) -> LabError {
    .commandFailed(command: "\(call) \(path)", status: errno, output: String(cString: strerror(errno)))
  }
}
