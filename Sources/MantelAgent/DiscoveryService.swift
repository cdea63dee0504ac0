import Logging
import MantelCore
import MantelReplication
import MantelDiscovery
import MantelHousehold
import Synchronization

/// Advertises this machine and hands what is discovered to the dialer.
final class DiscoveryService: Sendable {
  private let engine: Engine
  private let dialer: PeerDialer
  private let invitations: Invitations
  private let discovery: Discovery
  private let port: UInt16
  private let shared: Shared
  /// The random name of this run; renewed daily so that days cannot be linked.
  static let renewal: Duration = .seconds(86_400)

  /// What the rename closure of discovery's thread may read.
  final class Shared: Sendable {
    let key = Mutex<[UInt8]>([])
    let daemon = Mutex<DaemonState>(.starting)
    let services = Mutex<[String: DiscoveredService]>([:])
    let instance = Mutex<String>(DiscoveryService.randomName())
  }

  init(
    engine: Engine, dialer: PeerDialer, invitations: Invitations, port: UInt16, logger: Logger
  ) {
    let shared = Shared()
    self.engine = engine
    self.dialer = dialer
    self.invitations = invitations
    self.port = port
    self.shared = shared
    discovery = Discovery(
      configuration: DiscoveryConfiguration { old in
        let name = Self.randomName()
        shared.instance.withLock { $0 = name }
        return Self.advertisement(
          name, port: old.port, key: shared.key.withLock { $0 }, isInviting: old.isInviting)
      }, logger: logger)
  }

  /// `running`, or why peers cannot be discovered now.
  var stateText: String {
    switch shared.daemon.withLock({ $0 }) {
    case .starting: "starting"
    case .unavailable(let reason): "unavailable: \(reason)"
    case .running(.refused(let reason)): "browsing only: \(reason)"
    case .running: "running"
    }
  }

  var isStarting: Bool { shared.daemon.withLock { $0 } == .starting }

  func run() async {
    await advertise()
    await withDiscardingTaskGroup { group in
      group.addTask { [self] in
        while !Task.isCancelled {
          do { try await Task.sleep(for: Self.renewal) } catch { return }
          shared.instance.withLock { $0 = Self.randomName() }
          await advertise()
        }
      }
      for await event in discovery.events {
        switch event {
        case .daemon(let state): shared.daemon.withLock { $0 = state }
        case .found(let service):
          shared.services.withLock { $0[service.instance] = service }
          classify(service)
        case .lost(let instance):
          shared.services.withLock { $0[instance] = nil }
          dialer.lost(instance)
        }
      }
      group.cancelAll()
    }
  }

  func stop() { discovery.close() }

  /// Publishes what is true now: after start, when an invite opens or ends, when the roster changes.
  func advertise() async {
    let key = await engine.ask { $0.roster.discoveryKey }
    let isNew = shared.key.withLock { known in
      defer { known = key }
      return known != key
    }
    if port > 0 {
      discovery.publish(
        Self.advertisement(
          shared.instance.withLock { $0 }, port: port, key: key, isInviting: invitations.isOpen))
    }
    if isNew { for service in shared.services.withLock({ Array($0.values) }) { classify(service) } }
  }

  private func classify(_ service: DiscoveredService) {
    let isMember =
      service.txt["h"].map {
        DiscoveryTag.matches($0, key: shared.key.withLock { $0 }, instanceName: service.instance)
      } ?? false
    dialer.discovered(service, isMember: isMember)
  }

  private static func advertisement(
    _ name: String, port: UInt16, key: [UInt8], isInviting: Bool
  ) -> Advertisement {
    Advertisement(
      instance: name, port: port,
      txt: ["txtvers": "1", "p": "1", "h": DiscoveryTag.tag(key: key, instanceName: name)],
      isInviting: isInviting)
  }

  static func randomName() -> String {
    let symbols = Array("abcdefghijklmnopqrstuvwxyz234567")
    var source = SystemRandomNumberGenerator()
    return String((0..<12).map { _ in symbols[Int.random(in: 0..<32, using: &source)] })
  }
}
