/// News for one reader, as the difference between what is and what the reader was told.
///
/// However slow the reader, it holds no more than one entry per instance that exists or was told: what came and went
/// unseen leaves no trace.
struct EventQueue: Sendable {
  private var daemon: DaemonState?
  private var toldDaemon: DaemonState?
  private var services: [String: DiscoveredService] = [:]
  private var told: [String: DiscoveredService] = [:]
  /// Instances whose two states may differ, oldest change first.
  private var changed: [String] = []

  /// Instances with news not yet read.
  var waiting: Int { changed.count }

  mutating func push(_ event: DiscoveryEvent) {
    switch event {
    case .daemon(let state):
      daemon = state
    case .found(let service):
      services[service.instance] = service
      note(service.instance)
    case .lost(let instance):
      services[instance] = nil
      note(instance)
    }
  }

  /// The next event that changes what the reader knows; nil when it knows all.
  mutating func pop() -> DiscoveryEvent? {
    if let daemon, daemon != toldDaemon {
      toldDaemon = daemon
      return .daemon(daemon)
    }
    guard !changed.isEmpty else { return nil }
    let instance = changed.removeFirst()
    let service = services[instance]
    told[instance] = service
    return service.map { .found($0) } ?? .lost(instance: instance)
  }

  private mutating func note(_ instance: String) {
    let position = changed.firstIndex(of: instance)
    if services[instance] == told[instance] {
      if let position { changed.remove(at: position) }
    } else if position == nil {
      changed.append(instance)
    }
  }
}
