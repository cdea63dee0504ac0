import MantelCore

/// What the Avahi thread saw.
enum DiscoveryInput: Sendable {
  case wanted(Advertisement?)
  /// The client could not be made, or failed.
  case clientFailed(reason: String)
  /// The client waits for a daemon.
  case clientConnecting
  /// The daemon is there, and busy with its host name.
  case daemonRegistering
  case daemonRunning
  case groupRegistering
  case groupEstablished
  case groupCollided
  case groupRefused(reason: String)
  case appeared(ServiceKind, SightingKey, interface: String, isBridgePort: Bool, isOurs: Bool)
  case vanished(ServiceKind, SightingKey)
  case settled(ServiceKind)
  case browserFailed(ServiceKind, reason: String)
  case resolved(SightingKey, ResolvedAnswer)
  case unresolved(SightingKey)
  case network(LocalNetwork)
  /// The machine was suspended: what the daemon has cached is old.
  case resumed
  /// `nextDeadline` may have come; fed after every batch of the others.
  case deadline

  /// Said by a client or one of its objects.
  var comesFromClient: Bool {
    switch self {
    case .wanted, .network, .resumed, .deadline: false
    default: true
    }
  }
}

/// What the Avahi thread is to do.
enum DiscoveryAction: Hashable, Sendable {
  case createClient
  /// Frees the client and all that hangs on it.
  case freeClient
  /// Empties the group, adds the service under its name, commits.
  case announce(Advertisement)
  case updateTXT(Advertisement)
  /// Empties the group.
  case withdraw
  /// Frees the browser of that kind, if there is one, and makes a new one.
  case browse(ServiceKind)
  case resolve(SightingKey)
  case freeResolver(SightingKey)
  case tell(DiscoveryEvent)
}

/// All decisions of discovery: when to connect, what to publish and under which name, whom we see. Pure; the Avahi
/// thread feeds it and does what it says.
struct DiscoveryCore: Sendable {
  private enum Connection {
    /// No client; the next is made at `until`.
    case none(until: Instant)
    /// A client that waits for the daemon.
    case connecting(since: Instant)
    case connected(isReady: Bool, since: Instant)
  }

  private let interfaces: InterfaceFilter
  private var connection: Connection
  private var backoff = DiscoveryLimits.backoff
  private var publication: Publication
  private var sightings = Sightings()
  private var hasBrowsed = false
  /// When everything is browsed for again, for the network changed.
  private var browseAgainAt: Instant?
  /// When a browser that failed is made again.
  private var failedBrowsers: [ServiceKind: Instant] = [:]
  private var browserBackoff = DiscoveryLimits.backoff
  private var unavailable: String?
  private var toldDaemon: DaemonState?
  private var toldServices: [String: DiscoveredService] = [:]
  private var actions: [DiscoveryAction] = []

  init(configuration: DiscoveryConfiguration, now: Instant) {
    interfaces = configuration.interfaces
    publication = Publication(rename: configuration.rename)
    connection = .none(until: now)
  }

  /// The next thing to do, in order.
  mutating func nextAction() -> DiscoveryAction? { actions.isEmpty ? nil : actions.removeFirst() }

  /// When to feed `.deadline`.
  var nextDeadline: Instant? {
    let client: Instant? =
      switch connection {
      case .none(let until): until
      case .connecting(let since): since + DiscoveryLimits.connectPatience
      case .connected(let isReady, let since): isReady ? nil : since + DiscoveryLimits.connectPatience
      }
    var deadlines = [client, publication.nextDeadline]
    deadlines.append(isConnected ? sightings.nextDeadline : sightings.sweepDeadline)
    deadlines.append(isConnected ? browseAgainAt : nil)
    deadlines.append(isConnected ? failedBrowsers.values.min() : nil)
    return deadlines.compactMap(\.self).min()
  }

