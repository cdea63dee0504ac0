import MantelCore

@testable import MantelDiscovery

/// Drives a `DiscoveryCore` under a clock of its own.
final class DiscoveryDriver {
  var core: DiscoveryCore
  var now = Instant(nanoseconds: 0)

  init(interfaces: InterfaceFilter = .standard) {
    let configuration = DiscoveryConfiguration(interfaces: interfaces) { taken in
      var renamed = taken
      renamed.instance += "'"
      renamed.txt["h"] = "for \(renamed.instance)"
      return renamed
    }
    core = DiscoveryCore(configuration: configuration, now: now)
  }

  /// Feeds the inputs, each followed by `.deadline`, and returns what is to be done.
  func feed(_ inputs: DiscoveryInput..., after delay: Duration = .zero) -> [DiscoveryAction] {
    now = now + delay
    var actions: [DiscoveryAction] = []
    for input in inputs.flatMap({ [$0, .deadline] }) {
      core.handle(input, now: now)
      while let action = core.nextAction() { actions.append(action) }
    }
    return actions
  }

  /// Moves on to the next deadline and feeds it. Returns what is to be done, and how long it took.
  func feedDeadline() -> (waited: Duration, actions: [DiscoveryAction])? {
    guard let deadline = core.nextDeadline else { return nil }
    let waited = deadline - now
    return (waited, feed(.deadline, after: max(waited, .zero)))
  }

  /// A driver whose daemon runs, with an address on each of two interfaces.
  static func running(media: [String: LocalNetwork.Medium] = [:]) -> DiscoveryDriver {
    let driver = DiscoveryDriver()
    let network = LocalNetwork(
      addresses: [
        LocalAddress(interface: "eth0", bytes: [192, 168, 1, 2], prefixBits: 24),
        LocalAddress(interface: "wlan0", bytes: [192, 168, 1, 3], prefixBits: 24),
      ], media: media)
    _ = driver.feed(.network(network), .deadline, .daemonRunning)
    _ = driver.feed(.settled(.agents), after: .seconds(5))
    return driver
  }
}

extension Array<DiscoveryAction> {
  var announced: [String] {
    compactMap { if case .announce(let advertisement) = $0 { advertisement.instance } else { nil } }
  }

  var events: [DiscoveryEvent] {
    compactMap { if case .tell(let event) = $0 { event } else { nil } }
  }

  var found: [DiscoveredService] {
    events.compactMap { if case .found(let service) = $0 { service } else { nil } }
  }

  var resolved: [SightingKey] {
    compactMap { if case .resolve(let key) = $0 { key } else { nil } }
  }
}

extension SightingKey {
  static func on(_ interface: Int32, ipv6: Bool = false, _ instance: String = "abc") -> SightingKey {
    SightingKey(instance: instance, domain: "local", interface: interface, isIPv6: ipv6)
  }
}

extension DiscoveryInput {
  static func seen(
    _ key: SightingKey, _ interface: String = "eth0", kind: ServiceKind = .agents, isOurs: Bool = false
  ) -> DiscoveryInput {
    .appeared(kind, key, interface: interface, isBridgePort: false, isOurs: isOurs)
  }
}

extension ResolvedAnswer {
  static func ipv4(_ last: UInt8, port: UInt16 = 62683, txt: [String: String] = [:]) -> ResolvedAnswer {
    ResolvedAnswer(
      address: IPAddress(bytes: [192, 168, 1, last], text: "192.168.1.\(last)"), port: port, txt: txt)
  }

  static let linkLocal = ResolvedAnswer(
    address: IPAddress(bytes: [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [9], text: "fe80::9"),
    port: 62683, txt: [:])
}
