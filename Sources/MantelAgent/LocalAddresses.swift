import Foundation
import Glibc
import MantelCore

/// The addresses under which peers may reach this machine: of interfaces that are up, without loopback, without
/// link-local ones (they mean nothing without the interface) and without containers' bridges.
enum LocalAddresses {
  private static let ignoredInterfaces = ["docker", "veth", "br-", "virbr", "lxc", "podman"]

  static func list(port: UInt16) -> [NetworkAddress] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard port > 0, getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var hosts: Set<String> = []
    var current = first
    while let interface = current?.pointee {
      defer { current = interface.ifa_next }
      let name = String(cString: interface.ifa_name)
      let flags = Int32(bitPattern: interface.ifa_flags)
      guard flags & Int32(IFF_UP) != 0, flags & Int32(IFF_LOOPBACK) == 0,
        !ignoredInterfaces.contains(where: name.hasPrefix), let address = interface.ifa_addr,
        let host = text(address)
      else { continue }
      hosts.insert(host)
    }
    return hosts.sorted().prefix(Limits.addresses).map { NetworkAddress(host: $0, port: port) }
  }

  private static func text(_ address: UnsafeMutablePointer<sockaddr>) -> String? {
    let family = Int32(address.pointee.sa_family)
    let length: Int
    switch family {
    case AF_INET: length = MemoryLayout<sockaddr_in>.size
    case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
    default: return nil
    }
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard
      getnameinfo(
        address, socklen_t(length), &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0
    else { return nil }
    let text = String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.contains("%") || text.hasPrefix("fe80:") ? nil : text
  }
}
