import Foundation
import Glibc

/// The supervisor's notification socket, as sd_notify(3) describes it; does nothing where there is none.
struct ServiceNotification: Sendable {
  private let path: [UInt8]

  init(environment: [String: String]) { path = Array((environment["NOTIFY_SOCKET"] ?? "").utf8) }

  /// One assignment, like `READY=1`. A supervisor that does not listen is no fault of the agent's.
  func send(_ state: String) {
    var address = sockaddr_un()
    guard path.first == UInt8(ascii: "/") || path.first == UInt8(ascii: "@"),
      path.count < MemoryLayout.size(ofValue: address.sun_path)
    else { return }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { field in
      field.copyBytes(from: path)
      // An abstract name begins with a zero.
      if path.first == UInt8(ascii: "@") { field[0] = 0 }
    }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let length = MemoryLayout<sockaddr_un>.size - MemoryLayout.size(ofValue: address.sun_path) + path.count
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = sendto(
          descriptor, state, state.utf8.count, Int32(MSG_NOSIGNAL), $0, socklen_t(length))
      }
    }
  }
}
