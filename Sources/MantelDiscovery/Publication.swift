import MantelCore

/// What of our own service stands on the entry group, and what is to be done about it. Pure.
struct Publication: Sendable {
  private enum Phase {
    /// Nothing on the group.
    case idle
    case registering(since: Instant)
    case established(since: Instant)
    /// Tried again at `until`.
    case waiting(until: Instant, reason: String)
  }

  private(set) var wanted: Advertisement?
  private var phase = Phase.idle
  /// The daemon runs and lets services be registered.
  private var canRegister = false
  private var backoff = DiscoveryLimits.backoff
  private var collisions = 0
  private let rename: @Sendable (Advertisement) -> Advertisement

  init(rename: @escaping @Sendable (Advertisement) -> Advertisement) { self.rename = rename }

  var state: PublicationState {
    guard let wanted else { return .nothing }
    switch phase {
    case .established: return .published(instance: wanted.instance)
    case .waiting(_, let reason): return .refused(reason: reason)
    case .idle, .registering: return .registering
    }
  }

  var nextDeadline: Instant? {
    switch phase {
    case .registering(let since): since + DiscoveryLimits.registerPatience
    case .waiting(let until, _): until
    case .idle, .established: nil
    }
  }

  /// The agent wants this published from now on; nil for nothing.
  mutating func want(_ advertisement: Advertisement?, now: Instant) -> DiscoveryAction? {
    let former = wanted
    wanted = advertisement
    guard let advertisement else {
      defer { phase = .idle }
      return isOnGroup ? .withdraw : nil
    }
    guard canRegister, advertisement != former || isIdle else { return nil }
    if isOnGroup, var same = former {
      same.txt = advertisement.txt
      if same == advertisement { return .updateTXT(advertisement) }
    }
    return announce(now)
  }

  /// The daemon is ready for services.
  mutating func daemonRuns(now: Instant) -> DiscoveryAction? {
    canRegister = true
    return isIdle ? announce(now) : nil
  }

  /// The daemon is busy with its own host name: services have to be withdrawn.
  mutating func daemonPauses() -> DiscoveryAction? {
    canRegister = false
    defer { phase = .idle }
    return isOnGroup ? .withdraw : nil
  }

  /// The client is gone, and the group with it.
  mutating func clientGone() {
    canRegister = false
    phase = .idle
  }

  /// The daemon started to probe for our names.
  mutating func registering(now: Instant) {
    if case .established = phase { phase = .registering(since: now) }
  }

  mutating func established(now: Instant) {
    guard case .registering = phase else { return }
    phase = .established(since: now)
    backoff.reset()
  }

  /// Another service has our name: take a new one.
  mutating func collided(now: Instant) -> DiscoveryAction? {
    guard let wanted, isOnGroup else { return nil }
    if case .established(let since) = phase, now - since >= DiscoveryLimits.steadyPublication {
      collisions = 0
    }
    collisions += 1
    self.wanted = rename(wanted)
    guard collisions > DiscoveryLimits.quickRenames else { return announce(now) }
    phase = .waiting(until: now + backoff.next(), reason: "the names of this machine's service are taken")
    return .withdraw
  }

  /// The daemon refused the entries, or dropped them.
  mutating func refused(reason: String, now: Instant) -> DiscoveryAction? {
    guard isOnGroup else { return nil }
    phase = .waiting(until: now + backoff.next(), reason: reason)
    return .withdraw
  }

  mutating func handleDeadline(now: Instant) -> DiscoveryAction? {
    guard canRegister, let nextDeadline, nextDeadline <= now else { return nil }
    return announce(now)
  }

  private var isIdle: Bool {
    if case .idle = phase { true } else { false }
  }

  private var isOnGroup: Bool {
    switch phase {
    case .registering, .established: true
    case .idle, .waiting: false
    }
  }

  private mutating func announce(_ now: Instant) -> DiscoveryAction? {
    guard canRegister, let wanted else { return nil }
    phase = .registering(since: now)
    return .announce(wanted)
  }
}
