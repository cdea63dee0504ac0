/// Which interfaces of this machine lead to other machines of a household.
///
/// Container and virtual machine hosts have bridges of their own whose addresses no other machine can reach.
package struct InterfaceFilter: Hashable, Sendable {
  /// Names; a trailing `*` stands for any rest.
  package var denied: [String]

  package init(denied: [String]) { self.denied = denied }

  /// Docker, Podman, libvirt, LXC and Kubernetes. `veth*` is not here: inside a container such a name may be the way
  /// out; on the host it is the port of a bridge, and ports are never used.
  package static let standard = InterfaceFilter(denied: [
    "docker*", "br-????????????", "podman*", "cni-*", "cni0", "virbr*", "vnet*", "lxcbr*", "lxdbr*",
    "flannel*",
    "cali*",
  ])

  /// - Parameter isBridgePort: the interface belongs to a bridge, so its traffic is the bridge's.
  package func admits(_ name: String, isBridgePort: Bool) -> Bool {
    !name.isEmpty && !isBridgePort
      && !denied.contains { Self.matches(Array($0.utf8)[...], Array(name.utf8)[...]) }
  }

  /// `?` is any byte, a trailing `*` any rest.
  private static func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    if pattern.last == UInt8(ascii: "*") {
      let stem = pattern.dropLast()
      return name.count >= stem.count && matches(stem, name.prefix(stem.count))
    }
    return pattern.count == name.count
      && zip(pattern, name).allSatisfy { $0 == UInt8(ascii: "?") || $0 == $1 }
  }
}

/// An address as Avahi gives it: without a scope.
struct IPAddress: Hashable, Sendable {
  /// 4 or 16 bytes.
  var bytes: [UInt8]
  var text: String

  var isIPv4: Bool { bytes.count == 4 }
  var isLinkLocal6: Bool { bytes.count == 16 && bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }
  var isLinkLocal4: Bool { isIPv4 && bytes[0] == 169 && bytes[1] == 254 }
  /// Unspecified or multicast: nothing that can be dialled.
  var isUnusable: Bool {
    guard let first = bytes.first, bytes.contains(where: { $0 != 0 }) else { return true }
    return isIPv4 ? first >= 224 : first == 0xFF
  }
}

/// An address of this machine and the prefix of its link.
struct LocalAddress: Hashable, Sendable {
  var interface: String
  var bytes: [UInt8]
  var prefixBits: Int
}

extension LocalAddress {
  /// `label` is what the kernel calls an address: its interface, or an alias of it (`eth0:1` is on `eth0`), which is no
  /// interface that anyone else knows.
  init(label: String, bytes: [UInt8], prefixBits: Int) {
    let interface = label.prefix { $0 != ":" }
    self.init(interface: String(interface), bytes: bytes, prefixBits: prefixBits)
  }
}

/// The addresses of this machine at one moment.
struct LocalNetwork: Hashable, Sendable {
  var addresses: Set<LocalAddress> = []
  /// What the kernel tells of interfaces.
  var media: [String: Medium] = [:]

  /// What carries an interface's traffic, the best first.
  enum Medium: Int, Sendable {
    /// A network card, or a bridge or bond of this machine's.
    case wired
    /// A tunnel, say, which may lead over either.
    case unknown
    case wireless
  }

  /// Whether a service that was seen on `interface` may be dialled at `address`.
  ///
  /// An IPv4 address must lie on that very link: a host with containers announces addresses of its bridges, which here
  /// would lead into our own. IPv6 addresses are unique, or bound to the link.
  func admits(_ address: IPAddress, on interface: String) -> Bool {
    guard !address.isUnusable else { return false }
    guard address.isIPv4, !address.isLinkLocal4 else { return true }
    return addresses.contains { local in
      local.interface == interface && local.bytes.count == 4
        && Self.shares(local.bytes, address.bytes, bits: local.prefixBits)
    }
  }

  private static func shares(_ left: [UInt8], _ right: [UInt8], bits: Int) -> Bool {
    var rest = bits
    for (a, b) in zip(left, right) where rest > 0 {
      let mask = rest >= 8 ? 0xFF : UInt8(truncatingIfNeeded: 0xFF << (8 - rest))
      if a & mask != b & mask { return false }
      rest -= 8
    }
    return true
  }
}
