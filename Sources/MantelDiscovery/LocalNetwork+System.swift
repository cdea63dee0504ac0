import Glibc

extension LocalNetwork {
  /// Asks the kernel. Nil when it does not answer, with errno set.
  static func current() -> LocalNetwork? {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return nil }
    defer { freeifaddrs(first) }
    var network = LocalNetwork()
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let bytes = addressBytes(entry.pointee.ifa_addr),
        let mask = addressBytes(entry.pointee.ifa_netmask), mask.count == bytes.count
      else { continue }
      let prefixBits = mask.reduce(0) { $0 + $1.nonzeroBitCount }
      let address = LocalAddress(
        label: String(cString: entry.pointee.ifa_name), bytes: bytes, prefixBits: prefixBits)
      network.addresses.insert(address)
      network.media[address.interface] = medium(of: address.interface)
    }
    return network
  }

  /// By what the kernel shows of an interface (sysfs-class-net): hardware has a `device`; that of today's wireless drivers a
  /// `phy80211` too, that of those with the old extensions a `wireless`.
  private static func medium(of interface: String) -> Medium {
    func has(_ names: String...) -> Bool {
      names.contains { access("/sys/class/net/\(interface)/\($0)", F_OK) == 0 }
    }
    return has("phy80211", "wireless") ? .wireless : has("device", "bridge", "bonding") ? .wired : .unknown
  }

  private static func addressBytes(_ address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
    guard let address else { return nil }
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
        withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }
      }
    case AF_INET6:
      return address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
        withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) }
      }
    default:
      return nil
    }
  }

  /// The name of an interface, and whether it is the port of a bridge; nil if it is gone.
  static func interface(at index: Int32) -> (name: String, isBridgePort: Bool)? {
    var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    guard index > 0, if_indextoname(UInt32(index), &buffer) != nil else { return nil }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return (name, access("/sys/class/net/\(name)/brport", F_OK) == 0)
  }
}
