import Foundation
import Glibc

/// The exclusive right to a state directory, for as long as the value lives. The kernel gives it back when the
/// process ends, however it ends.
package final class StateLock: Sendable {
  private let descriptor: Int32

  /// Throws `.locked` at once when somebody else has it.
  package init(_ home: Home) throws {
    descriptor = open(home.lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw AgentError(
        .internalError, "cannot open \(home.lockPath): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw AgentError(
        .locked,
        "another Mantel works in \(home.state): wait until it ends, or talk to the running agent")
    }
  }

  /// Unlocked first: a process that is being started at this moment has the descriptor until its exec, and `close` here
  /// would leave the lock with it.
  deinit {
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
