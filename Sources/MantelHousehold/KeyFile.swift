import Glibc

/// Why the key file could not be read or made.
package struct KeyFileError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    case exists
    case notFound
    case permission
    /// Others than its owner may read or write it.
    case tooOpen
    /// It is not a key with its certificate.
    case malformed
    case io
  }

  package var code: Code
  package var path: String
  /// The system's error number; 0 where there is none.
  package var errno: Int32

  package init(code: Code, path: String, errno: Int32 = 0) {
    self.code = code
    self.path = path
    self.errno = errno
  }

  package var description: String { "key file \(path): \(code.rawValue) (errno \(errno))" }
}

/// The two effects of this module: reading and making the file of the device key.
enum KeyFile {
  /// Far above a key and a certificate in PEM.
  static let maximumBytes = 16 << 10

  /// Whole contents of a regular file that only its owner may touch.
  static func read(_ path: String) throws(KeyFileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(path) }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumBytes else {
      throw KeyFileError(code: .malformed, path: path)
    }
    guard status.st_mode & 0o077 == 0 else { throw KeyFileError(code: .tooOpen, path: path) }
    var contents: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: maximumBytes)
    while contents.count <= maximumBytes {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      if count == 0 { return contents }
      contents += buffer.prefix(count)
    }
    throw KeyFileError(code: .malformed, path: path)
  }

  /// Writes a temporary file beside `path`, syncs it and links it to its name, so that a crash leaves a whole key
  /// or none; `link` refuses to replace. The caller holds the lock of the state directory.
  static func create(_ path: String, contents: [UInt8]) throws(KeyFileError) {
    let temporary = path + ".new"
    // A leftover of a crash: its key was never told to anyone.
    guard unlink(temporary) == 0 || errno == ENOENT else { throw failure(temporary) }
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw failure(temporary) }
    do throws(KeyFileError) {
      defer { close(descriptor) }
      try write(contents, to: descriptor, path: temporary)
      guard fsync(descriptor) == 0 else { throw failure(temporary) }
    } catch {
      unlink(temporary)
      throw error
    }
    guard link(temporary, path) == 0 else {
      let error = failure(path)
      unlink(temporary)
      throw error
    }
    unlink(temporary)
    do throws(KeyFileError) {
      try syncDirectory(of: path)
    } catch {
      // Not made, then: whoever had a key here before gives it its name again.
      unlink(path)
      throw error
    }
  }

  private static func write(
    _ contents: [UInt8], to descriptor: Int32, path: String
  ) throws(KeyFileError) {
    var rest = contents[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path) }
      rest = rest.dropFirst(count)
    }
  }

  private static func syncDirectory(of path: String) throws(KeyFileError) {
    let directory: String
    if let slash = path.lastIndex(of: "/") {
      directory = slash == path.startIndex ? "/" : String(path[..<slash])
    } else {
      directory = "."
    }
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(directory) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(directory) }
  }

  /// The error of the system call that just failed.
  private static func failure(_ path: String) -> KeyFileError {
    let number = errno
    let code: KeyFileError.Code =
      switch number {
      case EEXIST: .exists
      case ENOENT, ENOTDIR: .notFound
      case EACCES, EPERM, EROFS: .permission
      default: .io
      }
    return KeyFileError(code: code, path: path, errno: number)
  }
}
