import Foundation
import Glibc
import MantelControl

/// A regular file as it lies in a directory of photos.
struct SourceFile: Hashable, Sendable {
  /// Below the directory.
  var path: [UInt8]
  var size: UInt64
  /// Nanoseconds since 1970.
  var modified: Int64
}

/// Looks at trees of files without the code that is to be proved.
enum SourceTree {
  private static let slash = UInt8(ascii: "/")
  private static let chunkBytes = 1 << 20

  /// Regular files at any depth, links not followed.
  static func files(below root: [UInt8]) throws -> [SourceFile] {
    var found: [SourceFile] = []
    var waiting: [[UInt8]] = [[]]
    while let directory = waiting.popLast() {
      let whole = directory.isEmpty ? root : root + [slash] + directory
      for name in try names(in: whole) {
        let path = directory.isEmpty ? name : directory + [slash] + name
        guard let status = status(root + [slash] + path) else { continue }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: waiting.append(path)
        case S_IFREG:
          found.append(
            SourceFile(path: path, size: UInt64(status.st_size), modified: modified(status)))
        default: break
        }
      }
    }
    return found
  }

  /// A regular file, or nil.
  static func file(at path: [UInt8]) -> SourceFile? {
    guard let status = status(path), status.st_mode & S_IFMT == S_IFREG else { return nil }
    return SourceFile(path: path, size: UInt64(status.st_size), modified: modified(status))
  }

  /// Whether two files have the same bytes; false when one cannot be read.
  static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    let descriptors = [left, right].map { open(text($0), O_RDONLY | O_CLOEXEC) }
    defer { for descriptor in descriptors where descriptor >= 0 { close(descriptor) } }
    guard descriptors.allSatisfy({ $0 >= 0 }) else { return false }
    while true {
      guard let one = chunk(descriptors[0]), let other = chunk(descriptors[1]), one == other else {
        return false
      }
      if one.isEmpty { return true }
    }
  }

  /// Sets when a file was changed last: nanoseconds since 1970.
  static func setModified(_ path: String, to nanoseconds: Int64) throws {
    var time = timespec()
    time.tv_sec = Int(nanoseconds / 1_000_000_000)
    time.tv_nsec = Int(nanoseconds % 1_000_000_000)
    guard utimensat(AT_FDCWD, path, [time, time], 0) == 0 else {
      throw CommandFailure(.internalError, "\(path): \(String(cString: strerror(errno)))")
    }
  }

  /// Up to a whole chunk, less only at the end.
  private static func chunk(_ descriptor: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: chunkBytes)
    var filled = 0
    while filled < chunkBytes {
      let count = bytes.withUnsafeMutableBytes {
        read(descriptor, $0.baseAddress?.advanced(by: filled), chunkBytes - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { break }
      filled += count
    }
    return Array(bytes.prefix(filled))
  }

  private static func names(in directory: [UInt8]) throws -> [[UInt8]] {
    guard let stream = opendir(text(directory)) else {
      throw CommandFailure(
        .usage, "\(Printable.bytes(directory)) cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [UInt8(ascii: ".")], name != Array("..".utf8) { names.append(name) }
    }
    return names
  }

  private static func status(_ path: [UInt8]) -> stat? {
    var status = stat()
    return lstat(text(path), &status) == 0 ? status : nil
  }

  private static func modified(_ status: stat) -> Int64 {
    Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
  }

  private static func text(_ path: [UInt8]) -> [CChar] { path.map(CChar.init(bitPattern:)) + [0] }
}
