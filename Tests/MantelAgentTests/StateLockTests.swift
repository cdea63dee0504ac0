import Foundation
import Glibc
import Testing

@testable import MantelAgent

@Suite struct StateLockTests {
  /// Between the fork and the exec of a child, the child has all descriptors too, close-on-exec or not: of a lock that was
  /// given back meanwhile nothing may be left to it. Fails without `LOCK_UN`.
  @Test func aLockEndsWithItsOwnerWhoeverHasItsDescriptor() async throws {
    let installed = try await InstalledHome()
    let copy = try heldCopy(of: installed.home)
    defer { close(copy) }
    let again = try StateLock(installed.home)
    #expect(throws: AgentError.self, "it still excludes others") { try StateLock(installed.home) }
    withExtendedLifetime(again) {}
  }

  /// Takes the lock and gives it back; what it was kept by is open still, as in a child before its exec.
  private func heldCopy(of home: Home) throws -> Int32 {
    let lock = try StateLock(home)
    defer { withExtendedLifetime(lock) {} }
    var wanted = stat()
    try #require(stat(home.lockPath, &wanted) == 0)
    let opened = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
    for descriptor in opened {
      var status = stat()
      guard fstat(descriptor, &status) == 0, status.st_dev == wanted.st_dev, status.st_ino == wanted.st_ino
      else { continue }
      let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
      try #require(copy >= 0)
      return copy
    }
    throw AgentError(.internalError, "no descriptor of \(home.lockPath)")
  }
}
