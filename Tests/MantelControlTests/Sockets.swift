import Foundation
import Glibc
import Testing

/// A Unix socket as a process leaves it that was killed: bound, and closed.
func leaveSocketBehind(at path: String) throws {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  try #require(descriptor >= 0)
  defer { close(descriptor) }
  #expect(withAddress(path) { bind(descriptor, $0, $1) } == 0)
}

/// Sends a request as it is written, and returns everything that comes back until the end.
func exchange(_ request: String, at path: String) async throws -> String {
  try await withCheckedThrowingContinuation { continuation in
    // On a thread of its own: the server answers on those of the tests.
    Thread.detachNewThread {
      continuation.resume(with: Result { try exchangeBlocking(request, at: path) })
    }
  }
}

private func exchangeBlocking(_ request: String, at path: String) throws -> String {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  try #require(descriptor >= 0)
  defer { close(descriptor) }
  try #require(withAddress(path) { connect(descriptor, $0, $1) } == 0)
  try #require(write(descriptor, request, request.utf8.count) == request.utf8.count)
  var answer: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4_096)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    guard count > 0 else { break }
    answer += chunk.prefix(count)
  }
  return String(decoding: answer, as: UTF8.self)
}

private func withAddress(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
