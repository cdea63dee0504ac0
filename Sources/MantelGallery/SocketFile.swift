import Foundation
import Glibc
import MantelControl

/// The file of a Unix socket: making way for it, guarding it, taking it away.
struct SocketFile: Sendable {
  let path: String

  /// Makes the directory, and removes a socket that a process left behind. Throws `ControlError`: somebody answers
  /// there, something else has the name, or the path is too long.
  func makeWay() throws {
    try ControlSocket.check(path)
    // A directory below $XDG_RUNTIME_DIR is gone after each login session.
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true,
      attributes: [.posixPermissions: 0o700])
    guard let mode = status()?.st_mode else { return }
    guard mode & S_IFMT == S_IFSOCK else {
      throw ControlError(
        code: .conflict, message: "\(path) is in the way of the agent's socket: move it away")
    }
    guard !ControlSocket.isAnswered(path) else {
      throw ControlError(code: .conflict, message: "another agent answers on \(path) already")
    }
    guard unlink(path) == 0 || errno == ENOENT else { throw failure("removed") }
  }

  /// Leaves the socket to its owner. Others could have connected before: each request is checked as well.
  func close() throws {
    guard chmod(path, 0o600) == 0 else { throw failure("protected") }
  }

  /// Which file it is, to remove no other later.
  var inode: UInt64? { status().map { UInt64($0.st_ino) } }

  func remove(ifInode inode: UInt64?) {
    // Left behind it does no harm: the next agent sees that nobody answers.
    if inode != nil, self.inode == inode { _ = unlink(path) }
  }

  private func status() -> stat? {
    var status = stat()
    return lstat(path, &status) == 0 ? status : nil
  }

  private func failure(_ what: String) -> ControlError {
    ControlError(
      code: .internalError,
      message: "the socket \(path) cannot be \(what): \(String(cString: strerror(errno)))")
  }
}