  mutating func handle(_ input: DiscoveryInput, now: Instant) {
    switch input {
    case .wanted(let advertisement): act(publication.want(advertisement, now: now))
    case .clientFailed(let reason): clientFailed(reason, now: now)
    case .clientConnecting: unavailable = "the Avahi daemon is not running"
    case .daemonRegistering: daemonAnswers(isReady: false, now: now)
    case .daemonRunning: daemonAnswers(isReady: true, now: now)
    case .groupRegistering: publication.registering(now: now)
    case .groupEstablished: publication.established(now: now)
    case .groupCollided: groupCollided(now: now)
    case .groupRefused(let reason): act(publication.refused(reason: reason, now: now))
    case .appeared(let kind, let key, let interface, let isBridgePort, let isOurs):
      guard isConnected, !isOurs, interfaces.admits(interface, isBridgePort: isBridgePort),
        key.instance.utf8.count <= DiscoveryLimits.instanceBytes
      else { break }
      if sightings.appeared(kind, key, on: interface, now: now) { report(key.instance) }
    case .vanished(let kind, let key):
      if sightings.vanished(kind, key) { actions.append(.freeResolver(key)) }
      report(key.instance)
    case .settled(let kind): if kind == .agents { sightings.settled(now: now) }
    case .browserFailed(let kind, _): failedBrowsers[kind] = now + browserBackoff.next()
    case .resolved(let key, let answer):
      sightings.resolved(key, answer, now: now)
      browserBackoff.reset()
      report(key.instance)
    case .unresolved(let key): sightings.unresolved(key, now: now)
    case .network(let network): networkChanged(network, now: now)
    case .resumed: browseAgainAt = now
    case .deadline: handleDeadlines(now: now)
    }
    reportDaemon()
  }

  // MARK: The daemon

  private var isConnected: Bool {
    if case .connected = connection { true } else { false }
  }

  private mutating func clientFailed(_ reason: String, now: Instant) {
    actions.append(.freeClient)
    connection = .none(until: now + backoff.next())
    unavailable = reason
    publication.clientGone()
    sightings.resolversGone(now: now)
    if hasBrowsed { sightings.beginGeneration(now: now) }
    hasBrowsed = false
    failedBrowsers = [:]
  }

  private mutating func daemonAnswers(isReady: Bool, now: Instant) {
    if case .none = connection { return }
    unavailable = nil
    if case .connected(isReady, _) = connection { return }
    connection = .connected(isReady: isReady, since: now)
    act(isReady ? publication.daemonRuns(now: now) : publication.daemonPauses())
    if isReady { backoff.reset() }
    if !hasBrowsed { browse() }
  }

  private mutating func browse() {
    hasBrowsed = true
    browseAgainAt = nil
    failedBrowsers = [:]
    for kind in ServiceKind.allCases { actions.append(.browse(kind)) }
  }

  private mutating func browseAgain(now: Instant) {
    sightings.beginGeneration(now: now)
    browse()
  }

  /// The name that we lose belongs to another: while we held it, its sightings may have been taken for our own.
  private mutating func groupCollided(now: Instant) {
    act(publication.collided(now: now))
    if isConnected { browseAgain(now: now) }
  }

  private mutating func networkChanged(_ network: LocalNetwork, now: Instant) {
    guard network != sightings.network else { return }
    sightings.network = network
    browseAgainAt = now + DiscoveryLimits.networkSettle
    for instance in sightings.instances { report(instance) }
  }

  // MARK: Time

  private mutating func handleDeadlines(now: Instant) {
    switch connection {
    case .none(let until) where until <= now:
      connection = .connecting(since: now)
      actions.append(.createClient)
    case .connecting(let since) where since + DiscoveryLimits.connectPatience <= now,
      .connected(false, let since) where since + DiscoveryLimits.connectPatience <= now:
      clientFailed(unavailable ?? "the Avahi daemon is not ready", now: now)
    case .none, .connecting, .connected: break
    }
    let swept = sightings.sweep(now: now)
    actions += swept.resolvers.map { .freeResolver($0) }
    for instance in swept.touched { report(instance) }
    guard isConnected else { return }
    act(publication.handleDeadline(now: now))
    let isOverflowing = sightings.takeOverflow(now: now)
    if isOverflowing || browseAgainAt.map({ $0 <= now }) ?? false { browseAgain(now: now) }
    for (kind, retryAt) in failedBrowsers where retryAt <= now {
      failedBrowsers[kind] = nil
      actions.append(.browse(kind))
    }
    actions += sightings.resolutionsOverdue(now: now).map { .freeResolver($0) }
    actions += sightings.resolutionsDue(now: now).map { .resolve($0) }
  }

  // MARK: News

  private mutating func act(_ action: DiscoveryAction?) {
    if let action { actions.append(action) }
  }

  private mutating func report(_ instance: String) {
    let service = sightings.service(instance)
    guard service != toldServices[instance] else { return }
    toldServices[instance] = service
    actions.append(.tell(service.map { .found($0) } ?? .lost(instance: instance)))
  }

  private mutating func reportDaemon() {
    let state: DaemonState =
      if isConnected { .running(publication.state) } else if let unavailable {
        .unavailable(reason: unavailable)
      } else { .starting }
    guard state != toldDaemon else { return }
    toldDaemon = state
    actions.append(.tell(.daemon(state)))
  }
}
