import Foundation
import Glibc

/// The Unix socket of the agent's API, as a path.
package enum ControlSocket {
  /// Bytes that the path of a Unix socket may have: `sun_path` without its final zero.
  package static let maximumPathBytes = 107

  /// Refuses a path that the kernel cannot take, before it fails with words that nobody understands.
  package static func check(_ path: String) throws(ControlError) {
    let count = path.utf8.count
    guard count <= maximumPathBytes else {
      throw ControlError(
        code: .usage,
        message: "the path of the agent's socket has \(count) bytes, the system takes \(maximumPathBytes): "
          + "use a shorter --home (\(path))")
    }
  }

  /// Whether somebody accepts connections there. False when the path does not exist, is no socket, or was left
  /// behind by a process that ended.
  package static func isAnswered(_ path: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0, var address = address(path) else { return false }
    defer { close(descriptor) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        // A full backlog is somebody who is busy.
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 || errno == EAGAIN
      }
    }
  }

  private static func address(_ path: String) -> sockaddr_un? {
    guard path.utf8.count <= maximumPathBytes else { return nil }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { field in
      for (index, byte) in path.utf8.enumerated() { field[index] = byte }
    }
    return address
  }
}
